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
from multiblast.reports.exactness import Exactness, incomplete_in_blast
from multiblast.reports.letters import last_letter_in_xml
from multiblast.reports.report_options import Formatting
from multiblast.sequences import read_fasta
from tests.support.profile_databases import build_profile_databases

DATA = Path(__file__).parents[1] / "data"
TABLE = ("std", "qlen", "slen", "qcovs", "qcovhsp", "btop", "frames", "stitle", "qseq", "sseq", "positive", "gaps")
# What differs between searches in one format differs in its kin: every format is compared for one search per program.
OTHERS = ("0", "5", "7", "16")
UNSEARCHABLE = re.compile(rb">(?:only X|low complexity|allN|poly)\n[^>]*")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protein, a nucleotide, a profile and a domain database."""
    directory = tmp_path_factory.mktemp("exactness")
    for name, kind in (("proteins", "prot"), ("nucleotides", "nucl")):
        sequences = gzip.decompress((DATA / f"exactness_{name}.fasta.gz").read_bytes())
        command = ["makeblastdb", "-dbtype", kind, "-title", f"{name} for tests", "-out", directory / name, "-in", "-"]
        subprocess.run(command, input=sequences, check=True, capture_output=True)
    build_profile_databases(directory, DATA / "exactness_proteins_query.fasta", count=16)
    return directory


@pytest.fixture(params=[4, pytest.param(1, marks=pytest.mark.long)], ids=["every fourth", "all"])
def compare(request: pytest.FixtureRequest, databases: Path, tmp_path: Path) -> Callable[..., Exactness]:
    """``compare("blastp", "proteins", "proteins", "-seg", "yes", …)``: a search, of some or all of the queries."""

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
        installation = Installation()
        chosen = _without_other_titles(records, program).split(b">")[1:][: few or None][:: request.param]
        query.write_bytes(b"".join(b">" + record for record in chosen))
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


def unlisted(program: str, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the differences without those of formats in which the installed version itself is incomplete."""
    listed = incomplete_in_blast(program, Installation().version(program))
    return {name: lines for name, lines in found.items() if name not in listed}


def _without_other_titles(records: bytes, program: str) -> bytes:
    """Return FASTA without the titles beyond ASCII, if the installed version fails on them in XML as a whole."""
    fails = last_letter_in_xml(Installation().version(program)) == "\x7f"
    return re.sub(rb">[^\n]*[\x80-\xff][^>]*", b"", records) if fails else records


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
        ("blastp", "proteins", "proteins", ["-dbsize", str(2**62)]),
        ("blastn", "nucleotides", "nucleotides", []),
        ("blastn", "nucleotides", "nucleotides", ["-dbsize", str(10**18)]),
        ("blastn", "nucleotides", "nucleotides", ["-task", "blastn", "-strand", "minus", "-lcase_masking"]),
        ("tblastn", "proteins", "nucleotides", []),
        ("tblastn", "proteins", "nucleotides", ["-seg", "no", "-lcase_masking"]),
    ],
)
def test_reports_of_a_normal_batch_equal_plain_blast(
    compare: Callable[..., Exactness], program: str, molecule: str, database: str, options: list[str]
) -> None:
    names = OTHERS if options else ()
    assert compare(program, molecule, database, *options).all_differences(names) == {}


@pytest.mark.parametrize("options", [[], ["-strand", "minus", "-query_gencode", "4"]])
def test_reports_of_blastx_equal_plain_blast(compare: Callable[..., Exactness], options: list[str]) -> None:
    exactness = compare("blastx", "nucleotides", "proteins", "-evalue", "1", *options, searchable=True)
    assert exactness.all_differences(OTHERS if options else ()) == {}


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
    exactness = compare(program, molecule, database, *options, searchable=True, alone=True, few=12)
    assert unlisted(program, exactness.all_differences()) == {}


@pytest.mark.long
@pytest.mark.parametrize(("program", "molecule", "few"), [("blastp", "proteins", 25), ("blastx", "nucleotides", 0)])
def test_reports_of_ungapped_searches_equal_plain_blast_on_single_queries(
    compare: Callable[..., Exactness], program: str, molecule: str, few: int
) -> None:
    """Of blastp not all queries: the last few take minutes."""
    options = ["-ungapped", "-comp_based_stats", "0"]
    exactness = compare(program, molecule, "proteins", *options, searchable=True, alone=True, few=few)
    assert exactness.all_differences(OTHERS) == {}


@pytest.mark.long
def test_reports_of_deltablast_differ_where_the_list_says(compare: Callable[..., Exactness]) -> None:
    """In pairwise text, one line a query: the archive lacks the profile's parameters without gaps."""
    exactness = compare("deltablast", "proteins", "proteins", "-rpsdb", "DIRECTORY/delta", searchable=True, alone=True)
    found = unlisted("deltablast", exactness.all_differences())
    assert list(found) == ["0", "1", "2", "3", "4"]
    assert all("0.792     4.96 " in line for lines in found.values() for line in lines)
    assert exactness.differences(Formatting(format="0", html=True))[0].count("0.792     4.96 ") == 2


