"""What the options promise, held against the real programs: defaults, refusals, independence."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import InvalidInputError
from multiblast.installation import Installation
from multiblast.molecules import DatabaseKind
from multiblast.options import PROGRAMS, independence_of, options_for, parse_options
from multiblast.options.allowed_gap_costs import GAP_COSTS, NO_GAPS, nucleotide_gap_costs
from tests.support.places import EXAMPLES

COLUMNS = "6 std score nident positive gaps ppos qframe sframe qlen slen qcovs qcovhsp btop qseq"
CODONS = dict(
    zip(
        "ACDEFGHIKLMNPQRSTVWY",
        re.findall("...", "GCTTGCGACGAATTCGGACACATTAAGCTGATGAACCCACAGCGTTCAACCGTGTGGTAT"),
        strict=True,
    )
)

Run = Callable[..., subprocess.CompletedProcess[str]]


def records(path: Path) -> list[tuple[str, str]]:
    """Read names and sequences."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    entries = (entry.split("\n", 1) for entry in text.split(">")[1:])
    return [(title.split()[0], "".join(body.split())) for title, body in entries]


def write(path: Path, entries: list[tuple[str, str]]) -> Path:
    """Write FASTA."""
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in entries))
    return path


def coding(sequence: str) -> str:
    """Return nucleotides that code for a protein."""
    return "".join(CODONS.get(letter, "NNN") for letter in sequence)


