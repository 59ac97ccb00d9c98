"""Expiry: results that nobody used for a while go; recipes stay, so that everything can be run again.

- A job expires if it has ended, is not pinned, and neither its result nor a report of it was read
  for so long. Listing, looking up and polling are not use.
- A sequence of a larger job stays as long as one of these is there.
- A result goes with the last job that refers to it and is not expired. Its object goes later
  (`multiblast.upkeep.sweeping`), when nobody can still be reading it.
- Each job expires in a transaction of its own, whole or not at all, and one that cannot stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, and_, delete, exists, func, not_, text, update
from sqlalchemy import select as sa_select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, Database, JobStatus, QueryJob, ReportJob, Result, utc_now
from multiblast.errors import MultiblastError
from multiblast.jobs import move
from multiblast.results.digests import results_digest
from multiblast.results.discarding import discard

__all__ = ["Expired", "Expiry"]

_ENDED = [JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED]
_ROWS_AT_A_TIME = 1000


@dataclass(slots=True)
class Expired:
    """What went, or would go.

    Attributes:
        query_jobs, report_jobs: Their ids; sequences of larger jobs are not counted apart.
        results: Results removed.
        result_bytes: Their compressed size.
        errors: Why jobs could not be expired that should have been, by id.
        dry_run: Whether nothing was changed.
    """

    query_jobs: list[str] = field(default_factory=list)
    report_jobs: list[str] = field(default_factory=list)
    results: int = 0
    result_bytes: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


class _DryRunEnds(Exception):  # noqa: N818 - no error: it takes a transaction back
    """Takes back what a dry run did."""


class Expiry:
    """Lets go what was not used for a time.

    Args:
        database: The job database.
        keep_days: Days after its last use that a result is kept.
    """

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database, self._keep = database, timedelta(days=keep_days)

    def run(self, now: datetime | None = None, *, dry_run: bool = False) -> Expired:
        """Expire all there is to expire.

        Args:
            now: The time, in UTC.
            dry_run: Only tell what would go. What goes because another job goes first is told too.
        """
        cutoff = (now or utc_now()) - self._keep
        expired = Expired(dry_run=dry_run)
        why = f"not used for {self._keep.days} days"
        if dry_run:
            try:
                with self._database.write() as session:
                    self._expire_all(expired, cutoff, why, session)
                    raise _DryRunEnds  # noqa: TRY301 - the way to roll back
            except _DryRunEnds:
                return expired
        self._expire_all(expired, cutoff, why, None)
        return expired

    def _expire_all(self, expired: Expired, cutoff: datetime, why: str, whole: Session | None) -> None:
        """Expire reports, then query jobs, then results that no job refers to; in one transaction if it is given."""
        for job_id in self._candidates(ReportJob, _stale_report(cutoff), whole):
            if self._each(expired, job_id, partial(_expire_report, job_id=job_id, cutoff=cutoff, why=why), whole):
                expired.report_jobs.append(job_id)
        for job_id in self._candidates(QueryJob, _stale_query(cutoff), whole):
            if self._each(
                expired, job_id, partial(_expire_query, job_id=job_id, cutoff=cutoff, why=why, expired=expired), whole
            ):
                expired.query_jobs.append(job_id)
        while self._each(expired, "results", partial(_remove_old_results, cutoff=cutoff, expired=expired), whole):
            pass

    def _candidates(
        self, table: type[QueryJob | ReportJob], stale: ColumnElement[bool], whole: Session | None
    ) -> Sequence[str]:
        statement = select(table.id).where(stale)
        if table is QueryJob:  # parents first: their sequences go with them
            statement = statement.order_by(col(QueryJob.sequences).desc(), col(QueryJob.id))
        if whole is not None:
            return whole.exec(statement).all()
        with self._database.read() as session:
            return session.exec(statement).all()

    def _each(self, expired: Expired, name: str, step: Callable[[Session], int], whole: Session | None) -> int:
        if whole is not None:
            return step(whole)
        try:
            with self._database.write() as session:
                return step(session)
        except (MultiblastError, SQLAlchemyError, ValueError) as error:
            expired.errors[name] = f"{type(error).__name__}: {error}"
            return 0


def _stale_report(cutoff: datetime) -> ColumnElement[bool]:
    return and_(col(ReportJob.status).in_(_ENDED), col(ReportJob.used_at) < cutoff, col(ReportJob.pinned).is_(False))


def _stale_query(cutoff: datetime) -> ColumnElement[bool]:
    """Return the condition that a query job may expire; a report that is kept keeps it too."""
    parent, position, report = aliased(QueryJob), aliased(ChildJob), aliased(ReportJob)
    of_parent = exists().where(
        col(position.child_id) == QueryJob.id,
        col(parent.id) == position.parent_id,
        col(parent.status) != JobStatus.EXPIRED,
    )
    pinned_report = exists().where(
        col(report.query_job_id) == QueryJob.id, col(report.pinned).is_(True), col(report.status) != JobStatus.EXPIRED
    )
    return and_(
        col(QueryJob.status).in_(_ENDED),
        col(QueryJob.used_at) < cutoff,
        col(QueryJob.pinned).is_(False),
        not_(of_parent),
        not_(pinned_report),
    )


def _expire_report(session: Session, job_id: str, cutoff: datetime, why: str) -> int:
    return _end_reports(session, and_(col(ReportJob.id) == job_id, _stale_report(cutoff)), why)


def _end_reports(session: Session, which: ColumnElement[bool], why: str) -> int:
    reports = session.exec(select(ReportJob).where(which, col(ReportJob.status).in_(_ENDED))).all()
    for report in reports:
        discard(session, [file["key"] for file in report.files])
        report.files = []
    session.flush()
    return move(session, ReportJob, col(ReportJob.id).in_([report.id for report in reports]), JobStatus.EXPIRED, why)


def _expire_query(session: Session, job_id: str, cutoff: datetime, why: str, expired: Expired) -> int:
    _keep_out_submissions(session)
    job = session.get_one(QueryJob, job_id)
    digest = results_digest(session, job) if job.status == JobStatus.COMPLETE else ""
    if not move(session, QueryJob, and_(col(QueryJob.id) == job_id, _stale_query(cutoff)), JobStatus.EXPIRED, why):
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
    stale = session.exec(select(QueryJob.id).where(col(QueryJob.id).in_(mine), _stale_query(cutoff))).all()
    for start in range(0, len(stale), _ROWS_AT_A_TIME):
        some = col(QueryJob.id).in_(stale[start : start + _ROWS_AT_A_TIME])
        digest = sa_select(col(Result.digest)).where(col(Result.key) == QueryJob.result_key).scalar_subquery()
        session.connection().execute(update(QueryJob).where(some).values(expired_digest=func.coalesce(digest, "")))
        _end_reports(session, col(ReportJob.query_job_id).in_(stale[start : start + _ROWS_AT_A_TIME]), why)
        move(session, QueryJob, some, JobStatus.EXPIRED, why)


def _unreferenced() -> ColumnElement[bool]:
    """Return the condition that no job which is not expired refers to a result."""
    job, position, parent = aliased(QueryJob), aliased(ChildJob), aliased(QueryJob)
    alone = exists().where(col(job.result_key) == Result.key, col(job.status) != JobStatus.EXPIRED)
    in_parent = exists().where(
        col(position.result_key) == Result.key,
        col(parent.id) == position.parent_id,
        col(parent.status) != JobStatus.EXPIRED,
    )
    return and_(not_(alone), not_(in_parent))


def _remove_old_results(session: Session, cutoff: datetime, expired: Expired) -> int:
    """Remove some results that were made before ``cutoff`` and that no job refers to; return how many."""
    _keep_out_submissions(session)
    old = select(Result.key).where(col(Result.created_at) < cutoff, _unreferenced()).limit(_ROWS_AT_A_TIME)
    keys = session.exec(old).all()
    _remove_results(session, col(Result.key).in_(keys), expired)
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
    for start in range(0, len(packs), _ROWS_AT_A_TIME):
        some = packs[start : start + _ROWS_AT_A_TIME]
        left = set(session.exec(select(Result.pack).where(col(Result.pack).in_(some)).distinct()))
        discard(session, [pack for pack in some if pack not in left])


def _keep_out_submissions(session: Session) -> None:
    """Make sure that no job is recorded while it is decided which results no job refers to.

    SQLite has one writer anyway; PostgreSQL would not show a submission that is not committed yet.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("LOCK TABLE query_job IN SHARE ROW EXCLUSIVE MODE"))
