"""Queries that configurations describe, run like any other: with the rights and within the limits of who asks."""

from __future__ import annotations

import shutil
from pathlib import Path

from multiblast.accounts import Requester, Turns
from multiblast.actions.provenance import Provenance
from multiblast.actions.query_service import QueryService
from multiblast.actions.report_service import ReportService
from multiblast.actions.requests import CreateReport
from multiblast.database import JobStatus
from multiblast.errors import InvalidInputError, JobFailedError, Problem
from multiblast.registry.blast_jobs import Searched
from multiblast.registry.running import QueryRequest
from multiblast.reports import ReportRequest, Reports, read_report_request
from multiblast.search import Search, read_submission

__all__ = ["RegisteredQueries"]

_WITH_ARCHIVE = 2


class RegisteredQueries:
    """Runs the queries that configurations describe.

    Args:
        queries, reports: What records jobs for whoever asks.
        search, maker: What searches, and makes reports.
        turns: Whose batch is searched next.
        provenance: What tells how a job was searched.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that takes part
        self,
        queries: QueryService,
        reports: ReportService,
        search: Search,
        maker: Reports,
        turns: Turns,
        provenance: Provenance,
    ) -> None:
        self._queries, self._reports = queries, reports
        self._search, self._maker, self._turns, self._provenance = search, maker, turns, provenance

    def run(self, request: QueryRequest, *, flow_run: str = "") -> Searched:
        """Run a query, and write its reports where the request says.

        Raises:
            InvalidInputError: with all problems of the query and its reports; nothing was recorded.
            LimitError: who asks has as much as they may have for now.
            JobFailedError: the job did not come to its end.
        """
        wanted = _read_reports(request)
        asks = self._queries.accounts.requester(request.user)
        submission = read_submission(
            query_file=request.query,
            program=request.program,
            site=request.site,
            targets=request.targets,
            options=request.options,
        )
        job_id = self._queries.record(asks, submission).job_id
        self._run(job_id, flow_run)
        for alias, report in wanted.items():
            self._report(asks, CreateReport(job_id, report), request.files[alias], flow_run)
        return self._provenance.searched(job_id)

    def _run(self, job_id: str, flow_run: str) -> None:
        search = self._search
        try:
            plan = search.plan(job_id)
            search.start(plan, flow_run)
            for batch in plan.batches:
                with self._turns.turn(job_id, given_up=lambda: search.jobs.query(job_id).cancel_requested):
                    search.run(batch)
            state = search.finish(job_id, flow_run=flow_run)
        except BaseException as error:
            search.fail(job_id, str(error) or type(error).__name__, flow_run=flow_run)
            raise
        if state.status != JobStatus.COMPLETE:
            raise JobFailedError(job_id, state.status, state.reason)

    def _report(self, asks: Requester, report: CreateReport, path: Path, flow_run: str) -> None:
        made = self._maker.make(self._reports.record(asks, report), flow_run=flow_run)
        first, *_, archive = made.files  # a report of several files is given as the archive of them all
        name = first.name if len(made.files) <= _WITH_ARCHIVE else archive.name
        temporary = path.with_name(path.name + ".tmp")
        with self._reports.file(asks, made.report_id, name) as source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target)
        temporary.replace(path)


def _read_reports(request: QueryRequest) -> dict[str, ReportRequest]:
    found: dict[str, ReportRequest] = {}
    problems: list[Problem] = []
    for alias, options in request.reports.items():
        told = {name: value for name, value in options.items() if name not in ("outfmt", "fields")}
        format_type, fields = options.get("outfmt", "0"), str(options.get("fields", ""))
        try:
            found[alias] = read_report_request(format_type, fields=fields, options=told)
        except InvalidInputError as error:
            keys = [".".join(filter(None, ("search.reports", alias, one.key))) for one in error.problems]
            problems += [Problem(one.message, key) for one, key in zip(error.problems, keys, strict=True)]
    if problems:
        raise InvalidInputError(problems)
    return found
