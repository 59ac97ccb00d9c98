"""What `make up` records of itself, by which `make status`, `make down` and another `make up` know what runs."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.processes import is_running, wait_for


@pytest.mark.long
def test_down_stops_everything_and_twice_is_fine(tmp_path: Path) -> None:
    """What an `up` that was killed half-way has started is known to `status`, and stopped by `down`."""
    killed = Installation(tmp_path)
    with killed.popen("up") as process:
        wait_for(lambda: killed.pids)
        process.send_signal(signal.SIGKILL)
    (server,) = killed.pids
    assert is_running(server)
    assert killed.run("status")[0] == 1
    assert killed.run("down")[0] == 0
    assert not is_running(server)
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
    assert stale.run("status") == (0, "Nothing is running; `make up` starts it.\n")


def test_what_ended_is_started_again_by_its_own_command_only(tmp_path: Path) -> None:
    """A plain service in place of a full one would have other jobs, and ask nobody for a password."""
    ended = Installation(tmp_path)
    record = tmp_path / "data" / "prefect" / "up.json"
    record.parent.mkdir(parents=True)
    process = {"name": "server", "pid": 1, "started": 1}
    record.write_text(json.dumps({"port": ended.port, "processes": [process], "ready": True, "profile": "full"}))
    command = f"`make up PORT={ended.port} PROFILE=full`"
    code, said = ended.run("status")
    assert (code, said.splitlines()[-1]) == (1, f"Not complete; {command} starts it again.")
    code, said = ended.run("up")
    assert (code, said) == (1, f"What runs was started by {command}: type that, or `make down` before another.\n")
