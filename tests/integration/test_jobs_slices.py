"""Large jobs are recorded, expire and are swept a slice at a time; what is cut off half-way is never seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import ChildJob, Database, JobStatus, Pack, QueryJob, Result, SequenceList, utc_now
from multiblast.errors import NotFoundError
from multiblast.jobs import Counts, Jobs, NewSequence
from multiblast.jobs.children import CHANGED_AT_ONCE, adopt
from multiblast.services import Services
from multiblast.upkeep import Expiry
from multiblast.upkeep.storage import StorageUpkeep

_MOST = 1000  # rows of one transaction
_JOB = "a" * 32


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database)


def _job(count: int, search_key: str = "1" * 32) -> QueryJob:
    return QueryJob(
        id=_JOB,
        site="site",
        program="blastp",
        recipe={"targets": [], "options": {}},
        sequences=count,
        letters=3 * count,
        query_key="queries/x",
        query_bytes=9 * count,
        search_key=search_key,
    )


def _sequences(count: int) -> Iterator[NewSequence]:
    for number in range(count):
        yield NewSequence(f"{number + 1:032x}", f"{number + 1_000_000:032x}", 9 * number, 9, 3, f"s{number}")


def _breaking(count: int) -> Iterator[NewSequence]:
    yield from _sequences(count)
    raise OSError("the disk is gone")


def _counts(database: Database) -> list[int]:
    """Count query jobs, lists and children."""
    with database.read() as session:
        return [
            session.exec(select(func.count()).select_from(table)).one() for table in (QueryJob, SequenceList, ChildJob)
        ]


def _is_invisible(jobs: Jobs) -> bool:
    for job_id in (_JOB, f"{1:032x}", f"{3000:032x}"):
        for read in (jobs.query, jobs.kind):
            with pytest.raises(NotFoundError):
                read(job_id)
        jobs.adopt(job_id)
        jobs.touch([job_id])
        assert jobs.history(job_id) == []
    return True


def _sweep(services: Services, later: timedelta) -> None:
    StorageUpkeep(services.database, services.store, keep_days=30).sweep(utc_now() + later)


@contextmanager
def _rows_of_transactions(database: Database) -> Iterator[list[int]]:
    """Give how many rows each transaction changed that changed any, as it goes on."""
    changed, engine = [0], database.engine

    @event.listens_for(engine, "after_cursor_execute")
    def count(_connection: Any, cursor: Any, statement: str, *_others: Any) -> None:
        if statement.lstrip().split()[0] in {"INSERT", "UPDATE", "DELETE"}:
            changed[-1] += max(cursor.rowcount, 0)

    @event.listens_for(engine, "commit")
    def end(_connection: Any) -> None:
        if changed[-1]:
            changed.append(0)

    yield changed
    event.remove(engine, "after_cursor_execute", count)
    event.remove(engine, "commit", end)


def test_recording_that_fails_half_way_is_not_seen_can_be_repeated_and_is_swept(services: Services) -> None:
    database, jobs = services.database, Jobs(services.database)
    with pytest.raises(OSError, match="disk"):
        jobs.add(_job(9000), _breaking(7000), owner="ann")
    assert _counts(database) == [0, 1, 6 * _MOST]
    assert _is_invisible(jobs)
    assert jobs.counts(_job(9000)).done == 0
    jobs.add(_job(9000), _sequences(9000), owner="ann")
    job = jobs.query(_JOB)
    assert jobs.counts(job) == Counts(9000, 0, 0)
    assert [child.position for child in jobs.children(job)] == list(range(1, 9001))
    assert _counts(database) == [1, 2, 6 * _MOST + 9000]
    _sweep(services, timedelta(hours=23))
    assert _counts(database) == [1, 2, 6 * _MOST + 9000]
    with _rows_of_transactions(database) as changed:
        _sweep(services, timedelta(hours=25))
    assert _counts(database) == [1, 1, 9000]
    assert max(changed) <= 2 * _MOST
    assert jobs.counts(job) == Counts(9000, 0, 0)


def test_recording_again_for_a_changed_database_that_fails_leaves_the_job_as_it_was(services: Services) -> None:
    jobs = Jobs(services.database)
    jobs.add(_job(5000), _sequences(5000))
    before = jobs.query(_JOB)
    with pytest.raises(OSError, match="disk"):
        jobs.add(_job(5000, "2" * 32), _breaking(4500))
    assert jobs.query(_JOB) == before
    assert jobs.counts(before) == Counts(5000, 0, 0)
    jobs.adopt(f"{1:032x}")
    jobs.add(_job(5000, "2" * 32), _sequences(5000))
    renewed = jobs.query(_JOB)
    assert {jobs.query(one).search_key for one in (_JOB, f"{1:032x}", f"{2:032x}")} == {"2" * 32}
    assert renewed.list_number != before.list_number
    _sweep(services, timedelta(hours=25))
    assert _counts(services.database) == [2, 1, 5000]


_SUBMITTING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from multiblast.database import Database
from multiblast.jobs import Jobs
from tests.integration.test_jobs_slices import _job, _sequences

def slow():
    for number, sequence in enumerate(_sequences(9000)):
        if number == 7000:
            print("half", flush=True)
            sys.stdin.read()
        yield sequence

Jobs(Database(sys.argv[1])).add(_job(9000), slow())
"""


