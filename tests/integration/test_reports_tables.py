"""Tables that are made of results themselves, and those that are left to the formatter: both as plain BLAST+'s."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from multiblast.errors import FailureClass, ProgramError
from multiblast.jobs import ChildColumns
from multiblast.reports import Formatting
from multiblast.reports.writer import ReportSource
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.benchmarks.bench_data import back_translated
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES
from tests.support.sequences import fasta

OURS, FORMATTERS = "ours", "the formatter's"


@dataclass
class Tables:
    """A job's tables, ours and plain BLAST+'s."""

    services: Services
    job: SearchedJob
    command: list[str]

    def formatting(self, outfmt: str) -> Formatting:
        name, *fields = outfmt.split()
        delimiter = {"delimiter": fields.pop(0)[6:]} if fields[:1] and fields[0].startswith("delim=") else {}
        return Formatting.read(name, fields=" ".join(fields), options=delimiter)

    def source(self, *, cancelled: bool = False) -> ReportSource:
        engine = self.services.reports._engine
        query = engine.jobs.query(self.job.job_id)
        children = ChildColumns(engine.jobs.children(query))
        return ReportSource(engine, query, children, engine.resolver.context(query), lambda: cancelled)

    def report(self, outfmt: str) -> bytes:
        reports = self.services.reports
        report_id = reports.submit(ADMINISTRATOR, self.job.job_id, self.formatting(outfmt))
        made = reports.run(report_id).execute()
        assert made.command[0] == "blast_formatter"  # that prints the same, needed or not
        with reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
            return stream.read()

    def plain(self, outfmt: str) -> bytes:
        return subprocess.run([*self.command, "-outfmt", outfmt], check=True, capture_output=True).stdout

    def check(self, outfmt: str, made_by: str) -> None:
        assert self.report(outfmt) == self.plain(outfmt)
        with TemporaryDirectory() as directory:
            table = self.source().table(self.formatting(outfmt), Path(directory))
        assert (OURS if table else FORMATTERS) == made_by


@pytest.fixture
def search(
    make_services: Callable[..., Services], search_whole: Callable[..., SearchedJob], tmp_path: Path
) -> Callable[..., Tables]:
    """``search(query, subjects, program, **options)``: subjects are a file, or sequences of a database of their own."""

    def search(
        query: str, subjects: Path | str, program: str, *, make: tuple[str, ...] = (), **options: object
    ) -> Tables:
        root = tmp_path / "root"
        place, source = root / "demo" / "examples" / "blast", tmp_path / "subjects.fasta"
        molecule = "nucleotide" if program == "blastn" else "protein"
        if isinstance(subjects, str):
            source.write_text(subjects)
        place.mkdir(parents=True)
        if make:
            kind = "prot" if molecule == "protein" else "nucl"
            command = ["makeblastdb", "-in", source, "-dbtype", kind, "-out", place / "subjects", *make]
            subprocess.run(command, check=True, capture_output=True)
        else:
            build_database(source if isinstance(subjects, str) else subjects, place, "subjects", molecule=molecule)
        services = make_services(root=root)
        job = search_whole(services, query, program=program, target="subjects", **options)
        (tmp_path / "query.fasta").write_text(query)
        words = [(f"-{name}", *([] if value is True else [str(value)])) for name, value in options.items()]
        given = [word for one in words for word in one]
        files = ["-query", str(tmp_path / "query.fasta"), "-db", str(place / "subjects")]
        return Tables(services, job, [program, *files, *given])

    return search


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("blastn", {"task": "blastn", "evalue": 1000}),
        ("blastn", {"task": "blastn", "reward": 1, "penalty": -1, "gapopen": 2, "gapextend": 1, "strand": "minus"}),
        ("blastp", {"evalue": 1000}),
        ("blastx", {"evalue": 100, "query_gencode": 4}),
        ("blastx", {"strand": "minus", "comp_based_stats": 0, "seg": "no"}),
        ("blastp", {"matrix": "PAM30", "gapopen": 9, "gapextend": 1, "comp_based_stats": 0}),
    ],
)
def test_columns_that_follow_from_results_need_no_formatter(
    program: str,
    options: dict[str, object],
    search: Callable[..., Tables],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
) -> None:
    """Weak and gapped alignments, of queries without a title and without hits, too."""
    kind = "nucleotide" if program == "blastn" else "protein"
    sequences = proteins if program == "blastp" else nucleotides
    if program == "blastx":
        sequences = [replace(one, residues=back_translated(one.residues)) for one in proteins]
    untitled = replace(sequences[1], defline=b"")
    nothing = Sequence(b"nothing", b"PGPGPGPGPG" if program == "blastp" else b"ACGT" * 10)
    query = fasta([sequences[0], untitled, replace(sequences[2], defline=b"named 3 times, or (more)."), nothing])
    tables = search(query, EXAMPLES / f"{kind}s.fasta.gz", program, **options)
    every = (
        "qacc qseqid saccver score nident gaps mismatch gapopen length pident bitscore evalue sstart send qstart qend"
    )
    for outfmt in ("6", f"10 {every}", "6 delim=% std score"):
        tables.check(outfmt, OURS)
    tables.check("7", FORMATTERS)  # comments have the whole title, with its punctuation


@pytest.mark.parametrize("at_a_time", [1, 10_000])
def test_comments_need_no_formatter(
    at_a_time: int, search: Callable[..., Tables], nucleotides: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiblast.reports.tables._AT_A_TIME", at_a_time)
    plain = [replace(one, defline=b"q%d of twelve" % number) for number, one in enumerate(nucleotides)]
    tables = search(fasta([*plain, Sequence(b"", b"ACGT" * 10)]), EXAMPLES / "nucleotides.fasta.gz", "blastn")
    for outfmt in ("7", "7 delim=; qaccver saccver score gaps"):
        tables.check(outfmt, OURS)


@pytest.mark.parametrize("outfmt", ["6 std stitle", "7 std qcovs", "10 qaccver sseqid", "6 qlen slen", "6 qseq sseq"])
def test_other_columns_are_left_to_the_formatter(
    outfmt: str, search: Callable[..., Tables], nucleotides: list[Sequence]
) -> None:
    tables = search(fasta(nucleotides[:3]), EXAMPLES / "nucleotides.fasta.gz", "blastn")
    tables.check(outfmt, FORMATTERS)


@pytest.mark.parametrize(
    ("options", "made_by"), [({"ungapped": True}, FORMATTERS), ({"query_loc": "5-90"}, FORMATTERS), ({}, OURS)]
)
def test_alignments_of_another_form_are_left_to_the_formatter(
    options: dict[str, object],
    made_by: str,
    search: Callable[..., Tables],
    nucleotides: list[Sequence],
) -> None:
    query = fasta([replace(one, defline=b"q") for one in nucleotides[:2]])
    search(query, EXAMPLES / "nucleotides.fasta.gz", "blastn", **options).check("7", made_by)


_IDS = {
    "NC_000001.1": OURS,
    "P12345": OURS,
    "abc": OURS,
    "A.b-c": OURS,
    "gb|AB123456.1|LOC": OURS,
    "ref|NM_000546.6|": OURS,
    "tpg|BK000001.1": OURS,
    "gi|55|gb|AB000001.1|": FORMATTERS,
    "pdb|1ABC|A": FORMATTERS,
    "gnl|my|seq1": FORMATTERS,
    "sp|P12346|NAME_X": FORMATTERS,
    "123": FORMATTERS,
}


@pytest.mark.parametrize("name", _IDS)
def test_subjects_with_ids_of_their_own_are_called_by_them(name: str, search: Callable[..., Tables]) -> None:
    residues = "".join(random.Random(3).choices("ACGT", k=200))
    tables = search(
        f">q\n{residues}\n", f">{name} a title\n{residues}\n>other\nACGTACGT\n", "blastn", make=("-parse_seqids",)
    )
    tables.check("6", _IDS[name])


@pytest.mark.parametrize("seed", [1, 2])
def test_titles_are_tidied_up_as_blast_does(seed: int, search: Callable[..., Tables]) -> None:
    """First words of all kinds of letters; what BLAST+ changes in them is left to the formatter."""
    rng = random.Random(seed)

    def some(letters: str, least: int = 0) -> str:
        return "".join(rng.choices(letters, k=rng.randrange(least, 9)))

    titles = [
        f"s{some('ab1Z_|.:/+=#@-')}{some('a9_|', 1)} {some('ab(-[+%~*!<', 1)}, {some('ab ,;.)', 1)}.".rstrip()
        for _ in range(200)
    ]
    sequences = [Sequence(title.encode(), "".join(rng.choices("ACGT", k=80)).encode()) for title in titles]
    search(fasta(sequences), fasta(sequences), "blastn").check("6", OURS)
    assert all(". " not in title.partition(" ")[0] for title in titles)


@pytest.mark.parametrize("title", ["a, b", "a. b", "(a) b", "a ,b", "a; b", "ä b", "a .b"])
def test_titles_that_blast_may_change_are_left_to_the_formatter(title: str, search: Callable[..., Tables]) -> None:
    residues = "".join(random.Random(3).choices("ACGT", k=200))
    search(f">{title}\n{residues}\n", f">{title}\n{residues}\n", "blastn").check("6", FORMATTERS)


@pytest.mark.parametrize(("length", "bits"), [(50, b"98.0"), (51, b" 99"), (52, b"101")])
def test_bits_are_written_as_blast_does(length: int, bits: bytes, search: Callable[..., Tables]) -> None:
    """Three places for those just below 100."""
    residues = "".join(random.Random(3).choices("ACGT", k=200))
    scores = {"reward": 1, "penalty": -3, "gapopen": 1, "gapextend": 2}
    tables = search(f">q\n{residues[:length]}\n", f">s\n{residues}\n", "blastn", **scores)
    tables.check("10 bitscore", OURS)
    assert tables.report("6 evalue bitscore").endswith(b"\t%b\n" % bits)


@pytest.mark.parametrize(("option", "made_by"), [("db_soft_mask", OURS), ("db_hard_mask", FORMATTERS)])
def test_masked_letters_of_subjects_are_identical_as_blast_prints_it(
    option: str, made_by: str, search: Callable[..., Tables], proteins: list[Sequence], tmp_path: Path
) -> None:
    """Of those that were not aligned at all an archive counts none."""
    residues = proteins[0].residues.decode()
    subjects = f">s title\n{residues[:150]}{'SP' * 12}{residues[150:]}\n"
    (tmp_path / "own.fasta").write_text(subjects)
    masks = ["-in", tmp_path / "own.fasta", "-outfmt", "maskinfo_asn1_bin", "-out", tmp_path / "masks"]
    subprocess.run(["segmasker", *masks], check=True)
    query = subjects.replace(">s title", ">q")
    tables = search(query, subjects, "blastp", make=("-mask_data", str(tmp_path / "masks")), **{option: "21"})
    tables.check("6 saccver nident pident mismatch", made_by)
    assert b"\t100.000\t" in tables.report("6 saccver pident mismatch")
    assert (tables.job.rows[0].identity_percent is None) is (made_by == FORMATTERS)


def test_table_of_a_cancelled_report_is_not_finished(
    search: Callable[..., Tables], nucleotides: list[Sequence], tmp_path: Path
) -> None:
    tables = search(fasta(nucleotides[:2]), EXAMPLES / "nucleotides.fasta.gz", "blastn")
    with pytest.raises(ProgramError) as raised:
        tables.source(cancelled=True).table(tables.formatting("6"), tmp_path)
    assert raised.value.failure_class is FailureClass.CANCELLED


def test_table_of_a_query_with_the_residue_o_is_left_to_the_formatter(search: Callable[..., Tables]) -> None:
    """BLAST+ searches with X in its place: identical to that in an archive, and to O in what it prints."""
    residues = "MKTAYIAKQRQISFVKSHFSRQLEERLGLI{}EVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"
    subjects = "".join(f">{letter} subject\n{residues.format(letter)}\n" for letter in "OXK")
    tables = search(f">q\n{residues.format('O')}\n", subjects, "blastp")
    for outfmt in ("6 saccver nident pident mismatch", "7"):
        tables.check(outfmt, FORMATTERS)
