"""What BLAST+ says of single queries: warnings that an archive does not keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from multiblast.archive.batch import Query, read_batches
from multiblast.archive.residues import read_residues
from multiblast.archive.statistics import Search, read_statistics
from multiblast.archive.text import decode_string

__all__ = ["Note", "read_notes", "read_search"]

_POSITIONS = 20
_LABEL_MAX, _LABEL_KEPT = 35, 25
_RESIDUE_O = re.compile(rb'seq-data ncbieaa "[^"]*O')
_UNSEARCHABLE = (
    "Could not calculate ungapped Karlin-Altschul parameters due to an invalid query sequence or its translation. "
    "Please verify the query sequence(s) and/or filtering options "
)


class Note(NamedTuple):
    """BLAST+'s warnings on one query.

    Attributes:
        number: 1-based number of the query in the file.
        message: The text, as BLAST+ has it in reports; its title may hold any bytes
            (``surrogateescape``).
    """

    number: int
    message: str


def read_search(stream: BinaryIO) -> Search:
    """Return what the first archive of a file says of its search.

    Raises:
        ArchiveError: the file is not as BLAST+ writes it.
    """
    batch = next(read_batches(stream))
    return Search(batch.opening, batch.request)


def read_notes(stream: BinaryIO) -> Iterator[Note]:
    """Yield notes on the queries of a merged file, in order; most queries have none.

    Raises:
        ArchiveError: the file is not as BLAST+ writes it.
    """
    for batch in read_batches(stream):
        searched = read_statistics(batch.statistics).ungapped is not None
        search = Search(batch.opening, batch.request)
        for query in batch.queries:
            warnings = "" if searched or search.query_step > 1 else _UNSEARCHABLE
            warnings += _replaced_residues(query) if search.program != "blastn" else ""
            if warnings:
                label = _label(query)
                yield Note(query.number, f"{label}:  {label}: {warnings}")


def _label(query: Query) -> str:
    """Return the query's number and title, cut as BLAST+ cuts them."""
    name = b"Query_%d" % query.number
    if query.title:
        name += b" " + decode_string(query.title).encode("utf-8", "surrogateescape")
    if len(name) > _LABEL_MAX:
        name = name[:_LABEL_KEPT] + b".. "
    return name.decode("utf-8", "surrogateescape")


def _replaced_residues(query: Query) -> str:
    if not _RESIDUE_O.search(query.instance):
        return ""
    places = [str(place) for place, residue in enumerate(read_residues(query.instance)) if residue == "O"]
    more = f",... (only first {_POSITIONS} shown)" if len(places) > _POSITIONS else ""
    listed = ", ".join(places[:_POSITIONS])
    return f"One or more O characters replaced by X for alignment score calculations at positions {listed}{more} "
