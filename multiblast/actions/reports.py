"""The door of report jobs: every action on them, where rights are checked."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import func
from sqlmodel import col, select

from multiblast.accounts import Accounts, Requester
from multiblast.actions.answers import CreatedReport, Errors, ReportDetails, ReportItem, ReportListedFile, UserMeta
from multiblast.actions.catalogue import action
from multiblast.actions.job_door import JobDoor
from multiblast.actions.requests import read_create_report
from multiblast.actions.stored_file import StoredFile
from multiblast.actions.written_outputs import FileOutput, write_outputs
from multiblast.database import ChildJob, JobKind, JobStatus, QueryJob, ReportJob, Result
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.ids import digest
from multiblast.jobs import ACTIVE, report_id
from multiblast.reports import Formatting, ReportRun, files_of
from multiblast.reports.formats import FORMATS
from multiblast.reports.hits import HitPage, read_hits
from multiblast.reports.html.archive_reader import QueryResult, read_results
from multiblast.reports.letters import check_letters
from multiblast.reports.plugin_hits import read_hits_of
from multiblast.reports.run import is_long_ago
from multiblast.reports.subjects import open_aligned_parts, open_all_subjects, open_subjects
from multiblast.reports.writer import ReportFile
from multiblast.search import SearchEngine, options_of, search_plugin
from multiblast.upkeep import Notices
from multiblast.upkeep.reconciliation import Waiting

if TYPE_CHECKING:
    from multiblast.reports.early_parts import EarlyParts

_SMALL_BYTES = 16 << 20  # of archives, uncompressed
_SHOWN = 20  # files, in a message
_SMALL_SEQUENCES = 10_000  # whose sizes are summed in some hundredths of a second


class Reports(JobDoor):
    """Every action on report jobs, and the runs that make them."""

    def __init__(self, engine: SearchEngine, accounts: Accounts, notices: Notices) -> None:
        super().__init__(JobKind.REPORT, engine.database, engine.jobs, accounts)
        self._engine = engine
        self._notices = notices

    @action("create", flow="make-report", command="report")
    def create(self, requester: Requester, config: Mapping[str, Any]) -> CreatedReport:
        """Record a report job from a request in the form of the HTTP API; the same request finds the same job.

        Args:
            requester: The person who makes the request; the job is added to their list unless the request opts out.
            config: ``{"queryJobID", "blastConfig"?, "addToUserCollection"?, "userMeta"?}``.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            NotFoundError: there is no such query job.
            ConflictError: it is not complete.
        """
        return CreatedReport(report_job_id=self.submit(requester, **read_create_report(config)))

    def submit(  # noqa: PLR0913 - a report, and what is noted about it
        self,
        requester: Requester,
        query_job_id: str,
        formatting: Formatting,
        *,
        partial: bool = False,
        add_to_collection: bool = True,
        summary: str = "",
        description: str = "",
        notify: str = "",
    ) -> str:
        """Check a request, then record its job and return its id; the same request finds the same job.

        A ``partial`` report shows what is there of a job that is not complete; ``notify`` is a URL to notify, or empty.

        Raises:
            InvalidInputError: the query job has no such report, or nobody may be notified there.
            NotFoundError: there is no such query job.
            ConflictError: it is not complete.
        """
        if notify:
            self._notices.check(notify)
        self.check(requester, query_job_id, formatting, partial=partial)
        is_listed = add_to_collection and self._may_list(requester, query_job_id, JobKind.QUERY)
        owner, words = requester.owner if is_listed else "", {"summary": summary, "description": description}
        job_id = self.record(query_job_id, formatting, owner, partial=partial, **words)
        if notify:
            self._notices.subscribe(job_id, notify)
        return job_id

    def record(
        self, query_job_id: str, formatting: Formatting, owner: str, *, partial: bool = False, **words: str
    ) -> str:
        """Record a report job, unless it is there, without the checks of `submit`; return its id."""
        options = {**formatting.changed(), **({"partial": True} if partial else {})}
        job = ReportJob(id=report_id(query_job_id, options), query_job_id=query_job_id, formatting=options)
        self.jobs.record_report(job, owner, **words)
        return job.id

    def check(self, requester: Requester, query_job_id: str, formatting: Formatting, *, partial: bool = False) -> None:
        """Check a request without recording it: see `submit`."""
        self._access.check_read(requester, query_job_id, JobKind.QUERY)
        query = self.jobs.query(query_job_id)
        self.check_query(query, formatting)
        if query.status != JobStatus.COMPLETE and not partial:
            raise ConflictError(
                f"query job {query.id} is {query.status}, and a report needs a complete one: "
                "wait for it or restart it, or ask for a partial report"
            )

    def check_query(self, query: QueryJob, formatting: Formatting) -> None:
        """Refuse what a query job has no such report of, complete or not: see `Formatting.check_search`."""
        formatting.check_search(options_of(query))
        check_letters(self._engine, query, formatting)

    def run(self, job_id: str, *, run_id: str = "", early: EarlyParts | None = None) -> ReportRun:
        """Return a run of a recorded job, for whatever executes jobs; ``run_id`` is noted in the job's history.

        Parts of it may have been made ``early``.
        """
        return ReportRun(self._engine, job_id, run_id=run_id, early=early)

    def made(
        self,
        requester: Requester,
        query_job_id: str,
        formatting: Formatting,
        *,
        partial: bool = False,
        at_once: bool = False,
    ) -> ReportFile:
        """Return the file of a report that is in nobody's list, which is made now unless it was: see `submit`."""
        job_id = self.submit(requester, query_job_id, formatting, partial=partial, add_to_collection=False)
        return self.run(job_id).execute(at_once=at_once).files[0]

    def begin(self, job_id: str) -> Waiting | None:
        """Queue a submitted report, unless it is made of the results as they are now: see `Queries.begin`."""
        job = self.jobs.report(job_id)
        is_made = job.status == JobStatus.IN_PROGRESS and not self._is_abandoned(job)
        if is_made or (job.status == JobStatus.COMPLETE and self.run(job_id).version()[1]):
            return None
        if job.status != JobStatus.QUEUED:
            self.jobs.move_report(job_id, JobStatus.QUEUED, "submitted again")
        return self.waiting(job_id)

    def is_small(self, job_id: str) -> bool:
        """Whether a report is made in about a second, so that it is not worth a run of its own."""
        query = self.jobs.query(self.jobs.report(job_id).query_job_id)
        if query.sequences > _SMALL_SEQUENCES:
            return False
        of_children = select(ChildJob.result_key).where(ChildJob.list_number == query.list_number)
        keys = col(Result.key).in_([query.result_key] if query.list_number is None else of_children)
        with self._database.read() as session:
            return (session.exec(select(func.sum(Result.archive_bytes)).where(keys)).one() or 0) <= _SMALL_BYTES

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
        """List the requester's reports, newest first; to an administrator without a name, all.

        Args:
            requester: Whose list.
            query_job_id: Only reports of this query job.
            site: Only reports of query jobs of this site.
            status: Only reports of this status.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.
        """
        filters = {"query_job_id": query_job_id, "site": site, "status": status}
        return [
            ReportItem(
                report_job_id=job.id,
                query_job_id=job.query_job_id,
                status=job.status,
                user_meta=UserMeta.of(link),
            )
            for job, link in self._listed(ReportJob, requester, filters, first=first, count=count)
        ]

    def found(self, requester: Requester, query_job_id: str) -> list[ReportJob]:
        """Return the reports of a query job that `list_jobs` lists, without those of a part of its sequences."""
        filters = {"query_job_id": query_job_id, "site": "", "status": ""}
        listed = self._listed(ReportJob, requester, filters, first=1, count=0)
        return [job for job, _ in listed if not job.formatting.get("partial")]

    @action("show")
    def lookup(self, requester: Requester, job_id: str, *, link: bool = True) -> ReportDetails:
        """Look up a report job with its configuration, and add it to the requester's list.

        Args:
            requester: The person who makes the request.
            job_id: The report job.
            link: Whether to add it to the requester's list.
        """
        meta, job = self._look_up(requester, job_id, link=link), self.jobs.report(job_id)
        return ReportDetails.of(job, meta, self.reason(job))

    @action("restart", flow="restart-job", command="reports restart")
    def restart(self, requester: Requester, job_id: str) -> CreatedReport:
        """Let an expired, failed or cancelled report be made again, or one that would be another by now.

        Raises:
            ConflictError: it waits, runs or is complete and would be the same, or its query job is not complete.
        """
        self._access.check_change(requester, job_id, JobKind.REPORT)
        job = self.jobs.report(job_id)
        is_old = job.status == JobStatus.COMPLETE and not self.run(job_id).version()[1]
        if not (self._may_restart(job) or is_old):
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
            ConflictError: it has ended already.
        """
        self._access.check_change(requester, job_id, JobKind.REPORT)
        status = self.jobs.report(job_id).status
        if status not in ACTIVE:
            raise ConflictError(f"report job {job_id} is {status}: only a queued or running job can be cancelled")
        self.jobs.move_report(job_id, JobStatus.CANCELLED, "cancelled by its user")

    @action("files", columns=("name", "size"))
    def files(self, requester: Requester, job_id: str) -> list[ReportListedFile]:
        """List the files of a complete report, the one to open first before others.

        Raises:
            ConflictError: it is not complete.
        """
        report = self._complete(requester, job_id)
        return [ReportListedFile(name=file.name, size=file.size) for file in files_of(report)]

    @action(
        "get",
        answer="the file, or a range of its bytes or lines",
        spelled={"byte_range": "--bytes", "line_range": "--lines"},
    )
    def file(
        self, requester: Requester, job_id: str, name: str, *, byte_range: str = "", line_range: str = ""
    ) -> BinaryIO:
        """Read a file of a complete report, or a part of it; this counts as use of the report.

        Args:
            requester: The person who makes the request.
            job_id: The report job.
            name: The file, as `files` lists it.
            byte_range: FIRST-LAST, counted from 0, as in HTTP; either may be left out (-500 is the last 500).
            line_range: FIRST-LAST, counted from 1; either may be left out (-500 is up to line 500).

        Raises:
            InvalidInputError: a range is not one, or both are given.
            NotFoundError: there is no such job or file.
            ConflictError: it is not complete.
        """
        return self.stored_file(requester, job_id, name).part(byte_range, line_range)

    def stored_file(self, requester: Requester, job_id: str, name: str) -> StoredFile:
        """Look up a file of a complete report, to be read as its reader likes; this counts as use of the report.

        Raises:
            NotFoundError, NotAllowedError, ConflictError: as `file`.
        """
        report = self._used(requester, job_id)
        files = files_of(report)
        found = next((file for file in files if file.name == name), None)
        if found is None:
            there = ", ".join([*(file.name for file in files[:_SHOWN]), *["…"][: len(files) > _SHOWN]])
            raise NotFoundError("report file", name[:60], f"the report has {there}")
        return self._stored(report, found)

    def stored_files(self, requester: Requester, job_id: str) -> list[StoredFile]:
        """Look up all files of a complete report, of which there may be one for each sequence: see `stored_file`."""
        report = self._used(requester, job_id)
        return [self._stored(report, file) for file in files_of(report)]

    def fetch(self, requester: Requester, job_id: str, directory: Path, *, overwrite: bool = False) -> list[Path]:
        """Write the files of a complete report into a directory, each whole or not at all; all but the zip of them.

        Raises:
            NotFoundError, ConflictError: as `file`; or something else of such a name is there: see `write_outputs`.
        """
        outputs = [FileOutput(file.name, file.open) for file in self.stored_files(requester, job_id)]
        return write_outputs([one for one in outputs if one.name != "report.zip"], directory, overwrite=overwrite)

    def hits(self, requester: Requester, query_job_id: str, **choice: Any) -> HitPage:
        """Return a page of a complete query job's hits; the table they come from is made at the first time.

        Filters, order and page are chosen as for `multiblast.reports.hits.read_hits`.
        """
        table = self.made(requester, query_job_id, Formatting(format="parquet"))
        with TemporaryFile() as spool:
            with self._engine.store.open(table.key) as stream:
                shutil.copyfileobj(stream, spool)
            return read_hits(spool, **choice)

    def view(self, requester: Requester, query_job_id: str, position: int) -> QueryResult:
        """Return all hits and alignments of one sequence of a query job, complete or not; kept as a report of its own.

        Raises:
            NotFoundError: there is no such sequence, or it has no result yet.
            ConflictError: a database changed since it was searched, and that of BLAST+ is needed.
        """
        self._access.check_read(requester, query_job_id, JobKind.QUERY)
        query = self.jobs.query(query_job_id)
        children = [child for child in self.jobs.children(query, position) if child.pack]
        if not children:
            raise NotFoundError("result of sequence", str(position), "it has none yet")
        if is_long_ago(query.used_at):
            self.jobs.touch([query_job_id])
        if plugin := search_plugin(query.program):
            return read_hits_of(self._engine, plugin, query, children[0]).result()
        child, of_one = children[0], Formatting(format="15")
        printed = self.made(requester, child.job_id, of_one, partial=True, at_once=True)
        with self._engine.store.open(printed.key) as stream:
            (result,) = read_results(stream, [(position, child.letters)])
        if options_of(query).reads_titles:  # then BLAST+ leaves its id out of the title, by which people know it
            name, _, title = self.jobs.query(child.job_id).title.partition(" ")
            return replace(result, name=name or result.name, title=title.strip())
        return result

    def subjects(
        self, requester: Requester, query_job_id: str, position: int, ranks: Collection[int], *, aligned: bool
    ) -> BinaryIO:
        """Open the sequences of some hits of one sequence of a query job, as FASTA.

        Args:
            requester: Who wants them.
            query_job_id: The job.
            position: Of the sequence in the job.
            ranks: Which hits, the best is 1.
            aligned: Only the parts that are aligned, one for each alignment, as they are in it but for gaps.

        Raises:
            InvalidInputError: there are no such hits.
            ConflictError: a database changed since it was searched.
        """
        result = self.view(requester, query_job_id, position)
        chosen = [subject for rank, subject in enumerate(result.subjects, start=1) if rank in ranks]
        if not chosen:
            raise InvalidInputError(Problem("choose at least one of the hits", "hit"))
        if aligned:
            return open_aligned_parts(chosen)
        return open_subjects(self._engine, self.jobs.query(query_job_id), (subject.id for subject in chosen))

    def all_subjects(self, requester: Requester, query_job_id: str) -> BinaryIO:
        """Open the whole sequences of all subjects of a complete query job, each once, as FASTA.

        Raises:
            ConflictError: a database changed since it was searched.
        """
        self._access.check_read(requester, query_job_id, JobKind.QUERY)
        return open_all_subjects(self._engine, self.jobs.query(query_job_id))

    @action("errors")
    def errors(self, requester: Requester, job_id: str) -> Errors:
        """Read what the formatter wrote to standard error; often nothing."""
        self._access.check_read(requester, job_id, JobKind.REPORT)
        return Errors(stderr=self.jobs.report(job_id).stderr)

    def _used(self, requester: Requester, job_id: str) -> ReportJob:
        report = self._complete(requester, job_id)
        if is_long_ago(report.used_at):
            self.jobs.touch([job_id, report.query_job_id])
        return report

    def _stored(self, report: ReportJob, file: ReportFile) -> StoredFile:
        kind = "text/html" if report.formatting.get("html") else FORMATS[report.formatting["formatType"]].media_type
        media_type = "application/zip" if file.name.endswith(".zip") else kind
        return StoredFile(file.name, file.size, media_type, digest("file/1", file.key), self._engine.store, file.key)

    def _complete(self, requester: Requester, job_id: str) -> ReportJob:
        self._access.check_read(requester, job_id, JobKind.REPORT)
        report = self.jobs.report(job_id)
        if report.status != JobStatus.COMPLETE:
            raise ConflictError(f"report job {report.id} is {report.status}: make it first")
        return report
