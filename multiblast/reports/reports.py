"""Report jobs: a query job's result in one format, made once and kept."""

from __future__ import annotations

import math
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO, TypedDict

from multiblast.archive import Head, merge
from multiblast.database import JobStatus, QueryJob, ReportJob
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ObjectMissingError,
    Problem,
    ProgramError,
)
from multiblast.ids import digest
from multiblast.installation import Installation
from multiblast.jobs import Child, report_id
from multiblast.options import QUERY_MOLECULE
from multiblast.reports.formatting import JOINABLE, TOGETHER, format_archive
from multiblast.reports.hits import HitPage, read_hits, write_hits
from multiblast.reports.html import write_html
from multiblast.reports.requests import ReportFormat, ReportRequest, read_report_request
from multiblast.search import Search, outputs_of, parse_deflines, titled
from multiblast.sequences import Sequence as FastaSequence
from multiblast.sequences import read_fasta
from multiblast.stores import Store
from multiblast.targets import database_argument
from multiblast.working_space import working_space

__all__ = ["MadeReport", "ReportFile", "Reports"]

_ZIP = "report.zip"
_LEAST_QUERIES_A_FORMATTER = 25  # fewer are formatted sooner than another process starts
_CANCEL_CHECK_S = 0.5


class _Ending(TypedDict):
    """What ends a formatter early: see `multiblast.programs.Program`."""

    timeout_s: float
    cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file of a report.

    Attributes:
        key: Where it is in the store.
    """

    name: str
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report as it is.

    Attributes:
        reused: Whether it had been made before.
        command: The ``blast_formatter`` command that made it.
    """

    report_id: str
    query_job_id: str
    status: str
    files: tuple[ReportFile, ...]
    reused: bool = False
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """What a report is made from.

    Attributes:
        digest: Of the results, in order.
        is_made: Whether the report as it is was made from them.
    """

    digest: str
    is_made: bool


