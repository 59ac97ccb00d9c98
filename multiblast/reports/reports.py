"""Report jobs: a query job's result in one format, made once and kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from multiblast.database import JobStatus, QueryJob, ReportJob
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem, ProgramError
from multiblast.ids import digest
from multiblast.installation import Installation
from multiblast.jobs import Child, report_id
from multiblast.outages import is_outage
from multiblast.programs import ask_seldom
from multiblast.reports.formatting import Formatting
from multiblast.reports.hits import HitPage, read_hits
from multiblast.reports.writer import ReportFile, ReportWriter
from multiblast.search import SearchEngine, options_of, outputs_of
from multiblast.stores import Store

__all__ = ["MadeReport", "ReportVersion", "Reports"]


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

    def __init__(self, search: SearchEngine, store: Store, installation: Installation) -> None:
        self._search, self._store, self._jobs = search, store, search.jobs
        self._writer = ReportWriter(search, store, installation)

    def record(self, query_job_id: str, request: Formatting, *, owner: str = "", partial: bool = False) -> str:
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

    def check(self, query_job_id: str, request: Formatting, *, partial: bool = False) -> QueryJob:
        """Return the query job of a report, if the report can be made: see `record`."""
        query = self._jobs.query(query_job_id)
        request.check_program(query.program)
        if request.row.from_profiles and not outputs_of(options_of(query), ""):
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

    def make(self, report_job_id: str, *, run_id: str = "") -> MadeReport:
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
                self._jobs.move_report(report.id, JobStatus.FAILED, why, run_id=run_id)
            raise ConflictError(f"report job {report.id} cannot be made, {why}")
        children = [child for child in self._jobs.children(query) if child.pack is not None]
        results = _results_digest(children)
        self._jobs.touch([report.id, query.id])
        if report.status == JobStatus.COMPLETE and report.results_digest == results and self._is_whole(report):
            return _made(report, reused=True)
        self._jobs.move_report(report.id, JobStatus.QUEUED, "its query job has other results now", run_id=run_id)
        self._jobs.move_report(report.id, JobStatus.IN_PROGRESS, run_id=run_id)
        cancelled = ask_seldom(lambda: self._jobs.report(report.id).status == JobStatus.CANCELLED)
        try:
            files, command = self._writer.write(report, query, children, results, cancelled)
        except BaseException as error:
            if is_outage(error):  # the job stays in progress, and reconciling lets it be made again
                raise
            stderr = error.stderr if isinstance(error, ProgramError) else ""
            self._jobs.move_report(report.id, JobStatus.FAILED, str(error), run_id=run_id, stderr=stderr)
            raise
        self._jobs.move_report(
            report.id,
            JobStatus.COMPLETE,
            run_id=run_id,
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
        made = self.make(self.record(query_job_id, Formatting(format="parquet")))
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


def _results_digest(children: Sequence[Child]) -> str:
    return digest("results/1", [child.result_key for child in children])


def _made(report: ReportJob, *, reused: bool) -> MadeReport:
    files = tuple(ReportFile(file["name"], file["size"], file["key"]) for file in report.files)
    return MadeReport(report.id, report.query_job_id, report.status, files, reused, tuple(report.command))