def test_submission_that_is_killed_half_way_leaves_no_job(services: Services) -> None:
    database, jobs = services.database, Jobs(services.database)
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _SUBMITTING, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert _is_invisible(jobs)
    jobs.add(_job(9000), _sequences(9000))
    assert jobs.counts(jobs.query(_JOB)) == Counts(9000, 0, 0)
    _sweep(services, timedelta(hours=25))
    assert _counts(database) == [1, 1, 9000]


def _complete(database: Database, count: int) -> None:
    """Give the job of so many sequences all its results, as no run of BLAST+ would be so quick to do."""
    for first in range(0, count, 5000):
        with database.write() as session:
            number = first // 5000 + 1
            session.add(Pack(number=number, key=f"packs/{number}"))
            session.flush()
            place = {"pack_number": number, "offset": 0, "length": 10, "digest": "d" * 64, "archive_bytes": 20}
            rows = [{"key": f"{one + 1_000_000:032x}", **place} for one in range(first, first + 5000)]
            session.connection().execute(Result.__table__.insert(), rows)  # type: ignore[attr-defined]  # of SQLModel


def test_large_job_expires_in_small_transactions(services: Services) -> None:
    count, database, jobs = 20_000, services.database, Jobs(services.database)
    with _rows_of_transactions(database) as recorded:
        jobs.add(_job(count), _sequences(count), owner="ann")
    assert max(recorded) <= _MOST + 5  # the job itself, its history and a link
    _complete(database, count)
    jobs.start(jobs.query(_JOB))
    with _rows_of_transactions(database) as settled:
        assert jobs.settle(jobs.query(_JOB)) is JobStatus.COMPLETE
    assert max(settled) <= 5
    for number in range(1, 4):
        jobs.adopt(f"{number:032x}")
    with database.write() as session:
        for one in session.exec(select(QueryJob)):
            one.used_at = utc_now() - timedelta(days=40)
        session.get_one(QueryJob, f"{1:032x}").used_at = utc_now()
    with _rows_of_transactions(database) as unlinked:
        assert services.queries.unlink(Requester("ann"), _JOB)
    assert max(unlinked) == 1
    with _rows_of_transactions(database) as expired:
        done = Expiry(database, 30).run()
    assert (done.query_jobs, done.results, done.errors) == ([_JOB], count - 1, {})
    assert max(expired) <= _MOST
    statuses = [jobs.query(f"{number:032x}").status for number in (1, 2, 4, count)]
    assert statuses == ["complete", "expired", "expired", "expired"]


def _adopt(services: Services, count: int) -> None:
    with services.database.write() as session:
        for number in range(1, count + 1):
            adopt(session, f"{number:032x}")


def _statuses(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.exec(select(QueryJob.status)))


def test_children_with_rows_of_their_own_go_with_a_large_job_in_small_transactions(services: Services) -> None:
    count, database, jobs = 1200, services.database, Jobs(services.database)
    jobs.add(_job(count), _sequences(count), owner="ann")
    _adopt(services, CHANGED_AT_ONCE + 10)
    with _rows_of_transactions(database) as changed:
        jobs.start(jobs.query(_JOB))
        assert _statuses(database) == {"in-progress"}
        jobs.stop(jobs.query(_JOB), JobStatus.CANCELLED, "no more")
        assert _statuses(database) == {"cancelled"}
        assert jobs.query(_JOB).cancel_requested
        jobs.start(jobs.query(_JOB))
        assert _statuses(database) == {"in-progress"}
    _complete(database, 5000)
    with _rows_of_transactions(database) as settled:
        assert jobs.settle(jobs.query(_JOB)) is JobStatus.COMPLETE
    assert _statuses(database) == {"complete"}
    assert max(*changed, *settled) <= 4 * CHANGED_AT_ONCE  # of each job its row, twice, and its history
    with _rows_of_transactions(database) as renewed:
        jobs.add(_job(count, "2" * 32), _sequences(count))
    assert max(renewed) <= 3 * _MOST
    assert _statuses(database) == {"queued"}
    jobs.settle(jobs.query(_JOB))
    with _rows_of_transactions(database) as expired:
        done = Expiry(database, 30).run(utc_now() + timedelta(days=40))
    assert (done.query_jobs, done.results, done.errors) == ([_JOB], 5000, {})
    assert max(expired) <= 3 * _MOST
    assert _statuses(database) == {"expired"}


def test_children_that_have_no_result_are_not_started_once_their_job_was_stopped(services: Services) -> None:
    count, jobs = 1200, Jobs(services.database)
    jobs.add(_job(count), _sequences(count))
    _adopt(services, CHANGED_AT_ONCE + 10)
    jobs.start(jobs.query(_JOB))
    jobs.stop(jobs.query(_JOB), JobStatus.CANCELLED, "no more")
    jobs._start_parts(_JOB, jobs.query(_JOB).attempts, "")
    assert _statuses(services.database) == {"cancelled"}
