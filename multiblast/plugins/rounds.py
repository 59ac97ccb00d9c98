"""One round of a plugin: its process is run once, confined, until it has made its outputs, asks, or calls another."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from multiblast.environment import PLUGIN_DATABASE, PLUGIN_EVENTS
from multiblast.errors import FailureClass, InvalidInputError, Problem, collecting
from multiblast.plugins.commands import OUTPUTS, PYTHONS, Words, output_path
from multiblast.plugins.confinement import (
    Room,
    clean_environment,
    confines,
    database_room,
    default_python,
    place_of,
    prefixes_of,
    sandboxed,
)
from multiblast.plugins.events import Ask, Call, Events, Note, Progress
from multiblast.plugins.failure import PluginError
from multiblast.plugins.kinds import DIRECTORY
from multiblast.plugins.outputs import MadeOutput, OutputCheck
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.processes import Ended, Limits, Supervised

__all__ = [
    "Ask",
    "Call",
    "GivenFile",
    "MadeOutput",
    "Note",
    "PluginError",
    "Progress",
    "RoundEnd",
    "RoundRequest",
    "run_round",
]

_REQUEST = "request.json"
_SANDBOX_PROCESSES = 2  # bubblewrap itself, and the first process of its name space
_SIGNS_OF_NO_NETWORK = ("Temporary failure in name resolution", "Network is unreachable", "Could not resolve host")
_SHORTEST_SECRET = 4  # a shorter one would be found in words that are none


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file or directory that a plugin gets; it is on this machine, and only read.

    Attributes:
        name: What a person calls it.
        data: What it means, such as ``sequences/protein``.
        content: How it is written.
    """

    path: Path
    name: str
    data: str
    content: str


@dataclass(frozen=True, slots=True)
class RoundRequest:
    """What a plugin shall do.

    Attributes:
        number: Of the round, from 1.
        inputs: By port.
        parameters: Values that a person chose; the others have their defaults.
        answers: By the id of a step: what a person answered, or for a call ``{"outputs": {port: [path]}}``.
        secrets: Texts of private parameters: only in a file that the plugin alone can read.
        state: The directory that the round before has left.
    """

    number: int
    inputs: Mapping[str, tuple[GivenFile, ...]]
    parameters: Mapping[str, str | bool | int | float]
    threads: int
    answers: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """How a round ended: with outputs, or with what is needed for the next one.

    Attributes:
        command: The plugin's own words, without those of the sandbox.
        stderr, log: The last that it printed to standard error, and to standard output and as events.
        seconds: Wall time.
    """

    outputs: tuple[MadeOutput, ...]
    ask: Ask | None
    call: Call | None
    command: tuple[str, ...]
    stderr: str
    seconds: float
    log: str


