"""Recording a query job and its children, a slice at a time: nobody sees the job before it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from multiblast.database import (
    ChildJob,
    Database,
    JobEvent,
    JobStatus,
    Link,
    QueryJob,
    SequenceList,
    among,
    in_portions,
    insert_missing,
    raw,
)
from multiblast.jobs.children import adopt, adopted, adopted_slices
from multiblast.jobs.ownership import add_link
from multiblast.jobs.states import move

_SLICE = 1000  # rows of one transaction: about a thirtieth of a second
_CHANGED = "a database or the program changed since it was searched"


class NewSequence(NamedTuple):
    """One sequence of a query that is being recorded, and its place in the query's canonical FASTA."""

    child_id: str
    result_key: str
    query_offset: int
    query_bytes: int
    letters: int
    title: str


def record(database: Database, job: QueryJob, sequences: Iterable[NewSequence], link: Link) -> None:
    """Write a query job, its children and its owner's link; what exists already is left as it is.

    All is one transaction, but for the children of a large job: these are written, and those of them that have rows of
    their own renewed, before their parent.
    """
    portions = iter(()) if _is_recorded(database, job) else in_portions(sequences, _SLICE)
    portion: Sequence[NewSequence] = next(portions, ())
    position = 1
    for following in portions:
        with database.write() as session:
            _add_children(session, job, position, portion)
        position += len(portion)
        portion = following
    if position > 1:
        with database.write() as session:
            _add_children(session, job, position, portion)
        portion = ()
        for some in adopted_slices(database, job, which=_is_of_another_search(job)):
            with database.write() as session:
                _renew_parts(session, job, among(session, col(QueryJob.id), some))
    with database.write() as session:
        if portion:
            _add_children(session, job, position, portion)
        _record_job(session, job)
        add_link(session, link)


def first_event(job_id: str) -> dict[str, Any]:
    """Return the first line of a job's history."""
    return {"job_id": job_id, "to_status": JobStatus.QUEUED, "why": "submitted"}


def _is_recorded(database: Database, job: QueryJob) -> bool:
    """Whether a job is recorded with the result keys that it has now."""
    with database.read() as session:
        return session.exec(select(QueryJob.search_key).where(QueryJob.id == job.id)).first() == job.search_key


def _add_children(session: Session, job: QueryJob, position: int, sequences: Sequence[NewSequence]) -> None:
    """Write some children of a job, from a position on; the first begin a list."""
    if job.list_number is None:
        begun = SequenceList()
        session.add(begun)
        session.flush()
        job.list_number = begun.number
    rows = [
        {"list_number": job.list_number, "position": number} | sequence._asdict()
        for number, sequence in enumerate(sequences, start=position)
    ]
    insert_missing(session, ChildJob, rows)


def _record_job(session: Session, job: QueryJob) -> None:
    """Write a job unless it exists; one that was recorded for other databases or programs waits to be run again."""
    adopt(session, job.id)  # a sequence alone, which may be known as a part of a larger job
    insert_missing(session, QueryJob, [job.model_dump()])
    if session.exec(select(JobEvent.number).where(JobEvent.job_id == job.id).limit(1)).first() is None:
        insert_missing(session, JobEvent, [first_event(job.id)])
    _renew(session, job)


def _renew(session: Session, job: QueryJob) -> None:
    """Give a job, and those of its children that have a row, new result keys if those are of another search."""
    if job.sequences > 1 and job.list_number is None:
        return  # it was recorded so before, and if it is another now, somebody has just renewed it
    other = _is_of_another_search(job)
    move(session, QueryJob, other & (col(QueryJob.id) == job.id), JobStatus.QUEUED, _CHANGED)
    renewed = {"result_key": job.result_key, "search_key": job.search_key, "list_number": job.list_number}
    session.connection().execute(update(QueryJob).where(other, col(QueryJob.id) == job.id).values(renewed))
    if job.list_number is not None:
        _renew_parts(session, job, adopted(job))


def _is_of_another_search(job: QueryJob) -> ColumnElement[bool]:
    return col(QueryJob.search_key) != job.search_key


def _renew_parts(session: Session, job: QueryJob, which: ColumnElement[bool]) -> None:
    """Give some children of a job that have a row the result keys that they have in it now."""
    found = select(QueryJob.id).where(which, _is_of_another_search(job)).order_by(col(QueryJob.id))
    parts = among(session, col(QueryJob.id), session.exec(found.with_for_update()).all())
    move(session, QueryJob, parts, JobStatus.QUEUED, _CHANGED)
    mine = [col(ChildJob.list_number) == job.list_number, col(ChildJob.child_id) == raw(col(QueryJob.id))]
    key = sa_select(col(ChildJob.result_key)).where(*mine).limit(1).correlate(QueryJob).scalar_subquery()
    renewed = {"result_key": key, "search_key": job.search_key}
    session.connection().execute(update(QueryJob).where(parts).values(renewed))
