"""Where plugins are looked for: folders, git repositories, installed packages, and our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import PathDistribution
from pathlib import Path

from multiblast.environment import GIT_PLUGINS, PLUGINS
from multiblast.errors import InvalidInputError, MultiblastError, Problem
from multiblast.plugins.git_sources import Checkouts, GitSource
from multiblast.plugins.plugin import Source, SourceKind
from multiblast.plugins.records import Configuration, PinFile
from multiblast.plugins.table_files import TABLE_FILE, has_table
from multiblast.settings import PluginRules

ENTRY_POINTS = "multiblast.plugins"
"""The group of entry points under which packages name packages or modules with plugins."""

LARGEST_BYTES = 4_000_000
"""A larger file is no script or table that somebody wrote."""

BUILT_IN = Path(__file__).with_name("builtin")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A script or directory that has a plugin's table, right or wrong."""

    path: Path
    source: Source


@dataclass(frozen=True, slots=True)
class Broken:
    """What is no plugin though it should be one, and why.

    Attributes:
        place: A path, a git line, or the name of a package.
        problems: What is wrong; never none.
    """

    place: str
    problems: tuple[Problem, ...]
    source: Source

    @property
    def reason(self) -> str:
        """All problems, in one line."""
        return "; ".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or directory of a folder that is taken for no plugin, and why."""

    path: Path
    reason: str


Found = Candidate | Broken | Skipped


class Sources:
    """All places, in their order: the first of equal name and version wins.

    Extra folders of MULTIBLAST_PLUGINS, folders, git repositories, installed packages, our own plugins.

    Args:
        rules: What the policy says.
        directory: Where checkouts, pins and ``plugins.toml`` are, by default in multiblast's home.
    """

    def __init__(self, rules: PluginRules | None = None, directory: Path | None = None) -> None:
        self._rules = rules or PluginRules()
        self._directory = directory

    def find(self) -> Iterator[Found]:
        """Yield what is there, in order; nothing is imported or fetched, and nothing wrong raises an error."""
        try:
            configured = Configuration.read(self._directory)
        except InvalidInputError as error:
            configured = Configuration()
            yield Broken("plugins.toml", error.problems, Source(SourceKind.FOLDER, "plugins.toml"))
        for folder in os.environ.get(PLUGINS, "").split(os.pathsep):
            if folder.strip():
                yield from _folder(Path(folder.strip()).expanduser(), SourceKind.EXTRA)
        for folder in (*self._rules.folders, *configured.sources.folders):
            yield from _folder(Path(folder).expanduser(), SourceKind.FOLDER)
        yield from self._git(self.git_lines(configured))
        if self._rules.packages:
            yield from _packages()
        if BUILT_IN.is_dir():
            yield from _scan(BUILT_IN, Source(SourceKind.BUILT_IN, "multiblast"))

    def git_lines(self, configured: Configuration | None = None) -> list[str]:
        """Return the git lines of the policy, of GIT_PLUGINS and of ``plugins.toml``, each once."""
        configured = Configuration.read(self._directory) if configured is None else configured
        of_environment = [line.strip() for line in os.environ.get(GIT_PLUGINS, "").splitlines()]
        of_environment = [line for line in of_environment if line and not line.startswith("#")]
        return list(dict.fromkeys([*self._rules.git, *of_environment, *configured.sources.git]))

    def _git(self, lines: list[str]) -> Iterator[Found]:
        if not lines:
            return
        try:
            commits = dict(PinFile(self._directory).read().commits)
        except InvalidInputError as error:
            yield Broken("plugins.lock", error.problems, Source(SourceKind.GIT, "plugins.lock"))
            return
        checkouts = Checkouts(self._directory)
        for line in lines:
            try:
                found = checkouts.find(GitSource.parse(line), commits)
            except InvalidInputError as error:
                yield Broken(line, error.problems, Source(SourceKind.GIT, line))
                continue
            if found is None:
                problem = Problem("it was not fetched yet. Type: multiblast plugins install")
                yield Broken(line, (problem,), Source(SourceKind.GIT, line))
            else:
                yield from _scan(found[0], Source(SourceKind.GIT, line, found[1]))


def _folder(folder: Path, kind: SourceKind) -> Iterator[Found]:
    yield from _scan(folder, Source(kind, str(folder)))


def _scan(place: Path, source: Source) -> Iterator[Found]:
    """Yield what is in a folder, or what it is itself: a directory with a table, or a script."""
    try:
        place.stat()  # an error, if it is not there
        if not place.is_dir():
            yield _candidate(place, source)
        elif (place / TABLE_FILE).is_file():
            yield Candidate(place, source)
        else:
            for path in sorted(place.iterdir()):
                try:
                    yield _candidate(path, source)
                except OSError as error:
                    yield _unreadable(path, source, error)
    except OSError as error:
        yield _unreadable(place, source, error)


def _unreadable(path: Path, source: Source, error: OSError) -> Broken:
    return Broken(str(path), (Problem(f"it cannot be read: {error.strerror}"),), source)


def _candidate(path: Path, source: Source) -> Candidate | Skipped:
    if path.name.startswith((".", "_")):
        return Skipped(path, "it is hidden")
    if path.is_dir():
        return Candidate(path, source) if (path / TABLE_FILE).is_file() else Skipped(path, f"it has no {TABLE_FILE}")
    if path.suffix != ".py" or not path.is_file():  # of a pipe, reading would never end
        return Skipped(path, "it is no Python script")
    if path.stat().st_size > LARGEST_BYTES:
        return Skipped(path, f"it has more than {LARGEST_BYTES:,} bytes")
    return Candidate(path, source) if _has_table(path) else Skipped(path, "it has no table of a plugin")


_tables: dict[Path, tuple[tuple[int, int, int], bool]] = {}


def _has_table(path: Path) -> bool:
    known, now = _tables.get(path), stamp(path)
    if known is None or known[0] != now:
        known = _tables[path] = now, has_table(path.read_text(encoding="utf-8", errors="replace"))
    return known[1]


def stamp(path: Path) -> tuple[int, int, int]:
    """Return what tells versions of a file apart without reading it."""
    now = path.stat()
    return now.st_mtime_ns, now.st_size, now.st_ino


def _packages() -> Iterator[Found]:
    for place in dict.fromkeys(map(Path, sys.path)):
        try:
            # Looked for in the files themselves: `importlib.metadata.entry_points` reads those of all packages twice.
            named = [path for path in sorted(place.glob("*.dist-info/entry_points.txt")) if _names_plugins(path)]
        except OSError:
            continue
        for path in named:
            yield from _package(PathDistribution(path.parent), path)


def _names_plugins(path: Path) -> bool:
    return f"[{ENTRY_POINTS}]".encode() in path.read_bytes()


def _package(distribution: PathDistribution, entry_points: Path) -> Iterator[Found]:
    name = entry_points.parent.name.partition("-")[0]
    source = Source(SourceKind.PACKAGE, name)
    try:
        parser = ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # as they are written
        parser.read_string(entry_points.read_text(encoding="utf-8"))
        values = sorted({value.partition(":")[0].strip() for value in parser[ENTRY_POINTS].values()})
    except (OSError, ValueError, ConfigParserError, MultiblastError) as error:
        yield Broken(name, (Problem(f"its entry points cannot be read: {error}"),), source)
        return
    for value in values:
        if place := _locate(value, Path(str(distribution.locate_file("")))):
            yield from _scan(place, source)
        else:
            problem = Problem(f"there is no package or module {value!r}, which its entry points name")
            yield Broken(name, (problem,), source)


def _locate(name: str, beside: Path) -> Path | None:
    """Return the directory of a package, or the file of a module, without importing any of it."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for base in (beside, _base(parts[0])):
        if base is not None and (base.joinpath(*parts)).is_dir():
            return base.joinpath(*parts)
        if base is not None and (module := base.joinpath(*parts).with_suffix(".py")).is_file():
            return module
    return None


def _base(name: str) -> Path | None:
    """Return the directory that a package is in, for one that is installed to be edited."""
    found = PathFinder.find_spec(name)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]).parent if places else Path(found.origin).parent if found and found.origin else None
