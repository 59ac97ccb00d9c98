"""Every program and format against BLAST+ itself, byte for byte.

What may differ is on the list in docs/reference/exactness.md, and nowhere else.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.archive import DatabaseSize
from multiblast.installation import Installation
from multiblast.reports.exactness import Exactness
from multiblast.reports.formats import Formatting

DATA = Path(__file__).parents[1] / "data"
RESIDUES = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"
TABLE = ("std", "qlen", "slen", "qcovs", "qcovhsp", "btop", "frames", "stitle", "qseq", "sseq", "positive", "gaps")
UNSEARCHABLE = re.compile(rb">(?:only X|low complexity|allN|poly)\n[^>]*")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protein, a nucleotide, a profile and a domain database."""
    directory = tmp_path_factory.mktemp("exactness")
    for name, kind in (("proteins", "prot"), ("nucleotides", "nucl")):
        sequences = gzip.decompress((DATA / f"exactness_{name}.fasta.gz").read_bytes())
        command = ["makeblastdb", "-dbtype", kind, "-title", f"{name} for tests", "-out", directory / name, "-in", "-"]
        subprocess.run(command, input=sequences, check=True, capture_output=True)
    _build_profiles(directory)
    return directory


def _build_profiles(directory: Path) -> None:
    """Make profiles of some queries, and of these the two kinds of databases."""
    records = (DATA / "exactness_proteins_query.fasta").read_text().split(">")[1:17]
    names: dict[str, list[str]] = {"rps": [], "delta": []}
    for number, record in enumerate(records):
        sequence = "".join(record.split("\n")[1:])
        (directory / "one.fasta").write_text(f">domain{number} number {number}\n{sequence}\n")
        profile = directory / f"rps{number}.smp"
        command = ["psiblast", "-query", "one.fasta", "-db", "proteins", "-num_iterations", "2", "-parse_deflines"]
        command += ["-out_pssm", profile.name, "-save_pssm_after_last_round", "-out", "/dev/null"]
        if subprocess.run(command, cwd=directory, check=False, capture_output=True).returncode:
            continue  # psiblast 2.12.0 crashes on a query without relatives
        (directory / f"delta{number}.smp").write_text(_with_observations(profile.read_text(), sequence))
        for kind, made in names.items():
            made.append(f"{kind}{number}.smp")
    for kind, made in names.items():
        (directory / f"{kind}.pn").write_text("\n".join(made) + "\n")
        command = ["makeprofiledb", "-in", f"{kind}.pn", "-dbtype", kind, "-out", kind, "-title", f"{kind} for tests"]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


def _with_observations(profile: str, sequence: str) -> str:
    """Add what a domain database wants beside frequencies: each residue as if seen in eight sequences."""
    one_hot = ",\n".join("{ 1, 10, 0 }" if one == other else "{ 0, 10, 0 }" for one in sequence for other in RESIDUES)
    start = "intermediateData {"
    profile = profile.replace(start, f"{start}\nweightedResFreqsPerPos {{\n{one_hot}\n}},", 1)
    end = re.compile(r"\n\s+\}").search(profile, profile.index("freqRatios {"))
    assert end is not None
    observations = ",\n".join("{ 8, 10, 0 }" for _ in sequence)
    return f"{profile[: end.end()]},\nnumIndeptObsr {{\n{observations}\n}}{profile[end.end() :]}"


@pytest.fixture
def compare(databases: Path, tmp_path: Path) -> Callable[..., Exactness]:
    def search(  # noqa: PLR0913 - what makes a search
        program: str,
        molecule: str,
        database: str,
        *options: str,
        searchable: bool = False,
        alone: bool = False,
        few: int = 0,
    ) -> Exactness:
        query = tmp_path / "query.fasta"
        records = (DATA / f"exactness_{molecule}_query.fasta").read_bytes()
        records = UNSEARCHABLE.sub(b"", records) if searchable else records
        query.write_bytes(b">".join(records.split(b">")[: few + 1]) if few else records)
        installation = Installation()
        return Exactness(
            program,
            query,
            str(databases / database),
            _size(databases / database, "nucl" if database == "nucleotides" else "prot"),
            [option.replace("DIRECTORY", str(databases)) for option in options],
            directory=tmp_path,
            alone=alone,
            executables={program: str(installation.program(program))},
        )

    return search


def _size(database: Path, kind: str) -> DatabaseSize:
    info = subprocess.run(
        ["blastdbcmd", "-db", database, "-dbtype", kind, "-info"], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"([\d,]+) sequences; ([\d,]+) total", info)
    assert found is not None
    return DatabaseSize(letters=int(found[2].replace(",", "")), sequences=int(found[1].replace(",", "")))


@pytest.mark.parametrize(
    ("program", "molecule", "database", "options"),
    [
        ("blastp", "proteins", "proteins", []),
        ("blastp", "proteins", "proteins", ["-seg", "yes", "-soft_masking", "true", "-lcase_masking"]),
        ("blastn", "nucleotides", "nucleotides", []),
        ("blastn", "nucleotides", "nucleotides", ["-task", "blastn", "-strand", "minus", "-lcase_masking"]),
        ("tblastn", "proteins", "nucleotides", []),
        ("tblastn", "proteins", "nucleotides", ["-seg", "no", "-lcase_masking"]),
    ],
)
def test_reports_of_a_normal_batch_equal_plain_blast(
    compare: Callable[..., Exactness], program: str, molecule: str, database: str, options: list[str]
) -> None:
    assert compare(program, molecule, database, *options).all_differences() == {}


