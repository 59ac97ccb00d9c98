"""Reports that a submission names: recorded with its job, so that they are made whatever happens to its run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from sqlmodel import col, select

from multiblast.accounts import Requester
from multiblast.database import JobEvent, JobStatus, ReportJob
from multiblast.errors import InvalidInputError, MultiblastError, Problem, collecting, under
from multiblast.jobs import ACTIVE, MADE_BY_SEARCH, is_wanted
from multiblast.options import Options
from multiblast.reports import Formatting
from multiblast.reports.early_parts import EarlyParts
from multiblast.search import SearchEngine

if TYPE_CHECKING:
    from multiblast.actions.reports import Reports
    from multiblast.upkeep.reconciliation import Waiting

_log = logging.getLogger(__name__)


class WantedReports:
    """Report jobs that are recorded before their query job is complete, and queued until then.

    The run that completes the query job makes them, and if that dies, the one in its place. If the query
    job fails or is cancelled, they are too.
    """

    def __init__(self, engine: SearchEngine, reports: Reports) -> None:
        self._engine, self._reports = engine, reports

    def check(self, options: Options, formattings: Iterable[Formatting]) -> None:
        """Refuse reports that a search with these options does not have.

        Raises:
            InvalidInputError: with all problems, under the key ``formats``.
        """
        problems: list[Problem] = []
        for formatting in formattings:
            with collecting(problems):
                formatting.check_search(options)
        if problems:
            raise InvalidInputError(under("formats", problems))

    def record(
        self, requester: Requester, query_job_id: str, formattings: Iterable[Formatting], *, listed: bool = True
    ) -> list[str]:
        """Record reports of a job that was submitted, unless they are there; return their ids.

        What the titles in a query rule out, as they do XML, is left out: who creates it later learns why.

        Args:
            requester: Who wants them.
            query_job_id: The job, which they may read.
            formattings: The reports.
            listed: Whether they are added to the requester's list.
        """
        query, recorded = self._engine.jobs.query(query_job_id), list[str]()
        for formatting in dict.fromkeys(formattings):
            try:
                self._reports.check_query(query, formatting)
            except InvalidInputError as error:
                _log.info("no report in format %s: %s", formatting.outfmt, error, extra={"job": query_job_id})
                continue
            recorded.append(self._reports.record(query.id, formatting, requester.owner if listed else ""))
            self._reports.begin(recorded[-1])
        return recorded

    def begin(self, query_job_id: str) -> list[Waiting]:
        """Return what runs are to be started for, if the query job is complete and nobody makes its reports."""
        if self._engine.jobs.query(query_job_id).status != JobStatus.COMPLETE:
            return []
        return [self._reports.waiting(report.id) for report in self.of(query_job_id)]

    def of(self, query_job_id: str, *, run_id: str = "") -> list[ReportJob]:
        """Return the reports that wait for a query job, the oldest first; with a run, note that it makes them."""
        mine = select(ReportJob).where(ReportJob.query_job_id == query_job_id, is_wanted())
        with self._engine.database.read() as session:
            reports = list(session.exec(mine.order_by(col(ReportJob.created_at), col(ReportJob.id))))
        untaken = [report for report in reports if run_id not in {"", self._run_of(report.id)}]
        if untaken:
            with self._engine.database.write() as session:
                session.add_all(_taken(report, run_id) for report in untaken)
        return reports

    def early_parts(self, query_job_id: str, *, run_id: str = "") -> EarlyParts:
        """Return what formats parts of the reports that wait for a query job while that runs: see `of`."""
        reports = self.of(query_job_id, run_id=run_id)
        return EarlyParts(self._engine, query_job_id, [Formatting.recorded(report.formatting) for report in reports])

    def make(
        self, query_job_id: str, early: EarlyParts, execute: Callable[[str, EarlyParts], object], *, run_id: str = ""
    ) -> Iterator[tuple[ReportJob, MultiblastError | None]]:
        """Make the reports that wait for a query job, which is complete now; yield each, and why it could not be made.

        Args:
            query_job_id: The job.
            early: Parts of them that were made meanwhile.
            execute: Makes a report, by its id.
            run_id: What makes them: see `of`.
        """
        early.stop()
        for report in self.of(query_job_id, run_id=run_id):
            if self._engine.jobs.report(report.id).status != JobStatus.QUEUED:  # somebody else has come to it
                continue
            try:
                execute(report.id, early)
            except MultiblastError as error:
                yield report, error
            else:
                yield report, None

    def is_being_made(self, report_id: str) -> bool:
        """Return whether a run makes a report, or is about to."""
        status = self._engine.jobs.report(report_id).status
        if status != JobStatus.QUEUED:
            return status in ACTIVE
        return bool(self._run_of(report_id))

    def _run_of(self, report_id: str) -> str:
        return self._engine.jobs.history(report_id)[-1].flow_run


def _taken(report: ReportJob, run_id: str) -> JobEvent:
    status = JobStatus.QUEUED
    return JobEvent(job_id=report.id, from_status=status, to_status=status, why=MADE_BY_SEARCH, flow_run=run_id)
