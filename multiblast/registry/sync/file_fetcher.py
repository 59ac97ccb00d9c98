"""Fetching files from a remote registry into the local one, one by one or many at once."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from multiblast.errors import MultiblastError, StoreError
from multiblast.registry.local.files import file_checksums, tampered
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import Endpoint, FileLocation

PULL_AT_ONCE = 8
_SHA1 = re.compile(r"[0-9a-f]{40}")


class FileFetcher:
    """Brings files here.

    Args:
        registry: Where to.
        remote: Where from.
        at_once: Files fetched at the same time.
    """

    def __init__(self, registry: Registry, remote: Endpoint, at_once: int) -> None:
        self._registry = registry
        self._remote = remote
        self._at_once = at_once

    def sizes(self, files: Iterable[FileLocation]) -> list[int]:
        """Return the length of each file in bytes; 0 where it cannot be had, as the transfer will say why."""

        def size(file: FileLocation) -> int:
            try:
                return self._remote.size(file)
            except MultiblastError:
                return 0

        with ThreadPoolExecutor(self._at_once) as pool:
            return list(pool.map(size, files))

    def fetch_all(self, files: Iterable[FileLocation]) -> list[int | str]:
        """Fetch files; return for each its length in bytes, or why it could not be had."""

        def attempt(file: FileLocation) -> int | str:
            try:
                return self.fetch(file)
            except MultiblastError as error:
                return str(error)

        with ThreadPoolExecutor(self._at_once) as pool:
            return list(pool.map(attempt, files))

    def fetch(self, file: FileLocation) -> int:
        """Bring one file here; return its length in bytes.

        An interrupted download is continued. What does not have the hash that the
        registry describes is thrown away.

        Raises:
            StoreError: it cannot be had, or is not what it should be.
        """
        if not _SHA1.fullmatch(file.sha1):
            raise StoreError(f"{file.url} is said to have the hash {file.sha1!r}, which is no SHA-1: it is not fetched")
        part = self._registry.directory / "incoming" / f"{file.sha1}.part"
        try:
            with _locked(part):
                if not self._registry.files.holds(file.sha1):
                    self._download(file, part)
                part.unlink(missing_ok=True)
        except OSError as error:
            if isinstance(error, MultiblastError):  # several of them are errors of the system, too
                raise
            reason = error.strerror or str(error)
            raise StoreError(f"cannot write {str(part)!r}: {reason}; make room and run the same again") from error
        kept = self._registry.files.get(file.sha1)
        return kept.size_bytes if kept else 0

    def _download(self, file: FileLocation, part: Path) -> None:
        if file.root.startswith("file:") and file.root != self._remote.data_root:
            raise StoreError(f"its file is said to be {file.url}, which is on another machine")
        begun = part.stat().st_size > 0
        self._remote.download(file, part)
        found = file_checksums(part)
        if found.sha1 != file.sha1 and begun:  # what was there was of something else: once more from the start
            part.write_bytes(b"")
            self._remote.download(file, part)
            found = file_checksums(part)
        if found.sha1 != file.sha1:
            part.unlink()
            raise tampered(file.url, file.sha1, found.sha1)
        self._registry.files.keep(part, found)


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Lock a file that is being fetched, so that two pulls at once do not both write to it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