def run_round(  # noqa: PLR0913 - what a run is made of
    plugin: Plugin,
    python: Path | None,
    request: RoundRequest,
    directory: Path,
    *,
    sandbox: str = "auto",
    database: str = "",
    cancelled: Callable[[], bool] | None = None,
    note: Note | None = None,
) -> RoundEnd:
    """Run a plugin's process once, in a directory that is empty or not there, and look at what it has made.

    Afterwards nothing of it is running. The directory is the caller's to remove; ``state/`` is for the next round.

    Args:
        plugin: What to run.
        python: That of its environment, whose programs go before others; None is the one that ours is made from.
        request: What it shall do.
        directory: Where: ``request.json``, ``outputs/``, ``state/`` and ``tmp/`` are made in it.
        sandbox: ``auto`` confines it where that can be done, ``bwrap`` does not run it otherwise, ``none`` never does.
        database: The address of its own database, if it has one.
        cancelled: Asked several times a second whether to end it.
        note: Called with progress and lines of its log.

    Raises:
        InvalidInputError: the request does not fit its table.
        PluginError: it failed, went beyond a limit, or what it made is not what its table says.
    """
    threads = min(request.threads, plugin.description.run.threads or request.threads)
    request = replace(request, parameters=_checked(plugin, request), threads=threads)
    directory = directory.absolute()
    hide = _hider(request.secrets)
    own = python.absolute() if python else None
    one = _Round(plugin, own, request, directory, confines(sandbox, plugin.identifier))
    events = Events(
        plugin.identifier,
        directory,
        frozenset(request.answers),
        frozenset(path.absolute() for path in one.given),
        note,
        hide,
    )
    try:
        one.prepare()
        with events:
            try:
                ended = one.run(events, database, cancelled)
            finally:
                _make_readable(directory)
            events.finish()
        return one.end(events, ended, hide)
    except PluginError as error:
        raise PluginError(error.plugin, hide(error.reason), hide(error.stderr), error.failure_class) from error
    except OSError as error:
        raise PluginError(plugin.identifier, f"its directory: {error}", "", FailureClass.OUTPUT) from error
    finally:
        if request.secrets:
            (directory / _REQUEST).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Round:
    plugin: Plugin
    python: Path | None
    request: RoundRequest
    directory: Path
    is_confined: bool

    @property
    def given(self) -> list[Path]:
        """All files and directories that the plugin gets."""
        answered = [answer.get("outputs", {}) for answer in self.request.answers.values() if isinstance(answer, dict)]
        return [
            *(file.path for files in self.request.inputs.values() for file in files),
            *(Path(path) for outputs in answered for paths in _lists(outputs) for path in paths),
        ]

    def prepare(self) -> None:
        """Make the directory."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (OUTPUTS, "tmp"):
            (self.directory / name).mkdir()
        state = self.directory / "state"
        if self.request.state is None:
            state.mkdir()
        else:
            shutil.copytree(self.request.state, state, symlinks=True)
        text = json.dumps(
            {
                "inputs": {port: [_facts(file) for file in files] for port, files in self.request.inputs.items()},
                "parameters": {**self.request.parameters, **self.request.secrets},
                "threads": self.request.threads,
                "round": self.request.number,
                "answers": dict(self.request.answers),
            },
            ensure_ascii=False,
        )
        with os.fdopen(os.open(self.directory / _REQUEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)

    def command(self) -> list[str]:
        """Return the plugin's own words; directories that it shall fill are made."""
        if self.plugin.script is not None:
            return [str(self.python or default_python()), str(self.plugin.script.absolute())]
        description = self.plugin.description
        for port, output in description.outputs.items():
            if output.content == DIRECTORY:
                output_path(description, port, self.directory).mkdir()
        inputs = {port: [file.path.absolute() for file in files] for port, files in self.request.inputs.items()}
        place = self.plugin.directory.absolute()
        words = Words(
            description, inputs, self.request.parameters, self.request.threads, self.directory, place
        ).command()
        return [str(self.python or default_python()), *words[1:]] if words[0] in PYTHONS else words

    def run(self, events: Events, database: str, cancelled: Callable[[], bool] | None) -> tuple[tuple[str, ...], Ended]:
        """Run the process; return its own words, and how it ended."""
        run, command = self.plugin.description.run, self.command()
        environment = clean_environment(self.directory, self.request.threads, self.python)
        self._check_there(command[0], environment["PATH"])
        writes = database_room(database, network=run.network, plugin=self.plugin.identifier)
        environment[PLUGIN_EVENTS] = str(events.path)
        if database:
            environment[PLUGIN_DATABASE] = database
        room = Room(self.directory, self._reads(command[0], environment["PATH"]), writes, run.network)
        stdout = output_path(self.plugin.description, run.stdout, self.directory) if run.stdout else None
        process = Supervised(
            self.plugin.identifier,
            sandboxed(command, room) if self.is_confined else command,
            environment,
            self.directory,
            Limits.of(run),
            stdout,
            events.read,
            cancelled,
            _SANDBOX_PROCESSES if self.is_confined else 0,
        )
        return tuple(command), process.run()

    def _reads(self, program: str, path: str) -> tuple[Path, ...]:
        python = self.python or (default_python() if self.plugin.script else None)
        needs = [*(prefixes_of(python) if python else ()), *place_of(program, path)]
        if tool := self.plugin.description.tool:
            needs += place_of(tool.command[0], path)
        return tuple(dict.fromkeys((*needs, self.plugin.path, *self.given)))

    def _check_there(self, program: str, path: str) -> None:
        tool = self.plugin.description.tool
        for needed in (program, *(tool.command[:1] if tool else ())):
            if shutil.which(needed, path=path) is None:
                remedy = f"install the package {tool.debian}" if tool and tool.debian else "install it"
                reason = f"{needed} is not installed: {remedy}"
                raise PluginError(self.plugin.identifier, reason, "", FailureClass.MISSING_PROGRAM)
        for given in self.given:
            if not given.exists():
                raise PluginError(self.plugin.identifier, f"its input {given} is not there", "", FailureClass.OUTPUT)

    def end(self, events: Events, ran: tuple[tuple[str, ...], Ended], hide: Callable[[str], str]) -> RoundEnd:
        """Look at what the process has left."""
        command, ended = ran
        try:
            ended.check(self.plugin.identifier)
        except PluginError as error:
            if self.plugin.description.run.network or not any(sign in ended.stderr for sign in _SIGNS_OF_NO_NETWORK):
                raise
            reason = f"{error.reason}; it has no network unless its table says network = true under [run]"
            raise PluginError(error.plugin, reason, error.stderr, FailureClass.NETWORK) from error
        description = self.plugin.description
        check = OutputCheck(
            self.plugin.identifier, description, self.directory, Limits.of(description.run).output_bytes
        )
        check.check_plain(self.directory / "state")
        outputs: tuple[MadeOutput, ...] = ()
        if events.call is not None:
            for path in (path for paths in events.call.inputs.values() for path in paths):
                if path not in events.given:
                    check.check_plain(path)
        elif events.ask is None:
            kinds = {port: [file.data for file in files] for port, files in self.request.inputs.items()}
            try:
                outputs = check.take(events.claims, kinds)
            except PluginError as error:  # with what it printed, which may say why
                raise PluginError(error.plugin, error.reason, ended.stderr, error.failure_class) from error
        log = "\n".join(filter(None, (*events.log, hide(ended.stdout).rstrip())))
        return RoundEnd(outputs, events.ask, events.call, command, hide(ended.stderr), ended.seconds, log)


