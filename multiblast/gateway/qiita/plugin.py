"""A plugin of Qiita as a step of ours: its script started as it expects, and what it hands over as references."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from multiblast.coupling import Reference
from multiblast.database import QiitaJob, Ticket
from multiblast.errors import InvalidInputError, MultiblastError, ObjectMissingError, Problem, ProgramError
from multiblast.gateway.gateway import Gateway
from multiblast.gateway.qiita.jobs import QiitaJobs, QiitaWork
from multiblast.gateway.qiita.visit import tree_at
from multiblast.gateway.tickets import grant_of
from multiblast.programs import Program, throttled
from multiblast.stores import Store
from multiblast.stores.base import is_key

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,99}")
REGISTER = "register"  # what a plugin gets for a job if it is to register itself
_STEP_S = 1.0
_SPARE_S = 300.0  # for what a plugin says at its very end


class QiitaPluginError(MultiblastError):
    """A plugin failed, or ended without a word.

    Attributes:
        plugin: Its name.
        reason: What it said.
        stderr: The last that it printed.
    """

    def __init__(self, plugin: str, reason: str, stderr: str = "") -> None:
        """Name the plugin and say why."""
        self.plugin, self.reason, self.stderr = plugin, reason, stderr
        super().__init__(plugin, reason, stderr)

    def __str__(self) -> str:
        """Say what failed and why."""
        printed = f"; it printed: {self.stderr[-2000:].strip()}" if self.stderr.strip() else ""
        return f"the plugin {self.plugin} failed: {self.reason}{printed}"


@dataclass(frozen=True, slots=True)
class QiitaPlugin:
    """A plugin that is installed on this machine.

    Attributes:
        name, version: As the plugin calls itself: its configuration is found by them.
        start: Its START_SCRIPT, as the words of a command.
        environment: Variables that it needs; it sees no others of ours but PATH.
        certificate: The file of an authority that signed the service's certificate, if that is not a public one.
    """

    name: str
    version: str
    start: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    certificate: str = ""
    description: str = ""

    def check(self) -> None:
        """Raise an `InvalidInputError` about what can be no plugin."""
        problems = [
            Problem(f"{value!r} can be no part of a file's name: use letters, digits and ' ._+-'", field)
            for field, value in (("name", self.name), ("version", self.version))
            if not _WORD.fullmatch(value)
        ]
        if not self.start or shutil.which(self.start[0]) is None:
            problems.append(Problem(f"{' '.join(self.start)!r} is no program: give the path of its script", "start"))
        if problems:
            raise InvalidInputError(problems)

    def configure(self, directory: Path, client_id: str, secret: str) -> None:
        """Write its configuration, which only this user can read."""
        parser = ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # names are in capitals there
        parser["main"] = {
            "NAME": self.name,
            "VERSION": self.version,
            "DESCRIPTION": " ".join(self.description.replace("%", "%%").split()),
            "ENVIRONMENT_SCRIPT": "",
            "START_SCRIPT": "",
            "PLUGIN_TYPE": "artifact transformation",
            "PUBLICATIONS": "",
        }
        parser["oauth2"] = {"SERVER_CERT": self.certificate, "CLIENT_ID": client_id, "CLIENT_SECRET": secret}
        parser["network"] = {"PLUGINCOUPLING": "https"}
        path = directory / f"{self.name}_{self.version}.conf"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            parser.write(file)


@dataclass(frozen=True, slots=True)
class Output:
    """An artifact that a plugin made: its type, and references with Qiita's types of files."""

    name: str
    type: str
    files: tuple[tuple[Reference, str], ...]


def run_plugin(  # noqa: PLR0913 - what a run is made of
    gateway: Gateway,
    url: str,
    plugin: QiitaPlugin,
    work: QiitaWork,
    prefix: str,
    *,
    max_bytes: int = 1 << 40,
    timeout_s: float = 24 * 3600,
    cancelled: Callable[[], bool] | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Output]:
    """Run a plugin on this machine; it fetches and pushes through the gateway, and reaches nothing else of ours.

    Args:
        gateway: Ours.
        url: Where its routes for Qiita are, such as ``https://blast.example.org/qiita``.
        plugin: What to run.
        work: What it shall do.
        prefix: Under which key its outputs go; nothing else can be written.
        max_bytes: How much it may push.
        timeout_s: After how long it is killed.
        cancelled: Asked several times a second whether to kill it.
        note: Called with each step of the plugin that lasts a second, and with the last one.

    Returns:
        What it made.

    Raises:
        InvalidInputError: it cannot be run so.
        QiitaPluginError: it failed.
    """
    plugin.check()
    if not is_key(prefix):
        raise InvalidInputError(Problem(f"{prefix!r} is no key: use words of letters and digits, with '/'", "prefix"))
    lasts = timedelta(seconds=timeout_s + _SPARE_S)
    reads = [one for key in work.inputs() for one in _named(gateway.store, key)]
    ticket = gateway.tickets.make(site="", reads=reads, writes=[f"{prefix}/"], max_bytes=max_bytes, lasts=lasts)
    with _prepared(gateway, plugin, ticket, lasts) as (base, settings):
        jobs = QiitaJobs(gateway.database)
        jobs.add(ticket.id, str(base), work)
        command = _command(plugin, settings, base, [url.rstrip("/"), ticket.id, str(base / prefix)])
        steps = _Steps(jobs, ticket.id, note)
        look = throttled(steps.look, _STEP_S)
        # Steps come second: where they cannot be looked up, it is still asked.
        stderr = _run(command, timeout_s, lambda: (cancelled is not None and cancelled()) or look())
        steps.look()
        return _outputs(gateway.store, plugin, jobs.get(ticket.id), stderr)