def changed(sequence: str, step: int) -> str:
    """Return a sequence with a letter replaced every ``step``, so that it is a relative."""
    return "".join("A" if position % step == 0 else letter for position, letter in enumerate(sequence))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """``run(program, arguments, alone=False, queries=3)`` searches 3 or 20 real proteins, or what codes for them."""
    home = tmp_path_factory.mktemp("options")
    proteins = [*records(EXAMPLES / "protein_query.fasta"), *records(EXAMPLES / "proteins.fasta.gz")]
    queries, subjects = proteins[:20], [(f"s{number}", sequence) for number, (_, sequence) in enumerate(proteins[:260])]
    for count in (3, 20):
        write(home / f"protein{count}.fasta", queries[:count])
        write(home / f"nucleotide{count}.fasta", [(name, coding(sequence)) for name, sequence in queries[:count]])
    coded = [(name, changed(coding(sequence), 3 + number % 29)) for number, (name, sequence) in enumerate(subjects)]
    for name, entries, kind in (("protein", subjects, "prot"), ("nucleotide", coded, "nucl")):
        source = write(home / f"{name}_db.fasta", entries)
        make = ["makeblastdb", "-in", str(source), "-dbtype", kind, "-out", str(home / name)]
        subprocess.run(make, check=True, capture_output=True)
    _make_profiles(home, queries[:6])

    def search(
        program: str, arguments: list[str], *, alone: bool = False, queries: int = 3
    ) -> subprocess.CompletedProcess[str]:
        model = options_for(program)
        target = "profiles" if model.database_kind is DatabaseKind.PROFILE else model.database_kind
        command = [Installation().program(program), "-query", f"{model.query_molecule}{queries}.fasta"]
        environment = {**os.environ, "BLAST_USAGE_REPORT": "false", **({"BATCH_SIZE": "1"} if alone else {})}
        return subprocess.run(
            [*command, "-db", target, "-outfmt", COLUMNS, *arguments],
            check=False, cwd=home, capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip

    return search


def _make_profiles(home: Path, queries: list[tuple[str, str]]) -> None:
    for number, query in enumerate(queries):
        write(home / f"{number}.fasta", [(f"lcl|p{number}", query[1])])
        make = ["psiblast", "-query", f"{number}.fasta", "-db", "protein", "-parse_deflines", "-num_iterations", "2"]
        make += ["-out_pssm", f"{number}.smp", "-save_pssm_after_last_round", "-out", os.devnull]
        subprocess.run(make, check=True, cwd=home, capture_output=True)
    (home / "profiles.pn").write_text("".join(f"{number}.smp\n" for number in range(len(queries))))
    make = ["makeprofiledb", "-in", "profiles.pn", "-out", "profiles", "-dbtype", "rps", "-title", "profiles"]
    subprocess.run(make, check=True, cwd=home, capture_output=True)


TASKS = [
    (program, task) for program in PROGRAMS if program != "deltablast" for task in options_for(program).task_names()
]


@pytest.mark.parametrize(("program", "task"), TASKS)
def test_options_known_defaults_given_explicitly_change_nothing(run: Run, program: str, task: str) -> None:
    model = options_for(program)
    preset = ["-task", task] if "task" in model.model_fields else []
    usual = run(program, preset)
    assert usual.stdout
    by_task = {name: option.by_task[task] for name, option in model.declared.items() if task in option.by_task}
    assert by_task or task == "rmblastn"
    listed = [text for name, value in by_task.items() for text in (f"-{name}", str(value))]
    given = run(program, [*preset, *listed])
    assert given.stdout == usual.stdout, (listed, given.stderr)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("blastp", {"db_soft_mask": "1", "db_hard_mask": "2"}),
    ("blastp", {"culling_limit": 1, "best_hit_overhang": 0.1}),
    ("blastp", {"taxids": "1", "negative_taxids": "2"}),
    ("blastp", {"ungapped": True}),
    ("blastp", {"word_size": 8}),
    ("tblastx", {"word_size": 6}),
    ("psiblast", {"word_size": 6}),
    ("blastp", {"threshold": 0}),
    ("blastp", {"evalue": 0}),
    ("blastp", {"query_loc": "9-3"}),
    ("blastp", {"query_loc": "9-9"}),
    ("blastp", {"query_loc": f"9-{2**31}"}),
    ("blastp", {"taxids": str(2**31)}),
    ("blastp", {"xdrop_ungap": -1}),
    ("tblastx", {"max_intron_length": 100}),
    ("blastp", {"gapopen": 3}),
    ("blastp", {"matrix": "PAM30", "gapopen": 11, "gapextend": 1}),
    ("psiblast", {"matrix": "IDENTITY"}),
    ("blastx", {"matrix": "IDENTITY"}),
    ("psiblast", {"save_pssm_after_last_round": True}),
    ("blastn", {"gapopen": 5}),
    ("blastn", {"reward": 3, "penalty": -5}),
    ("blastn", {"task": "blastn", "gapextend": 4}),
    ("blastn", {"reward": 2}),
    ("blastn", {"template_type": "coding", "word_size": 11}),
    ("blastn", {"template_length": 18}),
    ("blastn", {"template_type": "coding", "template_length": 18}),
    ("blastn", {"task": "dc-megablast", "word_size": 28}),
    ("blastn", {"off_diagonal_range": 5}),
    ("blastn", {"no_greedy": True}),
]

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("blastp", {"gapopen": 10}),
    ("blastp", {"gapextend": 2, "gapopen": 7, "matrix": "blosum62"}),
    ("blastp", {"culling_limit": 1, "subject_besthit": True}),
    ("blastp", {"ungapped": True, "comp_based_stats": "F"}),
    ("blastp", {"use_sw_tback": True, "comp_based_stats": 0, "max_target_seqs": 3}),
    ("blastp", {"matrix": "IDENTITY"}),
    ("tblastn", {"matrix": "IDENTITY"}),
    ("tblastx", {"matrix": "IDENTITY"}),
    ("psiblast", {"sum_stats": "n"}),
    ("blastp", {"word_size": 7, "threshold": 21}),
    ("blastp", {"seg": "yes", "soft_masking": True, "lcase_masking": True}),
    ("blastp", {"dbsize": 2**40, "searchsp": 2**40}),
    ("blastp", {"query_loc": "3-30", "window_size": 0, "evalue": "1e-180"}),
    ("blastn", {"gapopen": 5, "gapextend": 2}),
    ("blastn", {"task": "dc-megablast", "template_type": "coding_and_optimal", "template_length": 21, "word_size": 12}),
    ("blastn", {"off_diagonal_range": 5, "window_size": 40}),
    ("blastn", {"no_greedy": True, "gapopen": 5, "gapextend": 2}),
    ("blastn", {"task": "rmblastn"}),
    ("blastn", {"dust": "10 64 1", "perc_identity": 80, "strand": "minus"}),
    ("blastn", {"sum_stats": False}),
    ("blastp", {"no_taxid_expansion": True}),
    ("blastx", {"query_gencode": 33, "max_intron_length": 500}),
    ("tblastx", {"db_gencode": 2, "query_gencode": 31}),
    ("psiblast", {"num_iterations": 2, "inclusion_ethresh": 0.01, "pseudocount": 5, "gap_trigger": 20}),
    ("rpsblast", {"max_target_seqs": 5, "xdrop_ungap": 9}),
    ("rpstblastn", {"query_gencode": 11, "strand": "plus"}),
]


