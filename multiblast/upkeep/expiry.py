"""Expiry: results that nobody used for a while go; recipes stay, so that everything can be run again.

- A job expires if it has ended, is not pinned, and neither its result nor a report of it was read
  for so long. Listing, looking up and polling are not use.
- A sequence of a larger job stays as long as one of these is there.
- A result goes with the last job that refers to it and is not expired. Its object goes later
  (`multiblast.upkeep.storage`), when nobody can still be reading it.
- Each job expires in a transaction of its own, whole or not at all, and one that cannot stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    PluginJob,
    QueryJob,
    ReportJob,
    Result,
    among,
    is_postgresql,
    utc_now,
)
from multiblast.errors import MultiblastError
from multiblast.jobs import ENDED, move
from multiblast.plugins.kept_outputs import object_of, outputs_digest
from multiblast.results.compaction import discard
from multiblast.results.results import results_digest

_ROWS_AT_A_TIME = 1000


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
        cutoff = (now or utc_now()) - self._keep
        if dry_run:
            with self._database.read() as session:
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
            expire = partial(_expire_query, job_id=job_id, cutoff=cutoff, why=why, expired=expired)
            if self._step(expired, job_id, expire):
                expired.query_jobs.append(job_id)
        while self._step(expired, "results", partial(_remove_old_results, cutoff=cutoff, expired=expired)):
            pass
        return expired

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
    of_parent = [col(position.child_id) == job.id, col(parent.id) == position.parent_id]
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
    goes = or_(col(Result.created_at) < cutoff, _referred(lambda job: _stale_query(job, cutoff)))
    totals = select(func.count(), func.coalesce(func.sum(Result.length), 0)).where(not_(stays), goes)
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


def _expire_query(session: Session, job_id: str, cutoff: datetime, why: str, expired: Expired) -> int:
    _keep_out_submissions(session)
    job = session.get_one(QueryJob, job_id)
    digest = results_digest(session, job) if job.status == JobStatus.COMPLETE else ""
    still_stale = and_(col(QueryJob.id) == job_id, _stale_query(QueryJob, cutoff))
    if not move(session, QueryJob, still_stale, JobStatus.EXPIRED, why):
        return 0
    job.expired_digest = digest
    session.flush()
    _end_reports(session, col(ReportJob.query_job_id) == job_id, f"its query job was {why}")
    keys = col(Result.key) == job.result_key
    if job.sequences > 1:
        _expire_children(session, job_id, cutoff, why)
        keys = col(Result.key).in_(select(ChildJob.result_key).where(ChildJob.parent_id == job_id))
    _remove_results(session, keys, expired)
    return 1


def _expire_children(session: Session, parent_id: str, cutoff: datetime, why: str) -> None:
    mine = select(ChildJob.child_id).where(ChildJob.parent_id == parent_id)
    stale = session.exec(select(QueryJob.id).where(col(QueryJob.id).in_(mine), _stale_query(QueryJob, cutoff))).all()
    children = among(session, col(QueryJob.id), stale)
    digest = sa_select(col(Result.digest)).where(col(Result.key) == QueryJob.result_key).scalar_subquery()
    session.connection().execute(update(QueryJob).where(children).values(expired_digest=func.coalesce(digest, "")))
    _end_reports(session, among(session, col(ReportJob.query_job_id), stale), why)
    move(session, QueryJob, children, JobStatus.EXPIRED, why)


def _referred(by: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that a result is that of a job which meets a condition, or of one of its sequences."""
    job, position, parent = aliased(QueryJob), aliased(ChildJob), aliased(QueryJob)
    alone = exists().where(col(job.result_key) == Result.key, by(job))
    in_parent = exists().where(col(position.result_key) == Result.key, col(parent.id) == position.parent_id, by(parent))
    return or_(alone, in_parent)


def _unreferenced() -> ColumnElement[bool]:
    """Return the condition that no job which is not expired refers to a result."""
    return not_(_referred(lambda job: job.status != JobStatus.EXPIRED))


def _remove_old_results(session: Session, cutoff: datetime, expired: Expired) -> int:
    """Remove some results that were made before ``cutoff`` and that no job refers to; return how many."""
    _keep_out_submissions(session)
    old = select(Result.key).where(col(Result.created_at) < cutoff, _unreferenced()).limit(_ROWS_AT_A_TIME)
    keys = session.exec(old).all()
    _remove_results(session, among(session, col(Result.key), keys), expired)
    return len(keys)


def _remove_results(session: Session, which: ColumnElement[bool], expired: Expired) -> None:
    """Remove those of some results that no job refers to, and discard packs with nothing left in them."""
    gone = session.exec(
        select(Result.pack, func.count(), func.sum(Result.length)).where(which, _unreferenced()).group_by(Result.pack)
    ).all()
    session.connection().execute(delete(Result).where(which, _unreferenced()))
    expired.results += sum(count for _, count, _ in gone)
    expired.result_bytes += sum(int(length) for _, _, length in gone)
    packs = [pack for pack, _, _ in gone]
    left = set(session.exec(select(Result.pack).where(among(session, col(Result.pack), packs)).distinct()))
    discard(session, [pack for pack in packs if pack not in left])


def _keep_out_submissions(session: Session) -> None:
    """Make sure that no job is recorded while it is decided which results no job refers to.

    SQLite has one writer anyway; PostgreSQL would not show a submission that is not committed yet.
    """
    if is_postgresql(session):
        session.connection().execute(text("LOCK TABLE query_job IN SHARE ROW EXCLUSIVE MODE"))
