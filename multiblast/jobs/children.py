"""Children: the sequences of a parent, as jobs.

A child is the job one would get by submitting its sequence alone. Most are never needed as such, and
a parent may have a million, so a child has no row among the query jobs: it is made from its parent's when somebody
asks for it. It gets a row once it is more than a part: linked, shared, reported on, pinned, submitted or run alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, case, exists, literal, text
from sqlalchemy import select as sa_select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from multiblast.database import (
    ChildJob,
    Database,
    Failure,
    JobEvent,
    JobStatus,
    QueryJob,
    Result,
    among,
    digits,
    insert_missing,
    is_postgresql,
    raw,
    utc_now,
)
from multiblast.jobs.child_columns import Ids

_FEW = 10_000  # children; of more, it is faster to look for each job among them than for each of them among jobs
_OF_PARENT = ("site", "program", "recipe", "query_key", "search_key", "created_at", "used_at")
CHANGED_AT_ONCE = 500
"""Jobs that one transaction changes at most: a twentieth of a second."""
COULD_NOT = "could not be searched"


def child_status(parent: Any = QueryJob) -> ColumnElement[str]:
    """Return the status of a child, where it is joined with its parent, and outer with its result and failure."""
    return case(
        (parent.status == JobStatus.EXPIRED, literal(str(JobStatus.EXPIRED))),
        (col(Result.key).is_not(None), literal(str(JobStatus.COMPLETE))),
        (col(Failure.key).is_not(None), literal(str(JobStatus.FAILED))),
        else_=parent.status,
    )


def child_rows(*columns: Any) -> Any:
    """Return a statement that selects columns of children, their parents, results and failures.

    Of a child of several parents, the first row is of the one that says what became of it: the newest of those that
    have not expired. Of equal sequences of one parent, it is the first.
    """
    return (
        sa_select(*columns)
        .select_from(ChildJob)
        .join(QueryJob, col(QueryJob.list_number) == ChildJob.list_number)
        .outerjoin(Result, col(Result.key) == ChildJob.result_key)
        .outerjoin(Failure, col(Failure.key) == ChildJob.result_key)
        .order_by(col(QueryJob.status) == JobStatus.EXPIRED, col(ChildJob.list_number).desc(), col(ChildJob.position))
    )


def find_child(session: Session, job_id: str) -> QueryJob | None:
    """Return a child that has no row of its own, as a query job; None if there is none of this id."""
    found = _find(session, job_id)
    return found[0] if found else None


def _find(session: Session, job_id: str) -> tuple[QueryJob, QueryJob] | None:
    """Return a child, and the parent that it is made from."""
    statement = child_rows(ChildJob, QueryJob, child_status(), Failure.key).where(col(ChildJob.child_id) == job_id)
    row = session.execute(statement.limit(1)).first()
    if row is None:
        return None
    child, parent, status, failure = row
    shared = {name: getattr(parent, name) for name in _OF_PARENT}
    is_own = status != parent.status
    job = QueryJob(
        **shared,
        id=job_id,
        status=status,
        reason=COULD_NOT if status == JobStatus.FAILED and failure else "" if is_own else parent.reason,
        letters=child.letters,
        title=child.title,
        query_offset=child.query_offset,
        query_bytes=child.query_bytes,
        result_key=child.result_key,
        started_at=parent.started_at,
        finished_at=parent.finished_at,
        notes=[],
    )
    return job, parent


def adopt(session: Session, job_id: str) -> None:
    """Write a child as a job of its own, with its parent's history so far, unless it has a row; others are left."""
    if is_postgresql(session):  # what keeps new jobs out, such as expiry, is waited for before anything is read
        session.connection().execute(text("LOCK TABLE query_job IN ROW EXCLUSIVE MODE"))
    if session.get(QueryJob, job_id) is not None or not (held := parent_of(session, job_id)):
        return
    # While it is held, its parent does not end without the new row.
    session.get_one(QueryJob, held, with_for_update=True)
    if (found := _find(session, job_id)) is None:
        return
    job, parent = found
    if job.status != parent.status:
        job.finished_at = job.finished_at or utc_now()
    insert_missing(session, QueryJob, [job.model_dump()])
    if session.exec(select(JobEvent.number).where(JobEvent.job_id == job_id).limit(1)).first() is not None:
        return  # somebody else was faster
    session.add_all(_history(session, job, parent))
    session.flush()


