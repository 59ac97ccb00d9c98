"""The files of a registry: kept once under their content, and checked whenever they are copied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from sqlmodel import Session, col, select

from multiblast.database import among
from multiblast.errors import ConflictError, ObjectMissingError, StoreError
from multiblast.files import replacing
from multiblast.registry.model.local_tables import StoredFile
from multiblast.stores import Store
from multiblast.stores.base import chunks

Content = BinaryIO | Iterable[bytes] | bytes


@dataclass(frozen=True, slots=True)
class Checksums:
    """What identifies a content."""

    sha1: str
    sha256: str
    size_bytes: int


class _Hasher:
    def __init__(self) -> None:
        self._sha1 = hashlib.sha1(usedforsecurity=False)  # the exchange hash of FAIR registries
        self._sha256 = hashlib.sha256()
        self._size = 0

    def through(self, data: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in data:
            self._sha1.update(chunk)
            self._sha256.update(chunk)
            self._size += len(chunk)
            yield chunk

    @property
    def checksums(self) -> Checksums:
        return Checksums(self._sha1.hexdigest(), self._sha256.hexdigest(), self._size)


def tampered(name: str, expected: str, found: str) -> StoreError:
    """Return the error of a file that is not what its registry describes."""
    return StoreError(
        f"{name} is not the file the registry describes: its digest is {found}, and should be {expected}; "
        "it was changed or cut short on its way, and is not used"
    )


def checksums(data: Content) -> Checksums:
    """Return the digests of a stream."""
    hasher = _Hasher()
    for _ in hasher.through(chunks(data)):
        pass
    return hasher.checksums


def file_checksums(path: Path) -> Checksums:
    """Return the digests of a file."""
    with path.open("rb") as file:
        return checksums(file)


class Files:
    """The contents that a registry keeps in a store; sessions to read and to write record which there are."""

    def __init__(
        self,
        store: Store,
        reading: Callable[[], AbstractContextManager[Session]],
        writing: Callable[[], AbstractContextManager[Session]],
    ) -> None:
        self.store, self._reading, self._writing = store, reading, writing

    @property
    def root(self) -> str:
        """The address under which the store's keys are files."""
        place = self.store.locate("files").removesuffix("files")
        return f"file://{quote(place)}" if place.startswith("/") else place or "store:///"

    @staticmethod
    def key(sha256: str) -> str:
        """Return the store key of a content."""
        return f"files/{sha256[:2]}/{sha256}"

    def get(self, sha1: str) -> StoredFile | None:
        """Return what is recorded of a content; None if it was never kept."""
        with self._reading() as session:
            return session.get(StoredFile, sha1)

    def holds(self, sha1: str) -> bool:
        """Return whether a content is here: recorded, and in the store with its length."""
        kept = self.get(sha1)
        return kept is not None and self.present(kept)

    def present(self, kept: StoredFile) -> bool:
        """Return whether a recorded content is in the store with its length."""
        try:
            return self.store.stat(self.key(kept.sha256)).size_bytes == kept.size_bytes
        except ObjectMissingError:
            return False

    def holding(self, hashes: Iterable[str]) -> dict[str, StoredFile]:
        """Return those of many contents that are here."""
        with self._reading() as session:
            query = select(StoredFile).where(among(session, col(StoredFile.sha1), set(hashes)))
            return {kept.sha1: kept for kept in session.exec(query) if self.present(kept)}

    def add(self, path: Path, expected: str = "") -> Checksums:
        """Keep a file, which is read twice; ``expected`` is the SHA-1 or SHA-256 it must have, if any.

        Raises:
            StoreError: it has another, changed while it was copied, or the store could not keep it; nothing is kept.
        """
        found = file_checksums(path)
        if expected and expected.lower() not in (found.sha1, found.sha256):
            actual = found.sha1 if len(expected) == len(found.sha1) else found.sha256
            raise tampered(path.name, expected, actual)
        self.keep(path, found)
        return found

    def keep(self, path: Path, found: Checksums) -> None:
        """Keep a file whose digests are known; they are checked again on its way in."""
        with path.open("rb") as file:
            self.keep_stream(file, found, path.name)

    def add_bytes(self, data: bytes) -> Checksums:
        """Keep a small content."""
        found = checksums(data)
        self.keep_stream(data, found)
        return found

    def keep_stream(self, content: Content, found: Checksums, name: str = "") -> None:
        """Keep a content whose digests are known, going on where an earlier attempt broke off."""
        if not self.holds(found.sha1):
            checked = _checked(chunks(content), found, name or found.sha1)
            self.store.put_resumably(self.key(found.sha256), checked)
        with self._writing() as session:
            before = session.get(StoredFile, found.sha1)
            if before is None:
                session.add(StoredFile(sha1=found.sha1, sha256=found.sha256, size_bytes=found.size_bytes))
            elif before.sha256 != found.sha256:
                raise ConflictError(f"two different files have the SHA-1 {found.sha1}: the second is not kept")

    def open(self, sha1: str, start: int = 0) -> BinaryIO:
        """Open a content from a byte on.

        Raises:
            ObjectMissingError: it is not here.
        """
        kept = self.get(sha1)
        if kept is None:
            raise ObjectMissingError(sha1)
        return self.store.open(self.key(kept.sha256), start)

    def stream(self, sha1: str) -> Iterator[bytes]:
        """Yield a content; the last piece comes only once it is certain that all is as it should be.

        Raises:
            ObjectMissingError: it is not here.
            StoreError: what the store has is something else.
        """
        hasher = _Hasher()
        held = b""
        with self.open(sha1) as source:
            for chunk in hasher.through(chunks(source)):
                if held:
                    yield held
                held = chunk
        if hasher.checksums.sha1 != sha1:
            raise tampered(f"file {sha1} in {self.store!r}", sha1, hasher.checksums.sha1)
        if held:
            yield held

    def copy(self, sha1: str, target: Path) -> None:
        """Copy a content to a file, which appears whole or not at all.

        Raises:
            ObjectMissingError: it is not here.
            StoreError: what the store has is something else, or the file could not be written.
        """
        try:
            with replacing(target) as file:
                Path(file.name).chmod(0o600)  # the content may be private
                file.writelines(self.stream(sha1))
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"cannot write {str(target)!r}: {error.strerror or error}") from error

    def verify(self, sha1: str) -> Checksums:
        """Compute a content's digests again.

        Raises:
            ObjectMissingError: it is not here.
            StoreError: it changed.
        """
        kept = self.get(sha1)
        with self.open(sha1) as source:
            found = checksums(source)
        if kept is None or (found.sha1, found.sha256) != (kept.sha1, kept.sha256):
            raise tampered(f"file {sha1} in {self.store!r}", sha1, found.sha1)
        return found


def _checked(data: Iterable[bytes], expected: Checksums, name: str) -> Iterator[bytes]:
    """Pass data on, and fail at its end unless it is what is expected, so that a store shows nothing."""
    hasher = _Hasher()
    yield from hasher.through(data)
    if hasher.checksums != expected:
        raise tampered(name, expected.sha256, hasher.checksums.sha256)
