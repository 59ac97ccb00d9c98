"""Expiry: results that nobody used for a while go; recipes stay, so that everything can be run again.

- A job expires if it has ended, is not pinned, and neither its result nor a report of it was read
  for so long. Listing, looking up and polling are not use.
- A sequence of a larger job stays as long as one of these is there.
- A result goes with the last job that refers to it and is not expired. Its object goes later
  (`multiblast.upkeep.storage`), when nobody can still be reading it.
- Each job expires in a transaction of its own, whole or not at all, and one that cannot stops no other. Those of its
  sequences that are jobs of their own, and its results, go after that, a slice at a time, so that nobody waits long for
  a job with a million; what a killed process leaves of them goes as other old jobs and results do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, not_, or_, text, update
from sqlalchemy import select as sa_select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from multiblast.database import (
    ChildJob,
    Database,
    JobStatus,
    Pack,
    PluginJob,
    QueryJob,
    ReportJob,
    Result,
    among,
    database_now,
    digits,
    in_portions,
    is_postgresql,
    raw,
)
from multiblast.errors import MultiblastError
from multiblast.jobs import ENDED, adopted_slices, move
from multiblast.plugins.kept_outputs import object_of, outputs_digest
from multiblast.results.pack_rows import discard, forget_empty
from multiblast.results.results import results_digest

_ROWS_AT_A_TIME = 500  # of which a transaction takes a twentieth of a second


@dataclass(slots=True)
class Expired:
    """What went, or after a dry run would go: ids of jobs, the number of results, and their compressed size.

    Sequences of larger jobs are not counted apart. Errors say by id why a job that should have expired did not.
    """

    query_jobs: list[str] = field(default_factory=list)
    report_jobs: list[str] = field(default_factory=list)
    plugin_jobs: list[str] = field(default_factory=list)
    results: int = 0
    result_bytes: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


class Expiry:
    """Lets go what was not used for ``keep_days`` days."""

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep = timedelta(days=keep_days)

    def run(self, now: datetime | None = None, *, dry_run: bool = False) -> Expired:
        """Expire all there is to expire by ``now``, in UTC.

        A dry run reports what would go, including what goes because another job goes first. It only reads:
        a transaction that did it and took it back would keep submissions waiting.
        """
        with self._database.read() as session:
            cutoff = (now or database_now(session)) - self._keep  # this machine's clock may be far ahead
            if dry_run:
                return _foresee(session, cutoff)
        expired = Expired()
        why = f"not used for {self._keep.days} days"
        with self._database.read() as session:
            reports, queries = _candidates(session, cutoff)
            plugins = _stale_plugins(session, cutoff)
        for job_id in plugins:
            if self._step(expired, job_id, partial(_expire_plugin, job_id=job_id, cutoff=cutoff, why=why)):
                expired.plugin_jobs.append(job_id)
        for job_id in reports:
            still_stale = and_(col(ReportJob.id) == job_id, _stale(ReportJob, cutoff))
            if self._step(expired, job_id, partial(_end_reports, which=still_stale, why=why)):
                expired.report_jobs.append(job_id)
        for job_id in queries:
            if self._expire_query(expired, job_id, cutoff, why):
                expired.query_jobs.append(job_id)
        after = ""
        while some := self._left(cutoff, after):
            self._remove(expired, "results", some)
            after = some[-1]
        return expired

    def _left(self, cutoff: datetime, after: str) -> Sequence[str]:
        """Return some old results that no job refers to, by their keys, from one on."""
        old = select(Result.key).join(Pack, col(Pack.number) == Result.pack_number)
        left = old.where(col(Result.key) > after, col(Pack.created_at) < cutoff, _unreferenced())
        with self._database.read() as session:
            return session.exec(left.order_by(col(Result.key)).limit(_ROWS_AT_A_TIME)).all()

    def _expire_query(self, expired: Expired, job_id: str, cutoff: datetime, why: str) -> bool:
        """Let a query job expire, then its results go; return whether it did."""
        try:
            with self._database.read() as session:
                job = session.get_one(QueryJob, job_id)
                # Before the transaction, since of a million results this takes seconds.
                digest = results_digest(session, job) if job.status == JobStatus.COMPLETE else ""
        except (MultiblastError, SQLAlchemyError, ValueError) as error:
            expired.errors[job_id] = f"{type(error).__name__}: {error}"
            return False
        expire = partial(_expire_query, job=job, digest=digest, cutoff=cutoff, why=why)
        if not self._step(expired, job_id, expire):
            return False
        for some in adopted_slices(self._database, job, which=_stale_query(QueryJob, cutoff)):
            self._step(expired, job_id, partial(_expire_children, parts=some, cutoff=cutoff, why=why))
        self._remove(expired, job_id, self._result_keys(job))
        return True

    def _result_keys(self, job: QueryJob) -> Iterator[str]:
        """Yield the keys of a job's results; while some are removed, nothing is being read."""
        if job.list_number is None:
            yield job.result_key
            return
        mine = select(ChildJob.result_key).where(ChildJob.list_number == job.list_number)
        for first in range(1, job.sequences + 1, _ROWS_AT_A_TIME):
            between = col(ChildJob.position).between(first, first + _ROWS_AT_A_TIME - 1)
            with self._database.read() as session:
                some = session.exec(mine.where(between).order_by(col(ChildJob.position))).all()
            yield from some

    def _remove(self, expired: Expired, name: str, keys: Iterable[str]) -> None:
        """Remove those of some results that no job refers to, a slice at a time."""
        for some in in_portions(keys, _ROWS_AT_A_TIME):
            self._step(expired, name, partial(_remove_results, keys=some, expired=expired))

    def _step(self, expired: Expired, name: str, step: Callable[[Session], int]) -> int:
        try:
            with self._database.write() as session:
                return step(session)
        except (MultiblastError, SQLAlchemyError, ValueError) as error:
            expired.errors[name] = f"{type(error).__name__}: {error}"
            return 0


