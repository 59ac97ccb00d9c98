"""Reconciliation: jobs whose run died are put back to queued, so that no job stays in progress with nobody at work.

- A run that searches holds leases and renews them, so a job with a living lease is left alone.
- Else the state of its run decides. One that has ended lost its job; from one that nobody knows, and from one that is
  said to run, the job is taken back after a time without progress, and from one that nobody knows at once where it left
  leases. Should its run live after all, nothing is searched twice, since leases see to that.
- A job whose run ends too often before it does has failed.
- One whose run was cancelled is cancelled, unless another run is at it, as where two people submitted the same.
- A queued job may have a run too, which waits for its turn: that one is cancelled, and found dead, in the same way.
- A report that waits for its query job is left to the run of that, until it is complete.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import TypeAlias

from sqlalchemy import ColumnElement, and_, exists, not_, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from multiblast.database import (
    AnyJob,
    ChildJob,
    Database,
    JobEvent,
    JobKind,
    JobStatus,
    Lease,
    QueryJob,
    ReportJob,
    Result,
    Run,
    among,
    database_now,
    job_table,
    raw,
)
from multiblast.jobs import ACTIVE, OPEN, Jobs, adopted, has_result, is_child, move, waits_for_search
from multiblast.results.holders import PROCESS_RUN, is_gone, process_lives

_log = logging.getLogger(__name__)

_PATIENCE = timedelta(minutes=10)  # with a run that nobody knows, and with a queued job that nobody starts
_STALLED = timedelta(hours=24)  # with a run that is said to go on
_ATTEMPTS = 3
_LOST = "its run ended before it did"


class RunState(StrEnum):
    """What became of a job's run."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    ENDED = "ended"


# With the run of a queued job, by the state of that.
_WAITS_FOR: dict[RunState | None, timedelta] = {RunState.RUNNING: _STALLED, RunState.ENDED: timedelta(0)}

_OF_PROCESS: dict[bool | None, RunState | None] = {True: RunState.RUNNING, False: RunState.ENDED, None: None}

RunStates: TypeAlias = Callable[[set[str]], Mapping[str, RunState]]
"""Returns the states of runs by their ids, without those that it does not know."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job that nobody is about to run, and the number of the event that queued it."""

    job_id: str
    kind: JobKind
    event: int

    def key(self, start: int = 0) -> str:
        """Return the idempotency key of a run for it, so that it is started once, whatever starts it.

        Args:
            start: How many runs for it have ended before they began.
        """
        return f"{self.job_id}-{self.event}-{start}"


@dataclass(slots=True)
class Reconciled:
    """What was done: the ids of jobs, and why some failed."""

    queued: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    children: int = 0  # sequences whose job had ended without them
    waiting: list[Waiting] = field(default_factory=list)  # what is to be run now


@dataclass(frozen=True, slots=True)
class _Active:
    """A job that runs or waits: since when, by which run, and why."""

    job_id: str
    table: type[AnyJob]
    kind: JobKind
    event: int
    at: datetime
    run_id: str
    why: str


