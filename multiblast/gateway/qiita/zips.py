"""Directories as zips that clients send, read entry by entry."""

from __future__ import annotations

import errno
import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import IO, Any, BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812 - a class, whatever its name

from multiblast.coupling.trees import Tree, TreeFile
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.stores.base import chunks

_LONGEST_DIRECTORY = 16 << 20  # of a zip's own list of entries, which is read whole
_ENCRYPTED = 1


class ClientZip:
    """A zip that a client sent: nothing in it is believed.

    Raises:
        InvalidInputError: it is no zip, or something in it is neither file nor directory, or has a bad name.
        ConflictError: what is in it is more than may be pushed.
    """

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        with _refusing("it"):
            self._zip = ZipFile(cast("IO[bytes]", _Sparing(file)))
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        if len(self._entries) < len(self._zip.infolist()):
            raise _bad("a name is there twice")
        for entry in self._entries.values():
            _check(entry)
        if sum(entry.file_size for entry in self._entries.values()) > most_bytes:
            raise ConflictError(f"this is more than the {most_bytes:,} bytes that may be pushed in all")

    def tree(self) -> Tree:
        """Return what is in it; each file is read once for that."""
        files = [self._file(entry) for entry in self._entries.values() if not entry.is_dir()]
        named = {entry.filename.rstrip("/") for entry in self._entries.values() if entry.is_dir()}
        above = {str(up) for name in [*named, *(file.path for file in files)] for up in PurePosixPath(name).parents}
        tree = Tree(tuple(sorted(files, key=_by_words)), tuple(sorted(named - above, key=lambda name: name.split("/"))))
        try:
            tree.check()
        except ValueError as error:
            raise _bad(str(error)) from error
        return tree

    def open(self, path: str) -> BinaryIO:
        """Open a file of it."""
        return cast("BinaryIO", self._zip.open(path))

    def _file(self, entry: ZipInfo) -> TreeFile:
        found, size = hashlib.sha256(), 0
        with _refusing(repr(entry.filename[:200])), self.open(entry.filename) as stream:
            for piece in chunks(stream):
                found.update(piece)
                size += len(piece)
        if size != entry.file_size:
            raise _bad(f"{entry.filename[:200]!r} has {size:,} bytes and not the {entry.file_size:,} announced")
        return TreeFile(entry.filename, size, found.hexdigest(), bool(entry.external_attr >> 16 & 0o100))


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Refuse a zip that cannot be read, of which Python says so in many ways."""
    try:
        yield
    except (BadZipFile, EOFError, ZlibError, NotImplementedError, RuntimeError, ValueError, StructError) as error:
        raise _bad(f"{what} cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning; others are of the disk
            raise
        raise _bad(f"{what} cannot be read") from error


def _by_words(file: TreeFile) -> list[str]:
    return file.path.split("/")  # the order in which `Tree.of` meets them


def _check(entry: ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.orig_filename != entry.filename or "\\" in entry.filename:
        raise _bad(f"{entry.orig_filename[:200]!r} is no name of a file")
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR} or (kind == stat.S_IFDIR) > entry.is_dir():
        raise _bad(f"{entry.filename[:200]!r} is neither a file nor a directory; links are not taken")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise _bad(f"{entry.filename[:200]!r} is encrypted, or compressed other than by deflate")
    if entry.compress_type == ZIP_STORED and entry.compress_size != entry.file_size:
        raise _bad(f"{entry.filename[:200]!r} has two sizes")


def _bad(reason: str) -> InvalidInputError:
    return InvalidInputError(Problem(f"the zip of the directory is refused: {reason}", "file"))


class _Sparing:
    """A file of which nobody reads much at once: a zip says itself how long its list of entries is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_DIRECTORY:
            raise BadZipFile("it has too many entries")
        return self._file.read(_LONGEST_DIRECTORY if size < 0 else size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