def _stale(job: Any, cutoff: datetime) -> ColumnElement[bool]:
    """Return the condition that a job, of a table or its alias, has ended and was not used for long."""
    # A plugin job that is paused has asked somebody, who has not answered for as long.
    return and_(job.status.in_(ENDED | {JobStatus.PAUSED}), job.used_at < cutoff, job.pinned.is_(False))


def _may_expire(job: Any, cutoff: datetime) -> ColumnElement[bool]:
    """Return the condition that a query job may expire unless a larger one needs it; a pinned report keeps it."""
    report = aliased(ReportJob)
    pinned = [col(report.pinned).is_(True), col(report.status) != JobStatus.EXPIRED]
    return and_(_stale(job, cutoff), not_(exists().where(col(report.query_job_id) == job.id, *pinned)))


def _parent_stays(job: Any, cutoff: datetime | None = None) -> ColumnElement[bool]:
    """Return the condition that a larger job of which a job is a part is there; with a ``cutoff``: and will be."""
    parent, position = aliased(QueryJob), aliased(ChildJob)
    of_parent = [col(position.child_id) == raw(job.id), col(parent.list_number) == position.list_number]
    stays = exists().where(*of_parent, col(parent.status) != JobStatus.EXPIRED)
    return stays if cutoff is None else stays.where(not_(_may_expire(parent, cutoff)))


def _stale_query(job: Any, cutoff: datetime) -> ColumnElement[bool]:
    """Return the condition that a query job may expire now."""
    return and_(_may_expire(job, cutoff), not_(_parent_stays(job)))


def _candidates(session: Session, cutoff: datetime) -> tuple[Sequence[str], Sequence[str]]:
    """Return the ids of the report and the query jobs that may expire; larger jobs first, as parts go with them."""
    reports = session.exec(select(ReportJob.id).where(_stale(ReportJob, cutoff)).order_by(col(ReportJob.id))).all()
    queries = select(QueryJob.id).where(_stale_query(QueryJob, cutoff))
    return reports, session.exec(queries.order_by(col(QueryJob.sequences).desc(), col(QueryJob.id))).all()


def _foresee(session: Session, cutoff: datetime) -> Expired:
    """Return what would expire, by reading alone."""
    reports, queries = _candidates(session, cutoff)
    stays = _referred(lambda job: and_(
        job.status != JobStatus.EXPIRED, not_(_may_expire(job, cutoff)) | _parent_stays(job, cutoff)
    ))  # fmt: skip
    goes = or_(col(Pack.created_at) < cutoff, _referred(lambda job: _stale_query(job, cutoff)))
    totals = select(func.count(), func.coalesce(func.sum(Result.length), 0)).select_from(Result)
    totals = totals.join(Pack, col(Pack.number) == Result.pack_number).where(not_(stays), goes)
    count, length = session.exec(totals).one()
    plugins = _stale_plugins(session, cutoff)
    return Expired(list(queries), list(reports), plugins, count, int(length), dry_run=True)


