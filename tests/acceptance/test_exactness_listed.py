"""What docs/reference/exactness.md lists differs from plain BLAST+ as far as it says there, and no further."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multiblast.archive import DatabaseSize
from multiblast.blast_versions import version_numbers
from multiblast.installation import Installation
from multiblast.reports.exactness import Exactness, incomplete_in_blast
from multiblast.reports.report_options import Formatting
from multiblast.sequences import Sequence, read_fasta
from tests.exactness.listed_exceptions import is_listed
from tests.support.profile_databases import build_profile_databases

DATA = Path(__file__).parents[1] / "data"
MASKED = Sequence(b"masked", b"N" * 100)
POLY_A = Sequence(b"of low complexity", b"A" * 100)
PATTERN = ("-template_type", "coding", "-template_length", "18", "-word_size", "11")
MASKED_DATABASE, MASKS = ("blastp", "proteins", "masked"), ("-db_soft_mask", "-db_hard_mask")
NO_TAXON, ROUNDS, IDENTITY = ("-negative_taxids", "9606"), ("-num_iterations", "2"), ("-matrix", "IDENTITY")
TABLE = ("std", "qlen", "qcovs", "qcovhsp", "ppos", "positive", "nident", "sscinames", "sblastnames")
_IDENTITY = re.compile(
    rb',?\s*"cbs": 2|\s*<cbs>2</cbs>|\s*<(?:Iteration_)?message>[^<]*IDENTITY matrix[^<]*</(?:Iteration_)?message>'
    rb'|,\s*"message": "[^"]*IDENTITY matrix[^"]*"|   0\.28[34](?=    0\.255)'
)
_SECOND_ROUND = re.compile(rb'<Iteration_iter-num>2|"iter_num": 2|<iter-num>2')
_DESCRIPTIONS = re.compile(rb"\n +Score .*?\n\n(?=>)", re.DOTALL)
_FOUND_AGAIN = re.compile(rb"(found again:\n\n)(?:[^\n]+\n)*")
_OF_SCORES = re.compile(
    rb'(?ms)^Reference: .*?\n\n|^Matrix: .*?\n(?=\n|\Z)|reference(?:>|": ).*?\n'
    rb'|<(?:Parameters_)?(?:sc-m|gap-)[^\n]*\n|"(?:sc_m|gap_)[^\n]*\n'
)
_STATED_THRESHOLD = re.compile(rb"Neighboring words threshold: [^\n]*")
_BEFORE_ALIGNMENTS = re.compile(rb"(Query= [^>]*?Length=\d+\n)[^>]*")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small databases of human sequences, of twelve and of many relatives of the first protein, and of profiles."""
    directory = tmp_path_factory.mktemp("listed")
    sequences = {name: [one.residues for one in _sequences(name)] for name in ("proteins", "nucleotides")}
    sequences["family"] = [_changed(FIRST[:150], number / 16, number) for number in range(12)]
    sequences["many"] = [_changed(FIRST[:60], 0.1, number) for number in range(260)]
    for name, residues in sequences.items():
        kind = "nucl" if name == "nucleotides" else "prot"
        records = (b">s%d of tests\n%s\n" % pair for pair in enumerate(residues, start=1))
        command = [
            "makeblastdb",
            "-dbtype",
            kind,
            "-taxid",
            "9606",
            "-title",
            name,
            "-out",
            directory / name,
            "-in",
            "-",
        ]
        subprocess.run(command, input=b"".join(records), check=True, capture_output=True)
    build_profile_databases(directory, DATA / "exactness_proteins_query.fasta", count=4)
    (directory / "own.fasta").write_bytes(b">s1\n%s%s%s\n" % (FIRST[:150], b"SP" * 12, FIRST[150:]))
    masks = ["-in", "own.fasta", "-outfmt", "maskinfo_asn1_bin", "-out", "masks"]
    masked = ["-in", "own.fasta", "-dbtype", "prot", "-mask_data", "masks", "-out", "masked"]
    for command in (["segmasker", *masks], ["makeblastdb", *masked]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory


def _changed(residues: bytes, share: float, seed: int) -> bytes:
    """Return a protein of which a share of the residues were drawn anew."""
    rng = random.Random(seed)
    return bytes(rng.choice(b"ACDEFGHIKLMNPQRSTVWY") if rng.random() < share else one for one in residues)


def _sequences(name: str) -> list[Sequence]:
    """Return the longer ones, with titles that no version fails on."""
    sequences = read_fasta(DATA / f"exactness_{name}_query.fasta")
    return [one for one in sequences if len(one.residues) > 100 and one.defline.isascii()]


@dataclass(frozen=True)
class Search:
    """A search of the first few sequences of a kind, or of those that are given."""

    program: str
    molecule: str
    database: str
    options: tuple[str, ...] = ()
    queries: int = 3
    extra: tuple[Sequence, ...] = ()
    alone: bool = True

    def run(self, databases: Path, directory: Path) -> Exactness:
        query, database = directory / "query.fasta", databases / self.database
        sequences = [*_sequences(self.molecule)[: self.queries], *self.extra]
        query.write_bytes(b"".join(b">%s\n%s\n" % (one.defline, one.residues) for one in sequences))
        kind = "nucl" if self.database == "nucleotides" else "prot"
        command = ["blastdbcmd", "-db", database, "-dbtype", kind, "-entry", "all", "-outfmt", "%l"]
        lengths = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return Exactness(
            self.program,
            query,
            str(database),
            DatabaseSize(sum(map(int, lengths)), len(lengths)),
            [option.replace("DIRECTORY", str(databases)) for option in self.options],
            directory=directory,
            alone=self.alone,
            executables={self.program: str(Installation().program(self.program))},
        )

    def plain(self, databases: Path, directory: Path, *arguments: str) -> bytes:
        """Return what the program prints of a query that was `run`."""
        command = [self.program, "-query", directory / "query.fasta", "-db", databases / self.database, *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout


def _pairs(directory: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the files of a report that was compared: plain BLAST+'s and ours."""
    names = sorted(file.name for file in (directory / "plain").iterdir())
    assert names == sorted(file.name for file in (directory / "ours").iterdir())
    return (((directory / "plain" / name).read_bytes(), (directory / "ours" / name).read_bytes()) for name in names)


def _same(text: bytes) -> bytes:
    return text


def _tabs(text: bytes) -> bytes:
    return text.replace(b"@", b"\t")


def _commas(text: bytes) -> bytes:
    return text.replace(b"@", b",")


def _without_last_column(text: bytes) -> bytes:
    return b"\n".join(line.rpartition(b"\t")[0] for line in text.split(b"\n"))


def _without_last_round(text: bytes) -> bytes:
    """Return a report up to the last query's second round."""
    rounds = [found.start() for found in _SECOND_ROUND.finditer(text)]
    return text[: rounds[-1]] if rounds else text


def _of_identity(text: bytes) -> bytes:
    """Return a report without the gapped parameter, and without adjustment of scores and what is said of it."""
    return _IDENTITY.sub(b"", text)


def _without_found_again(text: bytes) -> bytes:
    return _FOUND_AGAIN.sub(rb"\1", text)


def _without_headings(text: bytes) -> bytes:
    """Return pairwise text without all that stands between a query and its first alignment."""
    return _BEFORE_ALIGNMENTS.sub(rb"\1", text)


def _without_scores(text: bytes) -> bytes:
    """Return a report without scores, gap costs and the article on them."""
    return _OF_SCORES.sub(b"", text)


def _without_threshold(text: bytes) -> bytes:
    return _STATED_THRESHOLD.sub(b"", text)


def _without_descriptions(text: bytes) -> bytes:
    """Return pairwise text without its one-line descriptions, which have more columns where an order is given."""
    return _DESCRIPTIONS.sub(b"", text)


NUCLEOTIDES, PROTEINS = ("nucleotides", "nucleotides"), ("proteins", "proteins")
FIRST = _sequences("proteins")[0].residues
SHUFFLED = Sequence(b"two alignments, the second is better", FIRST[-150:] + FIRST[:-150])
DOMAINS = (
    Search("rpsblast", "proteins", "rps", ("-evalue", "100"), queries=1, extra=(SHUFFLED,)),
    Search("rpstblastn", "nucleotides", "rps", ("-evalue", "100"), queries=2),
)
PASS_OVER = (
    Search("psiblast", *PROTEINS, queries=1, extra=(SHUFFLED,)),
    Search("deltablast", *PROTEINS, ("-rpsdb", "DIRECTORY/delta"), queries=1, extra=(SHUFFLED,)),
    *DOMAINS,
)
ONE_SUBJECT = Search("psiblast", *PROTEINS, (*ROUNDS, "-max_target_seqs", "1"), queries=3)
NO_HIT = Sequence(b"without hits", b"WCWHMYCWPHKWMCYHWWPCMHWYKCHMWPYCWHMKPWYC")
MASKED_PART = Sequence(b"lower case", FIRST[:60] + FIRST[60:100].lower() + FIRST[100:])
DELTA_OPTIONS = ("-rpsdb", "DIRECTORY/delta", "-lcase_masking", *ROUNDS)
DELTA_ROUNDS = Search("deltablast", *PROTEINS, DELTA_OPTIONS, queries=2, extra=(NO_HIT, MASKED_PART))
BLASTX = ("blastx", "nucleotides", "proteins")
NEW_ONES = Search("psiblast", "proteins", "family", ROUNDS, queries=2)
FEWER = Search("psiblast", "proteins", "family", (*ROUNDS, "-max_target_seqs", "5"), queries=1)
LETTERS = _sequences("nucleotides")[0].residues
REPEATS = Sequence(
    b"some of a subject several times", b"".join(LETTERS[i:j] for i, j in ((100, 300), (0, 60), (200, 330), (333, 420)))
)


def _row(
    name: str, search: Search, formats: str, differing: str, undo: Callable[[bytes], bytes] = _same, **options: Any
) -> Any:
    """Return a search, its reports, the formats in which they differ, and what takes out that by which they do."""
    requests = [Formatting(format=number, **options) for number in formats.split()]
    marks = () if search.program == "rpsblast" else pytest.mark.long
    return pytest.param(search, requests, set(differing.split()), undo, id=f"{name} {search.program}", marks=marks)


@pytest.mark.parametrize(
    ("search", "requests", "differing", "undo"),
    [
        _row("masks", Search("blastn", *NUCLEOTIDES, extra=(MASKED,), alone=False), "0 5 6 7 13 16 18", "13 16"),
        _row("masks", Search(*BLASTX, extra=(POLY_A,), alone=False), "0 5 6 7 15 16 18", "15 16"),
        _row(
            "nothing left to", Search("blastn", *NUCLEOTIDES, queries=0, extra=(MASKED,)), "0 5 6 7 15 16", "0 7 15 16"
        ),
        _row("nothing left to", Search(*BLASTX, queries=0, extra=(POLY_A,)), "0 5 6 7 15 16", "0 5 7 15 16"),
        *(_row("delimiter", search, "6 7", "6 7", _tabs, delimiter="@") for search in PASS_OVER),
        *(_row("delimiter", search, "10", "10", _commas, delimiter="@") for search in PASS_OVER),
        *(_row("sort_hits", search, "0", "0", _without_descriptions, sort_hits=1) for search in PASS_OVER),
        *(_row("sort_hsps", search, "0", "0", _without_descriptions, sort_hsps=2) for search in PASS_OVER),
        _row("no taxon", Search("blastp", *PROTEINS, NO_TAXON), "0 6 7 18 5 13 14 15 16", "5 13 14 15 16"),
        _row("no taxon", Search("tblastn", "proteins", "nucleotides", NO_TAXON), "0 7 5 15 16", "5 15 16"),
        _row("descriptions", NEW_ONES, "0 4", "0 4", _without_found_again, num_descriptions=5),
        _row("no descriptions", NEW_ONES, "0 4", "0 4", _without_headings, num_descriptions=0),
        _row("fewer subjects", FEWER, "0 4 6 7 5 15 16", "0 4 5 15 16", _without_last_round),
        _row("one subject", ONE_SUBJECT, "0 6 7 18 5 15 16", "5 15 16", _without_last_round),
        _row("IDENTITY", Search("blastp", *PROTEINS, IDENTITY, queries=2), "0 5 6 7 15 16", "0 5 15 16", _of_identity),
        _row(
            "threshold",
            Search("blastp", *PROTEINS, ("-threshold", "15.5"), queries=2),
            "0 5 6 15",
            "0",
            _without_threshold,
        ),
        _row("word pattern", Search("blastn", *NUCLEOTIDES, PATTERN), "0 5 6 7 15 16", "0 5 15 16", _without_scores),
        *(
            _row(mask, Search(*MASKED_DATABASE, (mask, "21"), queries=1), "0 2 4 5 6 7 15", "0 2 4", bytes.upper)
            for mask in MASKS
        ),
        _row("rounds", DELTA_ROUNDS, "0 4 5 6 7 8 10 12 13 15 16 18", "0 4"),
    ],
)
def test_report_differs_as_far_as_the_list_says(  # noqa: PLR0913, PLR0917 - a row of the list
    search: Search,
    requests: list[Formatting],
    differing: set[str],
    undo: Callable[[bytes], bytes],
    databases: Path,
    tmp_path: Path,
) -> None:
    exactness = search.run(databases, tmp_path)
    options, found = [option.removeprefix("-") for option in search.options], set()
    version = Installation().version(search.program)
    incomplete = incomplete_in_blast(search.program, version)
    if search.options == NO_TAXON and version_numbers(version) >= (2, 17):  # plain does not say it any more
        differing = set()
    for request in (request for request in requests if request.format not in incomplete):
        if exactness.differences(request):
            found.add(request.format)
        for plain, ours in _pairs(tmp_path):
            assert is_listed(search.program, options, request, undo(plain), undo(ours))
    assert found == differing - incomplete


@pytest.mark.parametrize(
    "search",
    [
        *(pytest.param(search, marks=pytest.mark.long) for search in DOMAINS),
        Search("rpsblast", "proteins", "rps", ("-evalue", "100", "-query_loc", "11-100")),
        Search("rpstblastn", "nucleotides", "rps", ("-evalue", "100", "-query_loc", "11-300")),
        Search("tblastx", *NUCLEOTIDES, ("-query_loc", "11-300")),
        Search("blastn", *NUCLEOTIDES, ("-query_loc", "11-300"), queries=2, extra=(REPEATS,)),
    ],
    ids=lambda search: " ".join((search.program, *search.options)),
)
def test_table_that_must_be_computed_equals_plain_blast(search: Search, databases: Path, tmp_path: Path) -> None:
    """Positive residues of domains, codons of parts, coverage by what is new: the formatter has other numbers."""
    exactness = search.run(databases, tmp_path)
    fields = (*TABLE, "qcovus") if search.program == "blastn" else TABLE
    requests = [Formatting(format=name, fields=fields) for name in ("6", "7", "10")]
    requests += [Formatting(format="6", fields=(name, "btop")) for name in ("qcovs", "ppos")]
    assert [found for request in requests for found in exactness.differences(request)] == []


@pytest.mark.long
@pytest.mark.parametrize("program", ["blastp", "tblastx"])
def test_field_frames_alone_is_the_only_one_that_differs(program: str, databases: Path, tmp_path: Path) -> None:
    """The program prints what its memory holds; ours is that of the formatter, which has the same fault."""
    kinds = PROTEINS if program == "blastp" else NUCLEOTIDES
    Search(program, *kinds).run(databases, tmp_path).differences(
        Formatting(format="6", fields=("qseqid", "sseqid", "frames"))
    )
    ((plain, ours),) = _pairs(tmp_path)
    assert _without_last_column(plain) == _without_last_column(ours)


@pytest.mark.long
@pytest.mark.parametrize("option", ["max_target_sequences", "num_alignments"])
def test_most_targets_of_a_report_are_the_first_of_those_found(option: str, databases: Path, tmp_path: Path) -> None:
    exactness = Search("blastp", *PROTEINS, alone=False).run(databases, tmp_path)
    assert exactness.differences(Formatting(format="6")) == []
    rows = [line.split(b"\t") for line in (tmp_path / "plain" / "report.tsv").read_bytes().splitlines()]
    first = {query: subject for query, subject, *_ in reversed(rows)}
    exactness.differences(Formatting.model_validate({"format": "6", option: 1}))
    ours = [line.split(b"\t") for line in (tmp_path / "ours" / "report.tsv").read_bytes().splitlines()]
    assert ours == [row for row in rows if row[1] == first[row[0]]]
    assert len(ours) < len(rows)


@pytest.mark.long
def test_most_targets_written_out_show_more_alignments_in_pairwise_text(databases: Path, tmp_path: Path) -> None:
    """The default, 500, is one search with that which is written out; 250 subjects are shown by default."""
    search = Search("blastp", "proteins", "many", queries=1)
    exactness = search.run(databases, tmp_path)
    written_out = search.plain(databases, tmp_path, "-max_target_seqs", "500", "-outfmt", "0")
    exactness.differences(Formatting(format="0", num_alignments=500))
    assert (tmp_path / "ours" / "report.txt").read_bytes() == written_out
    assert exactness.differences(Formatting(format="0")) == []
    end = re.compile(rb"\n+Lambda .*", re.DOTALL)
    ours, alignments = ((tmp_path / "ours" / "report.txt").read_bytes(), written_out.split(b"\n>"))
    assert len(alignments) == 1 + 260
    assert end.sub(b"", ours) == b"\n>".join(alignments[:251]).rstrip()
    assert end.findall(ours) == end.findall(written_out)
    for name in ("6", "15"):
        assert exactness.differences(Formatting(format=name)) == []
        (file,) = (tmp_path / "ours").iterdir()
        assert file.read_bytes() == search.plain(databases, tmp_path, "-max_target_seqs", "500", "-outfmt", name)


def test_subject_with_gi_and_accession_is_reported_as_plain_blast_does(tmp_path: Path) -> None:
    """BLAST+ keeps the GI alone in an archive, and the formatter looks up the accession."""
    residues = _sequences("proteins")[0].residues
    records = b">gi|123456|ref|NP_000001.2| one\n%s\n>gi|77|gb|AAA1.1| other\n%s\n" % (residues, residues[9:])
    command = ["makeblastdb", "-dbtype", "prot", "-parse_seqids", "-title", "gi", "-out", tmp_path / "gi", "-in", "-"]
    subprocess.run(command, input=records, check=True, capture_output=True)
    exactness = Search("blastp", "proteins", "gi", queries=1).run(tmp_path, tmp_path)
    assert exactness.all_differences(("0", "5", "12", "15")) == {}
    fields = ("sseqid", "sallseqid", "sgi", "sallgi", "sacc", "saccver", "sallacc")
    assert exactness.differences(Formatting(format="6", fields=fields)) == []
    first = (tmp_path / "ours" / "report.tsv").read_text().split("\n")[0].split("\t")
    assert first[0] == "gi|123456|ref|NP_000001.2|"
    assert first[5] == "NP_000001.2"
