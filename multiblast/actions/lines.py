"""A range of the lines of a stream, as a stream."""

from __future__ import annotations

from io import BufferedReader
from typing import BinaryIO, cast

from multiblast.files import PieceReader


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


def read_lines(stream: BinaryIO, first: int, last: int | None) -> BinaryIO:
    """Return the lines of a stream from ``first`` to ``last`` (1-based, inclusive; None is the end); closes it too."""
    return cast("BinaryIO", BufferedReader(_Lines(stream, first, last)))
