"""DIAMOND and MMseqs2 search each sequence once, and find what the plain programs find."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.errors import ConflictError, InvalidInputError
from multiblast.options import options_for
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMATS
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence, read_fasta
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.benchmarks.bench_data import back_translated
from tests.support.search_plugins import NEEDS_TOOLS, PROGRAMS, PlainProgram
from tests.support.sequences import distinct_proteins, fasta

pytestmark = NEEDS_TOOLS

Submit = Callable[..., SearchedJob]
Queries = Callable[[str], list[Sequence]]
Plain = Callable[[str], PlainProgram]
Report = Callable[..., bytes]
ANYBODY = Requester(administrator=True)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))


@pytest.fixture
def queries(proteins: list[Sequence]) -> Queries:
    """The queries of a program; one of them has no hits, two are the same."""

    def of(program: str) -> list[Sequence]:
        if program != "diamond-blastx":
            return proteins
        return [Sequence(one.defline, back_translated(one.residues)) for one in proteins]

    return of


@pytest.fixture
def plain(services: Services, tmp_path: Path) -> Plain:
    """The plain programs, on the demo's proteins."""
    database = services.targets.resolve("demo", "examples", "proteins")
    return lambda program: PlainProgram(program, database, tmp_path / "plain")


@pytest.fixture
def report(services: Services) -> Report:
    """``report(job_id, format, fields="")``: the first file of a report."""

    def make(job_id: str, name: object = 6, fields: str = "", **options: object) -> bytes:
        formatting = Formatting.read(name, fields=fields, options=options)
        report_id = services.reports.submit(ANYBODY, job_id, formatting)
        made = services.reports.run(report_id).execute()
        return services.store.read(made.files[0].key)

    return make


@pytest.mark.parametrize("program", PROGRAMS)
def test_rows_are_those_of_the_plain_program(
    program: str, submit: Submit, queries: Queries, plain: Plain, report: Report
) -> None:
    job = submit(fasta(queries(program)), program=program, target="proteins")
    assert job.status == "complete"
    assert job.searched == 11
    rows = report(job.job_id)
    assert rows == plain(program).rows(queries(program))
    assert rows.count(b"\n") > 100


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_renamed_and_shuffled_is_not_searched(
    program: str, submit: Submit, queries: Queries, plain: Plain, report: Report
) -> None:
    submit(fasta(queries(program)), program=program, target="proteins")
    others = [Sequence(b"other_%d of us" % number, one.residues) for number, one in enumerate(queries(program))]
    random.Random(1).shuffle(others)
    again = submit(fasta(others).lower(), program=program, target="proteins")
    assert again.searched == 0
    assert {row.origin for row in again.rows} == {"reused"}
    assert report(again.job_id) == plain(program).rows(others)


@pytest.mark.parametrize("program", PROGRAMS)
def test_table_of_sequences_shows_the_best_hit(program: str, submit: Submit, queries: Queries) -> None:
    job = submit(fasta(queries(program)), program=program, target="proteins")
    rows = {row.name: row for row in job.rows}
    best, none = rows["sp|B4RQP4|OBG_NEIG2"], rows["sp|B2BNE0|RDRP_AQRVG"]
    assert "B4RQP4" in best.best_hit
    assert (best.identity_percent, best.coverage_percent) == (100, pytest.approx(100, abs=0.3))
    assert best.evalue is not None
    assert best.evalue < 1e-200
    assert (none.hits, none.note, none.status) == (0, "no hits", "complete")


def test_report_has_any_columns_that_are_kept(submit: Submit, proteins: list[Sequence], report: Report) -> None:
    job = submit(fasta(proteins[2:3]), program="diamond-blastp", target="proteins", max_target_seqs=2)
    table = report(job.job_id, 6, "qseqid qlen sseqid cigar btop stitle qtitle full_qseq").decode()
    first = table.splitlines()[0].split("\t")
    assert first[:5] == ["sp|B4RQP4|OBG_NEIG2", "384", "sp|B4RQP4|OBG_NEIG2", "384M", "384"]
    assert first[5:] == [proteins[2].title, proteins[2].title, proteins[2].residues.decode()]
    commas = report(job.job_id, 10, "sseqid evalue").decode()
    assert commas.splitlines()[0] == "sp|B4RQP4|OBG_NEIG2,6.40e-281"
    assert report(job.job_id, 6, "std", maxTargetSequences=1).count(b"\n") == 1


