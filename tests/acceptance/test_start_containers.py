"""What containers run works outside of them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.places import ROOT
from tests.support.processes import unset_environment
from tests.support.servers import free_stack_port

pytestmark = pytest.mark.long


def test_all_in_one_has_flows_and_a_worker_and_keeps_its_data_at_home(tmp_path: Path) -> None:
    port = free_stack_port()
    (tmp_path / "data" / "targets").mkdir(parents=True)
    environment = unset_environment() | {"HOME": str(tmp_path), "MULTIBLAST_HOME": str(tmp_path / "data")}
    command = [sys.executable, "-m", "deployments", "all", "--port", str(port)]
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file) as all_,
    ):
        try:
            deadline = time.monotonic() + 600
            while not _workers(port):
                assert all_.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
            deployed = httpx.post(f"http://127.0.0.1:{port}/api/deployments/filter", json={}).json()
            assert {"submit-query", "reconcile-jobs"} <= {item["name"] for item in deployed}
            assert (tmp_path / "data" / "prefect" / "prefect.db").exists()
        finally:
            all_.terminate()
        assert all_.wait(60) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _workers(port: int) -> list[str]:
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}/api/work_pools/search/workers/filter", json={})
    except httpx.TransportError:
        return []
    return [worker["status"] for worker in answer.json()] if answer.is_success else []
