"""The catalogue: every plugin that can be run, and everything that should be one but is broken."""

from __future__ import annotations

import ast
import difflib
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from packaging.version import InvalidVersion, Version

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.plugins.description import Description
from multiblast.plugins.kinds import matches
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.requirements import requirements_of
from multiblast.plugins.sources import LARGEST_BYTES, Broken, Candidate, Skipped, Sources, stamp
from multiblast.plugins.table_files import TABLE_FILE, read_script, read_table
from multiblast.settings import PluginRules


class Typed(Protocol):
    """What there is of some type, such as an output of a plugin."""

    @property
    def data(self) -> str:
        """What it means."""

    @property
    def content(self) -> str:
        """How it is written."""


class Catalogue:
    """All plugins of all places.

    They are looked for anew each time, which costs as little as looking at the times of their files: a server that
    runs for months sees what comes and goes. Nothing of a plugin is imported.

    Args:
        rules: What the policy says.
        directory: See `Sources`.
    """

    def __init__(self, rules: PluginRules | None = None, directory: Path | None = None) -> None:
        self._sources = Sources(rules, directory)

    def look(self) -> tuple[list[Plugin], list[Broken], list[Skipped]]:
        """Return all plugins by name, the newest version first, what is broken, and what is taken for none."""
        plugins: dict[tuple[str, Version], Plugin] = {}
        broken: list[Broken] = []
        skipped: list[Skipped] = []
        for found in self._sources.find():
            if isinstance(found, Skipped):
                skipped.append(found)
            elif isinstance(found, Broken):
                broken.append(found)
            else:
                self._add(found, plugins, broken)
        names = sorted({name for name, _ in plugins})
        versions = sorted(plugins, key=lambda key: key[1], reverse=True)
        return [plugins[key] for name in names for key in versions if key[0] == name], broken, skipped

    def _add(self, found: Candidate, plugins: dict[tuple[str, Version], Plugin], broken: list[Broken]) -> None:
        try:
            plugin = described(found)
            key = (plugin.name, _version(plugin.description.version))
        except InvalidInputError as error:
            broken.append(Broken(str(found.path), error.problems, found.source))
            return
        if key in plugins:
            first = plugins[key]
            problem = Problem(f"{first.identifier} is there already: {first.path} goes before it")
            broken.append(Broken(str(found.path), (problem,), found.source))
        else:
            plugins[key] = plugin

    def all(self) -> list[Plugin]:
        """Return every version of every plugin, by name, the newest first."""
        return self.look()[0]

    def newest(self) -> list[Plugin]:
        """Return the newest version of every plugin, by name."""
        return list({plugin.name: plugin for plugin in reversed(self.all())}.values())[::-1]

    def broken(self) -> list[Broken]:
        """Return what should be a plugin but is not, and why."""
        return self.look()[1]

    def get(self, name: str) -> Plugin:
        """Return a plugin: ``mafft`` is its newest version by PEP 440, ``mafft@1.0.0`` that one.

        Raises:
            NotFoundError: there is none; it says what is called alike, or why it is broken.
        """
        plugins, broken, _ = self.look()
        wanted, _, version = name.partition("@")
        named = [plugin for plugin in plugins if plugin.name == wanted]
        fits = [plugin for plugin in named if not version or plugin.description.version == version]
        if not fits and version:
            fits = [plugin for plugin in named if _same(plugin.description.version, version)]
        if fits:
            return fits[0]
        raise NotFoundError("plugin", name, _remedy(wanted, plugins, broken))

    def fitting(self, have: Sequence[Typed]) -> list[Plugin]:
        """Return the newest plugins of which every required input, and at least one, can be had."""
        return [plugin for plugin in self.newest() if _fits(plugin.description, have)]


def described(found: Candidate) -> Plugin:
    """Return the plugin of a script or directory.

    Raises:
        InvalidInputError: something is wrong in its table, or missing beside it.
    """
    plugin = Plugin(_describe(found.path), found.path, found.source)
    problems = list(_missing(plugin))
    if problems:
        raise InvalidInputError(problems)
    return plugin


