"""Where a language API says that files are, and where they then are: it names a file, and the registry keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlmodel import Session

from multiblast.errors import InvalidInputError, Problem, StoreError
from multiblast.registry.local.records import place_of_code, record_place
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.unfinished import UnfinishedRun
from multiblast.registry.model.rows import StorageRootRow

_FILE = "file://"


class ClientLocations:
    """The locations that language APIs record.

    Attributes:
        files: Where each content that was kept so was found, by SHA-1.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.files: dict[str, Path] = {}

    def record(self, root: str, path: str, sha1: str, *, public: bool, run: UnfinishedRun | None = None) -> int | None:
        """Record a place; return its location, or None if it is an ordinary one, to be recorded as it is.

        A file of this machine is taken into the registry's store, and its location is
        there. An address of code that is given as a path, as pyDataPipeline does, is
        taken apart into root and path.

        Args:
            root: The number of a storage root.
            path: In it; or the absolute path of a file outside of it.
            sha1: The digest that the file must have.
            public: Whether others may have it.
            run: Notes what is made.

        Raises:
            InvalidInputError: there is no such file, or it has another digest.
        """
        (row,) = self._registry.read(StorageRootRow, [root])
        if row.root.startswith(_FILE):
            try:
                file = _find(row.root, path)
                if run:
                    run.note_file(sha1)
                self._registry.files.add(file, sha1)
            except StoreError as error:
                raise InvalidInputError(Problem(str(error), "hash")) from error
            except OSError as error:  # a name that is too long, or a file that may not be read
                raise InvalidInputError(Problem(f"It cannot be read: {error.strerror}.", "path")) from error
            self.files[sha1] = file
            return self._noted(run, lambda session: self._registry.local_location(session, sha1, public=public))
        if "://" in path and (place := place_of_code(path)):
            return self._noted(run, lambda session: record_place(session, *place, sha1))
        return None

    def _noted(self, run: UnfinishedRun | None, record: Callable[[Session], int]) -> int:
        """Return a location that is recorded now, and note it if it is new."""
        with self._registry.writing() as session:
            newest = self._registry.newest("storage_location")
            number = record(session)
            if run and number > newest:
                run.note_row(session, "storage_location", number)
            return number


def _directory(root: str) -> Path:
    """Return the directory that a ``file://`` root is, whether it is encoded or not."""
    plain = Path(root.removeprefix(_FILE))
    return plain if plain.exists() else Path(unquote(urlsplit(root).path))


def _find(root: str, path: str) -> Path:
    """Return the file that is meant: in the root, or elsewhere by its absolute path, whose first slash may be lost."""
    inside = Path(os.path.normpath(_directory(root) / path.lstrip("/")))
    for file in (inside, Path("/", path)):
        if file.is_file():
            return file
    raise InvalidInputError(Problem(f"There is no file {str(inside)!r} on this machine.", "path"))
