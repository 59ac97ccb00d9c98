"""Waiting for jobs: any number of requests wait without a thread, and one look at the database serves them all."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from multiblast.accounts import Requester
from multiblast.database import JobKind
from multiblast.jobs import ACTIVE
from multiblast.services import Services

_POLL_S = 0.2
_EVERYTHING = Requester(administrator=True)  # rights are checked before anybody waits


class Watch:
    """Notifies requests that wait of the end of their jobs.

    Args:
        services: Where the jobs are.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: dict[JobKind, dict[str, set[asyncio.Future[None]]]] = {kind: {} for kind in JobKind}
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seen = ""  # the version of the database that was looked at, for all who wait

    async def ended(self, kind: JobKind, job_id: str, limit_s: float) -> None:
        """Return when a job neither waits nor runs any more, or when the time is over."""
        ended = asyncio.get_running_loop().create_future()
        jobs = self._waiting[kind]
        self._seen = ""
        jobs.setdefault(job_id, set()).add(ended)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended, limit_s)
        finally:
            jobs[job_id].discard(ended)
            if not jobs[job_id]:
                del jobs[job_id]

    def look(self) -> None:
        """Look at once: something has ended here."""
        self._look.set()

    async def _watch(self) -> None:
        while any(self._waiting.values()):
            with suppress(Exception):  # a database that is away is asked again; who waits gives up in time
                version = await run_in_threadpool(self._services.database.version)
                if version != self._seen:
                    self._seen = version
                    for kind, jobs in self._waiting.items():
                        await self._see(kind, jobs)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), _POLL_S)
            self._look.clear()

    async def _see(self, kind: JobKind, jobs: dict[str, set[asyncio.Future[None]]]) -> None:
        asked = list(jobs)
        statuses = await run_in_threadpool(self._services.door(kind).statuses, _EVERYTHING, asked) if asked else {}
        ended = [job_id for job_id in asked if statuses.get(job_id) not in ACTIVE]
        for future in (future for job_id in ended for future in jobs.get(job_id, ())):
            if not future.done():
                future.set_result(None)
