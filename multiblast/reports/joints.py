"""Documents of some queries and of those after them, put together as the document of all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multiblast.errors import ArchiveError
from multiblast.reports.joined_output import REACH_BYTES, substitute


@dataclass(frozen=True, slots=True)
class Joint:
    """How documents of a format are put together: what stands before the first query and after the last is there once.

    Attributes:
        start: The end of what stands before the first query.
        end: The beginning of what stands after the last one.
        between: What stands between two queries, without what ends the first.
        number: Numbers of queries, which each document counts from 1: what stands before one, and the number.
    """

    start: bytes
    end: bytes
    between: bytes = b""
    number: re.Pattern[bytes] | None = None


JSON = Joint(b'{\n"BlastOutput2": [\n', b"]\n}\n", b",\n")
XML2 = Joint(b"<BlastOutput2>\n", b"</BlastXML2>\n", b"\n<BlastOutput2>\n")
XML = Joint(
    b"<BlastOutput_iterations>\n",
    b"</BlastOutput_iterations>\n",
    number=re.compile(rb"(<Iteration_iter-num>)(\d+)(?=</)"),
)


def join_documents(parts: Iterable[Path], output: BinaryIO, joint: Joint) -> None:
    """Write documents, one after the other as they come, as one; each is removed once it is written.

    Raises:
        ArchiveError: one of them is no such document.
    """
    last, numbered = b"", _Numbers(joint.number)
    for number, part in enumerate(parts):
        with part.open("rb") as stream:
            start, end = _body(stream, joint)
            stream.seek(end)
            last = stream.read()
            stream.seek(0 if number == 0 else start)
            output.write(joint.between if number else b"")
            numbered.copy(stream, end - stream.tell(), output)
        part.unlink()
    output.write(last)


def _body(stream: BinaryIO, joint: Joint) -> tuple[int, int]:
    """Return where in a document its queries begin and end."""
    head = stream.read(REACH_BYTES)
    size = stream.seek(0, os.SEEK_END)
    tail_start = stream.seek(max(0, size - REACH_BYTES))
    start, end = head.find(joint.start), stream.read().rfind(joint.end)
    if start < 0 or end < 0:
        raise ArchiveError("blast_formatter printed a document that does not begin or end as it should")
    return start + len(joint.start), tail_start + end


class _Numbers:
    """Copies documents, the numbers of queries in each continuing those of the one before."""

    def __init__(self, pattern: re.Pattern[bytes] | None) -> None:
        self._pattern = pattern
        self._before = self._last = 0

    def copy(self, stream: BinaryIO, size: int, output: BinaryIO) -> None:
        pieces = _limited(stream, size)
        if self._pattern is None:
            output.writelines(pieces)
            return
        self._before = self._last
        output.writelines(substitute(pieces, self._pattern, self._continued))

    def _continued(self, found: re.Match[bytes]) -> bytes:
        self._last = self._before + int(found[2])
        return found[1] + b"%d" % self._last


def _limited(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (piece := stream.read(min(size, REACH_BYTES))):
        size -= len(piece)
        yield piece
