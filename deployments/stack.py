"""What ``make up`` starts and ``make down`` stops: a Prefect server with our blocks and flows, and what it needs."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from deployments import environment, processes
from deployments.own_servers import OwnServers, remove_sockets, write_secret
from deployments.processes import Background
from deployments.server import ServerError, answers
from multiblast.environment import HTTP_URL
from multiblast.settings import home

Profile = Literal["plain", "full"]

_EVERYWHERE = ("0.0.0.0", "")  # noqa: S104 - what is recognised, not what is listened on
_console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Stack:
    """What ``make up`` has started, kept in a file from the first process on, so that half of it can be stopped too."""

    port: int  # of Prefect's server
    processes: list[Background] = field(default_factory=list)  # in the order of their starts
    ready: bool = False  # whether the start came to its end
    host: str = "127.0.0.1"  # that all servers listen on
    profile: Profile = "plain"  # full: with PostgreSQL, an S3 server and a second worker

    @property
    def api_url(self) -> str:
        """The address of Prefect's API for processes of this machine."""
        return f"http://{reached_here(self.host)}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """The address of Prefect's pages, of those whose lists open by a click; their older form is beside them."""
        return f"http://{reached_elsewhere(self.host)}:{self.port}/v2"

    @property
    def page(self) -> str:
        """The one address to open in a browser: the list of the forms."""
        return f"{self.ui_url}/deployments"

    @property
    def web(self) -> str:
        """The address of the HTTP service, for links: that of a proxy before it, if the environment says one."""
        return os.environ.get(HTTP_URL) or f"http://{reached_elsewhere(self.host)}:{self.port + 1}"

    @property
    def command(self) -> str:
        """What was typed to start it."""
        given = {"PORT": (self.port, 4200), "HOST": (self.host, "127.0.0.1"), "PROFILE": (self.profile, "plain")}
        return " ".join(["make up", *(f"{name}={value}" for name, (value, usual) in given.items() if value != usual)])

    @property
    def complete(self) -> bool:
        """Whether everything runs and the server answers."""
        return self.ready and all(process.alive for process in self.processes) and answers(self.api_url)

    @classmethod
    def load(cls) -> Stack | None:
        """Read what was started last; None if nothing was, or the file makes no sense."""
        try:
            kept = json.loads(_file().read_text())
            for name in ("api_url", "http_url"):  # for commands, which look for these alone
                kept.pop(name, None)
            return cls(**kept | {"processes": [Background(**process) for process in kept["processes"]]})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self) -> None:
        """Write down what is started by now."""
        text = json.dumps({**asdict(self), "api_url": self.api_url, "http_url": self.web}, indent=2)
        temporary = _file().with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(_file())

    def add(self, *started: Background, ready: Callable[[], bool] = lambda: True) -> None:
        """Write down what was started, so that it is stopped whatever happens, then wait until the first is ready."""
        self.processes += started
        self.save()
        processes.wait_until(ready, started[0])

    def start(self) -> None:
        """Start the servers, register what is ours, then start the workers; after an error what had started runs on."""
        _build_demo_databases()
        settings = {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_UI_URL": self.ui_url,  # in the addresses that Prefect prints
            "MULTIBLAST_CHECKOUT": str(environment.CHECKOUT),
            HTTP_URL: self.web,
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",  # our server wants no such token: no run asks for one
        }
        own = OwnServers(reached_here(self.host), self.port) if self.profile == "full" else None
        if own:
            with _step("Starting PostgreSQL"):
                self.add(own.start_postgres(), ready=own.has_databases)
            with _step("Starting an S3 server"):
                self.add(own.start_s3(), ready=own.has_bucket)
            settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = own.database_url("+asyncpg", "prefect")
            settings |= _login()
        with _step("Starting the Prefect server"):
            command = [sys.executable, "-m", "deployments.prefect_server", self.host, str(self.port)]
            server = processes.start("server", command, settings)
            self.add(server, ready=lambda: answers(self.api_url))
        os.environ.update(settings)
        from deployments import register  # imports Prefect, which reads its settings then

        with _step("Registering the blocks"):
            register.register_blocks()
            if own:
                register.point_blocks_to(own)
            register.create_pool()
            register.watch_runs()
        with _step(f"Starting {'two workers' if own else 'a worker'} and deploying the flows"):
            self._start_workers(settings)
            register.deploy()
            register.offer_databases()
            register.offer_plugins()
            wanted = 2 if own else 1
            processes.wait_until(lambda: register.workers_online() >= wanted, self.processes[-1])
        with _step("Starting the HTTP service"):
            command = [sys.executable, "-m", "deployments", "web", "--host", self.host, "--port", str(self.port + 1)]
            self.add(processes.start("web", command, settings), ready=self._web_answers)
        self.ready = True
        self.save()

    def _web_answers(self) -> bool:
        return answers(f"http://{reached_here(self.host)}:{self.port + 1}", path="/openapi.json")

    def _start_workers(self, settings: dict[str, str]) -> None:
        full = {name: home_of_worker(name) for name in ("worker-1", "worker-2")} if self.profile == "full" else {}
        workers = full or {"worker": {}}
        command = [sys.executable, "-m", "deployments", "worker"]
        for share, (name, more) in zip(_shares_of_cores(len(workers)), workers.items(), strict=True):
            self.add(processes.start(name, [*share, *command], settings | more, ends_by=signal.SIGINT))

    def stop(self) -> None:
        """Stop the workers, while there is a server to which they can report their runs, then the servers."""
        for process in reversed(self.processes):
            process.stop()
        if self.profile == "full":
            remove_sockets(OwnServers(reached_here(self.host), self.port).s3_ports)
        _file().unlink(missing_ok=True)


