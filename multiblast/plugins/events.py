"""What a plugin says while it runs: lines of JSON in the file that ``$MULTIBLAST_EVENTS`` names.

``{"progress": {"value": 3, "target": 10, "unit": "files"}}``, ``{"log": "…"}``,
``{"output": {"port": "tree", "path": "outputs/a.nwk", "name": "genes.nwk", "data": "tree"}}``, with ``name``,
``data`` (the data type, where it depends on what was found) and ``content`` only if the plugin knows better,
``{"ask": {"step": "step1", "title": "…", "parameters": {…}}}`` with parameters as in its table, and
``{"call": {"step": "step1", "plugin": "mafft", "inputs": {"sequences": ["some.fasta"]}, "parameters": {…}}}``.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from multiblast.plugins.failure import PluginError
from multiblast.plugins.kinds import CONTENT_TYPE, DATA_TYPE
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.ports import PortName
from multiblast.plugins.table_problems import plain_message

_FILE = "events.jsonl"
_LONGEST_LINE = 1 << 20
_MOST_LINES = 1_000_000
_LONGEST_NOTE = 2000
_MOST_NOTES = 10_000
_STEP = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,30}")
_PLUGIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}(@[0-9][A-Za-z0-9.+_-]{0,60})?")
_FORM: TypeAdapter[dict[PortName, Parameter]] = TypeAdapter(dict[PortName, Parameter])


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a plugin is: ``value`` on the way from ``start`` to ``target``."""

    value: float
    start: float = 0
    target: float = 100
    unit: str = "%"

    @property
    def text(self) -> str:
        """How far it is, such as ``3 of 10 files``."""
        return f"{self.value:g} of {self.target:g} {self.unit}".strip()


