"""A store in a directory: one file per object, written beside and renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Self
from urllib.parse import SplitResult, unquote

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.files import FileRange
from multiblast.ids import digest
from multiblast.stores.base import CHUNK_BYTES, Store, StoredObject, chunks, is_key

_TEMPORARY = ".incoming"  # no key starts with a dot, so nothing in here is ever an object
_ABANDONED_AFTER_S = 24 * 3600
_MOVE_ATTEMPTS = 100
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore(Store):
    """Objects as files under one directory, made when first written to; nothing outside it is ever touched."""

    scheme = "file"

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Return the store in the directory that ``file:///DIRECTORY`` names."""
        if url.netloc not in {"", "localhost"} or not url.path.startswith("/") or url.query:
            raise StoreError(f"{url.geturl()!r} is no directory of this machine: write file:///DIRECTORY")
        return cls(unquote(url.path))

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().absolute()

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def whereabouts(self) -> Hashable:
        """Return which directory it is, on which disk: one that is not mounted leaves another, or none."""
        try:
            status = self.root.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write to a temporary file, flush it to the disk, then rename: see `Store.put`."""
        self._ready(writing=True)
        path = self._path(key)
        temporary: Path | None = None
        try:
            incoming = self.root / _TEMPORARY
            incoming.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=incoming, delete=False) as file:
                temporary = Path(file.name)
                for chunk in chunks(data):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
            _move(temporary, path)
        except StoreError:  # of the store that the data came from
            raise
        except OSError as error:
            raise self._error("write", key, error) from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return _describe(key, status)

    def put_resumably(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write to a file that the next attempt finds again: see `Store.put_resumably`."""
        self._ready(writing=True)
        path, part = self._path(key), self.root / _TEMPORARY / f"{digest('part/1', key)}.part"
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                if not _is_ours(file, part):
                    return self.put(key, data)
                _go_on(file, chunks(data))
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
                _move(part, path)
        except StoreError:  # of the store that the data came from
            raise
        except OSError as error:
            part.unlink(missing_ok=True)  # on a full disk others need the room
            raise self._error("write", key, error) from error
        return _describe(key, status)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the file, or a range of it: see `Store.open`."""
        path = self._path(key)
        try:
            file = path.open("rb")
        except _NO_FILE as error:
            raise ObjectMissingError(key) from error
        except OSError as error:
            raise self._error("read", key, error) from error
        file.seek(start)
        return file if length is None else BufferedReader(FileRange(file, length), CHUNK_BYTES)

    def stat(self, key: str) -> StoredObject:
        """Describe the file: see `Store.stat`."""
        path = self._path(key)
        try:
            status = path.stat()
        except _NO_FILE as error:
            raise ObjectMissingError(key) from error
        except OSError as error:
            raise self._error("look at", key, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise ObjectMissingError(key)
        return _describe(key, status)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Walk the directories in order, entering only those that can hold the prefix: see `Store.list`."""
        self._ready()
        yield from self._walk(self.root, "", prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Unlink the files and the directories that became empty: see `Store.delete`."""
        for key in keys:
            path = self._path(key)
            try:
                path.unlink()
            except _NO_FILE:
                continue
            except OSError as error:
                raise self._error("remove", key, error) from error
            with suppress(OSError):  # not empty, or gone already: both are fine
                path.parent.rmdir()

    def locate(self, key: str) -> str:
        """Return the file's path."""
        return str(self._path(key))

    def sweep(self) -> int:
        """Remove what writers that were killed left behind, a day later; return how many files."""
        self._ready()
        removed = 0
        for path in (self.root / _TEMPORARY).glob("*"):
            with suppress(FileNotFoundError):  # its writer lives, and has just moved it
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        path = self.root / self._checked(key)
        # Not within the store either: who may read or write below one key could reach what is below another.
        if path.is_symlink() or path.parent.resolve() != self.root.resolve().joinpath(*key.split("/")[:-1]):
            raise StoreError(f"store key {key!r} leads outside {self.root}: remove the symbolic link on its way")
        return path

    def _error(self, action: str, key: str, error: OSError) -> StoreError:
        remedies = {
            errno.ENOSPC: "; free some space, or move the store to a larger disk",
            errno.EDQUOT: "; free some space, or raise the quota",
            errno.EACCES: "; give this user the right to",
            errno.EROFS: "; mount it writable",
            errno.ENOTDIR: "; an object lies where a directory is needed",
            errno.EEXIST: "; an object lies where a directory is needed",
            errno.EISDIR: "; there are objects below this key",
        }
        remedy = remedies.get(error.errno or 0, "")
        return StoreError(f"cannot {action} {key!r} under {self.root}: {error.strerror or error}{remedy}")

    def _walk(self, directory: Path, key: str, prefix: str) -> Iterator[StoredObject]:
        try:
            # A directory sorts as "name/", so that keys come out in the order of their characters.
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name + "/" * entry.is_dir())
        except FileNotFoundError:  # nothing was written yet, or removed while listing
            return
        for entry in entries:
            name = key + entry.name
            if entry.name.startswith(".") or not (name.startswith(prefix) or prefix.startswith(name + "/")):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), name + "/", prefix)
            elif name.startswith(prefix) and is_key(name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # removed while listing
                    yield _describe(name, entry.stat())


def _describe(key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _move(temporary: Path, path: Path) -> None:
    """Rename, and make the directory again as often as `LocalStore.delete` removes it in between."""
    for attempt in range(_MOVE_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
        except (FileNotFoundError, FileExistsError):  # the latter also of what is gone when `mkdir` looks again
            if attempt == _MOVE_ATTEMPTS - 1:
                raise
        else:
            return


def _is_ours(file: BinaryIO, path: Path) -> bool:
    """Return whether nobody else writes to an open file, nor has moved it meanwhile to where it belongs."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _go_on(file: BinaryIO, data: Iterable[bytes]) -> None:
    """Make data a file's content, writing only what follows the last piece that is there already."""
    size_bytes, there = 0, True
    for chunk in data:
        if there and file.read(len(chunk)) != chunk:
            there = False
            file.seek(size_bytes)
        if not there:
            file.write(chunk)
        size_bytes += len(chunk)
    file.truncate(size_bytes)
    file.flush()
