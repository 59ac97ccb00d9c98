"""``make up`` and ``make down``: a Prefect server with our blocks and deployments, and what it needs beside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from deployments import environment, processes
from deployments.own_servers import OwnServers
from deployments.processes import Background
from deployments.server import ServerError, answers
from multiblast.settings import home

__all__ = ["Profile", "Services", "down", "status", "up"]

Profile = Literal["plain", "full"]

_HOST = "127.0.0.1"
_console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Services:
    """What ``make up`` has started, kept in a file from the first process on, so that half of it can be stopped too.

    Attributes:
        port: Where the server listens.
        processes: What was started, in that order.
        ready: Whether the start came to its end.
        host: The address that all servers listen on.
        profile: ``plain``, or ``full``: with PostgreSQL, an S3 server and a second worker.
    """

    port: int
    processes: list[Background] = field(default_factory=list)
    ready: bool = False
    host: str = _HOST
    profile: Profile = "plain"

    @property
    def ui_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The address of Prefect's API."""
        return f"{self.ui_url}/api"

    @property
    def complete(self) -> bool:
        """Whether everything runs and the server answers."""
        return self.ready and all(process.alive for process in self.processes) and answers(self.api_url)

    @classmethod
    def load(cls) -> Services | None:
        """Read what was started last; None if nothing was, or the file makes no sense."""
        try:
            kept = json.loads(_file().read_text())
            started = [Background(**process) for process in kept["processes"]]
            return cls(
                int(kept["port"]), started, bool(kept["ready"]), kept.get("host", _HOST), kept.get("profile", "plain")
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self) -> None:
        """Write down what is started by now."""
        text = json.dumps({**asdict(self), "api_url": self.api_url}, indent=2)
        temporary = _file().with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(_file())

    def add(self, *started: Background, ready: Callable[[], bool] = lambda: True) -> None:
        """Write down what was started, so that it is stopped whatever happens, then wait until the first is ready."""
        self.processes += started
        self.save()
        processes.wait_until(ready, started[0])

    def stop(self) -> None:
        """Stop the workers, while there is a server to tell of their runs, then the servers."""
        for process in reversed(self.processes):
            process.stop()
        if self.profile == "full":
            OwnServers(self.host, self.port).tidy()
        _file().unlink(missing_ok=True)


def up(port: int, profile: Profile = "plain", host: str = _HOST) -> int:
    """Start everything; return the exit code."""
    environment.apply()
    environment.log_as_service()
    if (services := Services.load()) is not None:
        if services.complete:
            _console.print(f"Already running at [bold]{services.ui_url}[/bold]; `make down` stops it.")
            return 0
        with _step("Stopping what was left of an earlier start"):
            services.stop()
    if _taken(host, port):
        whose = "another Prefect server" if answers(f"http://{host}:{port}/api") else "another program"
        _console.print(f"Port {port} is taken by {whose}. Choose another one: [bold]make up PORT={port + 1}[/bold]")
        return 1
    services = Services(port, host=host, profile=profile)
    try:
        _start(services)
    except BaseException as error:
        services.stop()
        if not isinstance(error, ServerError):
            raise
        _console.print("[red]error:[/red]", escape(str(error)))
        return 1
    _console.print(_what_next(services))
    return 0


def down() -> int:
    """Stop what was started, if it was; return the exit code."""
    if (services := Services.load()) is None:
        _console.print("Nothing is running.")
        return 0
    with _step("Stopping what was started"):
        services.stop()
    return 0


def status() -> int:
    """Say what runs; return 0 if everything does."""
    if (services := Services.load()) is None:
        _console.print("Nothing is running; `make up` starts it.")
        return 1
    for process in services.processes:
        state = f"running, process {process.pid}" if process.alive else "[red]ended[/red]"
        _console.print(f"{process.name:8} {state}; its log: {environment.log_file(process.name)}")
    complete = services.complete
    _console.print(f"Open [bold]{services.ui_url}[/bold]." if complete else "Not complete; `make up` starts it anew.")
    return 0 if complete else 1