def test_report_with_comments(submit: Submit, proteins: list[Sequence], report: Report) -> None:
    job = submit(fasta(proteins[9:11]), program="mmseqs-search", target="proteins")
    lines = report(job.job_id, 7, "query target evalue").decode().splitlines()
    assert lines[0].startswith("# mmseqs-search 1")
    assert lines[1] == f"# Query: {proteins[9].title}"
    assert lines[2].startswith("# Database: demo/examples/proteins (2,139 sequences")
    assert lines[3:5] == ["# Fields: query, target, evalue", "# 3 hits found"]
    assert lines[5].split("\t")[:2] == ["P26733", "P26733"]
    assert lines[-2:] == ["# 0 hits found", "# mmseqs-search processed 2 queries"]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"6", "7", "10", "html", "parquet", "pssm"}))
def test_other_formats_are_refused_with_those_that_can_be_had(
    name: str, services: Services, submit: Submit, proteins: list[Sequence]
) -> None:
    job = submit(fasta(proteins[2:3]), program="diamond-blastp", target="proteins")
    with pytest.raises(InvalidInputError, match=r"choose 6 tabular, 7 .*, 10 .*, html page.*, parquet table"):
        services.reports.submit(ANYBODY, job.job_id, Formatting.read(name))


def test_fields_are_refused_by_name_before_anything_runs() -> None:
    options = options_for("diamond-blastp")(program="diamond-blastp")
    with pytest.raises(InvalidInputError, match=r"diamond-blastp has no field 'staxids'.*choose from .*stitle"):
        Formatting.read(6, fields="std staxids").check_search(options)
    with pytest.raises(InvalidInputError, match="blastp knows no field cigar"):
        Formatting.read(6, fields="cigar").check_search(options_for("blastp")(program="blastp"))
    with pytest.raises(InvalidInputError, match="knows no field 'nonsense'"):
        Formatting.read(6, fields="nonsense")


@pytest.mark.parametrize("program", PROGRAMS)
def test_parquet_has_every_hit(
    program: str, services: Services, submit: Submit, queries: Queries, plain: Plain
) -> None:
    job = submit(fasta(queries(program)), program=program, target="proteins")
    page = services.reports.hits(ANYBODY, job.job_id, page_size=1000)
    rows = [row.split("\t") for row in plain(program).rows(queries(program)).decode().splitlines()]
    assert page.total == len(rows)
    assert [hit.sseqid for hit in page.rows] == [row[1] for row in rows]
    assert [hit.evalue for hit in page.rows] == [float(row[10]) for row in rows]
    hit = page.rows[-1]
    assert hit.positive >= hit.nident > 0
    assert 0 < hit.qcovs <= 100
    assert hit.stitle


@pytest.mark.parametrize("program", PROGRAMS)
def test_page_shows_alignments(
    program: str, services: Services, submit: Submit, queries: Queries, report: Report
) -> None:
    job = submit(fasta(queries(program)), program=program, target="proteins")
    assert report(job.job_id, "html").count(b'-data">') == 1 + len(job.rows)
    result = services.reports.view(ANYBODY, job.job_id, 3)
    assert (result.name, len(result.subjects)) == ("sp|B4RQP4|OBG_NEIG2", job.rows[2].hits)
    first = result.subjects[0].hsps[0]
    assert first.query_row == first.midline == first.subject_row
    other = result.subjects[-1].hsps[0]
    assert len(other.query_row) == len(other.midline) == other.length
    assert other.midline.count("+") + other.identity == other.positive
    assert services.reports.view(ANYBODY, job.job_id, 11).message == "No hits found"
    with services.reports.subjects(ANYBODY, job.job_id, 3, [1], aligned=False) as stream:
        whole = stream.read()
    assert whole.startswith(b">sp|B4RQP4|OBG_NEIG2 ")
    assert whole.count(b">") == 1
    with services.reports.subjects(ANYBODY, job.job_id, 3, [1, 2], aligned=True) as stream:
        assert stream.read().count(b">") == 2


