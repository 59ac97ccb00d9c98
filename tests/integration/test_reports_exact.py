"""A report is what plain BLAST+ prints for the same file, byte for byte."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.errors import ConflictError, InvalidInputError
from multiblast.reports import Formatting
from multiblast.reports.exactness import first_difference, incomplete_in_blast
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import fasta

FORMATS = [0, 5, 6, 7, 10, 12, 15, 16, 18]


def plain(program: str, query: str, database: Path, number: int, directory: Path) -> bytes:
    file, out = directory / "query.fasta", directory / "plain.out"
    file.write_text(query)
    subprocess.run([program, "-query", file, "-db", database, "-outfmt", str(number), "-out", out], check=True)
    return out.read_bytes()


def difference(ours: bytes, expected: bytes, number: int) -> str:
    return first_difference(BytesIO(expected), BytesIO(ours), Formatting.read(number))


def report(services: Services, job: SearchedJob, number: int) -> bytes:
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read(number))).execute()
    with services.reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
        return stream.read()


@pytest.mark.parametrize("program", [pytest.param("blastp", marks=pytest.mark.long), "blastn"])
def test_reports_of_twelve_sequences_equal_plain_blast(  # noqa: PLR0913, PLR0917 - its fixtures
    program: str,
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
    tmp_path: Path,
) -> None:
    """Also where every sequence was searched before, in another order under another title."""
    sequences, target = (proteins, "proteins") if program == "blastp" else (nucleotides, "nucleotides")
    shuffled = [Sequence(b"earlier | %d" % n, s.residues) for n, s in enumerate(sequences)]
    random.Random(7).shuffle(shuffled)
    for part in (shuffled[:5], shuffled[5:]):
        search_whole(services, fasta(part), program=program)
    job = search_whole(services, fasta(sequences), program=program)
    assert job.searched == 0
    database = services.targets.resolve("demo", "examples", target).path
    formats = FORMATS if program == "blastp" else [*FORMATS, 17]
    different = [
        number
        for number in formats
        if difference(
            report(services, job, number), plain(program, fasta(sequences), database, number, tmp_path), number
        )
    ]
    assert different == []


def test_report_is_made_once(services: Services, submit: Callable[..., SearchedJob], proteins: list[Sequence]) -> None:
    job = submit(fasta(proteins[:2]))
    request = Formatting.read(6)
    first = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, request)).execute()
    again = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, request)).execute()
    assert (first.reused, again.reused) == (False, True)
    assert first.files == again.files
    assert [file.name for file in first.files] == ["report.tsv", "report.zip"]


def test_report_of_an_unfinished_job_is_refused(services: Services, proteins: list[Sequence]) -> None:
    submission = read_submission(query=fasta(proteins[:1]), targets=["demo/examples/proteins"])
    job_id = services.queries.submit(Requester(administrator=True), submission).job_id
    with pytest.raises(ConflictError, match="is queued, and a report needs a complete one"):
        services.reports.submit(ADMINISTRATOR, job_id, Formatting.read(0))


@pytest.mark.parametrize(
    ("number", "fields", "options", "key"),
    [
        (5, "std", {}, "formatFields"),
        (6, "std nosuch", {}, "formatFields"),
        (19, "", {}, "formatType"),
        ("xml", "", {}, "formatType"),
        (6, "", {"numDescriptions": "5"}, "numDescriptions"),
        (0, "", {"numDescriptions": "five"}, "numDescriptions"),
        (0, "", {"out": "/etc/passwd"}, "out"),
        (0, "", {"html": "maybe"}, "html"),
    ],
)
def test_report_request_that_makes_no_sense_is_refused_by_key(
    number: int | str, fields: str, options: dict[str, str], key: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Formatting.read(number, fields=fields, options=options)
    assert key in caught.value.by_key


def test_report_after_a_database_was_rebuilt_needs_a_new_search(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    """Everything is searched again; the old report stays readable until then."""
    from multiblast.targets.makeblastdb import build_database

    root, source = tmp_path / "own", tmp_path / "source.fasta"
    directory = root / "demo" / "examples" / "blast"

    def build(sequences: list[Sequence]) -> None:
        source.write_text(fasta(sequences))
        for file in directory.glob("*"):
            file.unlink()
        build_database(source, directory, "proteins", molecule="protein", title="Rebuilt")

    build(proteins[:8])
    services = make_services(root=root)
    before = search_whole(services, fasta(proteins[:3]))
    kept = services.reports.run(services.reports.submit(ADMINISTRATOR, before.job_id, Formatting.read(6))).execute()
    build(proteins)
    with pytest.raises(ConflictError, match="restart it"):
        services.reports.run(services.reports.submit(ADMINISTRATOR, before.job_id, Formatting.read(5))).execute()
    with services.reports.file(ADMINISTRATOR, kept.report_id, "report.tsv") as stream:
        assert stream.read().count(b"\n") >= 3
    after = search_whole(services, fasta(proteins[:3]))
    assert after.job_id == before.job_id
    assert after.searched == 3
    database = services.targets.resolve("demo", "examples", "proteins").path
    assert report(services, after, 5) == plain("blastp", fasta(proteins[:3]), database, 5, tmp_path)


def test_hits_of_a_job_come_a_page_at_a_time(
    services: Services, submit: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    job = submit(fasta(proteins[:2]), evalue=1e-5)
    page = services.reports.hits(ADMINISTRATOR, job.job_id, evalue_max=1e-50, page=2, page_size=10)
    assert len(page.rows) == 10
    assert page.total > 20
    assert all(hit.evalue <= 1e-50 for hit in page.rows)


def test_html_report_is_one_file_that_names_its_making(
    services: Services, submit: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    job = submit(fasta(proteins[:2]))
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read("html"))).execute()
    assert [file.name for file in made.files] == ["report.html", "report.zip"]
    with services.reports.file(ADMINISTRATOR, made.report_id, "report.html") as stream:
        page = stream.read().decode()
    assert job.job_id in page
    assert "demo/examples/proteins" in page


@pytest.mark.parametrize("number", [0, 5, 7, 12, 15, 16, 17])
def test_report_formatted_in_parts_equals_plain_blast(  # noqa: PLR0913, PLR0917 - its fixtures
    number: int,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    nucleotides: list[Sequence],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several formatters at the same time print what one would, also numbers of untitled queries."""
    monkeypatch.setattr("multiblast.reports.writer._LEAST_QUERIES_PER_FORMATTER", 1)
    services = make_services(cores=4)
    untitled = [Sequence(b"", nucleotides[3].residues), *nucleotides, Sequence(b"", nucleotides[5].residues)]
    job = search_whole(services, fasta(untitled), program="blastn")
    database = services.targets.resolve("demo", "examples", "nucleotides").path
    ours, expected = report(services, job, number), plain("blastn", fasta(untitled), database, number, tmp_path)
    assert difference(ours, expected, number) == ""


