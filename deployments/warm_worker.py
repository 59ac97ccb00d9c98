"""Prefect's worker, whose runs are forked from a process that has imported everything: ``python -m`` as ``prefect``.

Of Prefect's worker one function is another one: that which starts the Python of a run and waits for its end. What is
around it (the pool's settings, pull steps, cancelling, what a crash leaves) is Prefect's own. Where forking is not
possible, a run is started as Prefect does. And a run that went back to its queue is started when its process has ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskStatus
from prefect.runner import _starter_engine

from deployments.environment import CHECKOUT
from deployments.zygote import Request

_SUPERVISOR = ["-m", "prefect.runner._workspace_supervisor"]
_ATTEMPTS = 2  # the first finds out that the zygote was killed, or that our code has changed
_prefect: Any = _starter_engine  # whose function is not declared as one to replace; its docstring says how
_start_python: Callable[..., Any] = _prefect.run_process


class ZygoteError(Exception):
    """The zygote ended before it had forked."""


class Forked:
    """A run that was forked, with as much of `anyio.abc.Process` as Prefect looks at."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection

    async def wait(self) -> int:
        """Return the exit code, negative after a signal; the zygote reports it, which is the parent."""
        line = await _line(self._connection)
        if not line:  # the zygote was killed: the run goes on, and only its own reports say how it ends
            descriptor = _open_pidfd(self.pid)
            if descriptor is not None:
                await anyio.wait_readable(descriptor)
                os.close(descriptor)
        self.returncode = int(line) if line else -signal.SIGKILL
        return self.returncode


class Zygotes:
    """The zygote from which runs are forked, which is started when there is none."""

    def __init__(self) -> None:
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> socket.socket:
        """Return where to send requests; a zygote that is still importing answers when it is ready."""
        if self._process is not None and self._process.poll() is not None:
            self.renew()
        if self._requests is None:
            self._requests, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "deployments.zygote", str(theirs.fileno())],
                    cwd=CHECKOUT,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
        return self._requests

    def renew(self) -> None:
        """Let the next be another one; this one ends when it has no runs any more."""
        if self._requests is not None:
            self._requests.close()
        self._requests = self._process = None

    async def fork(self, request: Request) -> Forked:
        """Start a run.

        Raises:
            ZygoteError: there is no zygote, repeatedly.
        """
        for _ in range(_ATTEMPTS):
            requests = self.start()
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(requests, [b"1"], [theirs.fileno()])
                except OSError:
                    ours.close()
                    self.renew()
                    continue
            try:
                request.send(ours)
                pid = await _line(ours)
            except OSError:
                pid = b""
            if pid:
                return Forked(ours, int(pid))
            ours.close()
            if requests is self._requests:
                self.renew()
        raise ZygoteError


_zygotes = Zygotes()


async def run_process(  # noqa: PLR0913 - the signature is Prefect's
    command: list[str],
    *,
    stream_output: bool,
    task_status: TaskStatus[Any],
    task_status_handler: Callable[[Any], Any],
    env: dict[str, str],
    cwd: Path | str | None,
    **more: Any,
) -> Any:
    """Start a run, report that, and return when it has ended: in the place of Prefect's function."""
    if command[1:3] == _SUPERVISOR:
        try:
            run = await _zygotes.fork(Request(command[3:], str(cwd), env, quiet=not stream_output))
        except ZygoteError:
            pass
        else:
            task_status.started(task_status_handler(run))
            await run.wait()
            return run
    given = {"stream_output": stream_output, "task_status": task_status, "task_status_handler": task_status_handler}
    return await _start_python(command=command, env=env, cwd=cwd, **given, **more)


async def _line(connection: socket.socket) -> bytes:
    """Return the next line, empty at the end; lines are shorter than what is sent at a time."""
    connection.setblocking(False)
    line = b""
    while not line.endswith(b"\n"):
        await anyio.wait_readable(connection)
        try:
            got = connection.recv(1)
        except OSError:
            return b""
        if not got:
            return b""
        line += got
    return line


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def main() -> None:
    """Do as ``prefect`` does with the same arguments."""
    from prefect.cli import app

    if hasattr(os, "fork") and hasattr(os, "pidfd_open"):
        _prefect.run_process = run_process
        _zygotes.start()
    sys.argv[0] = "prefect"
    app()


if __name__ == "__main__":
    main()