class Reconciliation:
    """Brings what is recorded of jobs in step with the runs there are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = Jobs(database)

    def run(self, states: RunStates, now: datetime | None = None) -> Reconciled:
        """Take jobs back from dead runs, and find those that are to be run; the time is in UTC."""
        now, reconciled = now or self._now(), Reconciled()
        for job, state in self._with_states(JobStatus.IN_PROGRESS, states):
            if state is RunState.CANCELLED:
                reconciled.cancelled += self._cancel(job, states)
            elif not self._lives(job, state, now):
                self._take_back(job, reconciled)
        reconciled.children = self._end_children(now - _PATIENCE)
        for job, state in self._with_states(JobStatus.QUEUED, states):
            if state is RunState.CANCELLED:
                reconciled.cancelled += self._cancel(job, states)
            elif job.why == _LOST or now - job.at >= _WAITS_FOR.get(state, _PATIENCE):
                reconciled.waiting.append(Waiting(job.job_id, job.kind, job.event))
        return reconciled

    def _now(self) -> datetime:
        """Return the time by which leases end."""
        with self._database.read() as session:
            return database_now(session)

    def cancelled(self, run_id: str, states: RunStates) -> list[str]:
        """Cancel the jobs that a run was at, or waited for, when it was cancelled; return their ids."""
        active = [job for status in OPEN for job in self._active(status)]
        return [job_id for job in active if job.run_id == run_id for job_id in self._cancel(job, states)]

    def begun(self, run_ids: set[str]) -> set[str]:
        """Return those runs that have begun a job."""
        with self._database.read() as session:
            begun = among(session, col(JobEvent.flow_run), run_ids)
            return set(session.exec(select(JobEvent.flow_run).where(begun)))

    def waiting(self, before: datetime) -> list[Waiting]:
        """Return the jobs that are queued since before a time, and of which no run is known."""
        active = self._active(JobStatus.QUEUED)
        return [Waiting(job.job_id, job.kind, job.event) for job in active if not job.run_id and job.at < before]

    def give_up(self, waiting: Waiting, why: str) -> None:
        """Let a queued job fail, since it cannot be started."""
        table = job_table(waiting.kind)
        with self._database.write() as session:
            mine = and_(col(table.id) == waiting.job_id, col(table.status) == JobStatus.QUEUED)
            move(session, table, mine, JobStatus.FAILED, why)

    def _active(self, status: JobStatus) -> list[_Active]:
        """Return the jobs of a status, the one that has it longest first, each with what gave it that status."""
        found: list[_Active] = []
        with self._database.read() as session:
            for kind in JobKind:
                table = job_table(kind)
                of_status = and_(col(table.status) == status, col(JobEvent.to_status) == status, _own(table))
                statement = select(JobEvent).join(table, col(table.id) == JobEvent.job_id).where(of_status)
                last = {event.job_id: event for event in session.exec(statement.order_by(col(JobEvent.number)))}
                found += [_Active(e.job_id, table, kind, e.number or 0, e.at, e.flow_run, e.why) for e in last.values()]
        return sorted(found, key=lambda job: job.event)

    def _with_states(self, status: JobStatus, states: RunStates) -> Iterator[tuple[_Active, RunState | None]]:
        active = self._active(status)
        run_ids = {job.run_id for job in active if job.run_id}
        processes = {run_id for run_id in run_ids if run_id.startswith(PROCESS_RUN)}
        found = {**states(run_ids - processes), **{run_id: _OF_PROCESS[process_lives(run_id)] for run_id in processes}}
        return ((job, found.get(job.run_id)) for job in active)

    def _lives(self, job: _Active, state: RunState | None, now: datetime) -> bool:
        if state is RunState.ENDED:
            return False
        gone = [is_gone(holder) for holder in self._holders(job, now)]
        if not all(gone):
            return True
        if gone and state is None:  # it was searched by a process that was no run and was killed
            return False
        return now - job.at < (_STALLED if state is RunState.RUNNING else _PATIENCE)

    def _holders(self, job: _Active, now: datetime) -> list[str]:
        """Return who holds leases for sequences of the job."""
        of_child = exists().where(col(QueryJob.list_number) == ChildJob.list_number, col(QueryJob.id) == job.job_id)
        keys = or_(
            col(Lease.key) == job.job_id,  # of a plugin job
            col(Lease.key).in_(select(QueryJob.result_key).where(QueryJob.id == job.job_id)),
            # Of each lease: there are fewer of them than a job may have sequences.
            exists().where(col(ChildJob.result_key) == Lease.key, of_child),
        )
        with self._database.read() as session:
            return list(session.exec(select(Lease.holder).where(keys, col(Lease.expires_at) > now).distinct()))

    def _take_back(self, job: _Active, reconciled: Reconciled) -> None:
        attempts = self._lost_runs(job.job_id) + 1
        to, why = JobStatus.QUEUED, _LOST
        if attempts >= _ATTEMPTS:
            to, why = JobStatus.FAILED, f"{_LOST}, {attempts} times in a row"
        with self._database.write() as session:
            if not self._move(session, job, to, why):
                return
        _log.info("%s: %s", to, why, extra={"job": job.job_id})
        if to is JobStatus.QUEUED:
            reconciled.queued.append(job.job_id)
        else:
            reconciled.failed[job.job_id] = why

    def _cancel(self, job: _Active, states: RunStates) -> list[str]:
        """Cancel a job whose run was cancelled, unless another run is at it, as of somebody who submitted the same."""
        others = self._other_runs(job)
        living = [run_id for run_id, state in states(set(others)).items() if state is RunState.RUNNING]
        with self._database.write() as session:
            if living:
                self._leave_to(session, job, next(run_id for run_id in others if run_id in living))
                return []
            if job.table is QueryJob:  # for a search that should still run
                session.get_one(QueryJob, job.job_id, with_for_update=True).cancel_requested = True
                session.flush()
            moved = self._move(session, job, JobStatus.CANCELLED, "its run was cancelled")
        return [job.job_id] if moved else []

    def _move(self, session: Session, job: _Active, to: JobStatus, why: str) -> int:
        """Move a job unless it went on meanwhile, then those of its children that have no result."""
        table, later = job.table, aliased(JobEvent)
        went_on = exists().where(col(later.job_id) == job.job_id, col(later.number) > job.event)
        mine = and_(col(table.id) == job.job_id, col(table.status).in_(OPEN), not_(went_on))
        moved = move(session, table, mine, to, why, run_id=job.run_id)
        if moved and table is QueryJob:
            parts = adopted(session.get_one(QueryJob, job.job_id), not_(has_result()))
            of_job = and_(parts, col(QueryJob.status).in_(ACTIVE))
            move(session, QueryJob, of_job, to, why, run_id=job.run_id)
        return moved

    def _other_runs(self, job: _Active) -> list[str]:
        """Return the other runs that have come to a job since it ended last, the latest first."""
        events = reversed(self._jobs.history(job.job_id))
        open_since = takewhile(lambda event: event.to_status in OPEN, events)
        found = [event.flow_run for event in open_since if event.flow_run not in {"", job.run_id}]
        # Of a process nobody knows whether it is still at this job.
        return [run_id for run_id in found if not run_id.startswith(PROCESS_RUN)]

    def _leave_to(self, session: Session, job: _Active, run_id: str) -> None:
        """Note that another run has a job now, unless it went on meanwhile."""
        status = session.exec(select(job.table.status).where(job.table.id == job.job_id).with_for_update()).one()
        later = and_(col(JobEvent.job_id) == job.job_id, col(JobEvent.number) > job.event)
        if session.exec(select(JobEvent.number).where(later)).first() is None:
            why = "another run of it was cancelled"
            session.add(JobEvent(job_id=job.job_id, from_status=status, to_status=status, why=why, flow_run=run_id))

    def _lost_runs(self, job_id: str) -> int:
        """Count how often in a row a job was taken back."""
        lost = 0
        for event in reversed(self._jobs.history(job_id)):
            if event.to_status == JobStatus.IN_PROGRESS:
                continue
            if (event.to_status, event.why) != (JobStatus.QUEUED, _LOST):
                break
            lost += 1
        return lost

    def _end_children(self, before: datetime) -> int:
        """Bring those sequences to an end whose jobs have all ended, as by an error that was not theirs."""
        position, parent = aliased(ChildJob), aliased(QueryJob)
        active = exists().where(
            col(position.child_id) == raw(col(QueryJob.id)),
            col(parent.list_number) == position.list_number,
            col(parent.status).in_(ACTIVE),
        )
        left = and_(col(QueryJob.status).in_(ACTIVE), not_(_own(QueryJob)), not_(active), _quiet(QueryJob, before))
        known = exists().where(col(Result.key) == QueryJob.result_key)
        with self._database.write() as session:
            ended = move(session, QueryJob, and_(left, known), JobStatus.COMPLETE)
            return ended + move(session, QueryJob, left, JobStatus.FAILED, "its job ended before it was searched")


def _own(table: type[AnyJob]) -> ColumnElement[bool]:
    """Return the condition that a job has runs of its own, rather than those of other query jobs."""
    if table is ReportJob:
        return not_(waits_for_search())
    runs = exists().where(col(Run.job_id) == table.id, col(Run.finished_at).is_(None))
    return or_(not_(is_child()), runs) if table is QueryJob else true()


def _quiet(table: type[AnyJob], before: datetime) -> ColumnElement[bool]:
    """Return the condition that nothing has happened to a job since a time."""
    event = aliased(JobEvent)
    return not_(exists().where(col(event.job_id) == table.id, col(event.at) > before))