def _fits(description: Description, have: Sequence[Typed]) -> bool:
    def can_be_had(data: str, contents: Iterable[str]) -> bool:
        return any(
            matches(one.data, data) and any(matches(one.content, content) for content in contents) for one in have
        )

    needed = [port for port in description.inputs.values() if port.required] or list(description.inputs.values())
    return bool(needed) and all(can_be_had(port.data, port.content) for port in needed)


def _remedy(name: str, plugins: list[Plugin], broken: list[Broken]) -> str:
    versions = [plugin.identifier for plugin in plugins if plugin.name == name]
    if versions:
        return f"there is {', '.join(versions)}"
    for one in broken:
        if Path(one.place).stem == name:
            return f"{one.place} is broken: {one.reason}"
    near = difflib.get_close_matches(name, sorted({plugin.name for plugin in plugins}), n=3)
    return f"did you mean {', '.join(near)}?" if near else "see: multiblast plugins list"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise InvalidInputError(Problem(f"{text!r} is no version by PEP 440: write 1.2.0", "version")) from error


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False


_described: dict[Path, tuple[tuple[int, int, int], Description | InvalidInputError]] = {}
_imports: dict[Path, tuple[tuple[int, int, int], frozenset[str] | Problem]] = {}


def _describe(path: Path) -> Description:
    """Return the table of a script or directory, read once for each version of its file."""
    is_script = path.suffix == ".py" and not path.is_dir()
    table = path if is_script else path / TABLE_FILE
    try:
        now = stamp(table)
        known = _described.get(table)
        if known is None or known[0] != now:
            if now[1] > LARGEST_BYTES:
                raise InvalidInputError(Problem(f"it has more than {LARGEST_BYTES:,} bytes", table.name))
            text = table.read_text(encoding="utf-8")
            read = read_script if is_script else read_table
            try:
                known = now, read(text, table.name)
            except InvalidInputError as error:
                known = now, error
            _described[table] = known
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInputError(Problem(f"it cannot be read: {reason}", table.name)) from error
    if isinstance(known[1], InvalidInputError):
        raise InvalidInputError(known[1].problems)
    return known[1]


def _missing(plugin: Plugin) -> Iterator[Problem]:
    """Yield what a plugin's table names but its files do not have."""
    state = plugin.description.state
    if state and not (plugin.directory / state.migrations).is_dir():
        yield Problem(f"there is no directory {state.migrations!r}", "state.migrations")
    if plugin.script is None:
        return
    try:
        imported = imports_of(plugin.script)
    except OSError as error:
        yield Problem(f"{plugin.script.name!r} cannot be read: {error.strerror}", "run.script")
        return
    if isinstance(imported, Problem):
        yield imported
        return
    try:
        if not requirements_of(plugin).lines:
            yield from unknown_imports(plugin, imported)
    except InvalidInputError as error:
        yield from error.problems


def unknown_imports(plugin: Plugin, imported: Iterable[str]) -> Iterator[Problem]:
    """Yield the modules that a script imports which are neither Python's nor beside it, in the plugin's directory."""
    has_more = plugin.path.is_dir()  # a script that is a plugin by itself runs without what lies beside it
    for name in sorted(imported):
        beside = plugin.directory / name
        is_beside = has_more and (beside.is_dir() or beside.with_suffix(".py").exists())
        if name not in sys.stdlib_module_names and not is_beside:
            yield Problem(
                f"it imports {name!r}, which no package that it requires has: add one to its dependencies", "run.script"
            )


def imports_of(script: Path) -> frozenset[str] | Problem:
    """Return the modules that a script imports at its top, without those that it tries to; or why it is no Python."""
    now = stamp(script)
    known = _imports.get(script)
    if known is None or known[0] != now:
        known = _imports[script] = now, _read_imports(script)
    return known[1]


def _read_imports(script: Path) -> frozenset[str] | Problem:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(script.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        return Problem(f"this is no Python: {getattr(error, 'msg', error)}", script.name, line=line)
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names)
