"""Runs of what was submitted: started through the deployment, once each, however often and whenever that works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from multiblast.database import JobKind
from multiblast.services import Services
from multiblast.upkeep.diagnosis import Check
from multiblast.upkeep.reconciliation import Waiting

ResultT = TypeVar("ResultT")

_log = logging.getLogger("multiblast.http")

_AGAIN_S = 5.0
_FORMATTERS = 2
_STARTS = 4  # at a time


class Starter(Protocol):
    """What starts runs."""

    async def start(self, waiting: Waiting) -> None:
        """Start the run of a queued job; the same once only.

        Raises:
            ConnectionError: there is nobody to start it, for now.
        """

    async def health(self) -> list[Check]:
        """Tell how everything is that starts depend on."""


class Runs:
    """Sees to it that what was submitted runs: small reports here, all else in a run of its own.

    What cannot be started now is tried again; if this process ends before, the flow reconcile-jobs starts it.

    Args:
        services: Where the jobs are.
        starter: What starts runs.
        on_end: Called in the event loop when something has ended here.
    """

    def __init__(self, services: Services, starter: Starter, on_end: Callable[[], None]) -> None:
        self._services, self._starter, self._on_end = services, starter, on_end
        self._formatters = ThreadPoolExecutor(_FORMATTERS, "formatter")
        self._starts = asyncio.Semaphore(_STARTS)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, waiting: Waiting | None) -> None:
        """Start what a job waits for; what it is None for needs nothing. Returns at once."""
        if waiting is not None:
            task = asyncio.create_task(self._begin(waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def here(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something here that takes a program, a few at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._formatters, work)

    async def health(self) -> list[Check]:
        """Tell how everything is that runs depend on."""
        return await self._starter.health()

    async def close(self) -> None:
        """Stop trying."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._formatters.shutdown(wait=True, cancel_futures=True)

    async def _begin(self, waiting: Waiting) -> None:
        loop = asyncio.get_running_loop()
        if waiting.kind is JobKind.REPORT and await loop.run_in_executor(
            self._formatters, self._made_here, waiting.job_id
        ):
            self._on_end()
            return
        first = True
        while True:
            try:
                async with self._starts:
                    await self._starter.start(waiting)
            except ConnectionError as error:
                if first:
                    _log.warning("no run can be started yet: %s", error, extra={"job": waiting.job_id})
                first = False
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _made_here(self, job_id: str) -> bool:
        """Make a report if it is small; how it ends, its job says."""
        reports = self._services.reports
        try:
            if not reports.is_small(job_id):
                return False
            reports.run(job_id).execute()
        except Exception:  # noqa: BLE001 - the job says how it ended; after an outage it is made again
            _log.warning("a report was not made", exc_info=True, extra={"job": job_id})
        return True
