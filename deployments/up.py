"""``make up`` and ``make down``: a Prefect server with our blocks and deployments, and a worker."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deployments import environment, processes
from deployments.processes import Background
from deployments.server import ServerError, answers
from multiblast.settings import home

__all__ = ["Services", "down", "status", "up"]

_HOST = "127.0.0.1"
_START_LIMIT_S = 120
_console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Services:
    """What ``make up`` has started, kept in a file from the first process on, so that half of it can be stopped too.

    Attributes:
        port: Where the server listens.
        processes: The server, then the worker.
        ready: Whether the start came to its end.
    """

    port: int
    processes: list[Background] = field(default_factory=list)
    ready: bool = False

    @property
    def ui_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{_HOST}:{self.port}"

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
            return cls(int(kept["port"]), [Background(**process) for process in kept["processes"]], bool(kept["ready"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self) -> None:
        """Write down what is started by now."""
        text = json.dumps({**asdict(self), "api_url": self.api_url}, indent=2)
        temporary = _file().with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(_file())

    def stop(self) -> None:
        """Stop the worker, while there is a server to tell of its runs, then the server."""
        for process in reversed(self.processes):
            process.stop()
        _file().unlink(missing_ok=True)


def up(port: int) -> int:
    """Start everything; return the exit code."""
    environment.apply()
    environment.log_as_service()
    if (services := Services.load()) is not None:
        if services.complete:
            _console.print(f"Already running at [bold]{services.ui_url}[/bold]; `make down` stops it.")
            return 0
        with _step("Stopping what was left of an earlier start"):
            services.stop()
    if _taken(port):
        whose = "another Prefect server" if answers(f"http://{_HOST}:{port}/api") else "another program"
        _console.print(f"Port {port} is taken by {whose}. Choose another one: [bold]make up PORT={port + 1}[/bold]")
        return 1
    services = Services(port)
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
    with _step("Stopping the worker and the Prefect server"):
        services.stop()
    return 0


def status() -> int:
    """Say what runs; return 0 if everything does."""
    if (services := Services.load()) is None:
        _console.print("Nothing is running; `make up` starts it.")
        return 1
    for process in services.processes:
        state = f"running, process {process.pid}" if process.alive else "[red]ended[/red]"
        _console.print(f"{process.name:7} {state}; its log: {environment.log_file(process.name)}")
    complete = services.complete
    _console.print(f"Open [bold]{services.ui_url}[/bold]." if complete else "Not complete; `make up` starts it anew.")
    return 0 if complete else 1


def _start(services: Services) -> None:
    _build_demo_databases()
    settings = {
        "PREFECT_API_URL": services.api_url,
        "PREFECT_UI_API_URL": services.api_url,  # else a browser asks port 4200, whatever the port is
        "MULTIBLAST_CHECKOUT": str(environment.CHECKOUT),
    }
    prefect = [sys.executable, "-m", "prefect"]
    with _step("Starting the Prefect server"):
        address = ["--host", _HOST, "--port", str(services.port)]
        server = processes.start("server", [*prefect, "server", "start", *address], settings)
        services.processes.append(server)
        services.save()
        _wait_until(lambda: answers(services.api_url), server)
    os.environ.update(settings)
    from deployments import register  # imports Prefect, which reads its settings then

    with _step("Registering the blocks"):
        register.register_blocks()
        register.create_pool()
        register.watch_runs()
    with _step("Starting a worker and deploying the flows"):
        command = [*prefect, "worker", "start", "--pool", register.POOL, "--type", "process"]
        worker = processes.start("worker", command, settings)
        services.processes.append(worker)
        services.save()
        register.deploy()
        register.offer_databases()
        _wait_until(register.worker_is_online, worker)
    services.ready = True
    services.save()


def _build_demo_databases() -> None:
    """Give a newcomer something to search: the demo databases, unless there are others."""
    root = home() / "targets"
    if not root.is_dir() or not any(root.iterdir()):
        from deployments.command_line.demo import build_demo_targets

        for name in build_demo_targets(root):
            _console.print(f"[green]✓[/green] Built the database demo/examples/{name}")


def _wait_until(ready: Callable[[], bool], process: Background) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while not ready():
        if not process.alive or time.monotonic() > deadline:
            log = environment.log_file(process.name)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise ServerError(f"the {process.name} did not start; the end of {log}:\n{end}")
        time.sleep(0.1)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Show that something is under way, then how long it took."""
    started = time.monotonic()
    with _console.status(f"{what}…"):
        yield
    _console.print(f"[green]✓[/green] {what} ({time.monotonic() - started:.0f} s)")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
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
