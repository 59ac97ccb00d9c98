"""A file of a job, that its reader may read as they like: rights were checked when it was looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BufferedReader
from typing import BinaryIO, cast

from multiblast.coupling.zips import zip_of
from multiblast.errors import InvalidInputError, Problem
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

    def part(self, byte_range: str, line_range: str) -> BinaryIO:
        """Open it for reading, or a range of its bytes or lines, ``FIRST-LAST``; either may be left out.

        Args:
            byte_range: Counted from 0, as in HTTP: ``-500`` is the last 500. Empty for all.
            line_range: Counted from 1: ``-500`` is up to line 500. Empty for all.

        Raises:
            InvalidInputError: a range is not one, or both are given.
        """
        problems = []
        if byte_range and line_range:
            problems.append(Problem("give either a range of bytes or one of lines, not both", "lineRange"))
        start, end = _read_range(byte_range, "byteRange", problems)
        first, last = _read_range(line_range, "lineRange", problems)
        if problems:
            raise InvalidInputError(problems)
        if line_range:
            return self.lines(max(1, first or 1), last)
        if start is None:
            length = self.size if end is None else min(end, self.size)
            return self.open(self.size - length, length)
        return self.open(start, None if end is None else end - start + 1)

    def link(self, lasts_s: int) -> str:
        """Return a URL by which anybody may download it for some seconds; empty if the store has no links."""
        return self._store.presign(self._key, lasts_s, self.name)

    def lines(self, first: int, last: int | None) -> BinaryIO:
        """Open the lines from ``first`` to ``last`` (1-based, inclusive; None is the end), line ends included."""
        return cast("BinaryIO", BufferedReader(_Lines(self.open(), first, last)))


@dataclass(frozen=True, slots=True)
class StoredDirectory:
    """A directory of a job, which its reader gets as a zip; ``digest`` is another one whenever its content may be."""

    name: str
    digest: str
    _store: Store = field(repr=False)
    _key: str

    def open(self) -> BinaryIO:
        """Open the zip, which is made while it is read.

        Raises:
            ObjectMissingError: it has gone meanwhile.
        """
        return zip_of(self._store, self._key)


def _read_range(text: str, key: str, problems: list[Problem]) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    first, dash, last = text.partition("-")
    numbers = [part for part in (first, last) if part]
    if not dash or not numbers or not all(part.isascii() and part.isdecimal() for part in numbers):
        problems.append(Problem(f"{text!r} is no range: write FIRST-LAST, e.g. 0-1023", key))
        return None, None
    start, end = int(first) if first else None, int(last) if last else None
    if start is not None and end is not None and end < start:
        problems.append(Problem(f"{text!r} ends before it begins", key))
    return start, end


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
