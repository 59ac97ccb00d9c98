"""What an archive says of a query before its residues: its ids and its title."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from multiblast.archive.batch import read_heads as read_texts
from multiblast.archive.text import encode_string, query_id, title_of
from multiblast.errors import ArchiveError

_NUMBERED = b"            id {\n              %s\n            },\n"
_TITLE = b"            descr {\n              title %s\n            },\n"
_IDS = re.compile(
    rb"\A            id \{\n              (.*?)(?:,\n              (?=\S).*?)?\n            \}", re.DOTALL
)
_SPACE = re.compile(rb'("(?:[^"]|"")*")|\s+')


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one query.

    Attributes:
        id: The id that alignments and masks name it by, on one line.
        text: Its ids and its title, as they stand in the archive.
    """

    id: bytes
    text: bytes

    @classmethod
    def numbered(cls, number: int, defline: str | bytes) -> Head:
        """Return the head of a query whose defline is all title, as BLAST+ takes it by itself."""
        name, title = query_id(number), title_of(defline)
        return cls(name, _NUMBERED % name + (_TITLE % encode_string(title) if title else b""))


def read_heads(stream: BinaryIO) -> Iterator[Head]:
    """Yield the heads of all queries in a file of archives, in order.

    Raises:
        ArchiveError: the file is not as BLAST+ writes it, or is cut short.
    """
    for text in read_texts(stream):
        ids = _IDS.match(text)
        if ids is None:
            raise ArchiveError(f"the archive holds a query of unknown form: {text[:120]!r}")
        yield Head(_SPACE.sub(_on_one_line, ids[1]), text)


def _on_one_line(found: re.Match[bytes]) -> bytes:
    return found[1].replace(b"\n", b"") if found[1] else b" "
