"""Waiting for what happens elsewhere, and looking at other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["blast_processes", "is_running", "wait_for"]


def wait_for(found: Callable[[], Any], limit_s: float = 240) -> Any:
    """Ask until the answer is yes, and return it."""
    deadline = time.monotonic() + limit_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"not so within {limit_s:.0f} s"
        time.sleep(0.05)
    return value


def is_running(pid: int) -> bool:
    """Tell whether there is such a process that has not ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def blast_processes(place: Path | str) -> list[int]:
    """Return the processes of blastp that search a database below a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            program, *words = entry.read_bytes().split(b"\0")
            if program.endswith(b"blastp") and any(str(place).encode() in word for word in words):
                found.append(int(entry.parent.name))
    return found
