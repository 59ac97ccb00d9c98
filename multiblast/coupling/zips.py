"""Directories as zips, made while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, BinaryIO, cast
from zipfile import ZipFile, ZipInfo

from multiblast.coupling.trees import Tree
from multiblast.files import PieceReader
from multiblast.stores import Store
from multiblast.stores.base import chunks


def zip_of(store: Store, key: str) -> BinaryIO:
    """Open the directory at a key as a zip; `ObjectMissingError` if there is none there."""
    tree, _ = Tree.read(store, key)
    files = [
        Entry(file.path, file.size_bytes, partial(store.open, number), file.is_executable)
        for number, file in tree.numbered(key)
    ]
    return cast("BinaryIO", ZipStream([*(Entry(f"{name}/") for name in tree.directories), *files]))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a zip to be made, or by a name that ends in ``/`` an empty directory."""

    name: str
    size: int = 0
    open: Callable[[], BinaryIO] | None = None
    is_executable: bool = False


class ZipStream(PieceReader):
    """A zip that is made while it is read; what is in it is stored as it is."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._pieces, self._left = _zipped(entries), b""

    def next_piece(self, size: int) -> bytes:
        """Return some more of it."""
        while not self._left:
            try:
                self._left = next(self._pieces)
            except StopIteration:
                return b""
        piece, self._left = self._left[:size], self._left[size:]
        return piece


class _Sink:
    """What a zip is written to; it cannot be told where it is, so that sizes follow each file."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Keep it."""

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _zipped(entries: Iterable[Entry]) -> Iterator[bytes]:
    sink = _Sink()
    with ZipFile(cast("IO[bytes]", sink), "w") as archive:
        for entry in entries:
            head = ZipInfo(entry.name)
            head.external_attr = (0o100755 if entry.is_executable else 0o100644) << 16
            head.file_size = entry.size
            if entry.open is None:
                head.external_attr = 0o40755 << 16
                archive.writestr(head, b"")
                continue
            with entry.open() as source, archive.open(head, "w") as target:
                for piece in chunks(source):
                    target.write(piece)
                    yield sink.take()
            yield sink.take()
    yield sink.take()
