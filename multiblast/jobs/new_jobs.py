"""Writing new jobs: a query job, its children, their first lines of history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, JobEvent, JobStatus, QueryJob, among, insert_missing, upsert, utc_now
from multiblast.jobs.states import move


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
    children: dict[str, dict[str, Any]] = {}
    positions = []
    for position, sequence in enumerate(sequences, start=1):
        facts = {name: getattr(sequence, name) for name in ("result_key", "query_offset", "query_bytes", "letters")}
        own = {"id": sequence.child_id, "sequences": 1, "title": sequence.title, "notes": []}
        children.setdefault(sequence.child_id, {**parent, **facts, **own})
        positions.append({"parent_id": job.id, "position": position, "child_id": sequence.child_id, **facts})
    # In the same order everywhere, so that two transactions never wait for each other.
    _record(session, [children[child_id] for child_id in sorted(children)])
    upsert(session, ChildJob, positions, lambda new: {"result_key": new.result_key})


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


def _record(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    ids = [row["id"] for row in rows]
    jobs = select(QueryJob.id, QueryJob.search_key).where(among(session, col(QueryJob.id), ids))
    known = dict(session.exec(jobs).all())
    _insert_jobs(session, [row for row in rows if row["id"] not in known])
    _renew(session, [row for row in rows if known.get(row["id"], row["search_key"]) != row["search_key"]])


def _insert_jobs(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert jobs, each with its first line of history, but for those that somebody else inserts right now."""
    insert_missing(session, QueryJob, rows)
    ids = [row["id"] for row in rows]
    begun = set(session.exec(select(JobEvent.job_id).where(among(session, col(JobEvent.job_id), ids))))
    insert_missing(session, JobEvent, [first_event(job_id) for job_id in ids if job_id not in begun])


def _renew(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Give jobs that were recorded for other databases or another program version their new result keys."""
    if not rows:
        return
    why = "a database or the program changed since it was searched"
    ids = [row["id"] for row in rows]
    move(session, QueryJob, among(session, col(QueryJob.id), ids), JobStatus.QUEUED, why)
    renewed = update(QueryJob).where(col(QueryJob.id) == bindparam("job"))
    values: dict[str, Any] = {"result_key": bindparam("result"), "search_key": bindparam("search")}
    changes = [{"job": row["id"], "result": row["result_key"], "search": row["search_key"]} for row in rows]
    session.connection().execute(renewed.values(values), changes)
