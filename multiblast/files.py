"""Streams of bytes: made from pieces, hashed on their way, and files written whole or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import uuid4

from multiblast.errors import StoreError


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...


class PieceReader(RawIOBase):
    """A stream that is read by its `next_piece`."""

    @abstractmethod
    def next_piece(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""

    def readable(self) -> bool:
        """Return that it is for reading."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what comes next, at most a buffer full."""
        piece = self.next_piece(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def hashed(data: Iterable[bytes], hasher: _Hasher) -> Iterator[bytes]:
    """Yield data as it is, and hash it."""
    for piece in data:
        hasher.update(piece)
        yield piece


def save(source: BinaryIO, path: Path) -> None:
    """Write what a stream has into a file, whole or not at all, and close the stream."""
    with source, replacing(path) as target:
        shutil.copyfileobj(source, target)


@contextmanager
def working_space() -> Iterator[None]:
    """Report as a `StoreError` that the disk of temporary files is full, if that is what ends the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        place = tempfile.gettempdir()
        raise StoreError(
            f"no space left for temporary files in {place}: free some, or set TMPDIR to a larger disk"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to that takes the place of ``path`` if the block ends well, and else is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{uuid4().hex}.tmp")  # its own for each writer: several may write one file at a time
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
