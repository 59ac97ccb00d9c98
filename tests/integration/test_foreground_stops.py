"""A worker that is told to end, ends in time with all it started, whatever it waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT
from tests.support.processes import is_running, wait_for

_DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True, preexec_fn=lambda: signal.signal(15, signal.SIG_IGN))
with open(sys.argv[1], "w") as file:
    print(os.getpid(), child.pid, file=file)
time.sleep(600)
"""
_SUPERVISE = """
import sys
from deployments.foreground import supervise
sys.exit(supervise([sys.executable, "-c", sys.argv[1], sys.argv[2]], limit_s=1))
"""


def start(pids: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start a supervised program that ignores SIGTERM, as does what it started; return their process ids too."""
    process = subprocess.Popen([sys.executable, "-c", _SUPERVISE, _DEAF, str(pids)], cwd=ROOT)
    wait_for(lambda: pids.exists() and pids.read_text().strip())
    return process, [int(pid) for pid in pids.read_text().split()]


def test_deaf_worker_is_killed_with_its_runs_in_time(tmp_path: Path) -> None:
    process, pids = start(tmp_path / "pids")
    assert all(map(is_running, pids))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    wait_for(lambda: not any(map(is_running, pids)))


def test_worker_dies_with_its_supervisor(tmp_path: Path) -> None:
    process, (worker, run) = start(tmp_path / "pids")
    process.kill()
    process.wait()
    wait_for(lambda: not is_running(worker))
    os.kill(run, signal.SIGKILL)  # a run goes on by itself, as it does when Prefect's worker is killed


def test_worker_that_ends_by_itself_returns_its_exit_code() -> None:
    done = subprocess.run([sys.executable, "-c", _SUPERVISE, "raise SystemExit(3)", ""], cwd=ROOT, check=False)
    assert done.returncode == 3
