"""What a plugin requires of Python: read from its files, without running anything of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from multiblast.errors import InvalidInputError, Problem
from multiblast.ids import digest
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.table_files import script_metadata

PROJECT, LOCK, REQUIREMENTS = "pyproject.toml", "uv.lock", "requirements.txt"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a plugin requires.

    Attributes:
        lines: Packages, as pip writes them.
        python: Versions of Python, as pip writes them; empty for any.
        locked: A directory with a ``uv.lock`` that says which versions they are.
        digest: Equal for equal requirements.
    """

    lines: tuple[str, ...] = ()
    python: str = ""
    locked: Path | None = None
    digest: str = ""


def requirements_of(plugin: Plugin) -> Requirements:
    """Return what a plugin requires: by its ``pyproject.toml``, else ``requirements.txt``, else its script's metadata.

    Raises:
        InvalidInputError: it cannot be read, or has more than packages and their versions.
    """
    directory = plugin.directory
    try:
        if plugin.path.is_dir() and (directory / PROJECT).exists():
            return _of_project(directory)
        if plugin.path.is_dir() and (directory / REQUIREMENTS).exists():
            return _made(_lines(directory / REQUIREMENTS), "", REQUIREMENTS)
        if plugin.script is not None:
            text = plugin.script.read_text(encoding="utf-8")
            table = script_metadata(text, plugin.script.name)
            return _made(table.get("dependencies", []), table.get("requires-python", ""), plugin.script.name)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(Problem(f"its requirements cannot be read: {error}", str(directory))) from error
    return Requirements()


def _of_project(directory: Path) -> Requirements:
    project = tomllib.loads((directory / PROJECT).read_text(encoding="utf-8")).get("project", {})
    if "dependencies" in project.get("dynamic", ()):
        raise InvalidInputError(Problem("its dependencies are dynamic: list them", PROJECT))
    plain = _made(project.get("dependencies", []), project.get("requires-python", ""), PROJECT)
    if not (directory / LOCK).exists():
        return plain
    pinned = digest("plugin-requirements/1", [plain.digest, (directory / LOCK).read_text(encoding="utf-8")])
    return Requirements(plain.lines, plain.python, directory, pinned)


def _made(lines: Any, python: Any, where: str) -> Requirements:
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or not isinstance(python, str):
        raise InvalidInputError(Problem("write dependencies as a list of texts, and requires-python as a text", where))
    problems = []
    for line in lines:
        try:
            Requirement(line)
        except InvalidRequirement:
            problems.append(Problem(f"{line!r} names no package: write NAME or NAME>=1.2,<2", where))
    try:
        SpecifierSet(python)
    except InvalidSpecifier:
        problems.append(Problem(f"{python!r} names no versions of Python: write >=3.11", where))
    if problems:
        raise InvalidInputError(problems)
    normal = sorted({str(Requirement(line)) for line in lines})
    return Requirements(tuple(normal), python, None, digest("plugin-requirements/1", [normal, python]))


def _lines(path: Path) -> list[str]:
    """Return the packages of a ``requirements.txt``; hashes are left out, since locks have those of all files."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    plain: Iterable[str] = (re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())
    plain = (re.sub(r"\s--hash[=\s]\S+", "", line).strip() for line in plain)
    return [line for line in plain if line]
