"""Uploads in numbered chunks, as Qiita's client sends them since 2026: kept in the spool until they are whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.files import make_private, replacing, sha256_of_rest
from multiblast.gateway.uploads import Uploads, noticing_full_disk, write_all
from multiblast.ids import digest
from multiblast.stores.base import CHUNK_BYTES

FULL_CHUNK = 3 << 20
_DATA, _FACTS = "data", "chunks.json"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk, and what its sender says of it.

    Attributes:
        number: From 1.
        total: How many there are. Clients of spring 2026 say 1 of all but empty files.
        is_directory: Whether the whole is a zip of a directory.
        size: Of this chunk in bytes, with its ``sha256``.
    """

    number: int
    total: int
    is_directory: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """How far an upload is; its last chunk lies from byte ``start`` to byte ``end``.

    Its sender counts its chunks, for sure, if it ``is_counted``.
    """

    ticket: str
    key: str
    is_directory: bool
    number: int
    start: int
    end: int
    sha256: str
    is_kept: bool = False
    is_counted: bool = False


class Chunks(Uploads):
    """All uploads in chunks: one for each ticket and key."""

    def add(self, ticket: str, key: str, chunk: Chunk, data: BinaryIO, most_bytes: int) -> bool:
        """Take a chunk; return whether the upload is surely whole now, and not kept yet.

        A chunk that comes again, since the answer to it was lost, changes nothing.

        Raises:
            InvalidInputError: chunks before it are missing.
            ConflictError: it would be more than may be pushed.
            NoSpaceError: there is no room for it.
        """
        place = self._place(ticket, key)
        if chunk.number == 1:
            make_private(self._directory)
            self.sweep()
            place.mkdir(mode=0o700, exist_ok=True)
            (place / _DATA).touch()
        with self._in_order(place, key, chunk) as file:
            before = self._facts(place)
            if before and before.is_kept and (before.number, before.sha256) == (chunk.number, chunk.sha256):
                return False
            start = _start(before, chunk, key)
            if start + chunk.size > most_bytes:
                raise ConflictError(f"this is more than the {most_bytes:,} bytes that may be pushed in all")
            self._check_room(chunk.size)
            file.truncate(start)
            file.seek(start)
            with noticing_full_disk():
                while piece := data.read(CHUNK_BYTES):
                    write_all(file, piece)
            facts = (ticket, key, chunk.is_directory, chunk.number, start, start + chunk.size, chunk.sha256)
            _note(place, _Facts(*facts, is_counted=chunk.total > 1))
        if chunk.number < chunk.total:
            return False
        # Of clients that say 1 of every total, a full chunk may be the last one or not. The first chunk is the only one
        # of a client that counts; a later one is of none.
        may_go_on = chunk.total <= 1 and chunk.size == FULL_CHUNK
        return not may_go_on or (chunk.number == 1 and self._counts(ticket))

    @contextmanager
    def complete(self, ticket: str, key: str) -> Iterator[tuple[BinaryIO, int, str]]:
        """Give a whole upload to read during the block, with its length and SHA-256; after it, it is kept elsewhere."""
        place = self._place(ticket, key)
        with self._locked(place) as file:
            facts = self._facts(place)
            if facts is None or facts.is_kept:
                raise NotFoundError("upload", key[:200], "send it again")
            file.truncate(facts.end)
            found = sha256_of_rest(file)
            file.seek(0)
            try:
                yield file, facts.end, found
            except BaseException:
                shutil.rmtree(place)  # what was refused once is not tried again at the end of the run
                raise
            _note(place, _Facts(**{**asdict(facts), "is_kept": True}))
            file.truncate(0)

    def waiting(self, ticket: str) -> list[tuple[str, bool]]:
        """Return the keys of uploads that were begun and not kept, and whether each is of a directory."""
        found = [self._facts(place.parent) for place in sorted(self._directory.glob(f"*/{_FACTS}"))]
        return [(one.key, one.is_directory) for one in found if one and one.ticket == ticket and not one.is_kept]

    def _counts(self, ticket: str) -> bool:
        """Return whether the one client that has a ticket is known to count chunks: it has done so before."""
        found = (self._facts(place.parent) for place in self._directory.glob(f"*/{_FACTS}"))
        return any(one.is_counted for one in found if one and one.ticket == ticket)

    @contextmanager
    def _in_order(self, place: Path, key: str, chunk: Chunk) -> Iterator[BinaryIO]:
        try:
            with self._locked(place) as file:
                yield file
        except NotFoundError:
            raise _missing(chunk, key) from None

    def _place(self, ticket: str, key: str) -> Path:
        return self._directory / digest("chunks/1", [ticket, key])

    @staticmethod
    def _facts(place: Path) -> _Facts | None:
        with suppress(FileNotFoundError):
            return _Facts(**json.loads((place / _FACTS).read_bytes()))
        return None


def _start(before: _Facts | None, chunk: Chunk, key: str) -> int:
    """Return where in its file a chunk begins."""
    if chunk.number == 1:
        return 0
    if before is None or before.is_kept or chunk.number not in {before.number, before.number + 1}:
        raise _missing(chunk, key)
    return before.start if chunk.number == before.number else before.end


def _note(place: Path, facts: _Facts) -> None:
    with replacing(place / _FACTS) as file:
        file.write(json.dumps(asdict(facts)).encode())


def _missing(chunk: Chunk, key: str) -> InvalidInputError:
    reason = f"Not all {chunk.total} chunks for file {key} have been transferred yet"
    return InvalidInputError(Problem(f"{reason}: send them in order, from chunk 1", "current_chunk"))