def up(port: int, profile: Profile = "plain", host: str = "127.0.0.1") -> int:
    """Start everything; return the exit code."""
    environment.apply_for_service()
    if (stack := Stack.load()) is not None:
        if stack.profile != profile:  # whose jobs are in another database, and who may see them another matter
            _console.print(f"What runs was started by `{stack.command}`: type that, or `make down` before another.")
            return 1
        if stack.complete:
            _console.print(f"Already running: open [bold]{stack.web}[/bold] to search in a browser.")
            _console.print(f"Prefect's pages are at [bold]{stack.page}[/bold]; `make down` stops everything.")
            return 0
        with _step("Stopping what was left of an earlier start"):
            stack.stop()
    stack = Stack(port, host=host, profile=profile)
    for taken in (each for each in (port, port + 1) if _taken(host, each)):
        whose = "another Prefect server" if answers(f"http://{reached_here(host)}:{taken}/api") else "another program"
        _console.print(f"Port {taken} is taken by {whose}. Choose another one: [bold]make up PORT={taken + 1}[/bold]")
        return 1
    try:
        stack.start()
    except BaseException as error:
        stack.stop()
        if not isinstance(error, ServerError):
            raise
        _console.print("[red]error:[/red]", escape(str(error)))
        return 1
    login = (
        f"\nIt asks for a password: that is in [bold]{environment.login_file()}[/bold]." if profile == "full" else ""
    )
    _console.print(f"""
Open [bold]{stack.web}[/bold] to search in a browser. For programs, see [bold]{stack.web}/api[/bold];
`multiblast users token NAME PURPOSE` makes tokens for both.
Prefect's pages, with the runs and a form for each program, are at [bold]{stack.page}[/bold].{login}
At the terminal, `.venv/bin/multiblast search --help` says how to do the same; it uses this server now.
Logs are in {environment.prefect_home() / "logs"}; `make down` stops everything, and all data stay.""")
    return 0


def down() -> int:
    """Stop what was started, if it was; return the exit code."""
    if (stack := Stack.load()) is None:
        _console.print("Nothing is running.")
        return 0
    with _step("Stopping what was started"):
        stack.stop()
    return 0


def status() -> int:
    """Show what runs; return 1 if something does, but not all of it."""
    if (stack := Stack.load()) is None:
        _console.print("Nothing is running; `make up` starts it.")
        return 0
    for process in stack.processes:
        state = f"running, process {process.pid}" if process.alive else "[red]ended[/red]"
        _console.print(f"{process.name:8} {state}; its log: {environment.log_file(process.name)}")
    complete = stack.complete
    addresses = f"Open [bold]{stack.web}[/bold] to search, [bold]{stack.page}[/bold] for Prefect's pages."
    _console.print(addresses if complete else f"Not complete; `{stack.command}` starts it again.")
    return 0 if complete else 1


def reached_here(host: str) -> str:
    """Return by which address this machine reaches what listens on one, which may be that of all there are."""
    return "127.0.0.1" if host in _EVERYWHERE else host


def reached_elsewhere(host: str) -> str:
    """Return by which address other machines reach what listens on one: that of our way out, if it listens on all."""
    if host not in _EVERYWHERE:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is nobody's: nothing is sent
        except OSError:  # no network
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _login() -> dict[str, str]:
    """Return the settings by which Prefect's server asks for a password, made once, and all our processes have it."""
    file, ours = environment.login_file(), os.environ.get("PREFECT_API_AUTH_STRING")
    if not file.exists() or (ours and file.read_text() != ours):
        write_secret(file, ours or f"admin:{secrets.token_urlsafe(24)}")
    login = file.read_text()
    return {"PREFECT_SERVER_API_AUTH_STRING": login, "PREFECT_API_AUTH_STRING": login}


def _shares_of_cores(workers: int) -> list[list[str]]:
    """Return what comes before the command of each worker, so that together they use each core once."""
    cores = sorted(os.sched_getaffinity(0))
    if workers == 1 or len(cores) < workers or not shutil.which("taskset"):
        return [[]] * workers
    return [["taskset", "--cpu-list", ",".join(map(str, cores[first::workers]))] for first in range(workers)]


def home_of_worker(name: str) -> dict[str, str]:
    """Return the settings of a worker that shares with others of this machine only what is to be searched, and with."""
    own = home() / name
    (own / "work").mkdir(parents=True, exist_ok=True)
    for shared in ("targets", "uploads"):
        (home() / shared).mkdir(exist_ok=True)
        with suppress(OSError):  # not there, a link, or files are in it that somebody wants
            (own / shared).rmdir()  # of an earlier version
        if not (own / shared).exists():
            (own / shared).unlink(missing_ok=True)  # to where the home was before
            (own / shared).symlink_to(home() / shared)
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
