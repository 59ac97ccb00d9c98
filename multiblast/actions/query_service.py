"""The query service: every action on query jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import func
from sqlmodel import Session, col, select

from multiblast.accounts import Accounts, Requester
from multiblast.accounts.access import readable
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
from multiblast.actions.job_list import JobList, read_page
from multiblast.actions.requests import read_create_query, renamed
from multiblast.archive import merge
from multiblast.database import BatchRun, ChildJob, Database, JobEvent, JobKind, JobStatus, QueryJob, Run
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError
from multiblast.jobs import ACTIVE, RESTARTABLE
from multiblast.results.digests import results_digest
from multiblast.search import Recorded, Search, StoreKey, Submission
from multiblast.sequences import read_fasta
from multiblast.stores import Store
from multiblast.targets import Targets, database_argument

__all__ = ["QueryService"]

_CHILDREN = 1000


class QueryService(JobList):
    """Every action on query jobs, for whoever asks.

    Args:
        database: The job database.
        store: Where queries and results are kept.
        search: What records and searches.
        accounts: Who users and guests are.
        targets: What can be searched.
    """

    def __init__(self, database: Database, store: Store, search: Search, accounts: Accounts, targets: Targets) -> None:
        super().__init__(JobKind.QUERY, database, search.jobs, accounts)
        self._store, self._search, self._targets = store, search, targets

    def create(
        self, requester: Requester, config: Mapping[str, Any], query: str | bytes | Path | StoreKey = ""
    ) -> CreatedQuery:
        """Record a query job from a request in the design's form; the same request finds the same job.

        Args:
            requester: Who asks; the job is added to their list unless the request opts out.
            config: ``{"jobConfig", "blastConfig", "userMeta"?}``.
            query: The sequences, if not in ``jobConfig.query``.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            LimitError: the requester has as much as they may have for now.
        """
        submission, add = read_create_query(config, query)
        try:
            recorded = self.record(requester, submission, add_to_collection=add)
        except InvalidInputError as error:
            raise renamed(error) from error
        return CreatedQuery(query_job_id=recorded.job_id)

    def record(self, requester: Requester, submission: Submission, *, add_to_collection: bool = True) -> Recorded:
        """Record a query job from a submission whose form is checked: see `create`."""
        owner = requester.owner if add_to_collection else ""
        submission = replace(submission, owner=owner)
        with self.accounts.usage.count_submission(requester, lambda: self._count(submission)):
            recorded = self._search.record(submission)
        if owner:  # a link that was there before gets the new words
            words = {"summary": submission.summary, "description": submission.description}
            self._links.add(owner, recorded.job_id, JobKind.QUERY, **words)
        return recorded

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

        Raises:
            InvalidInputError: with every problem, by key.
        """
        chosen = read_page(status, first, count)
        owner = None if requester.administrator and not requester.owner else requester.owner
        rows = self._links.queries(owner, site=site, status=chosen, first=first, count=count)
        return [
            QueryItem(
                query_job_id=row.job_id,
                status=row.status,
                site=row.site,
                created_on=row.created_at,
                user_meta=UserMeta.of(row.summary, row.description),
            )
            for row in rows
        ]

    def lookup(
        self, requester: Requester, job_id: str, *, link: bool = True, children: int = _CHILDREN
    ) -> QueryDetails:
        """Return a job with its configuration and its sequences, and add it to the requester's list.

        Args:
            requester: Who asks.
            job_id: The job; that of one sequence of a larger job is as good.
            link: Whether to add it to their list.
            children: How many of its sequences to tell.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        if link and requester.owner and self._links.get(requester.owner, job_id) is None:
            self._links.add(requester.owner, job_id, JobKind.QUERY)
        job = self._jobs.query(job_id)
        with self._database.read() as session:
            as_before = None
            if job.expired_digest and job.status == JobStatus.COMPLETE:
                as_before = results_digest(session, job) == job.expired_digest
            return QueryDetails(
                query_job_id=job.id,
                status=job.status,
                site=job.site,
                created_on=job.created_at,
                user_meta=self._meta(requester, job_id),
                job_config=JobConfig(
                    site=job.site, targets=tuple(QueryTarget.model_validate(target) for target in job.recipe["targets"])
                ),
                blast_config=self._blast_config(job),
                sequences=job.sequences,
                children=tuple(_children(session, job, children)) or None,
                parents=tuple(_parents(session, requester, job_id)) or None,
                reason=job.reason or None,
                pinned=job.pinned,
                queue_position=_queue_position(session, job) if job.status == JobStatus.QUEUED else None,
                results_as_before=as_before,
            )

    def restart(self, requester: Requester, job_id: str) -> CreatedQuery:
        """Let an expired, failed or cancelled job run again from its recipe, with the databases as they are now.

        A complete job is restarted if a database or the program changed since it was searched.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: it is not in the requester's list.
            ConflictError: it waits or runs, or is complete and nothing changed.
            LimitError: the requester has as much as they may have for now.
        """
        self._access.check_change(requester, job_id, JobKind.QUERY)
        job = self._jobs.query(job_id)
        if job.status in ACTIVE:
            raise ConflictError(f"job {job_id} is {job.status} already: cancel it first if it hangs")
        with self.accounts.usage.count_submission(requester, lambda: job.sequences):
            self._search.restart(job_id)
            if job.status in RESTARTABLE:
                self._jobs.move_query([job_id], JobStatus.QUEUED, "restarted")
            elif self._jobs.query(job_id).status == JobStatus.COMPLETE:
                raise ConflictError(f"job {job_id} is complete, and its databases are as they were: there is no need")
        return CreatedQuery(query_job_id=job_id)

    def cancel(self, requester: Requester, job_id: str) -> None:
        """Stop a job that waits or runs; what it found is kept.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: it is not in the requester's list.
            ConflictError: it has ended.
        """
        self._access.check_change(requester, job_id, JobKind.QUERY)
        self._search.cancel(job_id)

    def query(self, requester: Requester, job_id: str) -> BinaryIO:
        """Open the sequences of a job, in canonical FASTA.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        job = self._jobs.query(job_id)
        return self._store.open(job.query_key, job.query_offset, job.query_bytes)

    def result(self, requester: Requester, job_id: str, output: BinaryIO) -> int:
        """Write the result of a complete job, as ASN.1 text that ``blast_formatter -archive`` reads.

        It is merged while it is written; this counts as use of the result.

        Returns:
            How many sequences' results were written.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
            ConflictError: it is not complete.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        self._complete(job_id)
        self._jobs.touch([job_id])
        job = self._complete(job_id)  # an expiry that begins now leaves it alone; one before took it away
        return merge(self._parts(job), output, self._database_argument(job))

    def errors(self, requester: Requester, job_id: str) -> Errors:
        """Return what went wrong with a job: what its programs wrote to standard error, and which sequences failed.

        Raises:
            NotFoundError: there is no such job.
            NotAllowedError: the requester may not read it.
        """
        self._access.check_read(requester, job_id, JobKind.QUERY)
        job = self._jobs.query(job_id)
        with self._database.read() as session:
            runs = session.exec(select(BatchRun).where(BatchRun.job_id == job_id).order_by(col(BatchRun.number))).all()
        failed = [child for child in self._jobs.children(job) if child.failure is not None]
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
                    failure_class=child.failure.failure_class,
                    message=child.failure.message,
                )
                for child in failed
                if child.failure is not None
            ),
        )

    def targets(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Return what can be searched: ``{site: {target: {"naTargets": […], "aaTargets": […]}}}``."""
        return self._targets.tree()

    def _blast_config(self, job: QueryJob) -> dict[str, Any]:
        options = self._search.options(job)
        return {"tool": job.program} | {options.option(name).config: value for name, value in options.changed().items()}

    def _complete(self, job_id: str) -> QueryJob:
        job = self._jobs.query(job_id)
        if job.status != JobStatus.COMPLETE:
            raise ConflictError(f"job {job_id} is {job.status}: its result can be read once it is complete")
        return job

    def _count(self, submission: Submission) -> int:
        """Count the sequences of a submission, which is checked before, so that bad input is not called too much."""
        self._search.check(submission)
        source = submission.query
        if getattr(submission.options, "in_pssm", ""):
            return 1
        if isinstance(source, StoreKey):
            if not self._store.exists(source):
                return 0  # recording says what is wrong
            with closing(self._store.open(source)) as stream:
                return sum(1 for _ in read_fasta(stream))
        return sum(1 for _ in read_fasta(source))

    def _parts(self, job: QueryJob) -> Iterator[tuple[bytes, bytes]]:
        keys = [child.result_key for child in self._jobs.children(job)]
        with closing(self._store.open(job.query_key, job.query_offset, job.query_bytes)) as stream:
            for sequence, archive in zip(read_fasta(stream), self._search.results.archives(keys), strict=True):
                yield sequence.defline, archive

    def _database_argument(self, job: QueryJob) -> str:
        """Return where the databases are now, or were when the job was searched if they have changed since."""
        try:
            return database_argument(self._search.context(job.id).databases)
        except (ConflictError, InvalidInputError) as error:
            with self._database.read() as session:
                run = session.exec(select(Run).where(Run.job_id == job.id).order_by(col(Run.number).desc())).first()
            if run is None:
                raise NotFoundError("run of query job", job.id, "restart it") from error
            return run.command[run.command.index("-db") + 1]