@pytest.mark.parametrize("options", [["-evalue", "1"], ["-evalue", "1", "-strand", "minus", "-query_gencode", "4"]])
def test_reports_of_blastx_equal_plain_blast(compare: Callable[..., Exactness], options: list[str]) -> None:
    assert compare("blastx", "nucleotides", "proteins", *options, searchable=True).all_differences() == {}


@pytest.mark.parametrize(
    ("program", "molecule", "database", "options"),
    [
        ("tblastx", "nucleotides", "nucleotides", ["-max_target_seqs", "20"]),
        ("rpsblast", "proteins", "rps", ["-evalue", "100"]),
        ("rpstblastn", "nucleotides", "rps", ["-evalue", "10"]),
        ("psiblast", "proteins", "proteins", []),
    ],
)
def test_reports_of_single_queries_equal_plain_blast_on_single_queries(
    compare: Callable[..., Exactness], program: str, molecule: str, database: str, options: list[str]
) -> None:
    exactness = compare(program, molecule, database, *options, searchable=True, alone=True)
    assert exactness.all_differences() == {}


@pytest.mark.parametrize(("program", "molecule", "few"), [("blastp", "proteins", 25), ("blastx", "nucleotides", 0)])
def test_reports_of_ungapped_searches_equal_plain_blast_on_single_queries(
    compare: Callable[..., Exactness], program: str, molecule: str, few: int
) -> None:
    """Of blastp not all queries: the last few take minutes."""
    options = ["-ungapped", "-comp_based_stats", "0"]
    exactness = compare(program, molecule, "proteins", *options, searchable=True, alone=True, few=few)
    assert exactness.all_differences() == {}


def test_reports_of_deltablast_differ_where_the_list_says(compare: Callable[..., Exactness]) -> None:
    """In pairwise text, one line a query: the archive lacks the profile's parameters without gaps."""
    exactness = compare("deltablast", "proteins", "proteins", "-rpsdb", "DIRECTORY/delta", searchable=True, alone=True)
    found = exactness.all_differences()
    assert list(found) == [0, 1, 2, 3, 4]
    assert all("0.792     4.96 " in line for lines in found.values() for line in lines)
    assert exactness.differences(Formatting(0, html=True))[0].count("0.792     4.96 ") == 2


def test_reports_of_several_rounds_of_psiblast_equal_plain_blast(compare: Callable[..., Exactness]) -> None:
    """With what is said of rounds: which sequences were found again, and that a search has converged."""
    exactness = compare(
        "psiblast", "proteins", "proteins", "-num_iterations", "3", "-inclusion_ethresh", "0.1", searchable=True, few=14
    )
    assert exactness.all_differences() == {}
    assert exactness.differences(Formatting(0, html=True)) == []


@pytest.mark.parametrize(
    ("program", "formatting"),
    [
        ("blastp", Formatting(0, html=True)),
        ("blastp", Formatting(2, html=True, show_gis=True)),
        ("blastp", Formatting(0, line_length=100, sort_hits=3, sort_hsps=2)),
        ("blastp", Formatting(4, max_target_sequences=500)),
        ("blastp", Formatting(5, num_alignments=250)),
        ("blastp", Formatting(6, TABLE)),
        ("blastp", Formatting(7, (*TABLE, "qseqid"), delimiter="@")),
        ("blastp", Formatting(10, TABLE, delimiter="|")),
        ("blastp", Formatting(18, html=True)),
        ("blastn", Formatting(0, html=True)),
        ("blastn", Formatting(6, (*TABLE, "qcovus", "sstrand"))),
        ("blastn", Formatting(17, ("SQ",))),
        ("blastn", Formatting(17, ("SR",))),
    ],
)
def test_options_of_reports_equal_those_of_plain_blast(
    compare: Callable[..., Exactness], program: str, formatting: Formatting
) -> None:
    kind = "proteins" if program == "blastp" else "nucleotides"
    assert compare(program, kind, kind).differences(formatting) == []


def test_several_databases_are_reported_as_plain_blast_does(databases: Path, tmp_path: Path) -> None:
    query = tmp_path / "query.fasta"
    query.write_bytes((DATA / "exactness_proteins_query.fasta").read_bytes())
    command = ["makeblastdb", "-dbtype", "prot", "-title", "second", "-out", databases / "second", "-in", query]
    subprocess.run(command, check=True, capture_output=True)
    sizes = [_size(databases / name, "prot") for name in ("proteins", "second")]
    size = DatabaseSize(sum(s.letters for s in sizes), sum(s.sequences for s in sizes))
    names = f"{databases / 'proteins'} {databases / 'second'}"
    exactness = Exactness("blastp", query, names, size, directory=tmp_path)
    assert {n: exactness.differences(Formatting(n)) for n in (0, 5, 6, 7, 16)} == {0: [], 5: [], 6: [], 7: [], 16: []}
