"""How much one user may have, and whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import current_thread

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from multiblast.accounts import Accounts, FairQueue, Requester, UsageLimits
from multiblast.accounts.fair_queue import next_in_turn
from multiblast.database import Database, Link, Turn, Usage
from multiblast.errors import ConflictError, InvalidInputError, LimitError
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy, UserLimits

ANN, BOB = Requester("ann"), Requester("bob")
NOON = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


class Outage(Database):
    """A job database that heartbeats cannot reach while ``away``."""

    away = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.away and current_thread().name == "heartbeat":
            raise OperationalError("UPDATE", {}, Exception("server closed the connection"))
        with super().write() as session:
            yield session


@pytest.fixture
def outage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    monkeypatch.setattr("multiblast.database.lease_renewal.HEARTBEAT_S", 0.1)
    database = Outage(database_url)
    yield database
    database.close()


def limits(database: Database, **values: int) -> UsageLimits:
    return UsageLimits(database, Policy(users=UserLimits(**values)))


def submit(usage: UsageLimits, sequences: int, now: datetime, requester: Requester = ANN) -> None:
    with usage.count_submission(requester, lambda: sequences, now):
        pass


def test_sequences_per_day_are_counted_over_24_hours(database: Database) -> None:
    usage = limits(database, sequences_per_day=100)
    submit(usage, 60, NOON)
    submit(usage, 40, NOON + timedelta(hours=3))
    with pytest.raises(LimitError) as caught:
        submit(usage, 1, NOON + timedelta(hours=4))
    assert caught.value.limit == "sequences_per_day"
    assert caught.value.retry_at == NOON.replace(minute=0) + timedelta(days=1)
    assert "2026-05-02 12:00 UTC" in str(caught.value)
    with pytest.raises(LimitError) as caught:
        submit(usage, 61, NOON + timedelta(hours=4))
    assert caught.value.retry_at == NOON.replace(minute=0) + timedelta(hours=27)
    submit(usage, 60, caught.value.retry_at)


def test_sequences_of_others_and_of_administrators_do_not_count(database: Database) -> None:
    usage = limits(database, sequences_per_day=10)
    submit(usage, 10, NOON)
    submit(usage, 10, NOON, BOB)
    submit(usage, 1000, NOON, Requester("root", administrator=True))


def test_submission_that_fails_is_not_counted(database: Database) -> None:
    usage = limits(database, sequences_per_day=10)
    with pytest.raises(InvalidInputError), usage.count_submission(ANN, lambda: 10, NOON):
        raise InvalidInputError("bad")
    submit(usage, 10, NOON)


def test_guest_who_becomes_a_user_keeps_what_was_used(database: Database) -> None:
    accounts = Accounts(database, Policy(users=UserLimits(sequences_per_day=10)))
    token = accounts.new_guest()
    guest = accounts.requester(guest_token=token)
    submit(accounts.usage, 6, NOON, guest)
    submit(accounts.usage, 3, NOON)
    accounts.link_guest(token, "ann")
    with database.read() as session:
        assert [(row.owner, row.sequences) for row in session.exec(select(Usage))] == [("ann", 9)]


def test_jobs_queued_are_limited_until_one_ends(make_services: Callable[..., Services]) -> None:
    services = replace(make_services(), policy=Policy(users=UserLimits(jobs_queued=2)))

    def record(number: int) -> str:
        query = f">s\n{'MKVLAAGIV' * (number + 3)}\n"
        submission = read_submission(query=query, targets=["demo/examples/proteins"])
        return services.queries.submit(ANN, submission).job_id

    first = record(0)
    record(1)
    with pytest.raises(LimitError, match="2 of your jobs wait or run, and 2 may"):
        record(2)
    services.queries.cancel(ANN, first)
    assert record(2)
    assert len(services.queries.list_jobs(ANN)) == 3


def test_user_is_at_work_once_as_many_jobs_run_as_may(make_services: Callable[..., Services]) -> None:
    services = replace(make_services(), policy=Policy(jobs_at_a_time=2))
    usage = services.accounts.usage

    def record(number: int, owner: Requester = ANN) -> str:
        submission = read_submission(query=f">s\n{'MKVLAAGIV' * number}\n", targets=["demo/examples/proteins"])
        return services.queries.submit(owner, submission).job_id

    jobs, other = [record(number) for number in (3, 4, 5)], record(6, Requester(owner="bob"))
    for running, at_work in ((jobs[0], False), (jobs[1], True)):
        run = services.queries.run(running)
        run.start(run.plan())
        assert usage.at_job_limit(jobs[2]) is at_work
    assert not usage.at_job_limit(other)


def test_bytes_kept_are_limited_until_jobs_go(
    make_services: Callable[..., Services], search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    services = replace(make_services(), policy=Policy(keep_days=30, users=UserLimits(bytes_kept=1000)))
    job = search_whole(services, proteins[0].canonical.decode(), user="ann")
    submission = read_submission(query=">s\nMKVLAAGIVMKV\n", targets=["demo/examples/proteins"])
    with pytest.raises(LimitError) as caught:
        services.queries.submit(ANN, submission)
    used_at = services.queries.jobs.query(job.job_id).used_at
    assert (caught.value.limit, caught.value.retry_at) == ("bytes_kept", used_at + timedelta(days=30))
    services.queries.unlink(ANN, job.job_id)
    assert services.queries.submit(ANN, submission)


def turn(number: int, owner: str, *, started: int | None = None, ended: bool = False) -> Turn:
    """A turn; ``started`` in minutes after noon."""
    at = None if started is None else NOON + timedelta(minutes=started)
    expires_at = at if at and ended else NOON + timedelta(hours=2)
    return Turn(number=number, holder=f"h{number}", owner=owner, started_at=at, expires_at=expires_at)


def order(turns: list[Turn], slots: int) -> list[str]:
    return [f"{found.owner}{found.number}" for found in next_in_turn(turns, slots)]


def test_user_with_one_batch_does_not_wait_for_a_hundred_of_another() -> None:
    turns = [turn(n, "ann") for n in range(1, 101)] + [turn(101, "bob")]
    assert order(turns, 2) == ["ann1", "bob101"]


def test_slots_are_shared_evenly_and_none_stays_empty() -> None:
    waiting = [turn(n, "ann") for n in (1, 2, 3)] + [turn(4, "bob")]
    assert order(waiting, 4) == ["ann1", "bob4", "ann2", "ann3"]
    running = [turn(10, "ann", started=1), turn(11, "ann", started=2), turn(12, "bob", started=3)]
    assert order([*running, turn(13, "ann"), turn(14, "bob"), turn(15, "eve")], 5) == ["eve15", "bob14"]


def test_user_served_longest_ago_comes_first_among_equals() -> None:
    ended = [turn(1, "ann", started=9, ended=True), turn(2, "bob", started=5, ended=True)]
    assert order([*ended, turn(3, "ann"), turn(4, "bob")], 1) == ["bob4"]


def test_thousand_submissions_of_twenty_users_come_round_user_by_user() -> None:
    """Each user's fifty were asked for at once, one user after another; of every twenty that run, each has one."""
    waiting, served, now = [turn(n, f"user{n // 50:02}") for n in range(1000)], list[Turn](), 0
    while waiting:
        for found in next_in_turn([*waiting, *served[-40:]], 20):
            waiting.remove(found)
            now += 1
            served.append(turn(found.number or 0, found.owner, started=now, ended=True))
    assert len({found.number for found in served}) == 1000
    for first in range(0, 1000, 20):
        assert len({found.owner for found in served[first : first + 20]}) == 20


