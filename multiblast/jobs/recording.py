"""Writing new jobs: a query job, its children, their first lines of history."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, JobEvent, JobStatus, QueryJob, utc_now
from multiblast.jobs.states import move

__all__ = ["NewSequence", "first_event", "insert", "portions", "record_jobs"]


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
    rows = {job.id: parent} | _child_rows(parent, sequences)
    search_keys = _search_keys(session, rows)
    _insert_jobs(session, [row for job_id, row in rows.items() if job_id not in search_keys])
    if sequences:
        _replace_links(session, job.id, sequences)
    stale = [job_id for job_id, search_key in search_keys.items() if search_key != job.search_key]
    _renew(session, [rows[job_id] for job_id in sorted(stale)])


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


def portions(items: Sequence[str], size: int = 1000) -> Iterator[Sequence[str]]:
    """Yield items in portions that fit into one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _child_rows(parent: dict[str, Any], sequences: Sequence[NewSequence]) -> dict[str, dict[str, Any]]:
    """Make one row of each distinct child, in the order of their ids.

    That order is the same everywhere, so that two transactions never wait for each other.
    """
    distinct = {sequence.child_id: sequence for sequence in reversed(sequences)}
    return {
        child_id: {
            **parent,
            "id": child_id,
            "sequences": 1,
            "letters": distinct[child_id].letters,
            "title": distinct[child_id].title,
            "query_offset": distinct[child_id].query_offset,
            "query_bytes": distinct[child_id].query_bytes,
            "result_key": distinct[child_id].result_key,
            "notes": [],
        }
        for child_id in sorted(distinct)
    }


def _search_keys(session: Session, job_ids: Collection[str]) -> dict[str, str]:
    """Return what those jobs that exist are searched with."""
    found: dict[str, str] = {}
    for some in portions(list(job_ids)):
        found.update(session.exec(select(QueryJob.id, QueryJob.search_key).where(col(QueryJob.id).in_(some))).all())
    return found


def _insert_jobs(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert jobs, each with its first line of history, but for those that somebody else inserts right now."""
    insert(session, QueryJob, rows)
    told: set[str] = set()
    for some in portions([row["id"] for row in rows]):
        told.update(session.exec(select(JobEvent.job_id).where(col(JobEvent.job_id).in_(some))))
    insert(session, JobEvent, [first_event(row["id"]) for row in rows if row["id"] not in told])


def _replace_links(session: Session, parent_id: str, sequences: Sequence[NewSequence]) -> None:
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
        for position, sequence in enumerate(sequences, start=1)
    ]
    session.connection().execute(statement, rows)


def _renew(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Give jobs that were recorded for other databases or another program version their new result keys."""
    why = "a database or the program changed since it was searched"
    for some in portions([row["id"] for row in rows]):
        move(session, QueryJob, col(QueryJob.id).in_(some), JobStatus.QUEUED, why)
    if rows:
        renewed = update(QueryJob).where(col(QueryJob.id) == bindparam("job"))
        values: dict[str, Any] = {"result_key": bindparam("result"), "search_key": bindparam("search")}
        changes = [{"job": row["id"], "result": row["result_key"], "search": row["search_key"]} for row in rows]
        session.connection().execute(renewed.values(values), changes)
