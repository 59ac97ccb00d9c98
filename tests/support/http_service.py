"""The HTTP service for tests: the real one, on a port of its own, beside the test in its process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from multiblast.database import JobKind
from multiblast.errors import MultiblastError
from multiblast.services import Services
from multiblast.upkeep.diagnosis import Check
from multiblast.upkeep.reconciliation import Waiting
from web.application import make_application
from web.server import make_server

__all__ = ["HereStarter", "config", "ended", "serving"]

_LIMIT_S = 30


@dataclass
class HereStarter:
    """Runs jobs in threads of this process; while it is away, nothing can be started."""

    services: Services
    away: bool = False
    started: list[Waiting] = field(default_factory=list)

    async def start(self, waiting: Waiting) -> None:
        if self.away:
            raise ConnectionError("away")
        self.started.append(waiting)
        threading.Thread(target=self._run, args=[waiting]).start()

    async def hindrance(self) -> str:
        return "nobody is here: `make up` starts somebody" if self.away else ""

    async def health(self) -> list[Check]:
        return [Check("Prefect", not self.away, 0.0, "")]

    def _run(self, waiting: Waiting) -> None:
        door: Any = self.services.door(waiting.kind)
        if door.waiting(waiting.job_id) != waiting:  # it was cancelled and queued anew, while nothing could be started
            return
        with suppress(MultiblastError):
            if waiting.kind is JobKind.PLUGIN:
                self.services.plugin_chains.execute(waiting.job_id)
                return
            door.run(waiting.job_id).execute()
            for report in self.services.wanted_reports.of(waiting.job_id):
                self.services.reports.run(report.id).execute()


@contextmanager
def serving(services: Services, starter: Any, *, small_search_s: float = 0, port: int = 0) -> Iterator[str]:
    """Serve until the end of the block; give the address. By default, each search is left to the starter."""
    http = services.policy.http.model_copy(update={"small_search_s": small_search_s})
    services.policy = services.policy.model_copy(update={"http": http})
    server = make_server(make_application(services, starter))
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        deadline = time.monotonic() + _LIMIT_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:  # else the thread keeps the process of a failed test alive
            server.should_exit = True
            thread.join(_LIMIT_S)


def config(query: str = "", *, database: str = "proteins", tool: str = "blastp", **blast: Any) -> dict[str, Any]:
    """Return a request for a query job, in the design's form."""
    job: dict[str, Any] = {
        "site": "demo",
        "targets": [{"targetDisplayName": "examples", "targetFile": database}],
    }
    return {"jobConfig": {**job, **({"query": query} if query else {})}, "blastConfig": {"tool": tool, **blast}}


def ended(client: httpx.Client, path: str, **headers: str) -> Mapping[str, Any]:
    """Return a job once it has ended."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(path, headers={"Prefer": "wait=10", **headers}).raise_for_status().json()
        if job["status"] not in {"queued", "in-progress"}:
            return job
    raise AssertionError(f"{path} does not end")