class Reports:
    """Makes reports of complete query jobs.

    Args:
        search: The query jobs.
        store: Where results are, and reports are kept.
        installation: The programs of this machine.
    """

    def __init__(self, search: Search, store: Store, installation: Installation) -> None:
        self._search, self._store, self._installation = search, store, installation
        self._jobs = search.jobs

    def record(self, query_job_id: str, request: ReportRequest, *, owner: str = "", partial: bool = False) -> str:
        """Record a report job; return its id. One that exists is found again.

        Args:
            query_job_id: The job whose result it shows.
            request: The format and its options.
            owner: Who to link it to; empty for nobody.
            partial: Allow a job that is not complete: the report shows what is there.

        Raises:
            ConflictError: the query job is not complete.
            InvalidInputError: the job's program has no such report.
        """
        query = self.check(query_job_id, request, partial=partial)
        options = {**request.changed(), **({"partial": True} if partial else {})}
        report = ReportJob(id=report_id(query.id, options), query_job_id=query.id, formatting=options)
        return self._jobs.record_report(report, owner).id

    def check(self, query_job_id: str, request: ReportRequest, *, partial: bool = False) -> QueryJob:
        """Return the query job of a report, if the report can be made: see `record`."""
        query = self._jobs.query(query_job_id)
        if not request.format.is_ours:
            request.formatting.check_program(query.program)
        if request.format is ReportFormat.PSSM and not outputs_of(self._search.options(query), ""):
            reason = "the search kept no profiles: submit it with out_pssm or out_ascii_pssm"
            raise InvalidInputError(Problem(reason, "formatType"))
        if query.status != JobStatus.COMPLETE and not partial:
            raise ConflictError(
                f"query job {query.id} is {query.status}, and a report needs a complete one: "
                "wait for it or restart it, or ask for a partial report"
            )
        return query

    def version(self, report_job_id: str) -> ReportVersion:
        """Tell what a report would be made from now, and whether it is made of that and all its files are there."""
        report = self._jobs.report(report_job_id)
        children = self._jobs.children(self._jobs.query(report.query_job_id))
        results = _results_digest([child for child in children if child.pack is not None])
        made = report.status == JobStatus.COMPLETE and report.results_digest == results and self._is_whole(report)
        return ReportVersion(results, made)

    @working_space()
    def make(self, report_job_id: str, *, flow_run: str = "") -> MadeReport:
        """Make a report, unless it was made from the same results before.

        Raises:
            ProgramError: the formatter failed, or the report was cancelled; the report job says why.
            ConflictError: the query job is not complete, or a database changed since it was searched.
        """
        report = self._jobs.report(report_job_id)
        query = self._jobs.query(report.query_job_id)
        if query.status != JobStatus.COMPLETE and not report.formatting.get("partial"):
            why = f"its query job is {query.status}: restart that first"
            if report.status == JobStatus.QUEUED:
                self._jobs.move_report(report.id, JobStatus.FAILED, why, flow_run=flow_run)
            raise ConflictError(f"report job {report.id} cannot be made, {why}")
        children = [child for child in self._jobs.children(query) if child.pack is not None]
        results = _results_digest(children)
        self._jobs.touch([report.id, query.id])
        if report.status == JobStatus.COMPLETE and report.results_digest == results and self._is_whole(report):
            return _made(report, reused=True)
        self._jobs.move_report(report.id, JobStatus.QUEUED, "its query job has other results now", flow_run=flow_run)
        self._jobs.move_report(report.id, JobStatus.IN_PROGRESS, flow_run=flow_run)
        try:
            files, command = self._write(report, query, children, results, self._cancelled(report.id))
        except BaseException as error:
            stderr = error.stderr if isinstance(error, ProgramError) else ""
            self._jobs.move_report(report.id, JobStatus.FAILED, str(error), flow_run=flow_run, stderr=stderr)
            raise
        self._jobs.move_report(
            report.id,
            JobStatus.COMPLETE,
            flow_run=flow_run,
            results_digest=results,
            files=[{"name": file.name, "size": file.size, "key": file.key} for file in files],
            command=list(command),
        )
        return _made(self._jobs.report(report.id), reused=False)

    def files(self, report_job_id: str) -> tuple[ReportFile, ...]:
        """List the files of a report."""
        return _made(self._complete(report_job_id), reused=True).files

    def open(self, report_job_id: str, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a file of a report, or a range of its bytes (0-based).

        Raises:
            NotFoundError: the report has no such file.
        """
        report = self._complete(report_job_id)
        self._jobs.touch([report.id, report.query_job_id])
        for file in _made(report, reused=True).files:
            if file.name == name:
                return self._store.open(file.key, start, length)
        names = ", ".join(file.name for file in _made(report, reused=True).files)
        raise NotFoundError("report file", name, f"the report has {names}")

    def hits(self, query_job_id: str, **choice: Any) -> HitPage:
        """Return a page of a job's hits; the table they come from is made at the first time.

        Args:
            query_job_id: A complete query job.
            **choice: Filters, order and page: see `multiblast.reports.hits.read_hits`.
        """
        made = self.make(self.record(query_job_id, read_report_request(ReportFormat.PARQUET)))
        with TemporaryFile() as spool:
            with self.open(made.report_id, made.files[0].name) as stream:
                shutil.copyfileobj(stream, spool)
            return read_hits(spool, **choice)

    def fetch(self, report_job_id: str, directory: Path) -> list[Path]:
        """Write the files of a report into a directory, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        written = []
        for file in self.files(report_job_id):
            path = directory / file.name
            temporary = path.with_name(path.name + ".tmp")
            with self.open(report_job_id, file.name) as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)
            written.append(temporary.replace(path))
        return written

    def _complete(self, report_job_id: str) -> ReportJob:
        report = self._jobs.report(report_job_id)
        if report.status != JobStatus.COMPLETE:
            raise ConflictError(f"report job {report.id} is {report.status}: make it first")
        return report

    def _is_whole(self, report: ReportJob) -> bool:
        return all(self._store.exists(file["key"]) for file in report.files)

    def _cancelled(self, report_job_id: str) -> Callable[[], bool]:
        """Return what tells whether somebody cancelled a report, and asks for that not too often."""
        asked = time.monotonic()
        answer = False

        def cancelled() -> bool:
            nonlocal asked, answer
            if not answer and time.monotonic() - asked > _CANCEL_CHECK_S:
                asked, answer = time.monotonic(), self._jobs.report(report_job_id).status == JobStatus.CANCELLED
            return answer

        return cancelled

    def _write(
        self,
        report: ReportJob,
        query: QueryJob,
        children: Sequence[Child],
        results: str,
        cancelled: Callable[[], bool],
    ) -> tuple[list[ReportFile], tuple[str, ...]]:
        options = {key: value for key, value in report.formatting.items() if key not in {"formatType", "partial"}}
        request = read_report_request(report.formatting["formatType"], options=options)
        context = self._search.context(query.id)
        with TemporaryDirectory(prefix="multiblast-") as name:
            directory = Path(name)
            made = directory / "report"
            made.mkdir()
            if request.format is ReportFormat.PSSM:
                paths = self._profiles(query, children, made)
            else:
                archives = self._merge(query, children, database_argument(context.databases), directory, request)
                paths = self._format(request, archives, query, len(children), made, cancelled)
            paths.append(_zip(directory / _ZIP, paths))
            place = f"reports/{report.id[:2]}/{report.id}/{results[:8]}"
            command = ("blast_formatter", "-archive", "archive.asn1", *request.formatting.arguments())
            files = [self._keep(path, f"{place}/{path.name}") for path in paths]
            return files, () if request.format.is_ours else command

    def _profiles(self, query: QueryJob, children: Sequence[Child], directory: Path) -> list[Path]:
        """Copy the files that a search left beside its results, each named after its query's position if not alone."""
        options, paths = self._search.options(query), []
        for child, sequence in zip(children, self._sequences(query, children), strict=True):
            for name, key in outputs_of(options, child.result_key).items():
                path = directory / name
                path = path.with_stem(f"{path.stem}_{child.position}") if query.sequences > 1 else path
                with suppress(ObjectMissingError):
                    path.write_bytes(titled(self._store.read(key), sequence.defline))
                    paths.append(path)
        if not paths:
            raise ConflictError(
                f"{query.program} left no profile: it makes one from hits of a round before the last, "
                "and with save_pssm_after_last_round from those of the last"
            )
        return paths

    def _merge(
        self, query: QueryJob, children: Sequence[Child], databases: str, directory: Path, request: ReportRequest
    ) -> list[Path]:
        """Merge the results, into several files where these can be formatted at the same time."""
        joinable = not request.format.is_ours and request.formatting.format_type in JOINABLE
        workers = self._installation.workers if joinable else 1
        size = max(math.ceil(len(children) / workers), _LEAST_QUERIES_A_FORMATTER)
        together = request.format is ReportFormat.PARQUET or (
            not request.format.is_ours and request.formatting.format_type in TOGETHER
        )
        parts = self._parts(query, children)
        if not request.format.is_ours and self._parses_deflines(query):
            parts = self._with_ids(query, children, parts)
        archives = []
        for first in range(1, max(len(children), 1) + 1, size):
            archives.append(directory / f"archive-{first}.asn1")
            with archives[-1].open("wb") as output:
                merge(islice(parts, size), output, databases, first=first, together=together)
        return archives

    def _format(  # noqa: PLR0913, PLR0917 - a report, its place and what ends it early
        self,
        request: ReportRequest,
        archives: Sequence[Path],
        query: QueryJob,
        queries: int,
        directory: Path,
        cancelled: Callable[[], bool],
    ) -> list[Path]:
        formatter = self._installation.program("blast_formatter")
        ending = _Ending(timeout_s=self._installation.time_limit_s, cancelled=cancelled)
        match request.format:
            case ReportFormat.HTML:
                page = directory / "report.html"
                title = query.title or f"{query.sequences:,} sequences"
                facts = self._facts(query)
                write_html(archives[0], page, blast_formatter=formatter, title=title, facts=facts, **ending)
                return [page]
            case ReportFormat.PARQUET:
                table = directory / "report.parquet"
                write_hits(archives[0], table, formatter, **ending)
                return [table]
        return format_archive(
            archives,
            request.formatting,
            program=query.program,
            queries=queries,
            directory=directory,
            parse_deflines=self._parses_deflines(query),
            blast_formatter=formatter,
            **ending,
        )

    def _parses_deflines(self, query: QueryJob) -> bool:
        return bool(getattr(self._search.options(query), "parse_deflines", False))

    def _facts(self, query: QueryJob) -> dict[str, str]:
        """Return what an HTML report says of its making."""
        context = self._search.context(query.id)
        facts = {
            "Job": query.id,
            "Program": f"{query.program} {self._installation.version(query.program)}",
            "Databases": ", ".join(
                f"{database.display} ({database.sequences:,} sequences, {database.letters:,} letters)"
                for database in context.databases
            ),
            "Options": " ".join(context.options.arguments(context.paths)) or "the program's defaults",
            "Searched": f"{query.finished_at or query.created_at:%Y-%m-%d}",
        }
        return {**facts, "Notes": "; ".join(query.notes)} if query.notes else facts

    def _keep(self, path: Path, key: str) -> ReportFile:
        with path.open("rb") as stream:
            return ReportFile(path.name, self._store.put(key, stream).size_bytes, key)

    def _with_ids(
        self, query: QueryJob, children: Sequence[Child], parts: Iterator[tuple[bytes | Head, bytes]]
    ) -> Iterator[tuple[bytes | Head, bytes]]:
        """Yield parts with the ids that BLAST+ reads in their titles."""
        deflines = (sequence.defline for sequence in self._sequences(query, children))
        heads = parse_deflines(deflines, QUERY_MOLECULE[query.program], self._installation)
        for head, (_, archive) in zip(heads, parts, strict=True):
            yield head, archive

    def _parts(self, query: QueryJob, children: Sequence[Child]) -> Iterator[tuple[bytes | Head, bytes]]:
        """Yield the defline and the archive of each sequence that has a result, in order."""
        archives = self._search.results.archives([child.result_key for child in children])
        for sequence, archive in zip(self._sequences(query, children), archives, strict=True):
            yield sequence.defline, archive

    def _sequences(self, query: QueryJob, children: Sequence[Child]) -> Iterator[FastaSequence]:
        """Yield those sequences of a query that have a result, in order."""
        wanted = {child.position for child in children}
        with self._store.open(query.query_key, query.query_offset, query.query_bytes) as stream:
            yield from (sequence for sequence in read_fasta(stream) if sequence.number in wanted)


def _results_digest(children: Sequence[Child]) -> str:
    return digest("results/1", [child.result_key for child in children])


def _made(report: ReportJob, *, reused: bool) -> MadeReport:
    files = tuple(ReportFile(file["name"], file["size"], file["key"]) for file in report.files)
    return MadeReport(report.id, report.query_job_id, report.status, files, reused, tuple(report.command))


def _zip(path: Path, files: Sequence[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            # A fixed date, so that equal reports are equal files.
            info = zipfile.ZipInfo(file.name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return path
