"""A store in any file system that fsspec has a driver for: written beside and moved, read by range."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO, Self
from urllib.parse import SplitResult, parse_qsl
from uuid import uuid4

from multiblast.errors import MultiblastError, ObjectMissingError, StoreAwayError, StoreError
from multiblast.files import FileRange
from multiblast.stores.base import CHUNK_BYTES, Store, StoredObject, check_key, chunks, is_key

_TEMPORARY = ".incoming"  # no key starts with a dot, so nothing in here is ever an object
_ABANDONED_AFTER = timedelta(days=1)
_NO_PLACES = {"async_wrapper", "asynclocal", "asyncwrapper", "blockcache", "cached", "data", "dir", "filecache"} | {
    *("generic", "libarchive", "reference", "simplecache", "tar", "zip")
}
"""Drivers that look into files or wrap other drivers, and so keep nothing themselves."""
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_TIMES = ("mtime", "modified", "last_modified", "LastModified", "updated", "created")


class FsspecStore(Store):
    """Objects as files below one directory of a file system of fsspec's.

    An object is seen whole or not at all where the driver's move is a renaming (``file``, ``sftp``, ``ftp``, ``smb``,
    ``hdfs``) or a copy made by the server (``gs``, ``abfs``, ``memory``). Drivers that can neither are for reading.
    """

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Return the store at ``SCHEME://PLACE/DIRECTORY?OPTION=VALUE``; options and what they mean are the driver's.

        Raises:
            StoreError: the scheme's driver is not installed.
        """
        return cls(f"{url.scheme}://{url.netloc}{url.path}", **dict(parse_qsl(url.query)))

    def __init__(self, url: str, **options: Any) -> None:
        scheme, _, rest = url.partition("://")
        self.scheme = scheme
        self._url = url
        self._options = options
        self._root = str(driver_of(scheme)._strip_protocol(url)).rstrip("/")  # noqa: SLF001 - fsspec has no other name for it
        host, slash, path = rest.partition("/")
        self._place = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"  # without a password
        self._own = threading.local()
        self.may_be_marked = scheme != "memory"  # the next process has another

    def __repr__(self) -> str:
        return f"FsspecStore({self._place!r})"

    @property
    def _files(self) -> Any:
        """This thread's connection: those of ``sftp`` and ``ftp`` are for one at a time, and for one process."""
        import fsspec

        if getattr(self._own, "process", 0) != os.getpid():
            self._own.files, _ = fsspec.core.url_to_fs(self._url, skip_instance_cache=True, **self._options)
            self._own.process = os.getpid()
        return self._own.files

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write beside, then move: see `Store.put`."""
        self._ready(writing=True)
        path, beside = self._path(key), f"{self._root}/{_TEMPORARY}/{uuid4().hex}"
        try:
            self._write(key, beside, chunks(data))
            with self.explaining("write", key):
                self._move(beside, path)
        except BaseException:
            with suppress(Exception):  # what failed first is raised; `sweep` gets the rest
                self._files.rm_file(beside)
            raise
        return self.stat(key)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the file, or a range of it: see `Store.open`."""
        size_bytes = self.stat(key).size_bytes
        start = min(start, size_bytes)
        left = size_bytes - start if length is None else min(length, size_bytes - start)
        with self.explaining("read", key):
            file = self._files.open(self._path(key), "rb")
            if isinstance(file, BytesIO):  # memory:// gives all readers the same one
                file = BytesIO(file.getvalue())
            file.seek(start)
        return BufferedReader(_Reader(self, key, file, left), CHUNK_BYTES)

    def stat(self, key: str) -> StoredObject:
        """Describe the file: see `Store.stat`."""
        path = self._path(key)
        with self.explaining("look at", key):
            self._files.invalidate_cache()  # in which other processes' changes are not
            found = self._files.info(path)
        if found["type"] != "file":
            raise ObjectMissingError(key)
        return StoredObject(key, int(found["size"]), _written(found))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Walk the directories, entering only those that can hold the prefix: see `Store.list`."""
        self._ready()
        yield from self._walk("", prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the files: see `Store.delete`."""
        for key in keys:
            path = self._path(key)
            with suppress(ObjectMissingError), self.explaining("remove", key):
                if self._files.isfile(path):
                    self._files.rm_file(path)

    def locate(self, key: str) -> str:
        """Return the file's URL."""
        return f"{self._place.rstrip('/')}/{check_key(key)}"

    def sweep(self) -> int:
        """Remove what writers that were killed left behind, a day later: see `Store.sweep`."""
        self._ready()
        before, removed = datetime.now(UTC) - _ABANDONED_AFTER, 0
        for found in self._entries(_TEMPORARY):
            if _written(found) < before:
                with suppress(ObjectMissingError), self.explaining("remove", _TEMPORARY):
                    self._files.rm_file(found["name"])
                    removed += 1
        return removed

    def _path(self, key: str) -> str:
        return f"{self._root}/{self._checked(key)}"

    def _write(self, key: str, path: str, data: Iterable[bytes]) -> None:
        with self.explaining("write", key):
            self._make_directory_of(path)
            file = self._files.open(path, "wb")
        try:
            for chunk in data:
                with self.explaining("write", key):
                    file.write(chunk)
        finally:
            with self.explaining("write", key):
                file.close()

    def _make_directory_of(self, path: str) -> None:
        directory = path.rpartition("/")[0]
        try:
            self._files.makedirs(directory, exist_ok=True)
        except Exception:  # noqa: BLE001 - of a kind of the driver's, if others made it, or what is above it, meanwhile
            self._files.invalidate_cache()
            if not self._files.isdir(directory):
                self._files.makedirs(directory, exist_ok=True)

    def _move(self, path: str, to: str) -> None:
        """Rename, or have the server copy; the driver's general way would take names for patterns."""
        from fsspec import AbstractFileSystem

        if self._files.isdir(to):  # some drivers would move into it
            raise IsADirectoryError("there are objects below this key")
        self._make_directory_of(to)
        if type(self._files).mv is not AbstractFileSystem.mv:
            self._files.mv(path, to)
        else:
            self._files.cp_file(path, to)
            self._files.rm_file(path)

    def _walk(self, key: str, prefix: str) -> Iterator[StoredObject]:
        for found in self._entries(key.rstrip("/")):
            name = key + found["name"].rstrip("/").rpartition("/")[2]
            if not is_key(name) or not (name.startswith(prefix) or prefix.startswith(name + "/")):
                continue
            if found["type"] == "directory":
                yield from self._walk(name + "/", prefix)
            elif name.startswith(prefix) and found["type"] == "file":
                yield StoredObject(name, int(found["size"]), _written(found))

    def _entries(self, key: str) -> Iterable[Mapping[str, Any]]:
        """Return what is in a directory, each once, which not every driver sees to."""
        try:
            with self.explaining("list", key):
                self._files.invalidate_cache()
                found = self._files.ls(f"{self._root}/{key}".rstrip("/") or "/", detail=True)
        except ObjectMissingError:  # nothing was written yet, or removed while listing
            return []
        return {entry["name"]: entry for entry in found}.values()

    @contextmanager
    def explaining(self, action: str, key: str) -> Iterator[None]:
        """Turn what a driver raises inside the block into a `StoreError`."""
        try:
            yield
        except MultiblastError:
            raise
        except Exception as error:  # each driver raises errors of its own
            if isinstance(error, _NO_FILE) and action != "write":
                raise ObjectMissingError(key) from error
            self._own.process = 0  # its connection may be broken
            kind = StoreAwayError if isinstance(error, ConnectionError | TimeoutError) else StoreError
            reason = "its driver cannot" if isinstance(error, NotImplementedError) else str(error) or repr(error)
            raise kind(f"cannot {action} {key!r} in {self._place}: {reason}") from error


class _Reader(FileRange):
    """The next ``left`` bytes of an open file, with our errors in place of the driver's."""

    def __init__(self, store: FsspecStore, key: str, file: BinaryIO, left: int) -> None:
        super().__init__(file, left)
        self._reading = partial(store.explaining, "read", key)

    def next_piece(self, size: int) -> bytes:
        with self._reading():
            return super().next_piece(size)


def fsspec_schemes() -> list[str]:
    """Return the schemes that fsspec knows a driver for, whether or not it is installed."""
    import fsspec

    return sorted(set(fsspec.available_protocols()) - _NO_PLACES)


def driver_of(scheme: str) -> Any:
    """Return the driver's class; a `StoreError` that says what to install if it cannot be imported."""
    import fsspec

    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise StoreError(f"{scheme}:// needs a driver that is not installed here: {error}") from error


def _written(found: Mapping[str, Any]) -> datetime:
    """Return when a file was written; now, if the driver does not give it in a form that we know."""
    when = next((found[name] for name in _TIMES if found.get(name)), None)
    with suppress(ValueError):
        when = datetime.fromisoformat(when) if isinstance(when, str) else when
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    return datetime.fromtimestamp(when, UTC) if isinstance(when, int | float) else datetime.now(UTC)
