"""Reconciliation: jobs whose run died go back to queued, those whose run lives are left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import update

from multiblast.database import Database, JobEvent, JobKind, JobStatus, Lease, QueryJob, ReportJob, utc_now
from multiblast.ids import digest
from multiblast.jobs import Jobs, NewSequence
from multiblast.results.holders import PROCESS_RUN, new_holder, new_process_run
from multiblast.upkeep.reconciliation import Reconciliation, RunState
from tests.support.upkeep import knows

RUN = "run-1"
SOON = timedelta(minutes=1)
LATER = timedelta(minutes=11)
NEXT_DAY = timedelta(hours=25)
GONE = "elsewhere-1-1-0"  # of another machine, of which nothing can be known


ENDED = knows(run_1=RunState.ENDED)
NOBODY = knows()


def row(name: str, **values: object) -> QueryJob:
    facts = {"site": "s", "program": "blastp", "recipe": {}, "query_key": "q", "query_bytes": 1, "search_key": "k"}
    return QueryJob(id=digest("test/1", name), **facts, **values)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def alone(jobs: Jobs) -> QueryJob:
    """A job of one sequence in progress."""
    job = row("alone", result_key="e" * 32)
    jobs.add(job, ())
    jobs.start(jobs.query(job.id), run_id=RUN)
    return jobs.query(job.id)


@pytest.fixture
def parent(jobs: Jobs) -> QueryJob:
    """A job of two sequences in progress."""
    job = row("parent", sequences=2)
    jobs.add(job, [NewSequence(child, f"{child[:31]}0", 0, 1, 1, "") for child in ("a" * 32, "b" * 32)])
    jobs.start(jobs.query(job.id), run_id=RUN)
    return jobs.query(job.id)


def lease(database: Database, key: str, holder: str) -> None:
    with database.write() as session:
        session.merge(Lease(key=key, holder=holder, expires_at=utc_now() + LATER + LATER))


def test_job_of_an_ended_run_waits_to_be_run_again(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    reconciled = Reconciliation(database).run(ENDED)
    assert reconciled.queued == [alone.id]
    assert [(waiting.job_id, waiting.kind) for waiting in reconciled.waiting] == [(alone.id, JobKind.QUERY)]
    assert jobs.query(alone.id).status == JobStatus.QUEUED


def test_job_taken_back_stays_waiting_until_it_is_started(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    first = Reconciliation(database).run(ENDED).waiting
    assert Reconciliation(database).run(ENDED).waiting == first
    jobs.start(jobs.query(alone.id), run_id="run-2")
    assert Reconciliation(database).run(knows(run_2=RunState.RUNNING)).waiting == []


def test_job_of_a_running_run_is_left_alone(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    Reconciliation(database).run(knows(run_1=RunState.RUNNING), utc_now() + LATER)
    assert jobs.query(alone.id).status == JobStatus.IN_PROGRESS


def test_job_that_a_process_runs_is_left_alone_as_long_as_that_lives(
    database: Database, jobs: Jobs, alone: QueryJob
) -> None:
    """Prefect, which knows no such run, is not asked for it."""
    asked = list[set[str]]()

    def states(run_ids: set[str]) -> Mapping[str, RunState]:
        asked.append(run_ids)
        return {}

    run = new_process_run()
    jobs.start(jobs.query(alone.id), run_id=run)
    assert Reconciliation(database).run(states, utc_now() + LATER).queued == []
    name, machine, pid, _started, rest = run.split("-")
    jobs.start(jobs.query(alone.id), run_id=f"{name}-{machine}-{pid}-1-{rest}")
    assert Reconciliation(database).run(states, utc_now() + SOON).queued == [alone.id]
    assert set().union(*asked) == set()


def test_job_that_a_process_elsewhere_runs_is_taken_back_in_time(
    database: Database, jobs: Jobs, alone: QueryJob
) -> None:
    jobs.start(jobs.query(alone.id), run_id=f"{PROCESS_RUN}{GONE}")
    assert Reconciliation(database).run(NOBODY, utc_now() + SOON).queued == []
    assert Reconciliation(database).run(NOBODY, utc_now() + LATER).queued == [alone.id]


def test_job_that_makes_no_progress_for_a_day_is_taken_back(database: Database, alone: QueryJob) -> None:
    assert Reconciliation(database).run(knows(run_1=RunState.RUNNING), utc_now() + NEXT_DAY).queued == [alone.id]


def test_job_of_a_run_that_nobody_knows_is_taken_back_in_time(database: Database, alone: QueryJob) -> None:
    assert Reconciliation(database).run(NOBODY, utc_now() + SOON).queued == []
    assert Reconciliation(database).run(NOBODY, utc_now() + LATER).queued == [alone.id]


@pytest.mark.parametrize("holder", [GONE, new_holder()], ids=["another machine's", "this process'"])
def test_lease_of_somebody_at_work_keeps_a_job(database: Database, alone: QueryJob, holder: str) -> None:
    lease(database, alone.result_key, holder)
    assert Reconciliation(database).run(NOBODY, utc_now() + LATER).queued == []


def test_lease_of_a_dead_process_keeps_no_job(database: Database, alone: QueryJob) -> None:
    machine, pid, _started, rest = new_holder().split("-")
    lease(database, alone.result_key, f"{machine}-{pid}-1-{rest}")
    assert Reconciliation(database).run(knows(run_1=RunState.RUNNING), utc_now() + LATER).queued == []
    assert Reconciliation(database).run(NOBODY, utc_now() + SOON).queued == [alone.id]


def test_lease_that_has_expired_keeps_no_job(database: Database, alone: QueryJob) -> None:
    lease(database, alone.result_key, GONE)
    assert Reconciliation(database).run(NOBODY, utc_now() + NEXT_DAY).queued == [alone.id]


def test_lease_of_one_sequence_keeps_its_job(database: Database, parent: QueryJob) -> None:
    lease(database, f"{'b' * 31}0", GONE)
    assert Reconciliation(database).run(NOBODY, utc_now() + LATER).queued == []
    assert parent.status == JobStatus.IN_PROGRESS


def test_sequences_go_with_their_job_and_are_not_run_alone(database: Database, jobs: Jobs, parent: QueryJob) -> None:
    reconciled = Reconciliation(database).run(ENDED)
    assert [waiting.job_id for waiting in reconciled.waiting] == [parent.id]
    assert {jobs.query(child).status for child in ("a" * 32, "b" * 32)} == {JobStatus.QUEUED}


def test_sequences_of_a_job_that_failed_without_them_fail(database: Database, jobs: Jobs, parent: QueryJob) -> None:
    jobs.adopt("a" * 32)
    jobs.adopt("b" * 32)
    jobs.move_query([parent.id], JobStatus.FAILED, "the disk is full")
    assert Reconciliation(database).run(ENDED).children == 0
    assert Reconciliation(database).run(ENDED, utc_now() + LATER).children == 2
    assert jobs.query("a" * 32).reason == "its job ended before it was searched"


def test_job_fails_when_its_third_run_is_lost(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    for _ in range(2):
        assert Reconciliation(database).run(ENDED).queued == [alone.id]
        jobs.start(jobs.query(alone.id), run_id=RUN)
    reconciled = Reconciliation(database).run(ENDED)
    assert reconciled.failed == {alone.id: "its run ended before it did, 3 times in a row"}
    assert (jobs.query(alone.id).status, reconciled.waiting) == (JobStatus.FAILED, [])


def test_lost_runs_count_anew_after_a_restart(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    for _ in range(2):
        Reconciliation(database).run(ENDED)
        jobs.start(jobs.query(alone.id), run_id=RUN)
    jobs.start(jobs.query(alone.id), run_id=RUN)  # by somebody who submits it again
    assert Reconciliation(database).run(ENDED).queued == [alone.id]


def test_job_of_a_cancelled_run_is_cancelled(database: Database, jobs: Jobs, parent: QueryJob) -> None:
    reconciled = Reconciliation(database).run(knows(run_1=RunState.CANCELLED))
    assert (reconciled.cancelled, reconciled.waiting) == ([parent.id], [])
    again = jobs.query(parent.id)
    assert (again.status, again.reason, again.cancel_requested) == ("cancelled", "its run was cancelled", True)
    assert jobs.query("a" * 32).status == JobStatus.CANCELLED


def test_cancelled_run_cancels_only_its_own_jobs(database: Database, alone: QueryJob) -> None:
    assert Reconciliation(database).cancelled("run-2", NOBODY) == []
    assert Reconciliation(database).cancelled(RUN, NOBODY) == [alone.id]


def test_job_of_two_runs_is_left_to_the_one_that_was_not_cancelled(
    database: Database, jobs: Jobs, alone: QueryJob
) -> None:
    """As where two people submitted the same: the job is the run's that came to it last."""
    jobs.start(jobs.query(alone.id), run_id="run-2")
    both = knows(run_1=RunState.RUNNING, run_2=RunState.CANCELLED)
    assert Reconciliation(database).cancelled("run-2", both) == []
    job = jobs.query(alone.id)
    assert (job.status, job.cancel_requested) == ("in-progress", False)
    assert jobs.history(alone.id)[-1].flow_run == RUN
    assert Reconciliation(database).run(both, utc_now() + LATER).cancelled == []
    assert Reconciliation(database).cancelled(RUN, knows(run_2=RunState.CANCELLED)) == [alone.id]


