"""The one protocol every store of results, queries and reports keeps.

Keys are ``/``-separated words, e.g. ``packs/1f/1f0c…``; a store never
interprets them, but none may be the directory of another. An object is written
once, whole, and is visible whole or not at all.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import BinaryIO, Self
from urllib.parse import SplitResult

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.files import sha256_of_rest

CHUNK_BYTES = 1 << 20
MARK = ".multiblast-store"
"""The object by which a store is known from others, which no list has, and nobody reaches by its key."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}(/[A-Za-z0-9][A-Za-z0-9._-]{0,254})*")
_LONGEST_KEY = 900  # S3 allows 1024 bytes, a store's prefix included


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store knows of one object; when it was written is in UTC."""

    key: str
    size_bytes: int
    modified: datetime


class Store(ABC):
    """Where objects are kept: put, open by range, list, delete."""

    scheme: str = ""
    """How URLs of such stores begin, for `multiblast.stores.open_store`; empty for stores without URLs."""

    may_be_marked: bool = True
    """Whether `MARK` can be put there, by whoever guards it or copies it."""

    _guard: Callable[..., None] | None = None

    def guard(self, look: Callable[..., None]) -> None:
        """Have ``look(store, writing=…)`` called before each use, with this store `unguarded`; it may raise."""
        self._guard = partial(look, self.unguarded())

    def unguarded(self) -> Self:
        """Return this store without its guard."""
        other = copy(self)
        other._guard = None  # noqa: SLF001 - of the same class
        return other

    def whereabouts(self) -> Hashable:
        """Return what is another one once something else may be there: another disk, a server after an outage."""
        return ""

    def _ready(self, *, writing: bool = False) -> None:
        """Let the guard look, if there is one: what can be marked calls it before it does anything."""
        if self._guard is not None:
            self._guard(writing=writing)

    def _checked(self, key: str) -> str:
        """Return a well-formed key, once the guard has looked; of a store without a guard also that of the mark."""
        self._ready()
        return key if key == MARK and self._guard is None else check_key(key)

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Return the store at a URL of this class's scheme; a `StoreError` if it lacks something or has too much."""
        raise NotImplementedError

    @abstractmethod
    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write one object atomically, replacing one of the same key.

        A stream or chunks are read once, streamed; what reading them raises is raised here, and nothing is written.

        Raises:
            StoreError: nothing is visible under ``key`` that was not before.
        """

    def put_resumably(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Write one object as `put` does, going on where an earlier attempt at it broke off.

        ``data`` is all of it, from its start: what is there already is compared with it, and not written again.
        Stores for which that makes no difference begin anew; in others, what was written before an error stays,
        invisible, until `sweep`.
        """
        return self.put(key, data)

    @abstractmethod
    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open one object, or ``length`` bytes of it from byte ``start`` (0-based), for streamed reading.

        A range that reaches beyond the object's end gives what is there.

        Raises:
            ObjectMissingError: there is no such object.
        """

    @abstractmethod
    def stat(self, key: str) -> StoredObject:
        """Describe one object; an `ObjectMissingError` if there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose key starts with ``prefix``, each once, in no order to rely on."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove many objects; keys that do not exist are no error."""

    @abstractmethod
    def sweep(self) -> int:
        """Remove what writers that were killed left behind, a day later; return how many pieces."""

    def locate(self, key: str) -> str:
        """Return where an object is, in words a person can use: a path or a URL; by default its key."""
        return key

    def exists(self, key: str) -> bool:
        """Return whether there is an object under ``key``."""
        try:
            self.stat(key)
        except ObjectMissingError:
            return False
        return True

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return one (small) object or range whole."""
        with self.open(key, start, length) as stream:
            return stream.read()

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object; by reading it, where the store does not know it."""
        with self.open(key) as stream:
            return sha256_of_rest(stream)

    def presign(self, key: str, expires_s: int, filename: str = "") -> str:  # noqa: ARG002 - most stores have no links
        """Return a URL by which anybody may download an object for ``expires_s`` seconds; empty if there are no links.

        A browser calls the file ``filename``, by default the key's last word.
        """
        return ""


def is_key(text: str) -> bool:
    """Return whether ``text`` is a well-formed key: words of letters, digits, ``. _ -``, none starting with a dot."""
    return len(text) <= _LONGEST_KEY and bool(_KEY.fullmatch(text))


def check_key(key: str) -> str:
    """Return ``key`` if it is well formed (`is_key`), else raise a `StoreError`."""
    if not is_key(key):
        shown = key if len(key) <= _LONGEST_KEY else key[:60] + "…"
        wanted = f"use words of letters, digits and '._-' separated by '/', at most {_LONGEST_KEY} characters"
        raise StoreError(f"bad store key {shown!r}: {wanted}")
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
