"""A file of a job, that its reader may read as they like: rights were checked when it was looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BufferedReader
from typing import BinaryIO, cast

from multiblast.files import PieceReader
from multiblast.stores import Store


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a job; ``size`` is in bytes, ``digest`` another one whenever its content may be another."""

    name: str
    size: int
    media_type: str
    digest: str
    _store: Store = field(repr=False)
    _key: str
    _offset: int = 0

    def open(self, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open it for reading, or a range of its bytes; one that reaches beyond its end gives what is there.

        Raises:
            ObjectMissingError: it has gone meanwhile.
        """
        left = max(0, self.size - start)
        return self._store.open(self._key, self._offset + start, left if length is None else min(length, left))

    def link(self, lasts_s: int) -> str:
        """Return a URL by which anybody may download it for some seconds; empty if the store has no links."""
        return self._store.presign(self._key, lasts_s, self.name)

    def lines(self, first: int, last: int | None) -> BinaryIO:
        """Open the lines from ``first`` to ``last`` (1-based, inclusive; None is the end), line ends included."""
        return cast("BinaryIO", BufferedReader(_Lines(self.open(), first, last)))


class _Lines(PieceReader):
    def __init__(self, stream: BinaryIO, first: int, last: int | None) -> None:
        self._stream = stream
        self._number = 1
        self._first = first
        self._last = last

    def next_piece(self, size: int) -> bytes:
        while self._last is None or self._number <= self._last:
            piece = self._stream.readline(size)  # a file may be one endless line
            is_wanted = self._number >= self._first
            self._number += piece.endswith(b"\n")
            if is_wanted or not piece:
                return piece
        return b""

    def close(self) -> None:
        self._stream.close()
        super().close()