def raw(options: dict[str, Any]) -> list[str]:
    """Write options as they are, unchecked."""
    return [
        text
        for name, value in options.items()
        for text in ([f"-{name}"] if value is True and name != "soft_masking" else [f"-{name}", str(value)])
    ]


@pytest.mark.parametrize(("program", "options"), REFUSED)
def test_options_refused_here_are_refused_by_the_program(run: Run, program: str, options: dict[str, Any]) -> None:
    assert run(program, raw(options)).returncode != 0
    with pytest.raises(InvalidInputError):
        parse_options(program, options)


@pytest.mark.parametrize(("program", "options"), ACCEPTED)
def test_options_accepted_here_are_accepted_by_the_program(run: Run, program: str, options: dict[str, Any]) -> None:
    """Or refused by both, where the installed version lacks the option."""
    parsed = parse_options(program, options)
    missing = list(parsed.missing_in(Installation().version(program)))
    done = run(program, parsed.arguments())
    assert (done.returncode != 0) == bool(missing), done.stderr


@pytest.mark.parametrize("spelled", ["0", "F", "1", "T", "D", "d"])
@pytest.mark.parametrize(
    "program", [name for name in PROGRAMS if name != "deltablast" and "comp_based_stats" in options_for(name).declared]
)
def test_options_corrections_mean_what_the_program_takes_them_for(run: Run, program: str, spelled: str) -> None:
    arguments = parse_options(program, {"comp_based_stats": spelled}).arguments()
    assert run(program, arguments).stdout == run(program, ["-comp_based_stats", spelled]).stdout


@pytest.mark.parametrize("matrix", GAP_COSTS)
def test_options_gap_costs_of_a_matrix_are_those_the_program_lists(run: Run, matrix: str) -> None:
    told = run("blastp", ["-matrix", matrix, "-gapopen", "1", "-gapextend", "99"]).stderr
    assert {(int(a), int(b)) for a, b in re.findall(r"^(\d+), (\d+)$", told, re.MULTILINE)} == GAP_COSTS[matrix]
    assert NO_GAPS in GAP_COSTS[matrix]


@pytest.mark.parametrize("reward", [1, 2, 3, 4, 5, 6])
def test_options_nucleotide_scores_are_those_the_program_lists(run: Run, reward: int) -> None:
    for penalty in range(-8, -reward, 1):
        arguments = ["-task", "blastn", "-reward", str(reward), "-penalty", str(penalty), "-gapopen", "0"]
        told = run("blastn", [*arguments, "-gapextend", "1", "-query_loc", "1-60"]).stderr
        pairs = re.findall(r"(\d+) and (\d+) are supported existence", told)
        costs = nucleotide_gap_costs(reward, penalty)
        assert (costs is None) == ("are not supported" in told and not pairs), (reward, penalty)
        if costs:
            assert {(int(a), int(b)) for a, b in pairs} - {costs.beyond} == costs.pairs - {costs.beyond}
            assert f"more stringent than {costs.beyond[0]} and {costs.beyond[1]} are" in told


INDEPENDENT = [
    ("blastp", {}),
    pytest.param("blastp", {"task": "blastp-fast"}, marks=pytest.mark.long),
    pytest.param("blastp", {"task": "blastp-short", "evalue": 100}, marks=pytest.mark.long),
    ("blastp", {"seg": "yes", "soft_masking": True, "comp_based_stats": 0, "matrix": "BLOSUM45"}),
    ("blastp", {"ungapped": True, "comp_based_stats": 0}),
    ("blastp", {"max_target_seqs": 2, "culling_limit": 1, "max_hsps": 1, "searchsp": 10**7}),
    ("blastn", {}),
    ("blastn", {"dust": "no", "evalue": 1000, "max_target_seqs": 3, "soft_masking": False}),
    ("blastx", {}),
    ("blastx", {"sum_stats": True, "max_intron_length": 1000}),
    ("tblastn", {}),
    ("tblastn", {"sum_stats": False}),
    ("tblastx", {"sum_stats": False}),
]


