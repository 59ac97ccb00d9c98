"""Query jobs as they run: started, stopped, settled, and with them those children that are jobs of their own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, not_, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, Database, Failure, JobStatus, QueryJob, Result, Run, among, utc_now
from multiblast.errors import JobFailedError
from multiblast.jobs.children import (
    CHANGED_AT_ONCE,
    COULD_NOT,
    adopt,
    adopted,
    adopted_slices,
    has_failed,
    has_result,
)
from multiblast.jobs.states import ACTIVE, move

_log = logging.getLogger(__name__)

_FEW = 10_000  # sequences, which are counted in a twentieth of a second


@dataclass(frozen=True, slots=True)
class Counts:
    """How many sequences of a job are there, done and failed; positions count, also of equal sequences."""

    sequences: int
    done: int
    failed: int


class JobRuns:
    """What a run does to a query job, and to its children; those of a large job change a slice at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, job: QueryJob) -> Counts:
        """Count a job's sequences, done and failed, in one query."""
        with self._database.read() as session:
            return _counts(session, job)

    def start(self, job: QueryJob, *, run_id: str = "", unless_cancelled: bool = False) -> None:
        """Note that a job runs now, and with it those of its children that have no result.

        Raises:
            JobFailedError: it is cancelled, and is not to be run then.
        """
        with self._database.write() as session:
            adopt(session, job.id)
            again = session.get_one(QueryJob, job.id, with_for_update=True)
            if unless_cancelled and again.status == JobStatus.CANCELLED:
                raise JobFailedError(job.id, again.status, again.reason)
            again.cancel_requested, again.attempts = False, again.attempts + 1
            session.flush()
            attempts, is_large = again.attempts, again.sequences > CHANGED_AT_ONCE
            for searched in _with_parts(again, not_(has_result()), of_large=False):
                _begin(session, searched, run_id)
        if is_large:
            self._start_parts(job.id, attempts, run_id)
        _log.info("runs now", extra={"job": job.id})

    def _start_parts(self, job_id: str, attempts: int, run_id: str) -> None:
        """Note that children run, unless their parent stops, or starts again, meanwhile."""
        with self._database.read() as session:
            parent = session.get_one(QueryJob, job_id)
        for some in adopted_slices(self._database, parent, not_(has_result())):
            with self._database.write() as session:
                held = session.get_one(QueryJob, job_id, with_for_update=True)
                if (held.status, held.attempts) != (JobStatus.IN_PROGRESS, attempts):
                    return
                # One that got its result since ends with the job: to look at results again would take long here.
                _begin(session, among(session, col(QueryJob.id), some), run_id)

    def _move_parts(  # noqa: PLR0913, PLR0917 - a change of state has this many facts
        self,
        job: QueryJob,
        conditions: Sequence[ColumnElement[bool]],
        sources: Collection[JobStatus],
        to: JobStatus,
        why: str,
        run_id: str,
    ) -> None:
        """Change the status of a large job's children, so that the job's own change finds few left."""
        if job.sequences <= CHANGED_AT_ONCE:
            return
        mine = col(QueryJob.status).in_(sources)
        for some in adopted_slices(self._database, job, *conditions, which=mine):
            with self._database.write() as session:
                held = session.get_one(QueryJob, job.id, with_for_update=True)
                parts = adopted(held, *conditions) & among(session, col(QueryJob.id), some)
                move(session, QueryJob, parts, to, why, run_id=run_id)

    def stop(self, job: QueryJob, to: JobStatus, why: str, *, run_id: str = "") -> None:
        """Note that a job fails or is cancelled, and with it those of its children that have no result.

        Of a cancelled job, what still runs is stopped.
        """
        if to is JobStatus.CANCELLED:  # at once, whatever takes long
            with self._database.write() as session:
                session.get_one(QueryJob, job.id, with_for_update=True).cancel_requested = True
        self._move_parts(job, [not_(has_result())], ACTIVE, to, why, run_id)
        with self._database.write() as session:
            held = session.get_one(QueryJob, job.id, with_for_update=True)
            held.cancel_requested = held.cancel_requested or to is JobStatus.CANCELLED
            session.flush()
            for left in _with_parts(held, not_(has_result())):
                move(session, QueryJob, left, to, why, run_id=run_id)
        _log.info("%s: %s", to, why, extra={"job": job.id})

    def settle(self, job: QueryJob, *, run_id: str = "", run: Run | None = None) -> JobStatus:
        """Complete a job if all its sequences have a result, or fail it if some cannot have one; return its status.

        So are those of its children that are jobs of their own. A ``run`` that is over with this is recorded in the
        same transaction.
        """
        has_ended, has_not = [has_result()], [has_failed(), not_(has_result())]
        self._move_parts(job, has_ended, set(JobStatus) - {JobStatus.COMPLETE}, JobStatus.COMPLETE, "", run_id)
        self._move_parts(job, has_not, ACTIVE, JobStatus.FAILED, COULD_NOT, run_id)
        counts = self.counts(job)  # before the transaction: of a million sequences this takes a second
        with self._database.write() as session:
            held = session.get_one(QueryJob, job.id, with_for_update=True)  # the parent before its children, always
            if (held.attempts, held.list_number) != (job.attempts, job.list_number) or held.sequences <= _FEW:
                counts = _counts(session, held)  # a restart forgets failures
            status, mine = JobStatus(held.status), col(QueryJob.id) == job.id
            to, why = status, ""
            if counts.done == counts.sequences:
                to = JobStatus.COMPLETE
            elif counts.failed and counts.done + counts.failed >= counts.sequences:
                to, why = JobStatus.FAILED, f"{counts.failed} of {counts.sequences} sequences could not be searched"
            if to != status and move(session, QueryJob, mine, to, why, run_id=run_id):
                status = to
            if held.list_number is not None:
                move(session, QueryJob, adopted(held, *has_ended), JobStatus.COMPLETE, run_id=run_id)
                move(session, QueryJob, adopted(held, *has_not), JobStatus.FAILED, COULD_NOT, run_id=run_id)
            if run is not None:
                held.attempts += 1
                session.add(run)
        _log.info("is %s", status, extra={"job": job.id})
        return status

    def end_runs(self, job: QueryJob) -> None:
        """Note that no run of a job is left; the last one reused all results that are not its own."""
        with self._database.read() as session:
            runs = select(Run).where(Run.job_id == job.id).order_by(col(Run.number).desc())
            last = session.exec(runs.limit(1)).first()
            # To count takes long: it is done where some are equal, or failed, or were searched by others.
            is_counted = last is None or last.searched + last.reused == job.sequences
            found = job.sequences if is_counted else _with_result(session, job)
        with self._database.write() as session:
            if last is not None:
                reused = max(0, found - last.searched)  # what was lost on the way was searched twice
                session.exec(update(Run).where(col(Run.number) == last.number).values(reused=reused))
            unfinished = update(Run).where(col(Run.job_id) == job.id, col(Run.finished_at).is_(None))
            session.exec(unfinished.values(finished_at=utc_now()))