def register_plugin(gateway: Gateway, url: str, plugin: QiitaPlugin, *, timeout_s: float = 300.0) -> None:
    """Let a plugin register itself, which changes nothing but shows that it is installed and reaches us.

    Args:
        gateway: Ours.
        url: Where its routes for Qiita are.
        plugin: One that the policy names.
        timeout_s: After how long it is killed.

    Raises:
        InvalidInputError: it cannot be run so.
        QiitaPluginError: it failed.
    """
    plugin.check()
    lasts = timedelta(seconds=timeout_s + _SPARE_S)
    ticket = gateway.tickets.make(site="", writes=["uploads/qiita/register/"], max_bytes=0, lasts=lasts)
    with _prepared(gateway, plugin, ticket, lasts) as (base, settings):
        command = _command(plugin, settings, base, [url.rstrip("/"), REGISTER, str(base)])
        try:
            Program(command, timeout_s=timeout_s).run()
        except ProgramError as error:
            raise QiitaPluginError(plugin.name, "it could not register itself", error.stderr) from error


@contextmanager
def _prepared(gateway: Gateway, plugin: QiitaPlugin, ticket: Ticket, lasts: timedelta) -> Iterator[tuple[Path, Path]]:
    """Give a plugin's base directory, and the one with its configuration; at the end they and its ticket go."""
    try:
        with TemporaryDirectory(prefix="qiita-") as scratch:
            base, settings = Path(scratch).resolve() / "data", Path(scratch) / "plugins"
            for directory in (base, settings):
                directory.mkdir(mode=0o700)
            # For as long as the run may last: the client repeats what an expired grant refuses with files read to
            # their end, and so pushes nothing in their place.
            plugin.configure(settings, ticket.id, gateway.keys.sign(grant_of(ticket, lasts.total_seconds())))
            yield base, settings
    finally:
        gateway.tickets.revoke(ticket.id, "its run has ended")


def _named(store: Store, key: str) -> list[str]:
    """Return what a grant names for an input, which is a file or a directory."""
    if not is_key(key):
        raise InvalidInputError(Problem(f"{key!r} is no key of the storage: push the file there first", "work"))
    with suppress(ObjectMissingError):
        store.stat(key)
        return [key]
    if next(store.list(f"{key}/"), None) is None:
        raise InvalidInputError(Problem(f"there is nothing at {key!r} in the storage", "work"))
    return [f"{key}/"]


def _command(plugin: QiitaPlugin, settings: Path, base: Path, words: list[str]) -> list[str]:
    # Our own environment may hold keys, so nothing of it is handed on.
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base.parent),
        "TMPDIR": str(base.parent),
        "LANG": "C.UTF-8",
        "QIITA_PLUGINS_DIR": str(settings),
        **dict(plugin.environment),
    }
    clean = [f"{name}={value}" for name, value in variables.items()]
    return ["env", f"--chdir={base}", "-i", *clean, *plugin.start, *words]


class _Steps:
    """Reports the steps of a job, looked up whenever it is asked whether to kill the plugin."""

    def __init__(self, jobs: QiitaJobs, ticket: str, note: Callable[[str], None] | None) -> None:
        self._jobs, self._ticket, self._note, self._last = jobs, ticket, note, ""

    def look(self) -> bool:
        """Report the step of the job if it is another one than before; none is a reason to kill the plugin."""
        if self._note is not None and (step := self._jobs.get(self._ticket).step) != self._last:
            self._last = step
            self._note(step)
        return False


def _run(command: list[str], timeout_s: float, cancelled: Callable[[], bool] | None) -> str:
    """Run a plugin to its end, whatever that is; return what it printed to standard error."""
    try:
        with Program(command, timeout_s=timeout_s, cancelled=cancelled) as program:
            return program.finish().stderr
    except ProgramError as error:
        return f"{error.stderr}\n(it ended with code {error.exit_code})"


def _outputs(store: Store, plugin: QiitaPlugin, job: QiitaJob, stderr: str) -> list[Output]:
    if job.status != "success":
        ended = "it ended without saying how it went"
        raise QiitaPluginError(plugin.name, job.message if job.status == "error" else ended, stderr)
    return [
        Output(name, made["type"], tuple((_reference(store, key), kind) for key, kind in made["files"]))
        for name, made in job.outputs.items()
    ]


def _reference(store: Store, key: str) -> Reference:
    name = key.rpartition("/")[2]
    with suppress(ObjectMissingError):
        return Reference(f"store:{key}", size_bytes=store.stat(key).size_bytes, name=name)
    tree = tree_at(store, key)
    if tree is None:  # files below a common key, each an object of its own
        return Reference(f"store:{key}", is_directory=True, name=name)
    return Reference(f"store:{key}", tree.sha256, tree.size_bytes, is_directory=True, name=name)