def test_job_is_not_left_to_a_run_of_an_earlier_time(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    jobs.stop(jobs.query(alone.id), JobStatus.FAILED, "whatever", run_id=RUN)
    jobs.start(jobs.query(alone.id), run_id="run-2")
    assert Reconciliation(database).cancelled("run-2", knows(run_1=RunState.RUNNING)) == [alone.id]


def test_report_of_an_ended_run_waits_to_be_made_again(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    report = ReportJob(id="e" * 32, query_job_id=alone.id, formatting={"partial": True})
    jobs.record_report(report, "")
    jobs.move_report("e" * 32, JobStatus.IN_PROGRESS, run_id="run-2")
    reconciled = Reconciliation(database).run(knows(run_2=RunState.ENDED))
    assert [(waiting.job_id, waiting.kind) for waiting in reconciled.waiting] == [("e" * 32, JobKind.REPORT)]


def test_job_that_was_never_started_waits_to_be_run(database: Database, jobs: Jobs) -> None:
    job = row("new")
    jobs.add(job, ())
    assert Reconciliation(database).run(NOBODY).waiting == []
    assert [waiting.job_id for waiting in Reconciliation(database).run(NOBODY, utc_now() + LATER).waiting] == [job.id]


@pytest.fixture
def waiting(jobs: Jobs) -> QueryJob:
    """A job whose run waits for its turn."""
    job = row("large", sequences=2)
    jobs.add(job, [NewSequence(child, f"{child[:31]}0", 0, 1, 1, "") for child in ("a" * 32, "b" * 32)])
    assert jobs.wait(job.id, RUN)
    return jobs.query(job.id)


def test_job_whose_run_waits_for_its_turn_is_left_to_that(database: Database, jobs: Jobs, waiting: QueryJob) -> None:
    waits = Reconciliation(database).run(knows(run_1=RunState.RUNNING), utc_now() + LATER)
    assert (waits.waiting, waits.cancelled) == ([], [])
    assert jobs.has_waited(waiting.id, RUN)
    assert not jobs.has_waited(waiting.id, "run-2")


def test_job_whose_run_died_while_it_waited_is_run_at_once(database: Database, waiting: QueryJob) -> None:
    assert [lost.job_id for lost in Reconciliation(database).run(ENDED).waiting] == [waiting.id]


def test_job_whose_run_was_cancelled_while_it_waited_is_cancelled(
    database: Database, jobs: Jobs, waiting: QueryJob
) -> None:
    reconciled = Reconciliation(database).run(knows(run_1=RunState.CANCELLED))
    assert (reconciled.cancelled, reconciled.waiting) == ([waiting.id], [])
    assert {jobs.query(job).status for job in (waiting.id, "a" * 32)} == {JobStatus.CANCELLED}


def test_job_in_progress_waits_for_no_turn(jobs: Jobs, alone: QueryJob) -> None:
    assert not jobs.wait(alone.id, "run-2")
    assert not jobs.has_waited(alone.id, "run-2")


def test_job_that_cannot_be_started_fails(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    (waiting,) = Reconciliation(database).run(ENDED).waiting
    Reconciliation(database).give_up(waiting, "its run crashed")
    assert (jobs.query(alone.id).status, jobs.query(alone.id).reason) == (JobStatus.FAILED, "its run crashed")


def test_job_that_goes_on_meanwhile_is_left_alone(database: Database, jobs: Jobs, alone: QueryJob) -> None:
    """Between reading the jobs and asking for their runs, another run may have started the job again."""

    def states(asked: set[str]) -> Mapping[str, RunState]:
        jobs.start(jobs.query(alone.id), run_id="run-2")
        return ENDED(asked)

    assert Reconciliation(database).run(states).queued == []
    assert jobs.query(alone.id).status == JobStatus.IN_PROGRESS


_AHEAD = """
import sys
from datetime import timedelta
from multiblast.database import tables
now = tables.utc_now
tables.utc_now = lambda: now() + timedelta(hours=1)  # before others know it
import multiblast.database
multiblast.database.utc_now = tables.utc_now
from multiblast.database import Database
from multiblast.upkeep.reconciliation import Reconciliation
print(Reconciliation(Database(sys.argv[1])).run(lambda _: {}).queued)
"""


def test_job_that_is_searched_is_left_alone_by_a_machine_whose_clock_is_ahead(postgres_url: str) -> None:
    """The database's clock counts, by which leases are renewed."""
    database = Database(postgres_url)
    jobs, job = Jobs(database), row("alone", result_key="e" * 32)
    jobs.add(job, ())
    jobs.start(jobs.query(job.id), run_id=RUN)
    with database.write() as session:
        session.exec(update(JobEvent).values(at=utc_now() - LATER))
        session.add(Lease(key="e" * 32, holder=GONE, expires_at=utc_now() + SOON))
    database.close()
    found = subprocess.run([sys.executable, "-c", _AHEAD, postgres_url], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