Note = Callable[[Progress | str], None]
"""Called with progress, or a line of the log."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A plugin asks a person.

    Attributes:
        step: Its id in the whole run, such as ``step1.step2b``; the answer is given under it.
        parameters: The form, as in a table.
    """

    step: str
    title: str
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Call:
    """A plugin wants another one run.

    Attributes:
        step: As of `Ask`; what the other made is given under it.
        plugin: A name, ``name@version``, or a key of the table ``needs``.
        inputs: Files and directories in the directory of the run, or inputs of its own.
    """

    step: str
    plugin: str
    inputs: Mapping[str, tuple[Path, ...]]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A plugin says which file is an output of a port, its name for people, its meaning and how it is written."""

    port: str
    path: Path
    name: str
    data: str = ""
    content: str = ""


@dataclass
class Events:
    """Reads what a plugin says.

    Attributes:
        plugin: What errors call it.
        directory: In which it runs; paths are relative to it.
        answered: Steps that have their answer.
        given: The paths of its inputs.
        hide: Takes secrets out of a text.
    """

    plugin: str
    directory: Path
    answered: frozenset[str] = frozenset()
    given: frozenset[Path] = frozenset()
    note: Note | None = None
    hide: Callable[[str], str] = str
    claims: dict[str, list[Claim]] = field(default_factory=dict)
    ask: Ask | None = None
    call: Call | None = None
    log: list[str] = field(default_factory=list)
    _left: bytes = b""
    _lines: int = 0
    _logged: int = 0
    _progress: Progress | None = None
    _has_begun: bool = False

    def __enter__(self) -> Self:
        # Made before the plugin starts, and read by this handle: by name it might be a link by then.
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._handle)

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / _FILE

    def read(self) -> None:
        """Read what was added, but for a line that is not whole; of progress, the first at all and the last now count.

        Raises:
            PluginError: it is not as it should be; it names the line.
        """
        while piece := os.read(self._handle, _LONGEST_LINE):
            *lines, self._left = (self._left + piece).split(b"\n")
            for line in lines:
                self._take(line)
            if len(self._left) > _LONGEST_LINE:
                raise self._wrong(f"it is longer than {_LONGEST_LINE} bytes", self._lines + 1)
        self._note_progress()

    def finish(self) -> None:
        """Read what is left, also where the last line does not end."""
        self.read()
        left, self._left = self._left, b""
        self._take(left)
        self._note_progress()
        if self.ask and self.call:
            raise self._wrong("it both asks and calls: end the process with one of them")

    def _take(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise self._wrong(f"there are more than {_MOST_LINES}")
        if not line.strip():
            return
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or len(event) != 1:
                raise ValueError("write an object with one key")  # noqa: TRY301 - one way out
            [(kind, value)] = event.items()
            readers = {
                "progress": self._read_progress,
                "log": self._read_log,
                "output": self._read_output,
                "ask": self._read_ask,
                "call": self._read_call,
            }
            if kind not in readers:
                raise ValueError(f"{kind!r} is none of {', '.join(readers)}")  # noqa: TRY301 - one way out
            readers[kind](value)
        except json.JSONDecodeError as error:
            raise self._wrong(f"it is no JSON: {error}; write an object with one key") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise self._wrong(missing) from error

    def _read_progress(self, value: Mapping[str, Any]) -> None:
        numbers = [float(value[key]) for key in ("value", "start", "target") if key in value or key == "value"]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("progress is a number")
        progress = Progress(
            float(value["value"]),
            float(value.get("start", 0)),
            float(value.get("target", 100)),
            _line(str(value.get("unit", "%")))[:20],
        )
        self._progress = progress
        if not self._has_begun:
            self._has_begun = True
            self._note_progress()

    def _note_progress(self) -> None:
        if self._progress is not None and self.note is not None:
            self.note(self._progress)
        self._progress = None

    def _read_log(self, value: object) -> None:
        text = self.hide(_line(str(value))[:_LONGEST_NOTE])
        self.log.append(text)
        del self.log[:-1000]
        self._logged += 1
        if self.note is not None and self._logged <= _MOST_NOTES:
            self.note(text if self._logged < _MOST_NOTES else "further lines are left out here")

    def _read_output(self, value: Mapping[str, Any]) -> None:
        port, path = str(value["port"]), self._inside(value["path"])
        name = str(value.get("name") or path.name)
        if "/" in name or name in {".", ".."} or not name.isprintable() or len(name.encode("utf-8", "replace")) > 200:  # noqa: PLR2004
            raise ValueError(f"{name!r} is no name of a file: use up to 200 characters without '/'")
        data = str(value.get("data", ""))
        if data and not re.fullmatch(DATA_TYPE, data):
            raise ValueError(f"{data!r} is no data type: write words with '/', such as sequences/protein")
        content = str(value.get("content", ""))
        if content and not re.fullmatch(CONTENT_TYPE, content):
            raise ValueError(f"{content!r} is no content type: write one such as text/plain")
        self.claims.setdefault(port, []).append(Claim(port, path, name, data, content))

    def _read_ask(self, value: Mapping[str, Any]) -> None:
        try:
            form = _FORM.validate_python(value.get("parameters", {}))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"parameters.{'.'.join(map(str, first['loc']))}: {plain_message(first)}") from error
        if any(parameter.is_private for parameter in form.values()):
            raise ValueError("parameters: answers are kept, so a secret cannot be asked for; make it a parameter")
        self.ask = Ask(self._step(value["step"]), _line(str(value.get("title", "")))[:200], form)

    def _read_call(self, value: Mapping[str, Any]) -> None:
        plugin = str(value["plugin"])
        if not _PLUGIN.fullmatch(plugin):
            raise ValueError(f"{plugin!r} is no plugin: write a name, NAME@VERSION or a key of [needs]")
        inputs: dict[str, tuple[Path, ...]] = {}
        for port, paths in dict(value.get("inputs", {})).items():
            inputs[str(port)] = tuple(self._handed(path) for path in ([paths] if isinstance(paths, str) else paths))
        parameters = dict(value.get("parameters", {}))
        self.call = Call(self._step(value["step"]), plugin, inputs, parameters)

    def _step(self, value: object) -> str:
        if not isinstance(value, str) or not _STEP.fullmatch(value):
            raise ValueError(f"{value!r} is no id of a step: write words with dots, such as step1.step2b")
        if value in self.answered:
            raise ValueError(f"the step {value!r} has its answer: give each step an id of its own")
        return value

    def _handed(self, path: object) -> Path:
        return Path(str(path)) if Path(str(path)) in self.given else self._inside(path)

    def _inside(self, value: object) -> Path:
        """Return a path in the directory; what is there is looked at when the plugin has ended."""
        if not isinstance(value, str) or "\0" in value:
            raise TypeError(f"{value!r} is no path")
        path = self.directory / value
        if ".." in path.parts or not path.is_relative_to(self.directory) or path == self.directory:
            raise ValueError(f"{value!r} is not in the directory of the run")
        return path

    def _wrong(self, reason: str, line: int = 0) -> PluginError:
        return PluginError(self.plugin, self.hide(f"line {line or self._lines} of its events: {_line(reason)}"))


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