def test_actions_without_an_answer_say_so(services: Services, submit: Submit, proteins: list[Sequence]) -> None:
    job = submit(fasta(proteins[2:3]), program="diamond-blastp", target="proteins")
    with pytest.raises(ConflictError, match="no BLAST archive: make a report"):
        services.queries.result(ANYBODY, job.job_id, BytesIO())
    assert "demo/examples/proteins" in services.queries.command(ANYBODY, job.job_id)
    assert services.queries.lookup(ANYBODY, job.job_id).blast_config == {"tool": "diamond-blastp"}
    sensitive = submit(fasta(proteins[2:3]), program="diamond-blastp", target="proteins", sensitivity="sensitive")
    compared = services.queries.compare(ANYBODY, sensitive.job_id, job.job_id)
    assert (compared.sequences, compared.lost) == (1, 0)


@pytest.mark.parametrize("program", ["diamond-blastp", pytest.param("mmseqs-search", marks=pytest.mark.long)])
def test_five_hundred_are_searched_once(  # noqa: PLR0913, PLR0917 - its fixtures
    program: str,
    submit: Submit,
    services: Services,
    searches_run: Callable[[Services], list[int]],
    report: Report,
    plain: Plain,
) -> None:
    sequences = distinct_proteins()[500:1000]
    first = submit(fasta(sequences), program=program, target="proteins")
    assert (first.searched, searches_run(services)) == (500, [500])  # one process: each takes long to start
    others = [Sequence(b"other_%d of us" % number, one.residues) for number, one in enumerate(sequences)]
    random.Random(2).shuffle(others)
    again = submit(fasta(others), program=program, target="proteins")
    assert (again.searched, again.reused, searches_run(services)) == (0, 500, [500])
    assert report(again.job_id) == plain(program).rows(others)


@pytest.mark.parametrize("program", ["diamond-blastp", "mmseqs-search"])
def test_sequences_of_all_subjects_are_found_by_what_tables_call_them(
    program: str, services: Services, submit: Submit, proteins: list[Sequence]
) -> None:
    """So plugins can go on with them."""
    job = submit(fasta(proteins[9:11]), program=program, target="proteins")
    hits = services.reports.hits(ANYBODY, job.job_id).rows
    with services.reports.all_subjects(ANYBODY, job.job_id) as stream:
        subjects = list(read_fasta(stream.read()))
    names = [{one.name, *one.name.split("|")} for one in subjects]
    assert len(subjects) == len(hits) == job.rows[0].hits
    assert all(any(hit.sseqid in name for name in names) for hit in hits)
    assert proteins[9].residues in {one.residues for one in subjects}


def test_large_query_is_planned_as_one_process_of_all_cores(services: Services) -> None:
    text = fasta(distinct_proteins()[:300])
    submission = read_submission(query=text, program="diamond-blastp", targets=["demo/examples/proteins"])
    plan = services.queries.preview(submission)
    (batch,) = plan.to_run
    assert (len(batch.positions), batch.threads) == (300, services.installation.workers)
    assert plan.warnings == ()


def test_several_databases_are_searched_together(
    make_services: Callable[..., Services], proteins: list[Sequence], tmp_path: Path
) -> None:
    """They are one database to the program, in the one order in which several are always searched."""
    root = tmp_path / "targets"
    half = len(proteins) // 2
    for name, some in (("one", proteins[:half]), ("two", proteins[half:])):
        (tmp_path / f"{name}.fasta").write_text(fasta(some))
        build_database(tmp_path / f"{name}.fasta", root / "s/t/blast", name, molecule="protein", title=name)
    services = make_services(root=root)
    submission = read_submission(
        query=fasta(proteins), program="diamond-blastp", targets=["s/t/two", "s/t/one"], options={"max_target_seqs": 1}
    )
    job = services.queries.run(services.queries.submit(ANYBODY, submission).job_id).execute()
    assert [row.best_hit for row in job.rows[:-1]] == [one.name for one in proteins[:-1]]
