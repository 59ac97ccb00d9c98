"""The one protocol every store of results, queries and reports keeps.

Keys are ``/``-separated words, e.g. ``packs/1f/1f0c…``; a store never
interprets them. An object is written once, whole, and is visible whole or not
at all.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from multiblast.errors import ObjectMissingError, StoreError

__all__ = ["CHUNK_BYTES", "Store", "StoredObject", "check_key", "chunks"]

CHUNK_BYTES = 1 << 20

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}(/[A-Za-z0-9][A-Za-z0-9._-]{0,254})*")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store knows of one object.

    Attributes:
        key: Its name in the store.
        size_bytes: Its length.
        modified: When it was written, in UTC.
    """

    key: str
    size_bytes: int
    modified: datetime


class Store(ABC):
    """Where objects are kept: put, open by range, list, delete."""

    @abstractmethod
    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write one object atomically, replacing one of the same key.

        Args:
            key: Where to write.
            data: The bytes, or a binary stream or chunks that are read once, streamed.

        Raises:
            StoreError: nothing is visible under ``key`` that was not before.
        """

    @abstractmethod
    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open one object, or ``length`` bytes of it from byte ``start`` (0-based), for streamed reading.

        Raises:
            ObjectMissingError: there is no such object.
        """

    @abstractmethod
    def stat(self, key: str) -> StoredObject:
        """Describe one object.

        Raises:
            ObjectMissingError: there is no such object.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose key starts with ``prefix``, in the order of their keys."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove many objects; keys that do not exist are no error."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under ``key``."""
        try:
            self.stat(key)
        except ObjectMissingError:
            return False
        return True

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return one (small) object or range whole."""
        with self.open(key, start, length) as stream:
            return stream.read()


def check_key(key: str) -> str:
    """Return ``key`` if it is well formed: words of letters, digits, ``. _ -``, none starting with a dot."""
    if not _KEY.fullmatch(key) or len(key) > 1000:  # noqa: PLR2004 - S3 allows 1024 bytes, prefix included
        message = f"bad store key {key!r}: use words of letters, digits and '._-' separated by '/'"
        raise StoreError(message)
    return key


def chunks(data: BinaryIO | Iterable[bytes] | bytes) -> Iterator[bytes]:
    """Yield the bytes of any accepted input in pieces of at most `CHUNK_BYTES` for streams."""
    if isinstance(data, bytes | bytearray | memoryview):
        yield bytes(data)
    elif hasattr(data, "read"):
        while chunk := data.read(CHUNK_BYTES):
            yield chunk
    else:
        yield from data
