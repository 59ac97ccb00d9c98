"""Writing new jobs: a query job, its children, their first lines of history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, JobEvent, JobStatus, QueryJob, utc_now
from multiblast.jobs.states import move

__all__ = ["NewSequence", "first_event", "insert", "portions", "record_jobs"]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class NewSequence:
    """One sequence of a query that is being recorded.

    Attributes:
        child_id: The job one would get by submitting it alone.
        query_offset, query_bytes: Its place in the query's canonical FASTA.
    """

    child_id: str
    result_key: str
    query_offset: int
    query_bytes: int
    letters: int
    title: str


def record_jobs(session: Session, job: QueryJob, sequences: Sequence[NewSequence]) -> None:
    """Write a query job and its children, but for those that exist; see `multiblast.jobs.Jobs.record`."""
    parent = job.model_dump()
    _record(session, [parent])
    distinct = {sequence.child_id: sequence for sequence in reversed(sequences)}
    # In the same order everywhere, so that two transactions never wait for each other.
    for some in portions(sorted(distinct)):
        _record(session, [_child_row(parent, distinct[child_id]) for child_id in some])
    for links in portions(list(enumerate(sequences, start=1))):
        _replace_links(session, job.id, links)


def insert(session: Session, table: Any, rows: list[dict[str, Any]]) -> None:
    """Write rows, but for those that exist."""
    if rows:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.connection().execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def first_event(job_id: str) -> dict[str, Any]:
    """Return the first line of a job's history."""
    return {
        "job_id": job_id,
        "at": utc_now(),
        "from_status": "",
        "to_status": JobStatus.QUEUED,
        "why": "submitted",
        "flow_run": "",
    }


def portions(items: Sequence[_Item], size: int = 1000) -> Iterator[Sequence[_Item]]:
    """Yield items in portions that fit into one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _record(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    ids = [row["id"] for row in rows]
    known = dict(session.exec(select(QueryJob.id, QueryJob.search_key).where(col(QueryJob.id).in_(ids))).all())
    _insert_jobs(session, [row for row in rows if row["id"] not in known])
    _renew(session, [row for row in rows if known.get(row["id"], row["search_key"]) != row["search_key"]])


def _child_row(parent: dict[str, Any], sequence: NewSequence) -> dict[str, Any]:
    return {
        **parent,
        "id": sequence.child_id,
        "sequences": 1,
        "letters": sequence.letters,
        "title": sequence.title,
        "query_offset": sequence.query_offset,
        "query_bytes": sequence.query_bytes,
        "result_key": sequence.result_key,
        "notes": [],
    }


def _insert_jobs(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert jobs, each with its first line of history, but for those that somebody else inserts right now."""
    insert(session, QueryJob, rows)
    ids = [row["id"] for row in rows]
    told = set(session.exec(select(JobEvent.job_id).where(col(JobEvent.job_id).in_(ids))))
    insert(session, JobEvent, [first_event(job_id) for job_id in ids if job_id not in told])


def _replace_links(session: Session, parent_id: str, links: Sequence[tuple[int, NewSequence]]) -> None:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(ChildJob)
    statement = statement.on_conflict_do_update(
        index_elements=["parent_id", "position"], set_={"result_key": statement.excluded.result_key}
    )
    rows = [
        {
            "parent_id": parent_id,
            "position": position,
            "child_id": sequence.child_id,
            "result_key": sequence.result_key,
            "query_offset": sequence.query_offset,
            "query_bytes": sequence.query_bytes,
            "letters": sequence.letters,
        }
        for position, sequence in links
    ]
    session.connection().execute(statement, rows)


def _renew(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Give jobs that were recorded for other databases or another program version their new result keys."""
    if not rows:
        return
    why = "a database or the program changed since it was searched"
    move(session, QueryJob, col(QueryJob.id).in_([row["id"] for row in rows]), JobStatus.QUEUED, why)
    renewed = update(QueryJob).where(col(QueryJob.id) == bindparam("job"))
    values: dict[str, Any] = {"result_key": bindparam("result"), "search_key": bindparam("search")}
    changes = [{"job": row["id"], "result": row["result_key"], "search": row["search_key"]} for row in rows]
    session.connection().execute(renewed.values(values), changes)
