"""Processes that outlive the command that started them: start, recognise, stop with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from deployments import environment
from deployments.server import ServerError

_SAME_START_S = 5  # the clock, by which starts are known, may have been set since


def is_running(process: psutil.Process) -> bool:
    """Return whether a process has not ended; one that nobody has waited for yet has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, slots=True)
class Background:
    """A process in the background, distinguished from a later one with the same number by its start."""

    name: str  # of its log too
    pid: int
    started: float  # in seconds since 1970
    ends_by: int = signal.SIGTERM  # another signal is for it alone, as its children are then its own affair

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self._process() is not None

    def stop(self, limit_s: float = 20) -> None:
        """End it and all it started, by killing what is left after ``limit_s`` seconds; harmless if it has ended.

        Its children are asked first, while it can still report how they ended (a
        worker's children are flow runs), then it is asked itself.
        """
        if (process := self._process()) is None:
            return
        descendants = process.children(recursive=True)
        deadline = time.monotonic() + limit_s
        if self.ends_by == signal.SIGTERM:
            _signal(process.children(), self.ends_by, deadline)
        _signal([process], self.ends_by, deadline)
        _signal([process, *descendants], signal.SIGKILL, time.monotonic())

    def _process(self) -> psutil.Process | None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if is_running(process) and abs(process.create_time() - self.started) < _SAME_START_S:
                return process
        return None


def start(
    name: str, command: Sequence[str], settings: Mapping[str, str], *, ends_by: int = signal.SIGTERM
) -> Background:
    """Start a process that goes on when we end, with its output in the log of that name.

    For Prefect's server too: ``prefect server start --background`` keeps no log (its output goes into pipes that
    nobody reads), calls a start that fails a success, leaves the server in the session of the terminal, and its
    ``stop`` signals whatever process has the number by now, without waiting for the end.
    """
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
    return running(name, process.pid, ends_by)


def running(name: str, pid: int, ends_by: int = signal.SIGTERM) -> Background:
    """Return a process that runs already, as one that can be stopped with all its children."""
    started = 0.0  # of one that has ended already
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).create_time()
    return Background(name, pid, started, ends_by)


def _signal(processes: list[psutil.Process], number: int, deadline: float) -> None:
    """Signal processes and wait for their ends.

    Not by `psutil.wait_procs`, for which one that nobody has waited for, as in a container without init, never ends.
    """
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    wait_for(lambda: not any(map(is_running, processes)), deadline - time.monotonic(), every_s=0.05)


def wait_for(condition: Callable[[], bool], limit_s: float, every_s: float = 0.2) -> bool:
    """Return whether a condition holds within the time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def wait_until(ready: Callable[[], bool], process: Background, limit_s: float = 300) -> None:
    """Return when a process is ready.

    Raises:
        ServerError: it has ended, or takes too long; the end of its log is in the message.
    """
    done = wait_for(lambda: not process.alive or ready(), limit_s)
    if not done or not process.alive:
        log = environment.log_file(process.name)
        end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise ServerError(f"the {process.name} did not start; the end of {log}:\n{end}")