def _start(services: Services) -> None:
    _build_demo_databases()
    own = OwnServers(services.host, services.port) if services.profile == "full" else None
    settings = {
        "PREFECT_API_URL": services.api_url,
        "PREFECT_UI_API_URL": services.api_url,  # else a browser asks port 4200, whatever the port is
        "MULTIBLAST_CHECKOUT": str(environment.CHECKOUT),
    }
    if own:
        with _step("Starting PostgreSQL"):
            services.add(own.start_postgres(), ready=own.has_databases)
        with _step("Starting an S3 server"):
            services.add(own.start_s3(), ready=own.has_bucket)
        settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = own.database_url("+asyncpg", "prefect")
    with _step("Starting the Prefect server"):
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", services.host]
        server = processes.start("server", [*command, "--port", str(services.port)], settings)
        services.add(server, ready=lambda: answers(services.api_url))
    os.environ.update(settings)
    from deployments import register  # imports Prefect, which reads its settings then

    with _step("Registering the blocks"):
        register.register_blocks()
        if own:
            register.point_blocks_to(own)
        register.create_pool()
        register.watch_runs()
    workers = {"worker": {}} if own is None else {name: _home_of_its_own(name) for name in ("worker-1", "worker-2")}
    with _step("Starting the workers and deploying the flows" if own else "Starting a worker and deploying the flows"):
        command = [sys.executable, "-m", "deployments", "worker"]
        shares = _shares_of_cores(len(workers))
        started = [
            processes.start(name, [*share, *command], settings | more, ends_by=signal.SIGINT)
            for share, (name, more) in zip(shares, workers.items(), strict=True)
        ]
        services.add(*started)
        register.deploy()
        register.offer_databases()
        processes.wait_until(lambda: register.workers_online() >= len(started), started[-1])
    services.ready = True
    services.save()


def _shares_of_cores(workers: int) -> list[list[str]]:
    """Return what comes before the command of each worker, so that together they use each core once."""
    cores = sorted(os.sched_getaffinity(0))
    if workers == 1 or len(cores) < workers or not shutil.which("taskset"):
        return [[]] * workers
    return [["taskset", "--cpu-list", ",".join(map(str, cores[first::workers]))] for first in range(workers)]


def _home_of_its_own(name: str) -> dict[str, str]:
    """Return the settings of a worker that shares nothing with others of this machine but the databases to search."""
    own = home() / name
    (own / "work").mkdir(parents=True, exist_ok=True)
    targets = own / "targets"
    if not targets.exists():
        targets.symlink_to(home() / "targets")
    return {"MULTIBLAST_HOME": str(own), "PREFECT_HOME": str(own / "prefect"), "TMPDIR": str(own / "work")}


def _build_demo_databases() -> None:
    """Give a newcomer something to search: the demo databases, unless there are others."""
    root = home() / "targets"
    if not root.is_dir() or not any(root.iterdir()):
        from deployments.command_line.demo import build_demo_targets

        for name in build_demo_targets(root):
            _console.print(f"[green]✓[/green] Built the database demo/examples/{name}")


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Show that something is under way, then how long it took."""
    started = time.monotonic()
    with _console.status(f"{what}…"):
        yield
    _console.print(f"[green]✓[/green] {what} ({time.monotonic() - started:.0f} s)")


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _file() -> Path:
    directory = environment.prefect_home()
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "up.json"


def _what_next(services: Services) -> str:
    return f"""
Open [bold]{services.ui_url}/deployments[/bold], choose [bold]submit-query[/bold] and then “Run”, “Custom run”.
At the terminal, `uv run multiblast search --help` says how to do the same; it uses this server now.
Logs are in {environment.prefect_home() / "logs"}; `make down` stops everything, and all data stay."""
