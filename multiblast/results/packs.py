"""Packs: the results of one batch as one object.

A pack is a row of zstd frames, one per result, and last a skippable zstd frame
with the index: JSON ``[[key, offset, length, sha256], …]`` and its length in
bytes as a little-endian 64-bit number. So ``zstd -dc`` of a pack is the
concatenation of its archives, and a pack explains itself without a database.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, BinaryIO, Self
from uuid import uuid4

import zstandard

from multiblast.errors import DamagedResultError, StoreError
from multiblast.object_kinds import ObjectKind
from multiblast.stores.base import Store, chunks

_LEVEL = 3
_SKIPPABLE = struct.Struct("<II")  # magic number, length
_SKIPPABLE_MAGIC = 0x184D2A50
_LENGTH = struct.Struct("<Q")
_MOST_OPEN = 64  # packs of one report: a process may have some hundred files open
_SPOOL_AT_LEAST = 4  # results read from one pack, before copying it here beats reading ranges


@dataclass(frozen=True, slots=True)
class PackEntry:
    """Where in its pack one compressed archive lies.

    Attributes:
        key: The result key.
        offset, length: Its bytes in the pack, 0-based.
        digest, archive_bytes: SHA-256 and length of the archive, uncompressed.
    """

    key: str
    offset: int
    length: int
    digest: str
    archive_bytes: int


class PackWriter:
    """Collects archives in a temporary file and stores them as one object, whole or not at all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.entries: list[PackEntry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the temporary file."""
        self._file.close()

    @property
    def size_bytes(self) -> int:
        """Length of what was added so far, compressed."""
        return self.entries[-1].offset + self.entries[-1].length if self.entries else 0

    def add(self, key: str, archive: bytes) -> PackEntry:
        """Compress one archive and append it."""
        frame, digest = self._compressor.compress(archive), hashlib.sha256(archive).hexdigest()
        return self._append(PackEntry(key, self.size_bytes, len(frame), digest, len(archive)), frame)

    def add_frame(self, entry: PackEntry, frame: bytes) -> PackEntry:
        """Append an archive that is compressed already, from another pack."""
        return self._append(replace(entry, offset=self.size_bytes), frame)

    def _append(self, entry: PackEntry, frame: bytes) -> PackEntry:
        self._file.write(frame)
        self.entries.append(entry)
        return entry

    def store(self) -> str:
        """Write the index, store the pack, and return its store key; after an error this may be tried again."""
        rows = [[entry.key, entry.offset, entry.length, entry.digest] for entry in self.entries]
        index = json.dumps(rows, separators=(",", ":")).encode()
        self._file.seek(self.size_bytes)  # where an attempt that failed left off is anywhere
        self._file.write(_SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(index) + _LENGTH.size))
        self._file.write(index + _LENGTH.pack(len(index)))
        self._file.seek(0)
        key = ObjectKind.PACK.spread_key(uuid4().hex)
        self._store.put(key, self._file)
        return key


class PackReader:
    """Reads archives out of packs, each pack opened once if there are not too many; results come back checked.

    Args:
        store: Where the packs are.
        wanted: How many results will be read next from each pack; from a few on, a pack
            that cannot seek (a remote one) is first copied to a temporary file.
    """

    def __init__(self, store: Store, wanted: Mapping[str, int] = MappingProxyType({})) -> None:
        self.wanted = wanted
        self._store = store
        self._open: dict[str, BinaryIO] = {}
        self._decompressor = zstandard.ZstdDecompressor()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def frame(self, pack: str, entry: PackEntry) -> bytes:
        """Return one compressed archive as it lies in the pack."""
        file = self._open.pop(pack, None)
        if file is None:
            if self.wanted.get(pack, 1) < _SPOOL_AT_LEAST:
                return self._store.read(pack, entry.offset, entry.length)
            if len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            file = _seekable(self._store.open(pack))
        self._open[pack] = file  # last: the one that was read longest ago is the first to be closed
        file.seek(entry.offset)
        return file.read(entry.length)

    def archive(self, pack: str, entry: PackEntry) -> bytes:
        """Return one archive.

        Raises:
            ObjectMissingError: the pack is gone.
            DamagedResultError: the bytes are not those that were written.
        """
        try:
            archive = self._decompressor.decompress(self.frame(pack, entry))
        except (zstandard.ZstdError, MemoryError) as error:  # a damaged head may ask for any amount
            raise DamagedResultError(entry.key, pack, str(error)) from error
        if hashlib.sha256(archive).hexdigest() != entry.digest:
            raise DamagedResultError(entry.key, pack, "wrong SHA-256")
        return archive


def read_index(store: Store, pack: str) -> list[PackEntry]:
    """Return a pack's own index; ``archive_bytes`` is not in it and 0 here."""
    size = store.stat(pack).size_bytes
    try:
        (length,) = _LENGTH.unpack(store.read(pack, max(0, size - _LENGTH.size), _LENGTH.size))
        rows = json.loads(store.read(pack, max(0, size - _LENGTH.size - length), length))
        return [PackEntry(key, offset, length, digest, 0) for key, offset, length, digest in rows]
    except (struct.error, ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{pack} is no pack, or damaged at its end: {error}") from error


def _seekable(stream: BinaryIO) -> BinaryIO:
    if stream.seekable():
        return stream
    spool = TemporaryFile()  # noqa: SIM115 - the caller closes it
    with stream:
        spool.writelines(chunks(stream))
    return spool
