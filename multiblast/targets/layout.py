"""Where databases lie below a targets root: a pattern of directory names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multiblast.errors import InvalidInputError, Problem

DEFAULT_LAYOUT = "{site}/{target}/blast/{database}"

_NAMES = {"site", "build", "target"}
_DEEPEST = 8
_MOST_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A directory that may hold databases, and the names in its path."""

    site: str
    target: str
    build: tuple[tuple[int, str], ...]  # digits by value, so that build 10 is newer than 9; empty without one
    directory: Path


class Layout:
    """A pattern such as ``{site}/build-{build}/{target}/**/blast/{database}``.

    Every part between slashes is text with ``{site}``, ``{target}`` or ``{build}`` in it, or ``**`` for any
    number of directories; the last is ``{database}``. If builds differ, the newest database of a name counts.
    """

    def __init__(self, pattern: str = DEFAULT_LAYOUT) -> None:
        self.pattern = pattern
        *parts, last = pattern.split("/")
        found = re.findall(r"{(\w*)}", "/".join(parts))
        if last != "{database}":
            _refuse(pattern, "it must end in '/{database}'")
        if any(part in {"", ".", ".."} for part in parts):
            _refuse(pattern, "it must be relative to the root, without empty parts or '..'")
        if unknown := set(found) - _NAMES:
            _refuse(pattern, f"it may name only {{site}}, {{target}} and {{build}}, not {{{min(unknown)}}}")
        if found.count("site") != 1 or found.count("target") != 1 or found.count("build") > 1:
            _refuse(pattern, "it must name {site} and {target} once each, and {build} at most once")
        self._parts = tuple(None if part == "**" else _expression(part) for part in parts)

    def places(self, root: Path) -> Iterator[Place]:
        """Yield the directories below ``root`` that fit, in no particular order."""
        yield from self._walk(root, 0, {}, _DEEPEST)

    def directory(self, site: str, target: str) -> str:
        """Return where below a root a new database of this site and target belongs; an error if builds decide that."""
        if "{build}" in self.pattern:
            _refuse(self.pattern, "it has builds, so put new databases in the directory of their build yourself")
        directory = self.pattern.rpartition("/")[0].replace("**/", "").removesuffix("**")
        return directory.format(site=site, target=target)

    def misplaced(self, root: Path) -> Iterator[tuple[Path, str]]:
        """Yield the directories below ``root`` that do not fit, and where what lies in each would: as a pattern.

        Not all are gone through where there are very many.
        """
        fitting = {place.directory for place in self.places(root)}
        for directory in _below(root):
            if directory not in fitting:
                names = [part for part in directory.relative_to(root).parts if f"/{part}/" not in self.pattern]
                names += ["SITE", "TARGET"][len(names) :]
                fits = self.pattern.replace("{site}", names[0]).replace("{target}", names[1])
                yield directory, fits.replace("{build}", "BUILD")

    def _walk(self, directory: Path, part: int, names: dict[str, str], depth: int) -> Iterator[Place]:
        if part == len(self._parts):
            build = tuple(
                (int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", names.get("build", ""))
            )
            yield Place(names["site"], names["target"], build, directory)
            return
        expression = self._parts[part]
        if expression is None:
            yield from self._walk(directory, part + 1, names, depth)
        for name, is_link in _directories(directory):
            if expression is None:
                if depth and not is_link:  # a link could lead anywhere, also back up
                    yield from self._walk(directory / name, part, names, depth - 1)
            elif match := expression.fullmatch(name):
                yield from self._walk(directory / name, part + 1, names | match.groupdict(), depth)


def closed_directories(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the directories from ``root`` on that cannot be read, and why; not all where there are very many."""
    for directory in _below(root):
        try:
            os.scandir(directory).close()
        except FileNotFoundError:  # gone meanwhile
            pass
        except OSError as error:
            yield directory, error.strerror or str(error)


def _below(root: Path) -> Iterator[Path]:
    """Yield ``root`` and the directories below it, without links, up to a number."""
    waiting = [root]
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            return
        directory = waiting.pop(0)
        yield directory
        waiting += [directory / name for name, is_link in _directories(directory) if not is_link]


def _directories(directory: Path) -> list[tuple[str, bool]]:
    """Return the names of the directories in ``directory``, and whether each is a link."""
    try:
        with os.scandir(directory) as entries:
            return [(e.name, e.is_symlink()) for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError:
        return []  # not ours to read, or gone meanwhile


def _expression(part: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(part)))


def _refuse(pattern: str, reason: str) -> None:
    raise InvalidInputError(Problem(f"the layout {pattern!r} cannot be used: {reason}", key="layout"))