def _facts(file: GivenFile) -> dict[str, str]:
    """Return what a request says of an input."""
    return {"path": str(file.path.absolute()), "name": file.name, "data": file.data, "content": file.content}


def _checked(plugin: Plugin, request: RoundRequest) -> dict[str, str | bool | int | float]:
    """Return all parameters that are not private, with defaults; an `InvalidInputError` says what does not fit."""
    description, problems = plugin.description, list[Problem]()
    values: dict[str, str | bool | int | float] = {}
    for name in [*request.parameters, *request.secrets]:
        if name not in description.parameters:
            problems.append(Problem("there is no such parameter: leave it out", f"parameters.{name}"))
    for name, parameter in description.parameters.items():
        value = request.parameters.get(name, parameter.default)
        if name in request.secrets or (value is None and parameter.is_private):
            continue
        with collecting(problems):
            if value is None:
                raise InvalidInputError(Problem("give it a value", f"parameters.{name}"))
            given = name in request.parameters
            values[name] = parameter.checked(value, f"parameters.{name}") if given else value
    for port, files in request.inputs.items():
        if port not in description.inputs:
            problems.append(Problem("there is no such input: leave it out", f"inputs.{port}"))
        elif len(files) > 1 and not description.inputs[port].many:
            problems.append(Problem("it takes one file", f"inputs.{port}"))
    missing = [port for port, one in description.inputs.items() if one.required and not request.inputs.get(port)]
    problems += [Problem("a file is needed here", f"inputs.{port}") for port in missing]
    if problems:
        raise InvalidInputError(problems)
    return values


def _lists(outputs: Any) -> list[list[str]]:
    """Return the lists of paths in the answer to a call."""
    if not isinstance(outputs, dict):
        return []
    return [[paths] if isinstance(paths, str) else list(paths) for paths in outputs.values()]


def _hider(secrets: Mapping[str, str]) -> Callable[[str], str]:
    """Return what takes secrets out of a text."""
    hidden = sorted((text for text in secrets.values() if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return text

    return hide


def _make_readable(directory: Path) -> None:
    """Give its user the rights to look into, and remove, the directories that a plugin made."""
    left = [directory]
    while left:
        path = left.pop()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                path.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
            left += [Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
