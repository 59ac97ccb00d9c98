"""A plugin: its table, its files and where they came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from multiblast.files import sha256_of
from multiblast.ids import digest
from multiblast.plugins.description import Description

if TYPE_CHECKING:
    from collections.abc import Iterator


class SourceKind(StrEnum):
    """Where plugins come from, in the order in which they are looked for: the first of equal name and version wins."""

    EXTRA = "extra"
    FOLDER = "folder"
    GIT = "git"
    PACKAGE = "package"
    BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin was found.

    Attributes:
        place: A folder, a git line, or the name of a package.
        commit: Of a git repository.
    """

    kind: SourceKind
    place: str
    commit: str = ""

    def __str__(self) -> str:
        """Say where."""
        return f"{self.kind} {self.place}" + (f" at {self.commit[:12]}" if self.commit else "")


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found.

    Attributes:
        description: Its table.
        path: The script whose table this is, or the directory with ``plugin.toml``.
        source: Where it came from.
    """

    description: Description
    path: Path
    source: Source

    @property
    def name(self) -> str:
        """Its name."""
        return self.description.name

    @property
    def identifier(self) -> str:
        """Name and version: ``mafft@1.0.0``."""
        return self.description.identifier

    @property
    def directory(self) -> Path:
        """The directory with its files."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def script(self) -> Path | None:
        """The Python script that is run, if one is."""
        return self.directory / self.description.run.script if self.description.run.script else None

    @property
    def files(self) -> Iterator[Path]:
        """All files that it is made of, in order: the script alone, or all below its directory but what is hidden."""
        if not self.path.is_dir():
            yield self.path
            return
        for path in sorted(self.path.rglob("*")):
            inside = path.relative_to(self.path).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inside):
                yield path

    @cached_property
    def digest(self) -> str:
        """Digest of the names and bytes of its files: other files, another plugin, whatever it calls itself."""
        return digest("plugin/1", [[str(path.relative_to(self.directory)), sha256_of(path)] for path in self.files])
