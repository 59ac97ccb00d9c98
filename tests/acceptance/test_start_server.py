"""A command finds a Prefect server or starts its own, quietly, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.processes import is_running, wait_for

_SCRIPT = """
import asyncio, sys
from deployments.server import start_prefect

server = start_prefect()
from prefect import flow, get_run_logger, task

@task
async def one():
    return 1

@flow
async def count():
    get_run_logger().warning("mind the gap")
    return await one() + await one()

server.wait(lambda message: print("waiting:", message))
print("process:", server.process.pid if server.process else "none", flush=True)
print("counted:", asyncio.run(count()))
if "linger" in sys.argv:
    sys.stdin.read()
"""


def _environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MULTIBLAST_", "XDG_"))
    }
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **more}


def _run(home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=home,
        env=_environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def _said(output: str, word: str) -> str:
    return next((line.partition(": ")[2] for line in output.splitlines() if line.startswith(f"{word}: ")), "")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's home directory; its first use makes Prefect's database."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first(home: Path) -> subprocess.CompletedProcess[str]:
    """The first command ever run in that home."""
    return _run(home)


class TestTemporaryServer:
    def test_flow_runs_without_a_server(self, first: subprocess.CompletedProcess[str]) -> None:
        assert _said(first.stdout, "counted") == "2", first.stderr

    def test_wait_says_what_is_waited_for(self, first: subprocess.CompletedProcess[str]) -> None:
        assert "Starting Prefect" in _said(first.stdout, "waiting")
        assert "first time" in _said(first.stdout, "waiting")

    def test_terminal_shows_warnings_only(self, first: subprocess.CompletedProcess[str]) -> None:
        assert first.stderr == "warning: mind the gap\n"

    def test_log_file_has_everything(self, home: Path, first: subprocess.CompletedProcess[str]) -> None:
        log = home / ".local/share/multiblast/prefect/logs/commands.log"
        assert "Finished in state Completed()" in log.read_text(), first.stderr

    def test_server_ends_with_the_command(self, first: subprocess.CompletedProcess[str]) -> None:
        wait_for(lambda: not is_running(int(_said(first.stdout, "process"))), 15)

    def test_last_words_reach_the_database(self, home: Path, first: subprocess.CompletedProcess[str]) -> None:
        """Task runs are recorded from events, some of which the client sends only when it exits."""
        with sqlite3.connect(home / ".local/share/multiblast/prefect/prefect.db") as connection:
            states = connection.execute("SELECT state_type FROM task_run").fetchall()
        connection.close()
        assert states == [("COMPLETED",), ("COMPLETED",)], first.stderr

    def test_own_prefect_of_the_user_is_not_touched(self, home: Path, first: subprocess.CompletedProcess[str]) -> None:
        assert not (home / ".prefect").exists(), first.stderr

    @pytest.mark.long
    @pytest.mark.usefixtures("first")
    def test_server_ends_with_a_killed_command(self, home: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, "linger"],
            cwd=home,
            env=_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as command:
            assert command.stdout
            pid = next(int(line.partition(": ")[2]) for line in command.stdout if line.startswith("process: "))
            assert is_running(pid)
            command.send_signal(signal.SIGKILL)
        wait_for(lambda: not is_running(pid), 15)

    @pytest.mark.long
    @pytest.mark.usefixtures("first")
    def test_server_hears_no_keyboard_interrupt(self, home: Path) -> None:
        """Ctrl-C goes to all processes of a terminal; the command's own last words still need the server."""
        with subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            cwd=home,
            env=_environment(home),
            stdout=subprocess.PIPE,
            text=True,
        ) as command:
            assert command.stdout
            pid = next(int(line.partition(": ")[2]) for line in command.stdout if line.startswith("process: "))
            assert os.getpgid(pid) != os.getpgid(command.pid)
            assert command.stdout.read() == "counted: 2\n"
        wait_for(lambda: not is_running(pid), 15)


def test_dead_address_is_one_clear_error(tmp_path: Path) -> None:
    done = _run(tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 1
    assert "no Prefect server answers at http://127.0.0.1:9/api" in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_server_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path}/absent/prefect.db"
    done = _run(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=database)
    assert "did not start" in done.stderr.splitlines()[-1]
    log = tmp_path / ".local/share/multiblast/prefect/logs/temporary-server.log"
    assert str(log) in done.stderr.splitlines()[-1]
    assert "unable to open database file" in log.read_text()
