"""Directories in stores: numbered files, and a manifest that says what each is called, written last.

Keys of stores have no blanks or umlauts, names of files may. A directory at KEY is ``KEY/1``, ``KEY/2`` … and
``KEY/tree.json``, whose sha256 is that of the directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from multiblast.coupling.arrival import check_plain, plain_files
from multiblast.coupling.reference import DIGEST
from multiblast.errors import InvalidInputError, StoreError
from multiblast.files import is_utf8, sha256_of
from multiblast.stores import Store

MANIFEST = "tree.json"
_LONGEST_MANIFEST = 256 << 20


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a directory, by its path in it."""

    path: str
    size_bytes: int
    sha256: str
    is_executable: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """What is in a directory: its files, in the order of their numbers, and directories that are empty."""

    files: tuple[TreeFile, ...]
    directories: tuple[str, ...] = ()

    @classmethod
    def of(cls, directory: Path) -> Tree:
        """Read a directory; an `InvalidInputError` if something is in it that is neither file nor directory."""
        files, directories = [], []
        check_plain(directory)
        for path, is_empty in plain_files(directory):
            name = path.relative_to(directory).as_posix()
            if path == directory:  # there is nothing in it
                break
            _check_name(name, InvalidInputError)
            if is_empty:
                directories.append(name)
            else:
                executable = os.access(path, os.X_OK) and bool(path.stat().st_mode & 0o100)
                files.append(TreeFile(name, path.stat().st_size, sha256_of(path), executable))
        return cls(tuple(files), tuple(directories))

    @classmethod
    def read(cls, store: Store, key: str) -> tuple[Tree, bytes]:
        """Return the directory at a key and its manifest's bytes; `ObjectMissingError` if there is none there."""
        name = f"{key}/{MANIFEST}"
        if store.stat(name).size_bytes > _LONGEST_MANIFEST:
            raise StoreError(f"{name!r} is too large to be the manifest of a directory")
        data = store.read(name)
        try:
            found = json.loads(data)
            files = tuple(TreeFile(**file) for file in found["files"])
            tree = cls(files, tuple(found["directories"]))
            tree.check()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(f"{name!r} is not the manifest of a directory: {error}; push it again") from error
        return tree, data

    def to_json(self) -> bytes:
        """Return the manifest."""
        found = {"files": [asdict(file) for file in self.files], "directories": self.directories}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def sha256(self) -> str:
        """The digest of the directory: that of its manifest."""
        return sha256(self.to_json()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """All its files together."""
        return sum(file.size_bytes for file in self.files)

    def numbered(self, key: str) -> Iterator[tuple[str, TreeFile]]:
        """Yield the key and the facts of each file, of a directory at ``key``."""
        return ((f"{key}/{number}", file) for number, file in enumerate(self.files, start=1))

    def build(self, into: Path, bring: Callable[[int, TreeFile, Path], object]) -> None:
        """Make the directory, in which there is nothing yet; ``bring`` gets each file to its path by its number."""
        for name in self.directories:
            (into / name).mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(self.files, start=1):
            (into / file.path).parent.mkdir(parents=True, exist_ok=True)
            bring(number, file, into / file.path)

    def check(self) -> None:
        """Raise a ``ValueError`` if a name leads out of the directory or is there twice, or a digest is none."""
        for file in self.files:
            if not DIGEST.fullmatch(file.sha256) or not isinstance(file.size_bytes, int) or file.size_bytes < 0:
                raise ValueError(f"size or sha256 of {file.path!r}")
        names = [file.path for file in self.files] + list(self.directories)
        for name in names:
            _check_name(name, ValueError)
        above = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
        if len(set(names)) != len(names) or any(file.path in above for file in self.files):
            raise ValueError("a name is there twice")


def _check_name(name: str, error: Callable[[str], Exception]) -> None:
    """Refuse what is no plain path below a directory; names of bytes that are no UTF-8 neither."""
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\0" in name or not is_utf8(name):
        raise error(f"{name!r} is no name of a file in a directory: rename it")
