"""The door of query jobs: every action on them, where rights are checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from multiblast.accounts import Accounts, FairQueue, Requester
from multiblast.actions.answers import (
    CreatedQuery,
    Errors,
    QueryDetails,
    QueryItem,
    UserMeta,
)
from multiblast.actions.catalogue import action
from multiblast.actions.job_door import JobDoor
from multiblast.actions.stored_file import StoredFile
from multiblast.database import JobKind, JobStatus, QueryJob
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.jobs import ACTIVE
from multiblast.search.searched_job import MOST_ROWS, RowChoice, SequenceRow, chosen_rows, left_to_search, searched_job

if TYPE_CHECKING:  # what only some actions need, most commands do without
    from multiblast.actions.comparison import Comparison, Comparisons
    from multiblast.results import Results
    from multiblast.search import Plan, Recorded, Recorder, SearchedJob, SearchEngine, SearchRun, StoreKey, Submission
    from multiblast.search.batch_search import OnProgress
    from multiblast.settings import QueryLimits
    from multiblast.upkeep import Notices
    from multiblast.upkeep.reconciliation import Waiting

_CHILDREN = 1000

_MADE_DATABASE = re.compile(r"/plugins/databases/[0-9a-f]{32}/")  # one that a search plugin searches in


class Queries(JobDoor):
    """Every action on query jobs, and the runs that search them.

    A job of which everything is known may end without a run, if it ``settles_known``. Query files may be fetched from
    places that ``references`` lists.
    """

    def __init__(  # noqa: PLR0913 - the services beneath it
        self,
        engine: SearchEngine,
        limits: QueryLimits,
        accounts: Accounts,
        fair_queue: FairQueue,
        notices: Notices,
        *,
        settles_known: bool = True,
        references: tuple[str, ...] = (),
    ) -> None:
        super().__init__(JobKind.QUERY, engine.database, engine.jobs, accounts)
        self._engine = engine
        self._limits = limits
        self._references = references
        self._fair_queue = fair_queue
        self._notices = notices
        self._settles_known = settles_known

    @property
    def results(self) -> Results:
        """All results, without a question of rights."""
        return self._engine.results

    @cached_property
    def _recorder(self) -> Recorder:
        from multiblast.search import Recorder

        return Recorder(self._engine, self._limits, self._references)

    @cached_property
    def _comparisons(self) -> Comparisons:
        from multiblast.actions.comparison import Comparisons

        return Comparisons(self._engine)

    @action("create", flow="submit-query", command="search")
    def create(
        self, requester: Requester, config: Mapping[str, Any], query: str | bytes | Path | StoreKey = ""
    ) -> CreatedQuery:
        """Record a query job from a request in the design's form; the same request finds the same job.

        Args:
            requester: The person who makes the request; the job is added to their list unless the request opts out.
            config: ``{"jobConfig", "blastConfig", "userMeta"?}``.
            query: The sequences, if not in ``jobConfig.query``.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            NotAllowedError: nobody in particular requests it, who could not read it afterwards.
            LimitError: the requester has as much as they may have for now.
        """
        from multiblast.actions.requests import read_create_query, renamed

        submission, add = read_create_query(config, query)
        self._accounts.check_submitter(requester, has_link=add)
        try:
            recorded = self.submit(requester, submission, add_to_collection=add)
        except InvalidInputError as error:
            raise renamed(error) from error
        return CreatedQuery(query_job_id=recorded.job_id)

    def submit(
        self, requester: Requester, submission: Submission, *, add_to_collection: bool = True, notify: str = ""
    ) -> Recorded:
        """Check a submission whole, then record its job; the same submission finds the same job.

        ``notify`` is a URL to notify when the job has ended; empty for none.

        Raises:
            InvalidInputError: with everything that is wrong; nothing was recorded.
            LimitError: the requester has as much as they may have for now.
        """
        if notify:
            self._notices.check(notify)
        submission = replace(submission, owner=requester.owner if add_to_collection else "")
        count = self._accounts.usage.count_submission
        # Counted only after it is checked, so that bad input is not called too much.
        with self.at_hand(submission) as here, count(requester, lambda: self._recorder.count(here)):
            recorded = self._recorder.record(here)
        if notify:
            self._notices.subscribe(recorded.job_id, notify)
        return recorded

    def at_hand(self, submission: Submission) -> AbstractContextManager[Submission]:
        """Give a submission whose query is on this machine for as long as the block runs, fetched if need be.

        Raises:
            InvalidInputError: the policy does not let us fetch it, or it is not there.
        """
        return self._recorder.at_hand(submission)

    def check(self, submission: Submission) -> int:
        """Check a submission as `submit` does, without recording it; return how many sequences it has."""
        return self._recorder.count(submission)

    def preview(self, submission: Submission) -> Plan:
        """Plan a submission, checked as by `submit`, without recording it."""
        return self._recorder.preview(submission)

    def run(self, job_id: str, *, run_id: str = "", progress: OnProgress | None = None) -> SearchRun:
        """Return a run of a recorded job, for whatever executes jobs; ``run_id`` is noted in the job's history.

        ``progress`` is called with the sequences and letters that were just done.
        """
        from multiblast.search.run import SearchRun, no_progress

        turn = partial(self._fair_queue.turn, job_id, given_up=lambda: self.jobs.query(job_id).cancel_requested)
        return SearchRun(self._engine, job_id, run_id=run_id, progress=progress or no_progress, turn=turn)

    def begin(self, job_id: str) -> Waiting | None:
        """Complete a submitted job at once if every result is known; else queue it, and a run must be started.

        One that had expired, failed, been cancelled, or lost its process, is queued again.

        Returns:
            What the run is started for; None if it needs no run, or has one.
        """
        job = self.jobs.query(job_id)
        if job.status != JobStatus.QUEUED:
            if not self._may_restart(job):
                return None
            self.jobs.move_query([job_id], JobStatus.QUEUED, "submitted again")
        if self._settles_known and self.run(job_id).settle_known(job):
            return None
        return self.waiting(job_id)

    def searched_job(self, job_id: str, *, count: int = MOST_ROWS) -> SearchedJob:
        """Return what became of a job, without a check of rights, for its run: see `multiblast.search.searched_job`."""
        found = searched_job(self._database, job_id, count=count)
        return replace(found, reason=self.reason(self.jobs.query(job_id))) if found.status in ACTIVE else found

    def rows(self, requester: Requester, job_id: str, choice: RowChoice) -> tuple[list[SequenceRow], int]:
        """Return some of a job's sequences with their results in short, and how many the choice has."""
        self._access.check_read(requester, job_id, JobKind.QUERY)
        return chosen_rows(self._database, job_id, choice)

    def left_to_search(self, job_id: str) -> tuple[int, int]:
        """Return how many distinct sequences of a job have no result yet, and their letters."""
        return left_to_search(self._database, job_id)

    @action("list", columns=("queryJobID", "status", "site", "createdOn", "summary"))
    def list_jobs(
        self, requester: Requester, *, site: str = "", status: str = "", first: int = 1, count: int = 50
    ) -> list[QueryItem]:
        """List the requester's jobs, newest first; to an administrator without a name, all jobs.

        Args:
            requester: Whose list.
            site: Only jobs of this site.
            status: Only jobs of this status.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.
        """
        filters = {"site": site, "status": status}
        return [
            QueryItem(
                query_job_id=job.id,
                status=job.status,
                site=job.site,
                created_on=job.created_at,
                user_meta=UserMeta.of(link),
            )
            for job, link in self._listed(QueryJob, requester, filters, first=first, count=count)
        ]

    def found(
        self, requester: Requester, find: str = "", *, status: str = "", first: int = 1, count: int = 50
    ) -> list[tuple[QueryJob, UserMeta | None]]:
        """Return the jobs that `list_jobs` lists and that hold some words, with what the requester notes about them."""
        listed = self._listed(QueryJob, requester, {"status": status}, first=first, count=count, find=find)
        return [(job, UserMeta.of(link)) for job, link in listed]

    @action("show")
    def lookup(
        self, requester: Requester, job_id: str, *, link: bool = True, children: int = _CHILDREN
    ) -> QueryDetails:
        """Look up a job with its configuration and its sequences, and add it to the requester's list.

        Args:
            requester: The person who makes the request.
            job_id: The job; that of one sequence of a larger job is as good.
            link: Whether to add it to the requester's list.
            children: How many of its sequences to list.
        """
        meta = self._look_up(requester, job_id, link=link)
        from multiblast.actions.query_details import query_details

        job = self.jobs.query(job_id)
        return query_details(self._database, job, requester, meta, children, self.reason(job))

    @action("restart", flow="restart-job", command="jobs restart")
    def restart(self, requester: Requester, job_id: str) -> CreatedQuery:
        """Let an expired, failed or cancelled job run again from its recipe, with the databases as they are now.

        So may one on which nobody works any more. A complete job is restarted if a database or the program changed
        since it was searched, or if its result was lost.

        Raises:
            ConflictError: it waits or runs, or is complete with its whole result and nothing changed.
            LimitError: the requester has as much as they may have for now.
        """
        self._check_change(requester, job_id)
        job = self.jobs.query(job_id)
        may_restart = self._may_restart(job)
        if job.status in ACTIVE and not may_restart:
            raise ConflictError(f"job {job_id} is {job.status} already: cancel it first if it hangs")
        with self._accounts.usage.count_submission(requester, lambda: job.sequences):
            try:
                self._recorder.record_again(job)
            except InvalidInputError as error:
                raise InvalidInputError([*error.problems, *self._searched_elsewhere(job)]) from error
            if may_restart or self.left_to_search(job_id)[0]:
                self.jobs.move_query([job_id], JobStatus.QUEUED, "restarted")
            elif self.jobs.query(job_id).status == JobStatus.COMPLETE:
                raise ConflictError(f"job {job_id} is complete, and its databases are as they were: there is no need")
        return CreatedQuery(query_job_id=job_id)

    @action("cancel", flow="cancel-job", done="job {job_id} is cancelled")
    def cancel(self, requester: Requester, job_id: str) -> None:
        """Stop a job that waits or runs, its BLAST+ processes within a second or so; what it found is kept.

        Raises:
            ConflictError: it has ended.
        """
        self._check_change(requester, job_id)
        job = self.jobs.query(job_id)
        if job.status not in ACTIVE:
            raise ConflictError(f"job {job_id} is {job.status}: only a queued or running job can be cancelled")
        self.jobs.stop(job, JobStatus.CANCELLED, "cancelled by its user")

    @action("query", answer="FASTA")
    def query(self, requester: Requester, job_id: str) -> BinaryIO:
        """Read the sequences of a job, in canonical FASTA."""
        return self.query_file(requester, job_id).open()

    def query_file(self, requester: Requester, job_id: str) -> StoredFile:
        """Return the sequences of a job as a file: see `query`."""
        self._access.check_read(requester, job_id, JobKind.QUERY)
        job = self.jobs.query(job_id)
        name, store = "query.txt", self._engine.store
        return StoredFile(name, job.query_bytes, "text/plain", job_id, store, job.query_key, job.query_offset)

    def command(self, requester: Requester, job_id: str) -> list[str]:
        """Return what BLAST+ was called with in the last run, the databases by their names.

        Raises:
            NotFoundError: there is no such job, or it has not run.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        from multiblast.search.last_run import shown_command

        return shown_command(self.jobs.query(job_id), self.jobs.last_run(job_id))

    @action("result", answer="one BLAST archive in ASN.1, merged while it is read")
    def result(self, requester: Requester, job_id: str, output: BinaryIO) -> int:
        """Write the result of a complete job, as ASN.1 text that `blast_formatter -archive` reads.

        It is merged while it is written; this counts as use of the result. Returns the number of sequences.

        Raises:
            ConflictError: it is not complete.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        from multiblast.search import search_plugin
        from multiblast.search.whole_archive import write_archive

        if search_plugin(program := self._complete(job_id).program):
            raise ConflictError(
                f"what {program} finds is no BLAST archive: make a report, in format 6, 7, 10, parquet or html"
            )
        self.jobs.touch([job_id])
        # A job that is looked up now is left alone by an expiry that begins now; one before took it away.
        return write_archive(self._engine, self._complete(job_id), output)

    @action("errors")
    def errors(self, requester: Requester, job_id: str) -> Errors:
        """List what went wrong with a job: what its programs wrote to standard error, and which sequences failed."""
        self._access.check_read(requester, job_id, JobKind.QUERY)
        from multiblast.actions.query_details import query_errors

        return query_errors(self._database, job_id, self.jobs.failed(self.jobs.query(job_id)))

    def can_compare(self, job_id: str) -> bool:
        """Whether results of a job are known from before, with other databases or another program version."""
        return self._comparisons.can_compare(self.jobs.query(job_id))

    @action(
        "compare",
        flow="compare-databases",
        answer="hits gained, lost and changed",
        spelled={"before_id": "--before"},
    )
    def compare(self, requester: Requester, job_id: str, before_id: str = "") -> Comparison:
        """Compare a job with what it found before its databases changed, or with another job.

        Args:
            requester: Who compares.
            job_id: The job as it is now.
            before_id: The job to compare with, sequence by sequence; empty is the same job before the change.

        Raises:
            NotAllowedError: the requester may not read one of them.
            ConflictError: nothing changed, or what the numbers of subjects stood for is no longer known.
        """
        for wanted in filter(None, (job_id, before_id)):
            self._access.check_read(requester, wanted, JobKind.QUERY)
        job = self.jobs.query(job_id)
        return self._comparisons.compare(job, self.jobs.query(before_id) if before_id else None)

    def keep_comparison(self, job_id: str, comparison: Comparison) -> str:
        """Keep a comparison of a job as a file, by its content, so that what was handed out stays; return its name."""
        return self._comparisons.keep(job_id, comparison)

    def comparison_file(self, requester: Requester, job_id: str, name: str) -> StoredFile:
        """Return a comparison that was kept, by its name: see `keep_comparison`.

        Raises:
            NotFoundError: there is no such job or comparison.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        return self._comparisons.kept(job_id, name)

    def targets(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Return what can be searched: ``{site: {target: {"naTargets": […], "aaTargets": […]}}}``."""
        return self._engine.targets.tree()

    def _complete(self, job_id: str) -> QueryJob:
        job = self.jobs.query(job_id)
        if job.status != JobStatus.COMPLETE:
            raise ConflictError(f"job {job_id} is {job.status}: its result can be read once it is complete")
        return job

    def _searched_elsewhere(self, job: QueryJob) -> list[Problem]:
        from multiblast.search.last_run import other_root

        root = other_root(self._engine.targets, job, self.jobs.last_run(job.id))
        remedy = f"`--targets-root {root}` searches there again"
        return [Problem(f"it was last searched below {root}: {remedy}")] if root else []
