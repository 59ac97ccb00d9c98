"""What acceptance tests share: a home with the demo databases, and one Prefect server for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deployments.server import temporary_server
from tests.support.machines import network_of_its_own
from tests.support.places import EXAMPLES, ROOT
from tests.support.servers import free_stack_port

_PATIENCE_S = 150  # one of Prefect's servers on SQLite may be locked for 60 s

Run = Callable[..., subprocess.CompletedProcess[str]]


def _environment(home: Path, **more: str) -> dict[str, str]:
    foreign = ("PREFECT_", "MULTIBLAST_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "HOME": str(home), "MULTIBLAST_HOME": str(home / "multiblast"), **more}


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """``make up`` on a free port in a home of its own: the environment to run commands in; stopped at the end."""
    home = tmp_path_factory.mktemp("live")
    environment = _environment(home)
    port = free_stack_port()
    up = [sys.executable, "-m", "deployments", "up", "--port", str(port)]
    done = subprocess.run(up, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first = done.stdout.partition("http://")[2].split()[0]  # of the addresses: where people search
    assert first == f"127.0.0.1:{port + 1}"
    yield {**environment, "UI_URL": f"http://127.0.0.1:{port}"}
    subprocess.run([sys.executable, "-m", "deployments", "down"], cwd=ROOT, env=environment, check=True)


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, str]]:
    with network_of_its_own() as network:
        yield network


@pytest.fixture(scope="session")
def temporary_prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server's API for flows that run in the process of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        home = str(tmp_path_factory.mktemp("prefect"))
        patch.setenv("MULTIBLAST_HOME", home)
        patch.setenv("PREFECT_HOME", home)
        server = temporary_server()
    try:
        server.wait(lambda _: None)
        yield server.api_url
    finally:
        server.stop()


class _Patient(httpx.HTTPTransport):
    """Tries again where a busy server on SQLite says 503, as every client of Prefect's does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for pause_s in (1, 2, 4, 8, 16):
            response = super().handle_request(request)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
            response.close()
            time.sleep(pause_s)
        return super().handle_request(request)


@pytest.fixture(scope="session")
def prefect_api(live: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of the live server's API."""
    with httpx.Client(base_url=f"{live['UI_URL']}/api", timeout=_PATIENCE_S, transport=_Patient()) as client:
        yield client


@pytest.fixture
def pause(prefect_api: httpx.Client) -> Callable[[bool], object]:
    """``pause(True)``: hold the queue of large jobs up, as its page does; ``pause(False)`` lets it go on."""

    def change(paused: bool) -> object:
        return prefect_api.patch("/work_pools/search/queues/large", json={"is_paused": paused}).raise_for_status()

    return change


@pytest.fixture
def large(prefect_api: httpx.Client, pause: Callable[[bool], object]) -> Iterator[None]:
    """While this holds, jobs count as large that take a second, and none of these has its turn."""
    block = prefect_api.get("/block_types/slug/blast-service-policy/block_documents/name/default").json()

    def call_large(seconds: int) -> None:
        data = block["data"] | {"policy": block["data"]["policy"] | {"large_job_s": seconds}}
        body = {"data": data, "block_schema_id": block["block_schema_id"]}
        prefect_api.patch(f"/block_documents/{block['id']}", json=body).raise_for_status()

    pause(True)
    call_large(1)
    yield
    call_large(block["data"]["policy"]["large_job_s"])
    pause(False)


@pytest.fixture
def multiblast(live: dict[str, str], tmp_path: Path) -> Run:
    """``multiblast("search", …)``: run the command line against the live server, in a directory of the test's own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("multiblast"), *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=live, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def answer(multiblast: Run) -> Callable[..., dict[str, object]]:
    """``answer("search", …)``: the same with --json, which must succeed; what it answered."""

    def run(*arguments: object) -> dict[str, object]:
        done = multiblast(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    return run


@pytest.fixture(scope="session")
def examples() -> Path:
    """The directory of the demo queries."""
    return EXAMPLES
