"""Digests of a database's sequences: by these, two states of it are compared sequence by sequence.

A digest is of all that decides a subject's part of a result, in the files of a volume as they are: residues, packed
and with what is ambiguous in them; the defline set with titles, ids and taxa; masks. Where BLAST+ only numbers the
sequences, the number is left out: a sequence is the same one after another was put before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from multiblast.errors import InvalidInputError
from multiblast.targets.content import columns
from multiblast.targets.volume import Volume

DIGEST_BYTES = 16

_AT_A_TIME = 8192  # sequences, of whose offsets the arrays are in memory
_PIECE_BYTES = 1 << 20
_ORDINAL = b"BL_ORD_ID\0\0\xa1\x80\xa0\x80\x02"  # a general id of that database, up to its number's length
_COLUMN_HEAD = struct.Struct(">4IQ2I")
_COLUMN_OFFSET_BYTES = 4


def sequence_digests(volume: Volume) -> Iterator[bytes]:
    """Yield the digests of a volume's sequences in order, `DIGEST_BYTES` each, those of thousands at a time.

    Raises:
        InvalidInputError: the files are damaged, or are being written.
    """
    try:
        with ExitStack() as files:
            parts = [files.enter_context(part) for part in _parts(volume)]
            for start in range(0, volume.sequences, _AT_A_TIME):
                yield _digests(volume, parts, start, min(_AT_A_TIME, volume.sequences - start))
    except (OSError, ValueError, struct.error) as error:
        raise InvalidInputError(
            f"cannot read the sequences of {str(volume.path)!r} ({error}): copy it again"
        ) from error


@dataclass
class _Part:
    """What a file holds of each sequence, one after the other, from and up to offsets that another one has.

    Attributes:
        at: Where the offsets begin in their file.
    """

    offsets: BinaryIO
    at: int
    data: BinaryIO
    next: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.offsets.close()
        self.data.close()

    def lengths(self, start: int, count: int) -> list[int]:
        """Return how many bytes each of some sequences has, and be at the first."""
        offsets = read_offsets(self.offsets, self.at, start, count + 1)
        if self.next != offsets[0]:
            self.data.seek(int(offsets[0]))
        self.next = int(offsets[-1])
        found: list[int] = np.diff(offsets).tolist()
        return found


def read_offsets(file: BinaryIO, at: int, start: int, count: int) -> NDArray[np.int64]:
    """Return numbers of an array of 32 bits each, big-endian, that begins at a byte of a file."""
    file.seek(at + 4 * start)
    found = np.frombuffer(file.read(4 * count), ">u4").astype(np.int64)
    if len(found) < count:
        raise ValueError("an index ends too early")
    return found


def _parts(volume: Volume) -> Iterator[_Part]:
    """Yield deflines, residues, and what further columns there are: masks."""
    for number, extension in enumerate(("hr", "sq")):
        array = volume.arrays + 4 * number * (volume.sequences + 1)
        yield _Part(volume.file("in").open("rb"), array, volume.file(extension).open("rb"))
    for index, data in columns(volume):
        yield _Part(index.open("rb"), _column_offsets(index, volume), data.open("rb"))


def _column_offsets(index: Path, volume: Volume) -> int:
    """Return where in a column's index file its offsets begin.

    Source: NCBI C++ Toolkit, ``CWriteDB_ColumnIndex``.
    """
    with index.open("rb") as file:
        head = _COLUMN_HEAD.unpack(file.read(_COLUMN_HEAD.size))
    _, _, width, sequences, _, _, at = head
    if width != _COLUMN_OFFSET_BYTES or sequences != volume.sequences:
        raise ValueError(f"{str(index)!r} is of another form")
    return int(at)


def _digests(volume: Volume, parts: list[_Part], start: int, count: int) -> bytes:
    headers, residues, *columns = parts
    # Where what is ambiguous in nucleotides begins, behind the packed ones; without, two could look the same.
    packed = residues.lengths(start, count)
    lengths = [headers.lengths(start, count), packed, *(column.lengths(start, count) for column in columns)]
    if volume.kind == "n":
        first, ambiguous = (
            read_offsets(residues.offsets, volume.arrays + 4 * number * (volume.sequences + 1), start, count)
            for number in (1, 2)
        )
        packed = (ambiguous - first).tolist()
    numbered, read_header, read_residues = not volume.file("og").exists(), headers.data.read, residues.data.read
    found = []
    for header_bytes, whole, letters, *others in zip(lengths[0], lengths[1], packed, *lengths[2:], strict=True):
        header = read_header(header_bytes)
        if numbered:
            header = _without_ordinal(header)
        hasher = blake2b(b"%b%d:%d:" % (header, letters, whole), digest_size=DIGEST_BYTES)
        left = whole
        while left > _PIECE_BYTES:
            hasher.update(_exactly(read_residues(_PIECE_BYTES), _PIECE_BYTES))
            left -= _PIECE_BYTES
        hasher.update(_exactly(read_residues(left), left))
        for column, size in zip(columns, others, strict=True):
            hasher.update(b"%d:%b" % (size, _exactly(column.data.read(size), size)))
        found.append(hasher.digest())
    return b"".join(found)


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError("a file ends too early")
    return data


def _without_ordinal(header: bytes) -> bytes:
    """Return a defline set (which delimits itself, as all of ASN.1's binary form) without a number in its id."""
    at = header.find(_ORDINAL) + len(_ORDINAL)
    return header if at < len(_ORDINAL) else header[:at] + header[at + 1 + header[at] :]
