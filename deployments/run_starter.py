"""Runs for jobs that were submitted over HTTP, through the deployment ``run-job``; without Prefect's own library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from deployments.diagnosis import check_server
from deployments.environment import POOL
from deployments.server import authorization
from multiblast.upkeep.diagnosis import Check
from multiblast.upkeep.reconciliation import Waiting

_TIMEOUT_S = 20.0
_STARTS = 3
_LOOK_S = 2.0
_NO_SERVER = "there is no Prefect server: `make up` starts one, with a worker"
_NO_WORKER = "Prefect's server has no worker: `make up` starts one; `multiblast service worker`, too"
_DEPLOYMENT = "/deployments/name/run-job/run-job"


class RunStarter:
    """Starts runs at a Prefect server, which may come and go.

    Args:
        find_server: Returns the address of its API; empty while there is none.
    """

    def __init__(self, find_server: Callable[[], str]) -> None:
        self._find_server = find_server
        self._deployments: dict[str, str] = {}  # by server

    async def start(self, waiting: Waiting) -> None:
        """Start the run of a queued job; the same once only, unless its run ended before the job began.

        Raises:
            ConnectionError: the server does not answer, or not as it should.
        """
        if not (api_url := self._find_server()):
            raise ConnectionError(_NO_SERVER)
        try:
            async with _client(api_url, _TIMEOUT_S) as client:
                if not (deployment := self._deployments.get(api_url, "")):
                    deployment = (await client.get(_DEPLOYMENT)).raise_for_status().json()["id"]
                    self._deployments[api_url] = deployment
                for start in range(_STARTS):
                    body = {
                        "name": f"run {waiting.job_id:.8}",  # until it begins, and says more
                        "parameters": {"job": waiting.job_id},
                        "tags": [waiting.job_id],
                        "idempotency_key": waiting.key(start),
                        "state": {"type": "SCHEDULED"},
                    }
                    answer = await client.post(f"/deployments/{deployment}/create_flow_run", json=body)
                    if answer.raise_for_status().json()["state_type"] not in {"FAILED", "CRASHED", "CANCELLED"}:
                        return
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._deployments.pop(api_url, None)  # it may be another one now
            raise ConnectionError(f"{api_url}: {type(error).__name__}: {error}") from error

    async def hindrance(self) -> str:
        """Return why nothing that is started goes on now, and what to type; empty if it does, or takes its turn."""
        if not (api_url := self._find_server()):
            return _NO_SERVER
        try:
            async with _client(api_url, _LOOK_S) as client:
                answer = await client.post(f"/work_pools/{POOL}/workers/filter", json={})
                workers = [worker["status"] for worker in answer.raise_for_status().json()]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return f"the Prefect server at {api_url} does not answer as it should: `multiblast doctor` says more"
        return "" if "ONLINE" in workers else _NO_WORKER

    async def health(self) -> list[Check]:
        """Report how the server is."""
        if api_url := self._find_server():
            return [await asyncio.to_thread(check_server, api_url)]
        return [Check("Prefect", reachable=False, latency_ms=0.0, detail="there is none")]


def _client(api_url: str, timeout_s: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=api_url, timeout=timeout_s, headers=authorization(api_url))
