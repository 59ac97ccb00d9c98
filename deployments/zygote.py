"""A process that has imported what flow runs need, and forks for each: ``python -m deployments.zygote SOCKET``.

It never has a second thread, an event loop or a connection, so that a fork of it is a Python that has just started. The
worker that started it (`deployments.warm_worker`) sends one end of a socket per run. On that it reads what to run, and
writes the number of the process, then its exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deployments.environment import CHECKOUT
from deployments.garbage import collect_rarely
from multiblast.files import own_scratch

_LATE = (  # what Prefect, SQLAlchemy and we import only when it is first used
    "_strptime",
    "anyio._backends._asyncio",
    "httpx._transports.default",
    "multiblast.actions.reports",
    "multiblast.upkeep.webhooks",
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.deployments.steps.pull",
    "prefect.runner._workspace_supervisor",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A flow run to start."""

    arguments: list[str]  # of Prefect's supervisor of a run's workspace
    directory: str
    variables: dict[str, str]  # all of its environment
    quiet: bool = False  # whether what it prints goes nowhere

    def send(self, to: socket.socket) -> None:
        """Write it as one line."""
        to.sendall(json.dumps(asdict(self)).encode() + b"\n")

    @classmethod
    def receive(cls, of: socket.socket) -> Request:
        """Read one."""
        with of.makefile("rb") as stream:
            return cls(**json.loads(stream.readline()))


class Zygote:
    """What forks, until the worker ends, our code changes, or it is asked to end; then its runs come to their ends.

    Args:
        requests: Where the worker sends an end of a socket for each run.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._files = _files()
        self._runs: dict[int, tuple[socket.socket, int]] = {}  # connection and process by pidfd
        self._signals, self._signalled = socket.socketpair()

    def next_forked(self) -> Request | None:
        """Return the request in each fork; None, here, when there will be no more."""
        self._signalled.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        with selectors.DefaultSelector() as self._selector:
            self._selector.register(self._requests, selectors.EVENT_READ)
            self._selector.register(self._signals, selectors.EVENT_READ)
            while self._requests.fileno() >= 0 or self._runs:
                for key, _ in self._selector.select():
                    if key.fd in self._runs:
                        self._report_end(key.fd)
                    elif key.fileobj is self._signals:
                        self._end_runs()
                    elif request := self._answer():
                        return request
        return None

    def _answer(self) -> Request | None:
        """Fork for a request, and return it in the fork; the worker takes a closed connection as a refusal."""
        data, descriptors, _, _ = socket.recv_fds(self._requests, 1, 1)
        connection = socket.socket(fileno=descriptors[0]) if data else None
        if connection is None or self._files != _files():
            self._take_no_more()
            if connection:
                connection.close()
            return None
        request = Request.receive(connection)
        if not (run := os.fork()):
            self._leave(connection)
            return request
        with suppress(OSError):  # the worker has just ended
            connection.sendall(b"%d\n" % run)
        descriptor = os.pidfd_open(run)
        self._runs[descriptor] = connection, run
        self._selector.register(descriptor, selectors.EVENT_READ)
        return None

    def _take_no_more(self) -> None:
        if self._requests.fileno() >= 0:
            self._selector.unregister(self._requests)
            self._requests.close()

    def _end_runs(self) -> None:
        """Hand on that all is to end."""
        self._signals.recv(1)
        self._take_no_more()
        for _, run in self._runs.values():
            os.kill(run, signal.SIGTERM)

    def _report_end(self, descriptor: int) -> None:
        connection, run = self._runs.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(run, 0)
        with connection, suppress(OSError):  # the worker has ended
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))

    def _leave(self, connection: socket.socket) -> None:
        """Close, in a fork, all that is the zygote's."""
        signal.set_wakeup_fd(-1)
        for descriptor, (other, _) in self._runs.items():
            other.close()
            os.close(descriptor)
        for own in (connection, self._requests, self._signals, self._signalled):
            own.close()


def main() -> int:
    """Fork for each request; return the exit code, in a fork that of its run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, at whose end this ends
    import_all()
    gc.collect()
    collect_rarely()  # and never what is there now: that would copy all its pages in each fork
    request = Zygote(socket.socket(fileno=int(sys.argv[1]))).next_forked()
    return _run(request) if request else 0


def import_all() -> None:
    """Import all that flows import, and what is otherwise imported late."""
    for package in ("tasks", "blocks", "flows"):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(found.name)
    for name in _LATE:
        importlib.import_module(name)


def _files() -> dict[str, tuple[int, int]]:
    """Return when which files of ours that are imported changed; what is installed changes its directory."""
    loaded = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    ours = {path for path in loaded if path.startswith(f"{CHECKOUT}{os.sep}") and "site-packages" not in path}
    found = dict.fromkeys(ours, (0, 0))
    for path in (*ours, *(place for place in sys.path if place.endswith("site-packages"))):
        with suppress(FileNotFoundError):
            state = Path(path).stat()
            found[path] = state.st_mtime_ns, state.st_size
    return found


def _run(request: Request) -> int:
    """Be a flow run, as Prefect's supervisor, which prepares it, and then its engine would be."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.quiet:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    os.chdir(request.directory)
    _set_environment(request.variables)

    from prefect.runner import _workspace_supervisor

    launched: list[tuple[list[str], Path, dict[str, str]]] = []

    async def launch(command: list[str], *, cwd: Path, environment: dict[str, str]) -> int:
        launched.append((command, cwd, environment))
        return 0

    _workspace_supervisor._launch_engine = launch  # noqa: SLF001 - it would become another Python
    code = _workspace_supervisor.main(request.arguments)
    if not launched:
        return code
    command, directory, variables = launched[0]
    os.chdir(directory)
    if command[1:] != ["-m", "prefect.engine"] or directory != CHECKOUT:
        os.execvpe(command[0], command, variables)  # noqa: S606 - no shell, by design
    _set_environment(variables)
    sys.argv = ["prefect.engine"]
    sys.modules.pop("prefect.engine", None)
    with own_scratch():  # what a run leaves that is killed, the next one removes
        runpy.run_module("prefect.engine", run_name="__main__")
    return 0


def _set_environment(variables: dict[str, str]) -> None:
    """Replace the environment, and what Prefect has read of it."""
    before = _prefect_settings()
    os.environ.clear()
    os.environ.update(variables)
    for place in reversed(variables.get("PYTHONPATH", "").split(os.pathsep)):
        if place and place not in sys.path:
            sys.path.insert(0, place)
    if before != _prefect_settings():  # it takes a quarter of a second
        from prefect.context import refresh_global_settings_context
        from prefect.logging.configuration import PROCESS_LOGGING_CONFIG, setup_logging

        refresh_global_settings_context()
        PROCESS_LOGGING_CONFIG.clear()
        setup_logging()


def _prefect_settings() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    return {name: value for name, value in kept.items() if not name.startswith("PREFECT__")}


if __name__ == "__main__":
    sys.exit(main())
