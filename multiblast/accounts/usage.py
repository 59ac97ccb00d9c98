"""How much one user may have: jobs that wait, sequences a day, bytes kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.accounts.requester import Requester
from multiblast.database import (
    ChildJob,
    Database,
    JobStatus,
    Link,
    PluginJob,
    QueryJob,
    ReportJob,
    Result,
    Run,
    utc_now,
)
from multiblast.errors import LimitError
from multiblast.settings import Policy, UserLimits

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SHORTEST_WAIT = timedelta(minutes=1)
_RUNS_AVERAGED = 20


class UsageLimits:
    """Lets users submit as long as they are within their limits; administrators have none."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._limits = policy.users
        self._keep = timedelta(days=policy.keep_days)
        self._at_a_time = policy.jobs_at_a_time

    @contextmanager
    def count_submission(
        self, requester: Requester, count: Callable[[], int], now: datetime | None = None
    ) -> Iterator[None]:
        """Count a submission, unless the block fails; its sequences are counted only if there are limits.

        Raises:
            LimitError: it would be too much; nothing is counted, and the block is not entered.
        """
        if requester.administrator or not requester.owner or self._limits == UserLimits():
            yield
            return
        now, sequences = now or utc_now(), count()
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._database.read() as session:  # before the transaction: of a million results it takes a second
            self._check_bytes(session, requester.owner, now)
        with self._database.write() as session:
            self._check(session, requester.owner, sequences, now)
            _count(session, requester.owner, hour, sequences)
        try:
            yield
        except BaseException:  # also of a process that is being stopped: what was not recorded must not count
            with self._database.write() as session:
                _count(session, requester.owner, hour, -sequences)
            raise

    def at_job_limit(self, job_id: str) -> bool:
        """Whether as many other jobs run as may at a time, of those who have this one in their lists."""
        if not self._at_a_time:
            return False
        owners = select(Link.owner).where(Link.job_id == job_id)
        running = (
            select(func.count(func.distinct(QueryJob.id)))
            .join(Link, (col(Link.job_id) == QueryJob.id) & col(Link.owner).in_(owners))
            .where(QueryJob.status == JobStatus.IN_PROGRESS, QueryJob.id != job_id)
        )
        with self._database.read() as session:
            return int(session.exec(running).one()) >= self._at_a_time

    def _check(self, session: Session, owner: str, sequences: int, now: datetime) -> None:
        limits = self._limits
        if limits.jobs_queued and (waiting := _jobs_waiting(session, owner)) >= limits.jobs_queued:
            message = f"{waiting} of your jobs wait or run, and {limits.jobs_queued} may"
            raise LimitError("jobs_queued", message, now + _usual_duration(session))
        if limits.sequences_per_day:
            self._check_day(session, owner, sequences, now)

    def _check_bytes(self, session: Session, owner: str, now: datetime) -> None:
        limits = self._limits
        if limits.bytes_kept and (kept := bytes_kept(session, owner)) >= limits.bytes_kept:
            message = f"{kept:,} bytes are kept for you, and {limits.bytes_kept:,} may be: remove jobs from your list"
            raise LimitError("bytes_kept", message, max(now + _SHORTEST_WAIT, _oldest_use(session, owner) + self._keep))

    def _check_day(self, session: Session, owner: str, sequences: int, now: datetime) -> None:
        allowed = self._limits.sequences_per_day
        statement = (
            select(tables.Usage)
            .where(tables.Usage.owner == owner, col(tables.Usage.hour) > now - _DAY)
            .order_by(col(tables.Usage.hour))
        )
        hours = session.exec(statement).all()
        used = sum(hour.sequences for hour in hours)
        if used + sequences <= allowed:
            return
        retry_at, left = now + _DAY, used
        for hour in hours:
            left -= hour.sequences
            if left + sequences <= allowed:
                retry_at = hour.hour + _DAY
                break
        message = f"{sequences:,} sequences are too many: you submitted {used:,} in 24 hours, and {allowed:,} may be"
        raise LimitError("sequences_per_day", message, retry_at)


def bytes_kept(session: Session, owner: str) -> int:
    """Return the bytes kept for an owner: results, those that several jobs share once, reports, outputs of plugins."""
    linked = select(Link.job_id).where(Link.owner == owner)
    alone = select(QueryJob.result_key).where(col(QueryJob.id).in_(linked))
    parents = select(QueryJob.list_number).where(col(QueryJob.id).in_(linked))
    in_parents = select(ChildJob.result_key).where(col(ChildJob.list_number).in_(parents))
    total = func.coalesce(func.sum(Result.length), 0)
    results = session.exec(select(total).where(col(Result.key).in_(alone) | col(Result.key).in_(in_parents))).one()
    reports = session.exec(select(ReportJob.files).where(col(ReportJob.id).in_(linked)))
    outputs = session.exec(select(PluginJob.outputs).where(col(PluginJob.id).in_(linked)))
    return int(results) + sum(int(file["size"]) for files in (*reports, *outputs) for file in files)


def _count(session: Session, owner: str, hour: datetime, sequences: int) -> None:
    used = session.get(tables.Usage, (owner, hour)) or tables.Usage(owner=owner, hour=hour)
    used.sequences += sequences
    session.add(used)


def _jobs_waiting(session: Session, owner: str) -> int:
    linked = select(Link.job_id).where(Link.owner == owner)
    waiting = 0
    for table in (QueryJob, PluginJob):
        active = col(table.status).in_([JobStatus.QUEUED, JobStatus.IN_PROGRESS])
        mine = select(func.count()).select_from(table).where(active, col(table.id).in_(linked))
        waiting += session.exec(mine).one()
    return waiting


def _usual_duration(session: Session) -> timedelta:
    """Return how long jobs took lately, as the best guess when one of them ends."""
    statement = select(Run).where(col(Run.finished_at).is_not(None)).order_by(col(Run.number).desc())
    runs = session.exec(statement.limit(_RUNS_AVERAGED)).all()
    durations = [run.finished_at - run.started_at for run in runs if run.finished_at]
    return max(_SHORTEST_WAIT, sum(durations, timedelta()) / len(durations)) if durations else _SHORTEST_WAIT


def _oldest_use(session: Session, owner: str) -> datetime:
    """Return when that one of an owner's kept jobs was last used that will expire first."""
    statement = (
        select(QueryJob.used_at)
        .join(Link, (col(Link.job_id) == QueryJob.id) & (col(Link.owner) == owner))
        .where(QueryJob.status == JobStatus.COMPLETE, col(QueryJob.pinned).is_(False))
        .order_by(col(QueryJob.used_at))
    )
    return session.exec(statement).first() or utc_now()
