"""A store in memory, for tests and experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import BinaryIO, Self
from urllib.parse import SplitResult

from multiblast.errors import ObjectMissingError
from multiblast.stores.base import Store, StoredObject, check_key, chunks


class MemoryStore(Store):
    """Objects in a dictionary, gone with the process."""

    scheme = "memory"
    may_be_marked = False  # the next process has another

    @classmethod
    @cache  # the same name is the same store, as with every other URL
    def from_url(cls, url: SplitResult) -> Self:  # noqa: ARG003 - the key by which the cache of stores finds it
        """Return this process's store of the name in ``memory:NAME``."""
        return cls()

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = {}

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Keep the bytes: see `Store.put`."""
        whole, now = b"".join(chunks(data)), datetime.now(UTC)
        self._objects[check_key(key)] = whole, now
        return StoredObject(key, len(whole), now)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Read from the bytes: see `Store.open`."""
        data = self._get(key)[0]
        return BytesIO(data[start : None if length is None else start + length])

    def stat(self, key: str) -> StoredObject:
        """Describe the bytes: see `Store.stat`."""
        data, modified = self._get(key)
        return StoredObject(key, len(data), modified)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Go through the keys in order: see `Store.list`."""
        for key in sorted(self._objects):
            if key.startswith(prefix):
                with suppress(ObjectMissingError):  # removed while listing
                    yield self.stat(key)

    def delete(self, keys: Iterable[str]) -> None:
        """Forget the bytes: see `Store.delete`."""
        for key in keys:
            self._objects.pop(check_key(key), None)

    def sweep(self) -> int:
        """Find nothing: what is put here is kept at once."""
        return 0

    def _get(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._objects[check_key(key)]
        except KeyError as error:
            raise ObjectMissingError(key) from error