@pytest.mark.parametrize(("program", "options"), INDEPENDENT)
def test_options_independent_searches_find_the_same_with_batch_mates_and_alone(
    run: Run, program: str, options: dict[str, Any]
) -> None:
    parsed = parse_options(program, options)
    assert independence_of(parsed).holds(space=0)
    together = run(program, parsed.arguments(), queries=20).stdout
    assert together.count("\n") >= 15
    assert together == run(program, parsed.arguments(), queries=20, alone=True).stdout


@pytest.mark.parametrize(
    "options", [{"task": "blastn"}, {"task": "blastn", "ungapped": True}, {"task": "blastn-short"}]
)
def test_options_blastn_is_independent_once_the_search_space_is_large(run: Run, options: dict[str, Any]) -> None:
    parsed = parse_options("blastn", options)
    independence = independence_of(parsed)
    space = independence.least_space
    assert independence.holds(space)
    assert not independence.holds(space - 1)
    arguments = [*parsed.arguments(), "-searchsp", str(int(space))]
    together = run("blastn", arguments, queries=20).stdout
    assert together.count("\n") >= 15
    assert together == run("blastn", arguments, queries=20, alone=True).stdout


def test_options_blastn_in_a_small_search_space_depends_on_batch_mates(run: Run) -> None:
    parsed = parse_options("blastn", {"task": "blastn"})
    assert not independence_of(parsed).holds(space=0)
    assert (
        run("blastn", parsed.arguments(), queries=20).stdout
        != run("blastn", parsed.arguments(), queries=20, alone=True).stdout
    )


@pytest.mark.parametrize(("program", "options", "least"), [("blastx", {}, 100), ("tblastn", {"evalue": 0.5}, 5)])
def test_options_sum_statistics_are_independent_once_there_are_many_subjects(
    program: str, options: dict[str, Any], least: int
) -> None:
    independence = independence_of(parse_options(program, options))
    assert independence.holds(space=0, subjects=least)
    assert not independence.holds(space=inf, subjects=least - 1)
    assert independence_of(parse_options(program, {**options, "sum_stats": False})).holds(space=0, subjects=1)


def test_options_blastx_depends_on_batch_mates_with_long_queries() -> None:
    independence = independence_of(parse_options("blastx", {}))
    assert independence.holds(space=inf, letters=10_002)
    assert not independence.holds(space=inf, letters=10_003)


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("tblastx", {}),
        ("blastx", {"ungapped": True, "comp_based_stats": 0}),
        ("blastx", {"searchsp": 10**6}),
    ],
)
def test_options_dependent_searches_differ_with_batch_mates(run: Run, program: str, options: dict[str, Any]) -> None:
    parsed = parse_options(program, options)
    assert not independence_of(parsed).holds(space=0)
    together = run(program, parsed.arguments(), queries=20).stdout
    assert together != run(program, parsed.arguments(), queries=20, alone=True).stdout


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("blastn", {"task": "dc-megablast"}),
        ("blastn", {"word_size": 16}),
        ("blastn", {"sum_stats": True}),
        ("blastn", {"dbsize": 10**6}),
        ("blastx", {"searchsp": 10**6}),
        ("blastx", {"taxids": "9606"}),
        ("tblastn", {"dbsize": 10**6}),
        ("tblastn", {"ungapped": True, "comp_based_stats": 0}),
        ("tblastx", {"sum_stats": False, "word_size": 2}),
        ("psiblast", {}),
        ("rpsblast", {}),
        ("rpstblastn", {}),
        ("deltablast", {}),
    ],
)
def test_options_what_was_not_shown_independent_is_not(program: str, options: dict[str, Any]) -> None:
    assert not independence_of(parse_options(program, options)).holds(space=0)