def test_turns_are_given_back_and_taken_from_the_dead(database: Database) -> None:
    queue = FairQueue(database, 1)
    first, second = queue.enqueue("ann", NOON), queue.enqueue("bob", NOON)
    assert queue.try_acquire(first, NOON)
    assert not queue.try_acquire(second, NOON)
    queue.release(first)
    assert queue.try_acquire(second, NOON + timedelta(seconds=1))
    third = queue.enqueue("ann", NOON + timedelta(seconds=30))
    assert not queue.try_acquire(third, NOON + timedelta(seconds=40))
    assert queue.try_acquire(third, NOON + timedelta(seconds=70))  # the second one did not say that it lives


def test_turn_outlives_heartbeats_that_fail(outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away for less than a minute took no turn from anybody."""
    monkeypatch.setattr("multiblast.accounts.fair_queue.LEASE", timedelta(seconds=1))
    queue = FairQueue(outage, 1)
    with queue.turn("j"):
        outage.away = True
        time.sleep(0.4)
        outage.away = False
        time.sleep(1.5)
        other = queue.enqueue("bob")
        assert not queue.try_acquire(other)
    assert queue.try_acquire(other)


def test_turn_that_was_taken_for_dead_counts_again(outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage that is longer than a lease, what still runs keeps others from starting as before."""
    monkeypatch.setattr("multiblast.accounts.fair_queue.LEASE", timedelta(seconds=1))
    queue = FairQueue(outage, 1)
    with queue.turn("j"):
        outage.away = True
        time.sleep(1.2)
        other = queue.enqueue("bob")
        assert queue.try_acquire(other)
        queue.release(other)
        outage.away = False
        time.sleep(0.4)
        assert not queue.try_acquire(queue.enqueue("eve"))


def test_waiting_goes_on_after_an_outage(database: Database) -> None:
    queue = FairQueue(database, 1)
    first, second = queue.enqueue("ann", NOON), queue.enqueue("bob", NOON)
    assert queue.try_acquire(first, NOON)
    later = NOON + timedelta(minutes=5)
    queue.renew(first, later)
    assert not queue.try_acquire(second, later)
    queue.renew(second, later)
    queue.release(first)
    assert queue.try_acquire(second, later)


def test_turn_is_the_one_of_whoever_had_the_job_first(database: Database) -> None:
    queue = FairQueue(database, 1)
    with database.write() as session:
        for owner, minute in (("bob", 2), ("ann", 1)):
            session.add(Link(owner=owner, job_id="j", created_at=NOON + timedelta(minutes=minute)))
    with queue.turn("j"), database.read() as session:
        assert [row.owner for row in session.exec(select(Turn))] == ["ann"]


def test_wait_for_a_turn_ends_when_it_is_given_up(database: Database) -> None:
    queue = FairQueue(database, 1)
    assert queue.try_acquire(queue.enqueue("ann"))
    with pytest.raises(ConflictError, match="cancelled"), queue.turn("j", given_up=lambda: True):
        pass
    with database.read() as session:
        assert len(session.exec(select(Turn)).all()) == 1