def child_history(session: Session, job_id: str) -> list[JobEvent]:
    """Return the history of a child without a row: its parent's so far, and what became of it if that is another."""
    found = _find(session, job_id)
    return _history(session, *found) if found else []


def _history(session: Session, job: QueryJob, parent: QueryJob) -> list[JobEvent]:
    statement = select(JobEvent).where(JobEvent.job_id == parent.id).order_by(col(JobEvent.number))
    columns = ("at", "from_status", "to_status", "why", "flow_run")
    events = [
        JobEvent(job_id=job.id, **{name: getattr(event, name) for name in columns}) for event in session.exec(statement)
    ]
    if job.status != parent.status:
        at = events[-1].at if events else utc_now()
        events.append(JobEvent(job_id=job.id, at=at, from_status=parent.status, to_status=job.status, why=job.reason))
    return events


def parent_of(session: Session, job_id: str) -> str:
    """Return the id of the parent from which a child without a row is made; empty if there is none."""
    found = _find(session, job_id)
    return found[1].id if found else ""


def is_child(job: Any = QueryJob) -> ColumnElement[bool]:
    """Return the condition that a query job, of the table or its alias, is a sequence of a larger one, too."""
    position, parent = aliased(ChildJob), aliased(QueryJob)
    return exists().where(col(position.child_id) == raw(job.id), col(parent.list_number) == position.list_number)


def adopted(parent: QueryJob, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a query job is a child of a parent whose `ChildJob` meets some conditions."""
    mine = [col(ChildJob.list_number) == parent.list_number, *conditions]
    if parent.sequences <= _FEW:
        return col(QueryJob.id).in_(sa_select(digits(col(ChildJob.child_id))).where(*mine))
    return exists().where(col(ChildJob.child_id) == raw(col(QueryJob.id)), *mine).correlate(QueryJob)


def adopted_slices(
    database: Database, parent: QueryJob, *conditions: ColumnElement[bool], which: ColumnElement[bool] | None = None
) -> Iterator[Ids]:
    """Yield the ids of a parent's children that are jobs of their own, as many as one transaction may change.

    The conditions are on their `ChildJob`, ``which`` is one on their `QueryJob`; since they are read before the
    transaction, that has to look again.
    """
    if parent.list_number is None:
        return
    found = Ids()
    statement = select(QueryJob.id).where(adopted(parent, *conditions)).order_by(col(QueryJob.id))
    statement = statement if which is None else statement.where(which)
    with database.read() as session:
        for one in session.exec(statement.execution_options(yield_per=CHANGED_AT_ONCE)):
            found.append(one)
    for start in range(0, len(found), CHANGED_AT_ONCE):
        yield found[start : start + CHANGED_AT_ONCE]


def has_result() -> ColumnElement[bool]:
    """Return the condition that a child has a result."""
    return exists().where(col(Result.key) == ChildJob.result_key).correlate(ChildJob)


def has_failed() -> ColumnElement[bool]:
    """Return the condition that a child could not be searched."""
    return exists().where(col(Failure.key) == ChildJob.result_key).correlate(ChildJob)


def child_ids(session: Session, job_ids: Collection[str]) -> set[str]:
    """Return those ids that are of children."""
    children = select(ChildJob.child_id).join(QueryJob, col(QueryJob.list_number) == ChildJob.list_number)
    return set(session.exec(children.where(among(session, col(ChildJob.child_id), job_ids))))
