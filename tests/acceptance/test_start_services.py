"""`make up` and `make down`: a server with our blocks and deployments, and a worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_PREFECT_FILE = yaml.safe_load((_ROOT / "deployments" / "prefect.yaml").read_text())
_FLOWS = [item["name"] for item in _PREFECT_FILE["deployments"]]


class Installation:
    """A home and a port of its own, with the commands that `make up` and `make down` run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MULTIBLAST_"))}
        return {**kept, "HOME": str(self.home), "MULTIBLAST_HOME": str(self.home / "data")}

    def popen(self, *command: str) -> subprocess.Popen[str]:
        arguments = [*command, "--port", str(self.port)] if command == ("up",) else command
        return subprocess.Popen(
            [sys.executable, "-m", "deployments", *arguments],
            cwd=_ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        with self.popen(*command) as process:
            output, _ = process.communicate(timeout=150)
        return process.returncode, output

    @property
    def pids(self) -> list[int]:
        try:
            kept = json.loads((self.home / "data" / "prefect" / "up.json").read_text())
        except FileNotFoundError:
            return []
        return [process["pid"] for process in kept["processes"]]

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api{path}",
            json.dumps(body or {}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            return json.load(response)


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Started services, stopped in the end whatever happens."""
    installation = Installation(tmp_path_factory.mktemp("home"))
    code, output = installation.run("up")
    try:
        assert code == 0, output
        yield installation
    finally:
        installation.run("down")


def test_up_deploys_every_flow(installation: Installation) -> None:
    assert sorted(item["name"] for item in installation.ask("/deployments/filter")) == sorted(_FLOWS)


def test_up_makes_the_queues_of_the_file(installation: Installation) -> None:
    queues = {queue["name"]: queue for queue in installation.ask("/work_pools/search/queues/filter")}
    wanted = _PREFECT_FILE["definitions"]["queues"]
    found = {name: {key: queues[name][key] for key in settings} for name, settings in wanted.items()}
    assert found == wanted


def test_up_schedules_what_the_file_does(installation: Installation) -> None:
    """Every deployment waits in a queue that the file has, and runs by itself only if the file says so."""
    deployed = installation.ask("/deployments/filter")
    assert {item["work_queue_name"] for item in deployed} <= _PREFECT_FILE["definitions"]["queues"].keys()
    found = {s["slug"]: s["active"] for item in deployed for s in item["schedules"]}
    schedules = (item for listed in _PREFECT_FILE["definitions"]["schedules"].values() for item in listed)
    assert found == {item["slug"]: item.get("active", True) for item in schedules}


def test_up_gives_every_block_a_default_document(installation: Installation) -> None:
    ours = {"blast-installation", "blast-job-database", "blast-query-limits", "blast-result-storage"}
    documents = installation.ask("/block_documents/filter")
    assert {item["block_type"]["slug"] for item in documents if item["name"] == "default"} >= ours


def test_up_has_a_worker_ready(installation: Installation) -> None:
    (worker,) = installation.ask("/work_pools/search/workers/filter")
    assert worker["status"] == "ONLINE"


def test_ui_asks_the_right_port(installation: Installation) -> None:
    """Prefect's pages ask port 4200 unless told otherwise, and then say they cannot connect."""
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.port}/ui-settings", timeout=30) as response:
        settings = json.load(response)
    assert settings["api_url"] == f"http://127.0.0.1:{installation.port}/api"


def test_up_again_says_that_it_runs(installation: Installation) -> None:
    before = installation.pids
    code, output = installation.run("up")
    assert (code, installation.pids) == (0, before)
    assert f"Already running at http://127.0.0.1:{installation.port}" in output


def test_command_uses_the_running_server(installation: Installation) -> None:
    code = "from deployments.server import start_prefect; print(start_prefect())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"api_url='http://127.0.0.1:{installation.port}/api', process=None" in done.stdout


def test_up_on_a_taken_port_says_what_to_type(installation: Installation, tmp_path: Path) -> None:
    other = Installation(tmp_path)
    other.port = installation.port
    code, output = other.run("up")
    assert code == 1
    assert f"Port {other.port} is taken by another Prefect server" in output
    assert f"make up PORT={other.port + 1}" in output


def test_down_stops_everything_and_twice_is_fine(tmp_path: Path) -> None:
    """What an `up` that was killed half-way has started is known to `status`, and stopped by `down`."""
    killed = Installation(tmp_path)
    with killed.popen("up") as process:
        deadline = time.monotonic() + 60
        while not killed.pids and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    (server,) = killed.pids
    assert _alive(server)
    assert killed.run("status")[0] == 1
    assert killed.run("down")[0] == 0
    assert not _alive(server)
    assert killed.run("down") == (0, "Nothing is running.\n")


def test_stale_record_stops_nobody(tmp_path: Path) -> None:
    """A process id that belongs to another process by now is left alone."""
    stale = Installation(tmp_path)
    record = tmp_path / "data" / "prefect" / "up.json"
    record.parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        process = {"name": "server", "pid": bystander.pid, "started": 1}
        record.write_text(json.dumps({"port": stale.port, "processes": [process], "ready": True}))
        assert stale.run("down")[0] == 0
        survived = bystander.poll() is None
        bystander.kill()
    assert survived
    assert stale.run("status")[0] == 1