def _with_result(session: Session, job: QueryJob) -> int:
    """Return how many different sequences of a job have a result."""
    if job.list_number is None:
        return _counts(session, job).done
    keys = select(ChildJob.result_key).where(ChildJob.list_number == job.list_number)
    return session.exec(select(func.count()).select_from(Result).where(col(Result.key).in_(keys))).one()


def _counts(session: Session, job: QueryJob) -> Counts:
    if job.list_number is None:
        done = session.get(Result, job.result_key) is not None
        failed = session.get(Failure, job.result_key) is not None
        return Counts(1, int(done), int(failed))
    statement = (
        sa_select(func.count(), func.count(col(Result.key)), func.count(col(Failure.key)))
        .select_from(ChildJob)
        .where(col(ChildJob.list_number) == job.list_number)
        .outerjoin(Result, col(Result.key) == ChildJob.result_key)
        .outerjoin(Failure, col(Failure.key) == ChildJob.result_key)
    )
    return Counts(*map(int, session.connection().execute(statement).one()))


def _begin(session: Session, which: ColumnElement[bool], run_id: str) -> None:
    move(session, QueryJob, which, JobStatus.QUEUED, "submitted again", run_id=run_id)
    move(session, QueryJob, which, JobStatus.IN_PROGRESS, run_id=run_id)


def _with_parts(
    job: QueryJob, *conditions: ColumnElement[bool], of_large: bool = True
) -> Iterator[ColumnElement[bool]]:
    """Yield the condition for a job, and that for those children under conditions that are jobs of their own."""
    yield col(QueryJob.id) == job.id
    if job.list_number is not None and (of_large or job.sequences <= CHANGED_AT_ONCE):
        yield adopted(job, *conditions)
