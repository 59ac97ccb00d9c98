"""Other processes: their environment, waiting for what they do, and looking at them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

__all__ = ["blast_processes", "bytes_of_this_process", "is_running", "unset_environment", "wait_for"]


def unset_environment() -> dict[str, str]:
    """Return this process's environment without settings of Prefect's and ours, for a program with others."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MULTIBLAST_"))}


def wait_for(found: Callable[[], Any], limit_s: float = 240) -> Any:
    """Ask until the answer is yes, and return it."""
    deadline = time.monotonic() + limit_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"not so within {limit_s:.0f} s"
        time.sleep(0.05)
    return value


def is_running(pid: int) -> bool:
    """Return whether there is such a process that has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def blast_processes(place: Path | str) -> list[int]:
    """Return the processes of blastp that search a database below a directory."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"])
        and words[0].endswith("blastp")
        and any(str(place) in word for word in words[1:])
    ]


def bytes_of_this_process() -> tuple[int, int]:
    """Return how many bytes this process has read and written so far."""
    counted = psutil.Process().io_counters()
    return counted.read_chars, counted.write_chars
