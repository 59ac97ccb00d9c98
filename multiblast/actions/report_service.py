"""The report service: every action on report jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from multiblast.accounts import Accounts, Requester
from multiblast.actions.answers import CreatedReport, Errors, ReportDetails, ReportItem, ReportListedFile, UserMeta
from multiblast.actions.catalogue import action
from multiblast.actions.job_door import JobDoor, read_page
from multiblast.actions.lines import read_lines
from multiblast.actions.requests import CreateReport, read_create_report
from multiblast.database import Database, JobKind, JobStatus
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.jobs import ACTIVE, RESTARTABLE, Jobs
from multiblast.reports import Reports

__all__ = ["ReportService"]


class ReportService(JobDoor):
    """Every action on report jobs, for whoever asks.

    Args:
        database: The job database.
        jobs: All jobs.
        reports: What records and makes reports.
        accounts: Who users and guests are.
    """

    def __init__(self, database: Database, jobs: Jobs, reports: Reports, accounts: Accounts) -> None:
        super().__init__(JobKind.REPORT, database, jobs, accounts)
        self._reports = reports

    @action("create", flow="make-report", command="report")
    def create(self, requester: Requester, config: Mapping[str, Any]) -> CreatedReport:
        """Record a report job from a request in the design's form; the same request finds the same job.

        Args:
            requester: Who asks; the job is added to their list unless the request opts out.
            config: ``{"queryJobID", "blastConfig"?, "addToUserCollection"?, "userMeta"?}``.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            NotFoundError: there is no such query job.
            NotAllowedError: the requester may not read it.
            ConflictError: it is not complete.
        """
        return CreatedReport(report_job_id=self.record(requester, read_create_report(config)))

    def record(self, requester: Requester, report: CreateReport, *, partial: bool = False) -> str:
        """Record a report job from a request that is checked; return its id: see `create`.

        Args:
            requester: Who asks.
            report: The request.
            partial: Allow a query job that is not complete: the report shows what is there.
        """
        self._access.check_read(requester, report.query_job_id, JobKind.QUERY)
        owner = requester.owner if report.add_to_collection else ""
        job_id = self._reports.record(report.query_job_id, report.request, owner=owner, partial=partial)
        if owner:
            words = {"summary": report.summary, "description": report.description}
            self._links.add(owner, job_id, JobKind.REPORT, **words)
        return job_id

    @action("list", columns=("reportJobID", "queryJobID", "status", "summary"), spelled={"query_job_id": "--job"})
    def list_jobs(  # noqa: PLR0913 - filters
        self,
        requester: Requester,
        *,
        query_job_id: str = "",
        site: str = "",
        status: str = "",
        first: int = 1,
        count: int = 50,
    ) -> list[ReportItem]:
        """Return the reports in the requester's list, newest first; of an administrator without a name, all.

        Args:
            requester: Whose list.
            query_job_id: Only reports of this query job.
            site: Only reports of query jobs of this site.
            status: Only reports of this status.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.

        Raises:
            InvalidInputError: with every problem, by key.
        """
        chosen = read_page(status, first, count)
        owner = None if requester.administrator and not requester.owner else requester.owner
        rows = self._links.reports(owner, query_job_id=query_job_id, site=site, status=chosen, first=first, count=count)
        return [
            ReportItem(
                report_job_id=row.job_id,
                query_job_id=row.query_job_id,
                status=row.status,
                user_meta=UserMeta.of(row.summary, row.description),
            )
            for row in rows
        ]

    @action("show")
    def lookup(self, requester: Requester, job_id: str, *, link: bool = True) -> ReportDetails:
        """Return a report job with its configuration, and add it to the requester's list.

        Args:
            requester: Who asks.
            job_id: The report job.
            link: Whether to add it to their list.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
        """
        self._access.check_read(requester, job_id, JobKind.REPORT)
        if link and requester.owner and self._links.get(requester.owner, job_id) is None:
            self._links.add(requester.owner, job_id, JobKind.REPORT)
        job = self.jobs.report(job_id)
        return ReportDetails(
            report_job_id=job.id,
            query_job_id=job.query_job_id,
            status=job.status,
            user_meta=self._meta(requester, job_id),
            blast_config=_blast_config(job.formatting),
            created_on=job.created_at,
            reason=job.reason or None,
            pinned=job.pinned,
        )

    @action("restart", flow="restart-job", command="reports restart")
    def restart(self, requester: Requester, job_id: str) -> CreatedReport:
        """Let an expired, failed or cancelled report be made again.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: it is not in the requester's list.
            ConflictError: it waits, runs or is complete, or its query job is not complete.
        """
        self._access.check_change(requester, job_id, JobKind.REPORT)
        job = self.jobs.report(job_id)
        if job.status not in RESTARTABLE:
            raise ConflictError(f"report job {job_id} is {job.status}: there is nothing to restart")
        query = self.jobs.query(job.query_job_id)
        if query.status != JobStatus.COMPLETE and not job.formatting.get("partial"):
            raise ConflictError(f"query job {query.id} is {query.status}: restart it first")
        self.jobs.move_report(job_id, JobStatus.QUEUED, "restarted")
        return CreatedReport(report_job_id=job_id)

    @action("cancel", flow="cancel-job", done="job {job_id} is cancelled")
    def cancel(self, requester: Requester, job_id: str) -> None:
        """Stop a report: taken out of the queue, or its formatter killed within a second or so.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: it is not in the requester's list.
            ConflictError: it has ended already.
        """
        self._access.check_change(requester, job_id, JobKind.REPORT)
        status = self.jobs.report(job_id).status
        if status not in ACTIVE:
            raise ConflictError(f"report job {job_id} is {status}: only a queued or running job can be cancelled")
        self.jobs.move_report(job_id, JobStatus.CANCELLED, "cancelled by its user")

    @action("files", columns=("name", "size"))
    def files(self, requester: Requester, job_id: str) -> list[ReportListedFile]:
        """List the files of a complete report.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
            ConflictError: it is not complete.
        """
        self._access.check_read(requester, job_id, JobKind.REPORT)
        return [ReportListedFile(name=file.name, size=file.size) for file in self._reports.files(job_id)]

    @action(
        "get",
        answer="the file, or a range of its bytes or lines",
        spelled={"byte_range": "--bytes", "line_range": "--lines"},
    )
    def file(
        self, requester: Requester, job_id: str, name: str, *, byte_range: str = "", line_range: str = ""
    ) -> BinaryIO:
        """Open a file of a complete report, whole or a part of it; this counts as use of the report.

        Args:
            requester: Who asks.
            job_id: The report job.
            name: The file, as `files` tells it.
            byte_range: ``FIRST-LAST``, counted from 0, as in HTTP; either may be left out (``-500``: the last 500).
            line_range: ``FIRST-LAST``, counted from 1; either may be left out (``-500``: up to line 500).

        Raises:
            InvalidInputError: a range is not one, or both are given.
            NotFoundError: there is no such job or file.
            NotAllowedError: the requester may not read it.
            ConflictError: it is not complete.
        """
        problems = []
        if byte_range and line_range:
            problems.append(Problem("give either a range of bytes or one of lines, not both", "lineRange"))
        bytes_wanted = _read_range(byte_range, "byteRange", problems)
        lines_wanted = _read_range(line_range, "lineRange", problems)
        if problems:
            raise InvalidInputError(problems)
        self._access.check_read(requester, job_id, JobKind.REPORT)
        sizes = {file.name: file.size for file in self._reports.files(job_id)}
        if name not in sizes:
            raise NotFoundError("report file", name, f"the report has {', '.join(sizes)}")
        if line_range:
            first, last = lines_wanted
            return read_lines(self._reports.open(job_id, name), max(1, first or 1), last)
        start, length = _as_bytes(*bytes_wanted, sizes[name]) if byte_range else (0, None)
        return self._reports.open(job_id, name, start, length)

    @action("errors")
    def errors(self, requester: Requester, job_id: str) -> Errors:
        """Return what the formatter wrote to standard error; often nothing.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
        """
        self._access.check_read(requester, job_id, JobKind.REPORT)
        return Errors(stderr=self.jobs.report(job_id).stderr)


def _blast_config(formatting: dict[str, Any]) -> dict[str, Any]:
    """Return a report's configuration with BLAST+'s formats as numbers; ours have names."""
    format_type = str(formatting.get("formatType", 0))
    return {**formatting, "formatType": int(format_type) if format_type.isdecimal() else format_type}


def _read_range(text: str, key: str, problems: list[Problem]) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    first, dash, last = text.partition("-")
    numbers = [part for part in (first, last) if part]
    if not dash or not numbers or not all(part.isascii() and part.isdecimal() for part in numbers):
        problems.append(Problem(f"{text!r} is no range: write FIRST-LAST, e.g. 0-1023", key))
        return None, None
    start, end = int(first) if first else None, int(last) if last else None
    if start is not None and end is not None and end < start:
        problems.append(Problem(f"{text!r} ends before it begins", key))
    return start, end


def _as_bytes(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    if start is None:
        length = min(end or 0, size)
        return size - length, length
    return start, max(0, (size - 1 if end is None else min(end, size - 1)) - start + 1)
