"""The door of query jobs: every action on them, where rights are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import cached_property, partial
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import func
from sqlmodel import Session, col, select

from multiblast.accounts import Accounts, FairQueue, Requester
from multiblast.accounts.job_rights import readable
from multiblast.actions.answers import (
    ChildItem,
    CreatedQuery,
    Errors,
    JobConfig,
    ProgramFailure,
    QueryDetails,
    QueryItem,
    QueryTarget,
    SequenceFailure,
    UserMeta,
)
from multiblast.actions.catalogue import action
from multiblast.actions.job_door import JobDoor
from multiblast.actions.stored_file import StoredFile
from multiblast.database import BatchRun, ChildJob, JobEvent, JobKind, JobStatus, QueryJob
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.ids import digest_of_text, is_id
from multiblast.jobs import ACTIVE, RESTARTABLE, child_rows, child_status, is_child
from multiblast.object_kinds import ObjectKind
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
        """Let a submitted job go its way: if every result is known it ends at once, else a run must be started.

        One that had expired, failed or been cancelled waits again.

        Returns:
            What the run is started for; None if it needs no run, or has one.
        """
        job = self.jobs.query(job_id)
        if job.status in RESTARTABLE:
            self.jobs.move_query([job_id], JobStatus.QUEUED, "submitted again")
        elif job.status != JobStatus.QUEUED:
            return None
        if self._settles_known and self.run(job_id).settle_known(job):
            return None
        return self.waiting(job_id)

    def searched_job(self, job_id: str, *, count: int = MOST_ROWS) -> SearchedJob:
        """Return what became of a job, without a check of rights, for its run: see `multiblast.search.searched_job`."""
        return searched_job(self._database, job_id, count=count)

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
        """Return the jobs in the requester's list, newest first; of an administrator without a name, all jobs.

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
        """Return a job with its configuration and its sequences, and add it to the requester's list.

        Args:
            requester: The person who makes the request.
            job_id: The job; that of one sequence of a larger job is as good.
            link: Whether to add it to their list.
            children: How many of its sequences to list.
        """
        meta = self._look_up(requester, job_id, link=link)
        job = self.jobs.query(job_id)
        with self._database.read() as session:
            as_before = None
            if job.expired_digest and job.status == JobStatus.COMPLETE:
                from multiblast.results.results import results_digest

                as_before = results_digest(session, job) == job.expired_digest
            listed = tuple(_children(session, job, children)) if job.sequences > 1 else ()
            return QueryDetails(
                query_job_id=job.id,
                status=job.status,
                site=job.site,
                created_on=job.created_at,
                user_meta=meta,
                job_config=JobConfig(
                    site=job.site, targets=tuple(QueryTarget.model_validate(target) for target in job.recipe["targets"])
                ),
                blast_config=_blast_config(job),
                sequences=job.sequences,
                children=listed or None,
                sub_jobs=tuple(child.query_job_id for child in listed) or None,
                parents=tuple(_parents(session, requester, job_id)) or None,
                reason=job.reason or None,
                pinned=job.pinned,
                queue_position=_queue_position(session, job) if job.status == JobStatus.QUEUED else None,
                results_as_before=as_before,
            )

    @action("restart", flow="restart-job", command="jobs restart")
    def restart(self, requester: Requester, job_id: str) -> CreatedQuery:
        """Let an expired, failed or cancelled job run again from its recipe, with the databases as they are now.

        A complete job is restarted if a database or the program changed since it was searched, or if its result was
        lost.

        Raises:
            ConflictError: it waits or runs, or is complete with its whole result and nothing changed.
            LimitError: the requester has as much as they may have for now.
        """
        self._check_change(requester, job_id)
        job = self.jobs.query(job_id)
        if job.status in ACTIVE:
            raise ConflictError(f"job {job_id} is {job.status} already: cancel it first if it hangs")
        with self._accounts.usage.count_submission(requester, lambda: job.sequences):
            try:
                self._recorder.record_again(job)
            except InvalidInputError as error:
                raise InvalidInputError([*error.problems, *self._elsewhere(job)]) from error
            if job.status in RESTARTABLE or self.left_to_search(job_id)[0]:
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
        """Open the sequences of a job, in canonical FASTA."""
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
        command, job = list(self.searched_job(job_id, count=1).command), self.jobs.query(job_id)
        if not command:
            raise NotFoundError("run of query job", job_id, "wait until it runs")
        names = (f"{job.site}/{target['targetDisplayName']}/{target['targetFile']}" for target in job.recipe["targets"])
        from multiblast.search import search_plugin

        if search_plugin(job.program):
            return [" ".join(names) if _MADE_DATABASE.search(word) else word for word in command]
        command[command.index("-db") + 1] = " ".join(names)
        return [word.rpartition("/")[2] if word.startswith("/") else word for word in command]

    @action("result", answer="one BLAST archive in ASN.1, merged while it is read")
    def result(self, requester: Requester, job_id: str, output: BinaryIO) -> int:
        """Write the result of a complete job, as ASN.1 text that ``blast_formatter -archive`` reads.

        It is merged while it is written; this counts as use of the result. Returns the number of sequences.

        Raises:
            ConflictError: it is not complete.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        from multiblast.archive import merge
        from multiblast.search import search_plugin

        if search_plugin(program := self._complete(job_id).program):
            raise ConflictError(
                f"what {program} finds is no BLAST archive: make a report, in format 6, 7, 10, parquet or html"
            )
        self.jobs.touch([job_id])
        job = self._complete(job_id)  # an expiry that begins now leaves it alone; one before took it away
        return merge(self._parts(job), output, self._database_argument(job))

    @action("errors")
    def errors(self, requester: Requester, job_id: str) -> Errors:
        """Return what went wrong with a job: what its programs wrote to standard error, and which sequences failed."""
        self._access.check_read(requester, job_id, JobKind.QUERY)
        job = self.jobs.query(job_id)
        with self._database.read() as session:
            runs = session.exec(select(BatchRun).where(BatchRun.job_id == job_id).order_by(col(BatchRun.number))).all()
        return Errors(
            stderr="".join(run.stderr for run in runs),
            programs=tuple(
                ProgramFailure(
                    at=run.started_at,
                    sequences=run.sequences,
                    exit_code=run.exit_code,
                    failure_class=run.failure_class,
                    stderr=run.stderr,
                )
                for run in runs
                if run.stderr or run.failure_class
            ),
            sequences=tuple(
                SequenceFailure(
                    query_job_id=child.job_id,
                    position=child.position,
                    failure_class=child.failure_class,
                    message=child.message or "",
                )
                for child in self.jobs.failed(job)
                if child.failure_class is not None
            ),
        )

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
        from multiblast.actions.comparison import write_changes

        with TemporaryFile() as file:
            text = TextIOWrapper(file, "utf-8", newline="", write_through=True)
            write_changes(comparison.changes, text)
            name = f"{digest_of_text('comparison/1', file)}.tsv"
            file.seek(0)
            self._engine.store.put(comparison_key(job_id, name), file)
            text.detach()
        return name

    def comparison_file(self, requester: Requester, job_id: str, name: str) -> StoredFile:
        """Return a comparison that was kept, by its name: see `keep_comparison`.

        Raises:
            NotFoundError: there is no such job or comparison.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        key, store = comparison_key(job_id, name), self._engine.store
        if not (is_id(name.removesuffix(".tsv")) and store.exists(key)):
            raise NotFoundError("comparison", name[:60], "compare the job again")
        return StoredFile(name, store.stat(key).size_bytes, "text/tab-separated-values", name, store, key)

    def targets(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Return what can be searched: ``{site: {target: {"naTargets": […], "aaTargets": […]}}}``."""
        return self._engine.targets.tree()

    def _complete(self, job_id: str) -> QueryJob:
        job = self.jobs.query(job_id)
        if job.status != JobStatus.COMPLETE:
            raise ConflictError(f"job {job_id} is {job.status}: its result can be read once it is complete")
        return job

    def _parts(self, job: QueryJob) -> Iterator[tuple[bytes, bytes]]:
        from multiblast.sequences import read_canonical

        keys = (child.result_key for child in self.jobs.children(job))
        with closing(self._engine.store.open(job.query_key, job.query_offset, job.query_bytes)) as stream:
            for sequence, archive in zip(read_canonical(stream), self.results.archives(keys), strict=True):
                yield sequence.defline, archive

    def _elsewhere(self, job: QueryJob) -> Iterator[Problem]:
        """Yield where a job was last searched, if that was below another targets root."""
        run, targets = self.jobs.last_run(job.id), self._engine.targets
        if run is None or "-db" not in run.command or "{build}" in targets.layout.pattern:
            return
        searched, roots = run.command[run.command.index("-db") + 1], []
        for target in job.recipe["targets"]:
            directory = targets.layout.directory(job.site, target["targetDisplayName"])
            before, found, _ = searched.partition(f"/{directory}/{target['targetFile']}")
            roots += [before.lstrip('"')] if found else []
        # Of several, the shortest is of the one that is named first.
        root = min(roots, key=len, default=str(targets.root))
        if root != str(targets.root):
            yield Problem(f"it was last searched below {root}: `--targets-root {root}` searches there again")

    def _database_argument(self, job: QueryJob) -> str:
        """Return where the databases are now, or were when the job was searched if they have changed since."""
        from multiblast.targets import database_argument

        try:
            return database_argument(self._engine.resolver.context(job).databases)
        except (ConflictError, InvalidInputError) as error:
            run = self.jobs.last_run(job.id)
            if run is None:
                raise NotFoundError("run of query job", job.id, "restart it") from error
            return run.command[run.command.index("-db") + 1]


def comparison_key(job_id: str, name: str) -> str:
    """Return where a comparison of a job lies in the store."""
    return ObjectKind.COMPARISON.key(f"{job_id}-{name}")


def _blast_config(job: QueryJob) -> dict[str, Any]:
    from multiblast.search import options_of

    options = options_of(job)
    return {"tool": job.program} | {options.declared[name].config: value for name, value in options.changed().items()}


def _children(session: Session, job: QueryJob, count: int) -> Iterator[ChildItem]:
    columns = (ChildJob.position, ChildJob.child_id, child_status(), ChildJob.title)
    mine = child_rows(*columns).where(ChildJob.list_number == job.list_number, ChildJob.position <= count)
    for position, child_id, status, title in session.execute(mine.order_by(None).order_by(ChildJob.position)):
        yield ChildItem(query_job_id=child_id, position=position, status=status, title=title)


def _parents(session: Session, requester: Requester, job_id: str) -> list[str]:
    statement = (
        select(QueryJob.id)
        .join(ChildJob, col(ChildJob.list_number) == QueryJob.list_number)
        .where(ChildJob.child_id == job_id, readable(requester, JobKind.QUERY))
        .distinct()
        .order_by(QueryJob.id)
    )
    return list(session.exec(statement))


def _queue_position(session: Session, job: QueryJob) -> int:
    """Return how many jobs that were submitted wait since before this one, and itself."""
    since = func.max(JobEvent.number)  # a queued job's last event is that it was queued
    own = session.exec(select(since).where(JobEvent.job_id == job.id)).one()
    earlier = (
        select(QueryJob.id)
        .join(JobEvent, col(JobEvent.job_id) == QueryJob.id)
        .where(QueryJob.status == JobStatus.QUEUED, ~is_child())
        .group_by(QueryJob.id)
        .having(since < (own or 0))
    )
    return int(session.exec(select(func.count()).select_from(earlier.subquery())).one()) + 1
