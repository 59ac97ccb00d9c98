"""The state machine of jobs: only the moves that there are, each with a line of history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product

import pytest
from sqlmodel import col

from multiblast.database import Database, JobEvent, JobStatus, QueryJob
from multiblast.ids import digest
from multiblast.jobs import MOVES, Jobs, move


def _job(database: Database, status: JobStatus, name: str = "") -> str:
    job_id = digest("test/1", [status, name])
    with database.write() as session:
        job = QueryJob(id=job_id, site="s", program="blastp", recipe={}, query_key="q", query_bytes=1, status=status)
        session.add(job)
    return job_id


def _move(database: Database, job_id: str, to: JobStatus, why: str = "") -> int:
    with database.write() as session:
        return move(session, QueryJob, col(QueryJob.id) == job_id, to, why, run_id="run-1")


def _history(database: Database, job_id: str) -> list[JobEvent]:
    return Jobs(database).history(job_id)


def test_move_goes_along_the_moves_only(database: Database) -> None:
    for source, to in product(JobStatus, JobStatus):
        job_id = _job(database, source, to)
        allowed = to in MOVES[source]
        assert _move(database, job_id, to, "because") == allowed, (source, to)
        assert Jobs(database).query(job_id).status == (to if allowed else source)
        told = [(event.from_status, event.to_status, event.why, event.flow_run) for event in _history(database, job_id)]
        assert told == ([(source, to, "because", "run-1")] if allowed else [])


def test_move_changes_many_jobs_and_tells_each(database: Database) -> None:
    jobs = [_job(database, status) for status in (JobStatus.QUEUED, JobStatus.COMPLETE, JobStatus.IN_PROGRESS)]
    with database.write() as session:
        assert move(session, QueryJob, col(QueryJob.id).in_(jobs), JobStatus.CANCELLED) == 2
    assert [len(_history(database, job_id)) for job_id in jobs] == [1, 0, 1]


def test_move_that_is_rolled_back_leaves_no_line(database: Database) -> None:
    job_id = _job(database, JobStatus.QUEUED)
    with pytest.raises(ZeroDivisionError), database.write() as session:
        raise ZeroDivisionError(move(session, QueryJob, col(QueryJob.id) == job_id, JobStatus.IN_PROGRESS))
    assert Jobs(database).query(job_id).status == JobStatus.QUEUED
    assert _history(database, job_id) == []


def test_reason_is_kept_for_ends_that_need_one(database: Database) -> None:
    job_id = _job(database, JobStatus.QUEUED)
    reasons = []
    for to, why in ((JobStatus.FAILED, "too long"), (JobStatus.QUEUED, "again"), (JobStatus.CANCELLED, "by its user")):
        _move(database, job_id, to, why)
        reasons.append(Jobs(database).query(job_id).reason)
    assert reasons == ["too long", "", "by its user"]


def test_times_are_set_by_the_moves(database: Database) -> None:
    job_id = _job(database, JobStatus.QUEUED)
    _move(database, job_id, JobStatus.IN_PROGRESS)
    running = Jobs(database).query(job_id)
    assert running.started_at is not None
    assert running.finished_at is None
    _move(database, job_id, JobStatus.COMPLETE)
    done = Jobs(database).query(job_id)
    assert done.finished_at is not None
    assert done.finished_at >= running.started_at


def test_moves_at_once_form_one_chain(database: Database) -> None:
    """Whoever comes second sees what the first did: no two lines of history begin at the same status."""
    job_id = _job(database, JobStatus.QUEUED)
    turns = [JobStatus.IN_PROGRESS, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.COMPLETE] * 10
    with ThreadPoolExecutor(4) as pool:
        moved = sum(pool.map(lambda to: _move(database, job_id, to), turns))
    history = _history(database, job_id)
    assert len(history) == moved
    assert history[0].from_status == JobStatus.QUEUED
    assert all(after.from_status == before.to_status for before, after in pairwise(history))
    assert Jobs(database).query(job_id).status == history[-1].to_status
