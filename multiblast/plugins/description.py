"""A plugin's table: what it is, what it takes and makes, and how it is run.

The table is a file ``plugin.toml``, or ``[tool.multiblast.plugin]`` in the metadata block of a Python script (PEP 723).
It is read without importing anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from multiblast.options import is_taken
from multiblast.plugins.parameters import Parameter, TableModel, check_pattern
from multiblast.plugins.ports import Input, Output, PortName
from multiblast.plugins.run_table import PLACEHOLDER, PLAIN_WORDS, Run
from multiblast.plugins.search_table import SEARCH_WORDS, SearchTable
from multiblast.plugins.table_problems import UnfittingKeysError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
_Version = Annotated[str, StringConstraints(pattern=r"^[0-9][A-Za-z0-9.+_-]*$", max_length=60)]
_Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
_Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]


class Tool(TableModel):
    """The program that a plugin runs, which is installed apart.

    Attributes:
        command: What prints its version.
        pattern: Matches the version in what is printed; its first group is the version.
        requires: Versions that the plugin works with, as pip writes them, such as ``>=7.4,<8``.
        debian: The Debian package that has it.
    """

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    pattern: str
    requires: str = ""
    debian: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]*$")] = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if check_pattern(self.pattern).groups < 1:
            raise ValueError("the pattern needs a group around the version")
        _check_requirement(self.requires)
        return self


class Need(TableModel):
    """Another plugin that a plugin calls: by name, or any that fits.

    Attributes:
        name: Its name; empty for any that fits.
        tags: Tags that it must have; with ``!`` before it one that it must not have.
        version: Versions, as pip writes them.
        type: What it must be, such as ``processing``; empty for anything.
        required: Whether the plugin cannot do without it.
    """

    name: str = ""
    tags: tuple[Annotated[str, StringConstraints(pattern=r"^!?[a-z0-9][a-z0-9.-]*$")], ...] = ()
    version: str = ""
    type: str = ""
    required: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_requirement(self.version)
        return self


class Schedule(TableModel):
    """When a plugin runs by itself.

    Attributes:
        every: An ISO 8601 period, such as ``PT24H``.
        cron: Instead: a cron expression, such as ``0 4 * * 0``.
        timezone: That of the cron expression.
        active: Whether it is on from the beginning; else an administrator switches it on.
        parameters: Values by name; those left out have their defaults.
        inputs: Texts that name inputs, by port.
    """

    every: Annotated[str, StringConstraints(pattern=r"^(P([0-9]+D|([0-9]+D)?T([0-9]+H([0-9]+M)?|[0-9]+M)))?$")] = ""
    cron: str = ""
    timezone: str = "UTC"
    active: bool = False
    parameters: Mapping[str, Any] = {}
    inputs: Mapping[str, str | tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.every) == bool(self.cron):
            raise ValueError("give either every or cron")
        return self


class State(TableModel):
    """A database of a plugin's own, kept from run to run.

    Attributes:
        migrations: The directory, beside the table, with migrations of Alembic.
    """

    migrations: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]


class Link(TableModel):
    """An address about a plugin.

    Attributes:
        type: What is there, such as ``documentation``.
        href: The address.
    """

    type: str
    href: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class Words(TableModel):
    """What a person reads of a plugin, in another language; what is left out stays as it is.

    Attributes:
        title: Of the plugin.
        description: Of the plugin.
        labels: By the name of an input, output or parameter.
        help: As ``labels``.
    """

    title: str = ""
    description: str = ""
    labels: Mapping[str, str] = {}
    help: Mapping[str, str] = {}


class Description(TableModel):
    """A plugin's table.

    Attributes:
        name: What it is called: small letters, digits and single hyphens.
        version: By PEP 440, such as ``1.2.0``. Change it whenever the plugin changes.
        title: What it does, in a few words.
        description: What it does, in some sentences.
        type: What it does. A ``visualization`` shows one input as a page, a ``dataloader`` has no inputs, and a
            ``search`` finds hits of each query alone: see the table ``search``.
        tags: Words to find it by. Where several chains lead to the same, that with most plugins tagged ``usual`` is
            taken.
        license: That of the plugin itself, by its SPDX name, such as ``MIT``.
        links: Addresses about it.
        inputs: What it takes, by port.
        outputs: What it makes, by port.
        parameters: What a person chooses, by name.
        run: How it is run. A script that has its table in itself needs none of this.
        tool: The program that it runs, if that is installed apart.
        needs: Other plugins that it calls, by a name of its own for each.
        schedules: When it runs by itself.
        state: Its own database, if it keeps one.
        text: What a person reads, by language.
        search: How a search plugin's queries are split, and its rows brought back.
    """

    name: Name
    version: _Version
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    description: str = ""
    type: Literal["processing", "conversion", "visualization", "dataloader", "interaction", "search"] = "processing"
    tags: tuple[_Tag, ...] = ()
    license: str = ""
    links: tuple[Link, ...] = ()
    inputs: Mapping[PortName, Input] = {}
    outputs: Mapping[PortName, Output] = {}
    parameters: Mapping[PortName, Parameter] = {}
    run: Run
    tool: Tool | None = None
    needs: Mapping[PortName, Need] = {}
    schedules: tuple[Schedule, ...] = ()
    state: State | None = None
    text: Mapping[_Language, Words] = {}
    search: SearchTable | None = None

    @property
    def identifier(self) -> str:
        """Name and version: ``mafft@1.0.0``."""
        return f"{self.name}@{self.version}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*self._check_texts(), *self._check_command(), *self._check_type(), *self._check_outputs()]
        if problems:
            raise UnfittingKeysError(problems)
        return self

    def _check_command(self) -> Iterator[str]:
        """Yield what is wrong with the placeholders of the command, and with the texts that get into it."""
        for word in self.run.command:
            parts = (word,) if isinstance(word, str) else word.words
            if not isinstance(word, str):
                kind, name, _ = word.condition
                if name not in (self.inputs if kind == "inputs" else self.parameters):
                    yield f"run.command: there is no {kind}.{name}"
            for part in parts:
                yield from self._check_word(part)

    def _check_word(self, word: str) -> Iterator[str]:
        rooms: Mapping[str, Mapping[str, Any]] = {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "parameters": self.parameters,
        }
        plain = PLAIN_WORDS | SEARCH_WORDS if self.search else PLAIN_WORDS
        for room, name in PLACEHOLDER.findall(word):
            whole = f"{room}.{name}" if name else room
            if name and room in rooms:
                if name not in rooms[room]:
                    there = ", ".join(f"{room}.{one}" for one in rooms[room]) or f"no {room}"
                    yield f"run.command: there is no {whole}; there is {there}"
            elif whole != "columns.joined" and (name or room not in plain):
                yield f"run.command: {{{whole}}} stands for nothing: use inputs.NAME, outputs.NAME or parameters.NAME"
            if room == "parameters" and name in self.parameters:
                yield from self._check_in_command(name, self.parameters[name])

    def _check_in_command(self, name: str, parameter: Parameter) -> Iterator[str]:
        """Yield why the value of a parameter must not get into the command."""
        if parameter.type == "text" and not parameter.pattern:
            yield f"parameters.{name}: a text that gets into the command needs a pattern"
        if parameter.lines:
            yield f"parameters.{name}: a text of several lines gets into no command: let a script read it"
        if parameter.is_private:
            yield f"parameters.{name}: every user of the machine sees commands: let a script read it"

    def _check_texts(self) -> Iterator[str]:
        """Yield what could command the terminal of somebody who lists plugins."""
        for key in ("title", "license"):
            if not getattr(self, key).isprintable():
                yield f"{key}: it has characters that cannot be printed"

    def _check_type(self) -> Iterator[str]:
        required = [name for name, port in self.inputs.items() if port.required]
        if self.type == "visualization" and (len(required) != 1 or "page" not in self.outputs):
            yield "a visualization has one required input and an output named page"
        if self.type == "dataloader" and self.inputs:
            yield "a dataloader has no inputs"
        if (self.type == "search") != (self.search is not None):
            yield "the table search is for plugins of type 'search', which need it"
        if self.search is not None:
            yield from self._check_search(self.search)

    def _check_search(self, search: SearchTable) -> Iterator[str]:
        if search.query not in self.inputs:
            yield f"search.query: there is no input {search.query!r}"
        outputs = {search.hits, search.no_hits.output} - {""}
        for name in sorted(outputs - set(self.outputs)):
            yield f"search: there is no output {name!r}"
        for name in sorted({*search.deciding, *search.together, search.keeps_case} - {"", *self.parameters}):
            yield f"search: there is no parameter {name!r}"
        for name, parameter in self.parameters.items():
            if parameter.is_private or parameter.required:
                yield f"parameters.{name}: a search has no secrets, and a default for everything"
            if is_taken(name):
                yield f"parameters.{name}: no option of a search can have this name: give it another"
        if self.tool is None:
            yield "a search needs the table tool: its version is part of what a result is kept under"
        if not self.run.command:
            yield "a search is run by a command"

    def _check_outputs(self) -> Iterator[str]:
        if self.run.stdout and self.run.stdout not in self.outputs:
            yield f"run.stdout: there is no output {self.run.stdout!r}"
        for name, port in self.outputs.items():
            copied = re.search(r"\{(.+)\}", port.data)
            if copied and copied[1] not in self.inputs:
                yield f"outputs.{name}.data: there is no input {copied[1]!r}"


def _check_requirement(text: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} names no versions: write >=1.2,<2") from error
