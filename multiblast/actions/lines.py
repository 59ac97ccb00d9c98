"""A range of the lines of a stream, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, cast

_LONGEST_PIECE = 1 << 20  # a file may be one endless line


class _Lines(RawIOBase):
    """The lines from ``first`` to ``last`` (1-based, inclusive), line ends included."""

    def __init__(self, stream: BinaryIO, first: int, last: int | None) -> None:
        self._stream = stream
        self._pieces = _pieces(stream, first, last)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """Close the stream behind it too."""
        self._stream.close()
        super().close()


def read_lines(stream: BinaryIO, first: int, last: int | None) -> BinaryIO:
    """Return a stream of some lines of another, which it closes with itself.

    Args:
        stream: Any binary stream.
        first: The first line, 1-based.
        last: The last line, inclusive; None is the end.
    """
    return cast("BinaryIO", BufferedReader(_Lines(stream, first, last)))


def _pieces(stream: BinaryIO, first: int, last: int | None) -> Iterator[bytes]:
    number = 1
    for piece in iter(lambda: stream.readline(_LONGEST_PIECE), b""):
        if number >= first:
            yield piece
        number += piece.endswith(b"\n")
        if last is not None and number > last:
            return