def _differences(  # noqa: PLR0913, PLR0917 - a search, and the formats
    services: Services,
    job: SearchedJob,
    program: str,
    query: str,
    formats: list[str],
    directory: Path,
    *options: str,
    **of_report: int,
) -> list[str]:
    """Return the formats, some with fields, in which a job's report is not what the program prints."""
    file, out = directory / "query.fasta", directory / "plain" / "plain.out"
    file.write_text(query)
    out.parent.mkdir(exist_ok=True)
    target = "proteins" if program in {"blastp", "blastx", "psiblast"} else "nucleotides"
    database = services.targets.resolve("demo", "examples", target).path
    different = []
    for text in formats:
        command = [program, "-query", file, "-db", database, "-outfmt", text, "-out", out, *options]
        subprocess.run(command, check=True, capture_output=True)
        first, *fields = text.split()
        formatting = Formatting.read(first, fields=" ".join(fields), options=of_report)
        made = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, formatting)).execute()
        with services.reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
            if stream.read() != out.read_bytes():
                different.append(text)
    return different


@pytest.mark.parametrize(("program", "kind"), [("blastn", "nucleotide"), ("blastp", "protein")])
def test_search_of_some_taxa_with_masks_is_reported(  # noqa: PLR0913, PLR0917 - its fixtures
    program: str,
    kind: str,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
    tmp_path: Path,
) -> None:
    """Masks and index stand first in the request of such an archive, and are taken out of it."""
    directory = tmp_path / "root" / "demo" / "examples" / "blast"
    directory.mkdir(parents=True)
    sequences = (proteins if kind == "protein" else nucleotides)[:3]
    source, database = tmp_path / "source.fasta", directory / f"{kind}s"
    source.write_text(fasta(sequences))
    command = ["makeblastdb", "-dbtype", kind[:4], "-taxid", "9606", "-in", source, "-out", database]
    subprocess.run(command, check=True, capture_output=True)
    services = make_services(root=tmp_path / "root")
    query = fasta([Sequence(b"masked", one.residues[:20].lower() + one.residues[20:]) for one in sequences])
    options = {"taxids": "9606", "lcase_masking": True}
    job = search_whole(services, query, program=program, **options)
    given = ("-taxids", "9606", "-lcase_masking")
    assert _differences(services, job, program, query, ["0", "6", "15"], tmp_path, *given) == []


