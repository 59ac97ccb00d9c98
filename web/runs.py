"""Runs of what was submitted: started through the deployment, once each, however often and whenever that works."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool

from multiblast.database import JobKind, utc_now
from multiblast.outages import is_outage
from multiblast.results.holders import new_process_run
from multiblast.services import Services
from multiblast.upkeep.diagnosis import Check
from multiblast.upkeep.reconciliation import Reconciliation, Waiting

ResultT = TypeVar("ResultT")

_log = logging.getLogger("multiblast.http")

_AGAIN_S = 5.0
_LOOKS_EVERY_S = 5.0
_FORMATTERS = 2
_SEARCHERS = 2
_MOST_SEARCHES = 32  # that run here or wait for that
_RESUME_AFTER = timedelta(seconds=30)  # by then, a process that has just recorded a job runs it
_STARTS = 4  # at a time


class Starter(Protocol):
    """What starts runs."""

    async def start(self, waiting: Waiting) -> None:
        """Start the run of a queued job; the same once only.

        Raises:
            ConnectionError: there is nobody to start it, for now.
        """

    async def hindrance(self) -> str:
        """Return why nothing that is started goes on now, in words for an administrator; empty if it does."""

    async def health(self) -> list[Check]:
        """Report how everything is that starts depend on."""


class Runs:
    """Sees to it that what was submitted runs: small searches and reports here, all else in a run of its own.

    What cannot be started now is tried again; what this process leaves at its end, the next one starts when it begins,
    or the flow reconcile-jobs.

    Args:
        services: Where the jobs are.
        starter: What starts runs.
        on_end: Called in the event loop when something has ended here.
    """

    def __init__(self, services: Services, starter: Starter, on_end: Callable[[], None]) -> None:
        self._services, self._starter, self._on_end = services, starter, on_end
        self._formatters = ThreadPoolExecutor(_FORMATTERS, "formatter")
        self._searchers = ThreadPoolExecutor(_SEARCHERS, "searcher")
        self._searches = 0
        self._here: set[Waiting] = set()
        self._hindrance, self._looked_at = "", -_LOOKS_EVERY_S
        self._starts = asyncio.Semaphore(_STARTS)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, waiting: Waiting | None) -> None:
        """Start what a job waits for; what it is None for needs nothing. Returns at once."""
        if waiting is not None:
            self._keep(self._begin(waiting))

    def begin_all(self, waiting: Iterable[Waiting]) -> None:
        """Start several: see `begin`."""
        for one in waiting:
            self.begin(one)

    def resume(self) -> None:
        """Start, after a while, what still waits since before this process; what has a run is not started again."""
        self._keep(self._resume())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def here(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something here that takes a program, a few at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._formatters, work)

    async def hindrance(self, job_id: str) -> str:
        """Return why a queued job cannot be begun, in words for an administrator; empty if it takes its turn."""
        if any(one.job_id == job_id for one in self._here):
            return ""
        if time.monotonic() - self._looked_at >= _LOOKS_EVERY_S:
            self._looked_at = time.monotonic()
            self._hindrance = await self._starter.hindrance()
        return self._hindrance

    async def health(self) -> list[Check]:
        """Report how everything is that runs depend on."""
        return await self._starter.health()

    async def close(self) -> None:
        """Stop trying."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._formatters.shutdown(wait=True, cancel_futures=True)
        self._searchers.shutdown(wait=True, cancel_futures=True)

    async def _begin(self, waiting: Waiting) -> None:
        if waiting in self._here:  # somebody else has submitted the same just now
            return
        self._here.add(waiting)
        try:
            is_done = await self._done_here(waiting)
        finally:
            self._here.discard(waiting)
        if is_done:
            self._on_end()
            if waiting.kind is JobKind.QUERY:
                self.begin_all(await run_in_threadpool(self._services.wanted_reports.begin, waiting.job_id))
        else:
            await self._start(waiting)

    async def _done_here(self, waiting: Waiting) -> bool:
        """Search or make a report here if it is small, and not too many wait for that."""
        policy = self._services.policy
        if policy.provenance or waiting.kind is JobKind.PLUGIN:  # which runs record; of plugins nobody knows how long
            return False
        if waiting.kind is JobKind.REPORT:
            return await self.here(lambda: self._made(waiting))
        if not policy.http.small_search_s or self._searches >= _MOST_SEARCHES:
            return False
        self._searches += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._searchers, self._searched, waiting)
        finally:
            self._searches -= 1

    async def _resume(self) -> None:
        await asyncio.sleep(_RESUME_AFTER.total_seconds())
        reconciliation = Reconciliation(self._services.database)
        for waiting in await run_in_threadpool(lambda: reconciliation.waiting(utc_now() - _RESUME_AFTER)):
            self._keep(self._start(waiting))

    async def _start(self, waiting: Waiting) -> None:
        has_failed = False
        while True:
            try:
                async with self._starts:
                    if has_failed and not await run_in_threadpool(self._still_waits, waiting):
                        return
                    await self._starter.start(waiting)
            except ConnectionError as error:
                if not has_failed:
                    _log.warning("no run can be started yet: %s", error, extra={"job": waiting.job_id})
                has_failed = True
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _still_waits(self, waiting: Waiting) -> bool:
        """Whether a job is still to be started: nobody cancelled it, queued it anew or started it meanwhile."""
        try:
            return self._services.door(waiting.kind).still_waits(waiting)
        except Exception as error:
            if is_outage(error):
                return True
            raise

    def _made(self, waiting: Waiting) -> bool:
        reports, report_id = self._services.reports, waiting.job_id
        execute = partial(reports.run(report_id, run_id=new_process_run()).execute, at_once=True)
        return self._done(waiting, lambda: execute if reports.is_small(report_id) else None)

    def _searched(self, waiting: Waiting) -> bool:
        def find() -> Callable[[], object] | None:
            run = self._services.queries.run(waiting.job_id, run_id=new_process_run())
            plan = run.plan(quick=True)
            return partial(run.execute, plan) if run.is_small(plan, self._services.policy.http.small_search_s) else None

        return self._done(waiting, find)

    def _done(self, waiting: Waiting, find: Callable[[], Callable[[], object] | None]) -> bool:
        """Do what is found to be small, unless it was cancelled or done meanwhile; how it ends, its job says."""
        if not self._still_waits(waiting):
            return True
        try:
            execute = find()
        except Exception:  # noqa: BLE001 - a run of its own will say why
            return False
        if execute is None:
            return False
        try:
            execute()
        except Exception:  # noqa: BLE001 - the job says how it ended; after an outage it is done again
            _log.warning("a job did not end well", exc_info=True, extra={"job": waiting.job_id})
        return True
