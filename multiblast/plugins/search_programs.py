"""Search plugins as programs to search with, beside those of BLAST+."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from math import inf
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from multiblast.errors import FailureClass, ProgramError
from multiblast.options import AddedOptions, AddedProgram, Options, make_model
from multiblast.options.option import NOWHERE, Option
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.commands import PYTHONS
from multiblast.plugins.description import Description, Tool
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.run_table import Conditional
from multiblast.plugins.search_table import SearchTable
from multiblast.plugins.tools import ToolError, tool_version
from multiblast.settings import PluginRules

_REMEMBERED_S = 2.0


class SearchPlugin(Plugin):
    """A plugin of type ``search``."""

    @property
    def table(self) -> SearchTable:
        """How it is searched with."""
        assert self.description.search is not None  # noqa: S101 - see `search_plugins`
        return self.description.search

    @property
    def tool(self) -> Tool:
        """What must be installed."""
        assert self.description.tool is not None  # noqa: S101 - its description needs it
        return self.description.tool

    def shares_process(self, options: Options) -> bool:
        """Whether a query has the same hits alone and together with others, with these options."""
        return options.changed().keys() <= set(self.table.together)

    @staticmethod
    def runs_own_files(command: Sequence[str | Conditional]) -> bool:
        """Whether what a command finds may depend on the plugin's own files, not on the tool's version alone."""
        words = [one for word in command for one in ((word,) if isinstance(word, str) else word.words)]
        return words[0] in PYTHONS or any("{plugin}" in word for word in words)

    @cached_property
    def fields(self) -> dict[str, str]:
        """What reports can have as columns, by name, and where it comes from: a kept column, or the query.

        The program's own names of columns stand for the same.
        """
        table = self.table
        given = {"qseqid": "qseqid", table.query_column: "qseqid", "qtitle": "qtitle", "full_qseq": "full_qseq"}
        return {printed: name for name, printed in table.columns.items()} | {n: n for n in table.columns} | given

    @property
    def standard(self) -> tuple[str, ...]:
        """The columns of a report that names none, by the program's own names."""
        return self.table.standard


def look_by(rules: PluginRules) -> None:
    """Have search plugins looked for by these rules; by default by those that hold without a policy."""
    _lookup.catalogue, _lookup.sandbox = Catalogue(rules), rules.sandbox
    _lookup.looked_at = -inf


def sandbox_choice() -> str:
    """Return what the rules say of sandboxes."""
    return _lookup.sandbox


def search_plugins() -> Mapping[str, SearchPlugin]:
    """Return the newest version of each search plugin that there is, by name; broken ones are no plugins."""
    return _lookup.plugins()


class _Lookup:
    """Looks in the catalogue, and remembers for a moment what was there: a search asks for its plugin many times."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.sandbox: str = PluginRules().sandbox
        self.looked_at = -inf
        self._found: Mapping[str, SearchPlugin] = {}
        self._models: dict[str, tuple[Description, type[Options]]] = {}

    def plugins(self) -> Mapping[str, SearchPlugin]:
        now = time.monotonic()
        if now - self.looked_at > _REMEMBERED_S:
            self._found = {
                plugin.name: SearchPlugin(plugin.description, plugin.path, plugin.source)
                for plugin in self.catalogue.newest()
                if plugin.description.search is not None
            }
            self.looked_at = now
        return self._found

    def model(self, name: str) -> type[Options]:
        """Return the model of a plugin's options, made once for each version of its table."""
        description = self.plugins()[name].description
        known = self._models.get(name)
        if known is None or known[0] is not description:
            known = self._models[name] = description, _model(description)
        return known[1]


_lookup = _Lookup()


def as_program(plugin: SearchPlugin) -> AddedProgram:
    """Return a search plugin as a program."""
    name, find, version = plugin.name, partial(_find, plugin), partial(_version, plugin)
    return AddedProgram(name, plugin.description.title, partial(_lookup.model, name), find, version)


def _find(plugin: SearchPlugin) -> str:
    _version(plugin)  # which says what to install
    name = plugin.tool.command[0]
    return shutil.which(name) or name


def _version(plugin: SearchPlugin) -> str:
    try:
        return tool_version(plugin)
    except ToolError as error:
        raise ProgramError([error.tool], 127, str(error), FailureClass.MISSING_PROGRAM) from error


def _model(description: Description) -> type[Options]:
    table = description.search
    assert table is not None  # noqa: S101 - see `_Lookup.plugins`
    options = (_option(description, table, name, parameter) for name, parameter in description.parameters.items())
    text = " ".join(description.description.split()) or description.title
    return make_model(description.name, options, table.molecule, table.searches, text, AddedOptions)


def _option(description: Description, table: SearchTable, name: str, parameter: Parameter) -> Option:
    return Option(
        name,
        name,
        parameter.help or parameter.label or name,
        _kind(name, parameter),
        default=None if parameter.default == "" else parameter.default,
        programs=(description.name,),
        independent_in=(description.name,) if name in table.together else NOWHERE,
        decides_result=name in table.deciding,
    )


def _kind(name: str, parameter: Parameter) -> Any:
    """Return the type of an option, as forms see it; its values are read as those of all plugins are."""
    kinds: dict[str, Any] = {"flag": bool, "integer": int, "number": float, "text": str}
    limits: dict[str, Any] = {"ge": parameter.least, "le": parameter.most, "pattern": parameter.pattern or None}
    given = {limit: value for limit, value in limits.items() if value is not None}
    kind = Literal[parameter.choices] if parameter.type == "choice" else kinds[parameter.type]
    fitting = Annotated[kind, Field(**given)] if given else kind

    def read(value: Any) -> Any:
        if parameter.type == "choice" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return parameter.checked(value, name)

    return Annotated[fitting, BeforeValidator(read)]