@pytest.mark.parametrize("program", ["blastp", "tblastn", "psiblast"])
def test_pairwise_text_of_a_given_search_space_has_no_columns_of_length_parameters(
    program: str, services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    query = fasta(proteins[:2])
    job = search_whole(services, query, program=program, searchsp="1000000")
    assert _differences(services, job, program, query, ["0", "4"], tmp_path, "-searchsp", "1000000") == []


@pytest.mark.parametrize("matrix", ["BLOSUM62", "PAM30"])
def test_gap_costs_that_make_gaps_impossible_have_parameters(
    matrix: str, services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    query = fasta(proteins[:2])
    job = search_whole(services, query, matrix=matrix, gapopen=32767, gapextend=32767)
    options = ("-matrix", matrix, "-gapopen", "32767", "-gapextend", "32767")
    assert _differences(services, job, "blastp", query, ["0", "5", "6"], tmp_path, *options) == []


@pytest.mark.parametrize(("program", "most"), [("blastp", "1000"), ("blastp", "300"), ("psiblast", "5")])
def test_most_targets_of_a_search_says_how_many_subjects_pairwise_text_shows(  # noqa: PLR0913, PLR0917 - its fixtures
    program: str,
    most: str,
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    """And hides no option of the report: the formatter passes line length and order over where it is large."""
    query = fasta(proteins[:2])
    job = search_whole(services, query, program=program, max_target_seqs=most)
    options = ("-max_target_seqs", most, "-line_length", "40")
    assert _differences(services, job, program, query, ["0", "4"], tmp_path, *options, lineLength=40) == []
    others = {"6", "15"} - incomplete_in_blast(program, services.installation.version(program))
    assert _differences(services, job, program, query, sorted(others), tmp_path, *options[:2]) == []


@pytest.mark.parametrize("program", ["blastp", "blastx"])
def test_part_of_the_query_gives_its_own_length_and_coverage(  # noqa: PLR0913, PLR0917 - its fixtures
    program: str,
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
    tmp_path: Path,
) -> None:
    """Also of queries that end within the part, and one that is left out altogether since it ends before.

    And places of the residue O, which no matrix scores, are counted in the part. Its statistics cannot be told from
    a batch, so each sequence is searched by itself.

    Where the first ends within it, BLAST+'s archive says that of all others of the batch, too.
    """
    sequences = (proteins if program == "blastp" else nucleotides)[:3]
    short = [Sequence(b"ends %d" % end, sequences[1].residues[:end]) for end in (20, 60, 70)]
    if program == "blastp":
        sequences[2] = Sequence(b"with O", b"O".join(sequences[2].residues[n : n + 24] for n in (0, 25, 50, 75, 100)))
    query = fasta([*short[:2], *sequences, short[2]])
    job = search_whole(services, query, program=program, query_loc="31-90")
    assert job.rows[0].note == "left out: it ends before query_loc begins"
    table = "stitle qlen std qcovs sseqid qcovhsp"
    formats = ["0", "5", "15", "16", f"6 {table}", f"7 {table}", f"10 {table}", "18"]
    assert _differences(services, job, program, query, formats, tmp_path, "-query_loc", "31-90") == []
    found = {hit.query for hit in services.reports.hits(ADMINISTRATOR, job.job_id).rows}
    assert found
    assert found <= {2, 3, 4, 5, 6}


@pytest.mark.parametrize("part", [(), ("-query_loc", "21-200")])
def test_residue_o_is_shown_in_all_rounds_though_profiles_have_x_for_it(
    part: tuple[str, ...],
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    """In text, and in the columns of tables that have letters of the query."""
    residues = proteins[0].residues
    odd = Sequence(b"with O", residues[:60] + b"O" + residues[61:120] + b"BJO" + residues[123:])
    query, options = fasta([proteins[1], odd]), dict(zip(("query_loc",), part[1:], strict=False))
    job = search_whole(services, query, program="psiblast", num_iterations=2, **options)
    formats = {"0", "1", "3", "4", "5", "8", "12", "6 std btop qseq", "7 qseqid btop", "10 qseq", "15", "16"}
    formats -= incomplete_in_blast("psiblast", services.installation.version("psiblast"))
    given = ("-num_iterations", "2", *part)
    assert _differences(services, job, "psiblast", query, sorted(formats), tmp_path, *given) == []


def test_search_has_one_thread_where_several_find_something_else(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    nucleotides: list[Sequence],
    tmp_path: Path,
) -> None:
    """One sequence has all cores otherwise."""
    services, query = make_services(cores=2), fasta(nucleotides[:1])
    job = search_whole(services, query, program="tblastx", target="nucleotides", culling_limit=3)
    assert _differences(services, job, "tblastx", query, ["6", "15"], tmp_path, "-culling_limit", "3") == []


def test_part_that_no_query_has_is_refused(submit: Callable[..., SearchedJob]) -> None:
    with pytest.raises(InvalidInputError, match="beyond the end of every sequence"):
        submit(">a\nMKVLAAGIVGLL\n", query_loc="50-60")
