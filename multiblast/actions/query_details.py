"""A query job as people see it: its configuration, sequences and place in line, and what went wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from multiblast.accounts import Requester
from multiblast.accounts.job_rights import readable
from multiblast.actions.answers import (
    ChildItem,
    Errors,
    JobConfig,
    ProgramFailure,
    QueryDetails,
    QueryTarget,
    SequenceFailure,
    UserMeta,
)
from multiblast.database import BatchRun, ChildJob, Database, JobEvent, JobKind, JobStatus, QueryJob
from multiblast.jobs import Child, child_rows, child_status, is_child
from multiblast.options import is_program, options_for


def query_details(  # noqa: PLR0913, PLR0917 - a job, and what depends on who sees it
    database: Database, job: QueryJob, requester: Requester, meta: UserMeta | None, children: int, reason: str
) -> QueryDetails:
    """Return a query job, with what its requester notes about it.

    Args:
        database: Where jobs are recorded.
        job: Its row.
        requester: Who sees it, and which of the jobs that it is a part of.
        meta: What they note.
        children: How many of its sequences to list.
        reason: Why it failed, was cancelled or goes no further.
    """
    with database.read() as session:
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
            parents=tuple(_parents(session, requester, job.id)) or None,
            reason=reason or None,
            pinned=job.pinned,
            queue_position=_queue_position(session, job) if job.status == JobStatus.QUEUED else None,
            results_as_before=_as_before(session, job),
        )


def query_errors(database: Database, job_id: str, failed: Iterable[Child]) -> Errors:
    """Return what went wrong with a query job, of whose sequences some have ``failed``."""
    with database.read() as session:
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
            for child in failed
            if child.failure_class is not None
        ),
    )


def _as_before(session: Session, job: QueryJob) -> bool | None:
    """Return whether the results of a complete job are those that had expired; None if none had."""
    if not job.expired_digest or job.status != JobStatus.COMPLETE:
        return None
    from multiblast.results.results import results_digest

    return results_digest(session, job) == job.expired_digest


def _blast_config(job: QueryJob) -> dict[str, Any]:
    """Return the options as they were recorded, those too that would be refused now."""
    declared = options_for(job.program).declared if is_program(job.program) else {}
    options = job.recipe["options"].items()
    return {"tool": job.program} | {declared[name].config if name in declared else name: to for name, to in options}


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
