"""What a job made, written into a directory of whoever asks: whole or not at all, and over nothing else unasked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from multiblast.coupling import Coupling, Reference
from multiblast.coupling.arrival import own_copy
from multiblast.coupling.trees import Tree
from multiblast.errors import ConflictError, InvalidInputError
from multiblast.files import has_content, save


class Output(Protocol):
    """What a job made, by its name."""

    @property
    def name(self) -> str:
        """What it is called."""

    def is_at(self, path: Path) -> bool:
        """Return whether just this is at a path, at which there is something."""

    def write(self, path: Path) -> None:
        """Write it to a path, in place of what may be there."""


@dataclass(frozen=True, slots=True)
class FileOutput:
    """A file; ``open`` opens it for reading."""

    name: str
    open: Callable[[], BinaryIO]

    def is_at(self, path: Path) -> bool:
        """Return whether a path is of a file with just this content.

        Raises:
            ConflictError: it is of a directory, which no file takes the place of.
        """
        if path.is_dir():
            raise ConflictError(f"{str(path)!r} is a directory: name another place")
        return has_content(path, self.open())

    def write(self, path: Path) -> None:
        """Write it beside its place, then rename it."""
        save(self.open(), path)


@dataclass(frozen=True, slots=True)
class DirectoryOutput:
    """A directory that a coupling fetches, with the digest of its tree."""

    name: str
    sha256: str
    url: str
    coupling: Coupling

    def is_at(self, path: Path) -> bool:
        """Return whether a path is of a directory with just these files."""
        with suppress(InvalidInputError):  # there are links in it, or it is one
            return path.is_dir() and Tree.of(path).sha256 == self.sha256
        return False

    def write(self, path: Path) -> None:
        """Copy it beside its place, then rename it; what couplings fetch may be the store's own files."""
        with TemporaryDirectory(prefix=".fetch-", dir=path.parent) as beside:
            reference = Reference(self.url, self.sha256, is_directory=True, name="fetched")
            new = own_copy(self.coupling.fetch(reference, Path(beside)), Path(beside) / "new")
            if os.path.lexists(path):
                path.rename(Path(beside) / "old")
            new.rename(path)


def write_outputs(outputs: Sequence[Output], directory: Path, *, overwrite: bool) -> list[Path]:
    """Write what a job made into a directory; what is there already and the same stays.

    Raises:
        ConflictError: something else has such a name, as what another job made, and may not be overwritten: nothing is
            written then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = {directory / output.name: output for output in outputs}
    missing = [path for path in paths if overwrite or not os.path.lexists(path)]
    for path in paths.keys() - set(missing):
        if not paths[path].is_at(path):
            raise ConflictError(f"{str(path)!r} is there already, and differs: name another place, or --overwrite it")
    for path in missing:
        paths[path].write(path)
    return list(paths)