@pytest.mark.long
@pytest.mark.parametrize("name", ["13", "14", "15", "16"])
def test_newer_psiblast_itself_prints_no_sequences_where_ours_has_them(
    compare: Callable[..., Exactness], tmp_path: Path, name: str
) -> None:
    if name not in incomplete_in_blast("psiblast", Installation().version("psiblast")):
        pytest.skip("the installed psiblast prints them")
    compare("psiblast", "proteins", "proteins", searchable=True, alone=True, few=2).differences(Formatting(format=name))
    texts = [b"".join(file.read_bytes() for file in (tmp_path / way).iterdir()) for way in ("plain", "ours")]
    hsps = [len(re.findall(rb'"qseq":|<qseq>', text)) for text in texts]
    empty = [len(re.findall(rb'"qseq": ""|<qseq></qseq>', text)) for text in texts]
    assert hsps[0] == hsps[1] > 0
    assert empty == [hsps[0], 0]


@pytest.mark.long
def test_reports_of_several_rounds_of_psiblast_equal_plain_blast(compare: Callable[..., Exactness]) -> None:
    """With what is said of rounds: which sequences were found again, and that a search has converged."""
    exactness = compare(
        "psiblast", "proteins", "proteins", "-num_iterations", "3", "-inclusion_ethresh", "0.1", searchable=True, few=8
    )
    assert unlisted("psiblast", exactness.all_differences()) == {}
    assert exactness.differences(Formatting(format="0", html=True)) == []


@pytest.mark.parametrize(
    ("program", "requests"),
    [
        (
            "blastp",
            [
                Formatting(format="0", html=True),
                Formatting(format="2", html=True, show_gis=True),
                Formatting(format="0", line_length=100, sort_hits=3, sort_hsps=2),
                Formatting(format="4", max_target_sequences=500),
                Formatting(format="5", num_alignments=250),
                Formatting(format="6", fields=TABLE),
                Formatting(format="7", fields=(*TABLE, "qseqid"), delimiter="@"),
                Formatting(format="10", fields=TABLE, delimiter="|"),
                Formatting(format="18", html=True),
            ],
        ),
        (
            "blastn",
            [
                Formatting(format="0", html=True),
                Formatting(format="6", fields=(*TABLE, "qcovus", "sstrand")),
                Formatting(format="17", fields=("SQ",)),
                Formatting(format="17", fields=("SR",)),
            ],
        ),
    ],
)
def test_options_of_reports_equal_those_of_plain_blast(
    compare: Callable[..., Exactness], program: str, requests: list[Formatting]
) -> None:
    kind = "proteins" if program == "blastp" else "nucleotides"
    exactness = compare(program, kind, kind)
    assert [found for request in requests for found in exactness.differences(request)] == []


@pytest.mark.long
def test_several_databases_are_reported_as_plain_blast_does(databases: Path, tmp_path: Path) -> None:
    query = tmp_path / "query.fasta"
    query.write_bytes(_without_other_titles((DATA / "exactness_proteins_query.fasta").read_bytes(), "blastp"))
    command = ["makeblastdb", "-dbtype", "prot", "-title", "second", "-out", databases / "second", "-in", query]
    subprocess.run(command, check=True, capture_output=True)
    sizes = [_size(databases / name, "prot") for name in ("proteins", "second")]
    size = DatabaseSize(sum(s.letters for s in sizes), sum(s.sequences for s in sizes))
    names = f"{databases / 'proteins'} {databases / 'second'}"
    exactness = Exactness("blastp", query, names, size, directory=tmp_path)
    names = ("0", "5", "6", "7", "16")
    assert {name: exactness.differences(Formatting(format=name)) for name in names} == {name: [] for name in names}


@pytest.mark.parametrize(
    ("options", "alone"),
    [
        (["-task", "blastn-short"], False),
        (["-task", "blastn-short", "-query_loc", "11-60", "-evalue", "100"], True),
        (["-task", "blastn-short", "-lcase_masking", "-soft_masking", "false", "-evalue", "100"], False),
        (["-task", "blastn", "-ungapped", "-word_size", "7", "-evalue", "50"], True),
    ],
)
def test_equal_hits_on_both_strands_stand_in_sam_as_in_plain_blast(
    tmp_path: Path, options: list[str], alone: bool
) -> None:
    """They are sorted by E-values that differ in no digit that an archive has: those of strands with their own."""
    records = gzip.decompress((DATA / "exactness_nucleotides.fasta.gz").read_bytes())
    known = [one.residues.upper()[:300] for one in read_fasta(records)][:24]
    other = [one.translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1] for one in known]
    subjects = b"".join(b">s%d\n%s\n" % pair for pair in enumerate([*known, *other, *reversed(known)]))
    command = ["makeblastdb", "-dbtype", "nucl", "-title", "both", "-out", tmp_path / "both", "-in", "-"]
    subprocess.run(command, input=subjects, check=True, capture_output=True)
    query, program = tmp_path / "query.fasta", str(Installation().program("blastn"))
    parts = (one[:20] + one[20:30].lower() + one[30 : 45 + 5 * number] for number, one in enumerate(known))
    query.write_bytes(b"".join(b">q%d\n%s\n" % pair for pair in enumerate(parts)))
    size = _size(tmp_path / "both", "nucl")
    exactness = Exactness(
        *("blastn", query, str(tmp_path / "both"), size, options),
        directory=tmp_path,
        alone=alone,
        executables={"blastn": program},
    )
    assert exactness.differences(Formatting(format="17")) == []
