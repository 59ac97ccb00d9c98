"""The words of a plugin's command, with what its placeholders stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.errors import InvalidInputError, Problem
from multiblast.plugins.description import Description
from multiblast.plugins.kinds import DIRECTORY, SUFFIXES
from multiblast.plugins.run_table import PLACEHOLDER, Conditional

OUTPUTS = "outputs"
"""The directory, in that of a run, in which outputs are looked for."""

PYTHONS = frozenset({"python", "python3"})
"""As the first word of a command, the Python of the plugin's environment."""

Value = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Words:
    """What stands for the placeholders of one run.

    Attributes:
        work: The directory that it may write to.
        plugin: That of the plugin's own files.
        more: What stands for further placeholders, as those of searches.
    """

    description: Description
    inputs: Mapping[str, Sequence[Path]]
    parameters: Mapping[str, Value]
    threads: int
    work: Path
    plugin: Path
    more: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return the whole command.

        Raises:
            InvalidInputError: a word wants one value where there are none or many.
        """
        return self.filled(self.description.run.command)

    def filled(self, words: Sequence[str | Conditional]) -> list[str]:
        """Return a command of these words; errors are as of `command`."""
        found: list[str] = []
        for word in words:
            if isinstance(word, str):
                found += self._expanded(word)
            elif self._holds(*word.condition):
                found += [one for part in word.words for one in self._expanded(part)]
        return found

    def _holds(self, room: str, name: str, value: str | None) -> bool:
        if room == "inputs":
            return bool(self.inputs.get(name))
        given = self.parameters.get(name)
        return bool(given) if value is None else given is not None and _written(given) == value.strip().strip("'\"")

    def _expanded(self, word: str) -> Iterator[str]:
        if alone := PLACEHOLDER.fullmatch(word):
            yield from self._values(alone[1], alone[2] or "")
            return

        def one(room: str, name: str) -> str:
            values = self._values(room, name)
            if len(values) != 1:
                wrong = f"{word!r} needs one value of {room}.{name}, there are {len(values)}"
                remedy = "put it under a condition, or let the placeholder be a word of its own"
                raise InvalidInputError(Problem(f"{wrong}: {remedy}", "run.command"))
            return values[0]

        yield PLACEHOLDER.sub(lambda found: one(found[1], found[2] or ""), word)

    def _values(self, room: str, name: str) -> list[str]:
        if room == "inputs":
            return [str(path) for path in self.inputs.get(name, ())]
        if room == "outputs":
            return [str(output_path(self.description, name, self.work))]
        if room == "parameters":
            return [_written(self.parameters[name])] if name in self.parameters else []
        if (key := f"{room}.{name}" if name else room) in self.more:
            return list(self.more[key])
        return [{"threads": str(self.threads), "work": str(self.work), "plugin": str(self.plugin)}[room]]


def output_path(description: Description, port: str, work: Path) -> Path:
    """Return where the output of a port is looked for first; a directory is not made by this."""
    content = description.outputs[port].content
    suffix = "" if content == DIRECTORY else SUFFIXES.get(content, "")
    return work / OUTPUTS / f"{port}{suffix}"


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