def _stale_plugins(session: Session, cutoff: datetime) -> list[str]:
    return list(session.exec(select(PluginJob.id).where(_stale(PluginJob, cutoff)).order_by(col(PluginJob.id))))


def _expire_plugin(session: Session, job_id: str, cutoff: datetime, why: str) -> int:
    job = session.get_one(PluginJob, job_id, with_for_update=True)
    still_stale = and_(col(PluginJob.id) == job_id, _stale(PluginJob, cutoff))
    if not move(session, PluginJob, still_stale, JobStatus.EXPIRED, why):
        return 0
    discard(session, [object_of(output) for output in job.outputs])  # what else a directory has, nothing refers to then
    job.expired_digest = outputs_digest(job.outputs)
    job.outputs, job.rounds, job.progress = [], [], {}
    return 1


def _end_reports(session: Session, which: ColumnElement[bool], why: str) -> int:
    reports = session.exec(select(ReportJob).where(which, col(ReportJob.status).in_(ENDED))).all()
    for report in reports:
        discard(session, [file["key"] for file in report.files])
        report.files = []
    session.flush()
    ended = among(session, col(ReportJob.id), [report.id for report in reports])
    return move(session, ReportJob, ended, JobStatus.EXPIRED, why)


def _expire_query(session: Session, job: QueryJob, digest: str, cutoff: datetime, why: str) -> int:
    keep_out_submissions(session)
    # If it was run again since it was looked at, its digest may be another one; but then it was used, too.
    still_stale = and_(col(QueryJob.id) == job.id, col(QueryJob.status) == job.status, _stale_query(QueryJob, cutoff))
    if not move(session, QueryJob, still_stale, JobStatus.EXPIRED, why):
        return 0
    session.exec(update(QueryJob).where(col(QueryJob.id) == job.id).values(expired_digest=digest))
    _end_reports(session, col(ReportJob.query_job_id) == job.id, f"its query job was {why}")
    return 1


def _expire_children(session: Session, parts: Sequence[str], cutoff: datetime, why: str) -> int:
    """Let those of some children expire that nothing keeps."""
    keep_out_submissions(session)
    mine = among(session, col(QueryJob.id), parts)
    stale = session.exec(select(QueryJob.id).where(mine, _stale_query(QueryJob, cutoff))).all()
    expiring = among(session, col(QueryJob.id), stale)
    digest = sa_select(col(Result.digest)).where(col(Result.key) == QueryJob.result_key).scalar_subquery()
    session.connection().execute(
        update(QueryJob).where(expiring).values(expired_digest=func.coalesce(digits(digest), ""))
    )
    _end_reports(session, among(session, col(ReportJob.query_job_id), stale), why)
    return move(session, QueryJob, expiring, JobStatus.EXPIRED, why)


def _referred(by: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that a result is that of a job which meets a condition, or of one of its sequences."""
    job, position, parent = aliased(QueryJob), aliased(ChildJob), aliased(QueryJob)
    alone = exists().where(col(job.result_key) == Result.key, by(job))
    of_parent = [col(position.result_key) == Result.key, col(parent.list_number) == position.list_number]
    in_parent = exists().where(*of_parent, by(parent))
    return or_(alone, in_parent)


def _unreferenced() -> ColumnElement[bool]:
    """Return the condition that no job which is not expired refers to a result."""
    return not_(_referred(lambda job: job.status != JobStatus.EXPIRED))


def _remove_results(session: Session, keys: Sequence[str], expired: Expired) -> int:
    """Remove those of some results that no job refers to, and discard packs with nothing left in them."""
    keep_out_submissions(session)
    mine = select(Result.key, Result.pack_number, Result.length).where(among(session, col(Result.key), keys))
    # In one order everywhere, so that two transactions never wait for each other.
    gone = session.exec(mine.where(_unreferenced()).order_by(col(Result.key)).with_for_update()).all()
    if gone:
        removed = [key for key, _, _ in gone]
        session.connection().execute(delete(Result).where(among(session, col(Result.key), removed)))
        forget_empty(session, {number for _, number, _ in gone})
        expired.results += len(gone)
        expired.result_bytes += sum(length for _, _, length in gone)
    return len(gone)


def keep_out_submissions(session: Session) -> None:
    """Make sure that no job is recorded while it is decided which results no job refers to.

    SQLite has one writer anyway; PostgreSQL would not show a submission that is not committed yet.
    """
    if is_postgresql(session):
        session.connection().execute(text("LOCK TABLE query_job IN SHARE ROW EXCLUSIVE MODE"))
