"""Processes that outlive the command that started them: start, recognise, stop with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployments import environment
from deployments.server import ServerError

__all__ = ["Background", "running", "start", "wait_until"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Background:
    """A process in the background, told from a later one with the same number by when it started.

    Attributes:
        name: What it is; its log is called so.
        pid: Its process id.
        started: When it started, in clock ticks since the machine did.
        ends_by: The signal that ends it; one other than SIGTERM is for it alone, as its children are its own affair.
    """

    name: str
    pid: int
    started: int
    ends_by: int = signal.SIGTERM

    @property
    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return _started(self.pid) == self.started

    def stop(self, limit_s: float = 20) -> None:
        """End it and all it started; harmless if it has ended.

        Its children are asked first, while it can still say how they ended (a
        worker's children are flow runs), then it is asked itself.

        Args:
            limit_s: After so many seconds, whatever is left is killed.
        """
        if not self.alive:
            return
        descendants = _descendants(self)
        children = [process for process, parent in descendants if parent == self.pid]
        deadline = time.monotonic() + limit_s
        for asked in (children, [self]) if self.ends_by == signal.SIGTERM else ([self],):
            for process in asked:
                _signal(process, self.ends_by)
            while any(process.alive for process in asked) and time.monotonic() < deadline:
                time.sleep(0.05)
        for process in [self, *(process for process, _ in descendants)]:
            _signal(process, signal.SIGKILL)


def start(
    name: str, command: Sequence[str], settings: Mapping[str, str], *, ends_by: int = signal.SIGTERM
) -> Background:
    """Start a process that goes on when we end, with its output in the log of that name."""
    with environment.log_file(name).open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            cwd=environment.CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Background(name, process.pid, _started(process.pid), ends_by)


def running(name: str, pid: int) -> Background:
    """Return a process that runs already, as one that can be stopped with all its children."""
    return Background(name, pid, _started(pid))


def wait_until(ready: Callable[[], bool], process: Background, limit_s: float = 120) -> None:
    """Return when a process is ready.

    Raises:
        ServerError: it has ended, or takes too long; the end of its log is in the message.
    """
    deadline = time.monotonic() + limit_s
    while not ready():
        if not process.alive or time.monotonic() > deadline:
            log = environment.log_file(process.name)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise ServerError(f"the {process.name} did not start; the end of {log}:\n{end}")
        time.sleep(0.1)


def _signal(process: Background, number: int) -> None:
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process from its state on (field 3 of proc(5)); nothing once it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in "ZX" else fields


def _started(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields else -1


def _descendants(process: Background) -> list[tuple[Background, int]]:
    """Return every process that ``process`` started, directly or not, with its parent's process id."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, parents = [], [process.pid]
    while parents:
        parent = parents.pop()
        for pid in children.get(parent, []):
            found.append((Background(process.name, pid, _started(pid)), parent))
            parents.append(pid)
    return found
