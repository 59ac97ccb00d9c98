"""Runs of what was submitted: what cannot be started is tried again as long as it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from deployments.run_starter import RunStarter
from multiblast.accounts import Requester
from multiblast.database import JobKind, JobStatus
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy
from multiblast.upkeep.diagnosis import Check
from multiblast.upkeep.reconciliation import Waiting
from tests.support.http_service import config
from web import runs
from web.runs import Runs

ADMINISTRATOR = Requester(administrator=True)


@dataclass
class LateStarter:
    """Starts nothing at first, while something else happens."""

    meanwhile: Callable[[], object]
    started: list[Waiting] = field(default_factory=list)
    has_failed: bool = False

    async def start(self, waiting: Waiting) -> None:
        if not self.has_failed:
            self.has_failed = True
            await asyncio.to_thread(self.meanwhile)
            raise ConnectionError("away")
        self.started.append(waiting)

    async def hindrance(self) -> str:
        return ""

    async def health(self) -> list[Check]:
        return []


@pytest.fixture
def services(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services that leave each search to a run."""
    monkeypatch.setattr(runs, "_AGAIN_S", 0.0)
    services.policy = Policy(http=HttpRules(small_search_s=0))
    return services


@pytest.fixture
def job(services: Services) -> str:
    return services.queries.create(ADMINISTRATOR, config(">a\nMKVLAAGIVGLLLAQWERTYIP\n")).query_job_id


def started_after(services: Services, job: str, meanwhile: Callable[[], object]) -> list[Waiting]:
    """Begin a job, for which no run can be started at once; return what is started in the end."""
    starter = LateStarter(meanwhile)

    async def begin() -> None:
        started = Runs(services, starter, lambda: None)
        started.begin(services.queries.begin(job))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        await started.close()

    asyncio.run(begin())
    return starter.started


@pytest.mark.parametrize(("address", "remedy"), [("", "`make up`"), ("http://127.0.0.1:9/api", "`multiblast doctor`")])
def test_starter_says_what_to_type_where_nothing_can_be_started(address: str, remedy: str) -> None:
    assert remedy in asyncio.run(RunStarter(lambda: address).hindrance())


def begun_here(services: Services, waiting: Waiting | None, times: int = 1) -> None:
    """Let the service itself search, to its end."""
    services.policy = Policy(http=HttpRules(small_search_s=60))

    async def begin() -> None:
        started = Runs(services, LateStarter(lambda: None), lambda: None)
        started.begin_all([waiting] * times if waiting else [])
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        await started.close()

    asyncio.run(begin())


def test_small_search_that_is_cancelled_before_its_turn_is_not_done(services: Services, job: str) -> None:
    waiting = services.queries.begin(job)
    services.queries.cancel(ADMINISTRATOR, job)
    begun_here(services, waiting)
    assert services.queries.jobs.query(job).status == JobStatus.CANCELLED


def test_small_search_that_many_submit_at_once_is_done_once(services: Services, job: str) -> None:
    begun_here(services, services.queries.begin(job), times=5)
    states = [event.to_status for event in services.queries.jobs.history(job)]
    assert states == [JobStatus.QUEUED, JobStatus.IN_PROGRESS, JobStatus.COMPLETE]
    begun_here(services, Waiting(job, JobKind.QUERY, services.queries.jobs.history(job)[0].number or 0))
    assert len(services.queries.jobs.history(job)) == len(states)


def test_job_that_waits_is_started_once_that_is_possible(services: Services, job: str) -> None:
    assert started_after(services, job, lambda: None) == [services.queries.waiting(job)]


def test_job_that_is_cancelled_before_it_can_be_started_is_not_started(services: Services, job: str) -> None:
    assert started_after(services, job, lambda: services.queries.cancel(ADMINISTRATOR, job)) == []


def test_job_that_is_queued_anew_before_it_can_be_started_is_not_started_twice(services: Services, job: str) -> None:
    """Whoever queues it anew sees to its start."""

    def queue_anew() -> None:
        services.queries.cancel(ADMINISTRATOR, job)
        services.queries.restart(ADMINISTRATOR, job)

    assert started_after(services, job, queue_anew) == []