def _children(session: Session, job: QueryJob, count: int) -> Iterator[ChildItem]:
    statement = (
        select(ChildJob.position, QueryJob.id, QueryJob.status, QueryJob.title)
        .join(QueryJob, col(QueryJob.id) == ChildJob.child_id)
        .where(ChildJob.parent_id == job.id, ChildJob.position <= count)
        .order_by(col(ChildJob.position))
    )
    for position, child_id, status, title in session.exec(statement):
        yield ChildItem(query_job_id=child_id, position=position, status=status, title=title)


def _parents(session: Session, requester: Requester, job_id: str) -> list[str]:
    statement = (
        select(QueryJob.id)
        .join(ChildJob, col(ChildJob.parent_id) == QueryJob.id)
        .where(ChildJob.child_id == job_id, readable(requester, JobKind.QUERY))
        .distinct()
        .order_by(QueryJob.id)
    )
    return list(session.exec(statement))


def _queue_position(session: Session, job: QueryJob) -> int:
    """Return how many jobs that were submitted wait since before this one, and itself."""
    since = func.max(JobEvent.number)
    own = session.exec(select(since).where(JobEvent.job_id == job.id)).one()
    children = select(ChildJob.child_id).where(ChildJob.child_id == QueryJob.id).exists()
    earlier = (
        select(QueryJob.id)
        .join(JobEvent, col(JobEvent.job_id) == QueryJob.id)
        .where(QueryJob.status == JobStatus.QUEUED, ~children)
        .group_by(QueryJob.id)
        .having(since < (own or 0))
    )
    return int(session.exec(select(func.count()).select_from(earlier.subquery())).one()) + 1
