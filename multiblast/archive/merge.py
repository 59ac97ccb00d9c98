"""Join archives of single queries into one file that blast_formatter reads in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from multiblast.archive.heads import Head
from multiblast.archive.split import PLACEHOLDER
from multiblast.archive.text import ARCHIVE_START, encode_string, query_id, rename_query
from multiblast.errors import ArchiveError

__all__ = ["merge"]

_QUERY = b"            id {\n              %s\n            },\n" % query_id(1)
_ROUNDS = re.compile(rb"(?<=\n\}\n)(?=%s)" % re.escape(ARCHIVE_START))
_RESULTS = b"\n  results {\n"
_MASKS = b"\n    masks {\n"
_BLOCKS = b"\n    ka-blocks {\n"
# An ungapped search has no parameters of gapped alignment; BLAST+ itself then reports the ungapped ones.
_NO_GAPPED = re.compile(
    rb"(\{\n)(        lambda \{ \d.*?gapped )FALSE(\n      \},\n      \{\n)        lambda \{ -1, .*?gapped TRUE",
    re.DOTALL,
)


def merge(
    parts: Iterable[tuple[str | bytes | Head, bytes]],
    output: BinaryIO,
    databases: str | Sequence[str],
    *,
    first: int = 1,
) -> int:
    """Write archives one after the other, their queries numbered in order and under their titles.

    Args:
        parts: Each query's defline, without ``>``, or the head that BLAST+ made of it, and its
            archive as `split` made it, in the order of the report.
        output: Where the file is written; nothing is read back.
        databases: Where the searched databases are now, as given to ``-db``, in the order
            in which they were searched: hits are numbers into them.
        first: The number of the first query; a report may be made of several such files.

    Returns:
        How many queries were written.

    Raises:
        ArchiveError: a part is not an archive made by `split`.
    """
    names = databases if isinstance(databases, str) else " ".join(databases)
    database = b"      subject database %s,\n" % encode_string(names)
    number = first - 1
    for number, (title, archive) in enumerate(parts, start=first):
        head = title if isinstance(title, Head) else Head.numbered(number, title)
        for one in _ROUNDS.split(archive):
            output.writelines(_pieces(one, head, database))
    return number - first + 1


def _pieces(archive: bytes, head: Head, database: bytes) -> Iterable[bytes]:
    query, place = archive.find(_QUERY), archive.find(PLACEHOLDER)
    results = archive.find(_RESULTS, place)
    masks = archive.find(_MASKS, results)
    blocks = archive.find(_BLOCKS, masks)
    if not 0 < query < place < results < masks < blocks:
        raise ArchiveError("an archive to be merged is not one of a single query as made by a split")
    yield archive[:query]
    yield head.text
    yield archive[query + len(_QUERY) : place]
    yield database
    yield archive[place + len(PLACEHOLDER) : results]
    yield rename_query(archive[results:masks], query_id(1), head.id)
    yield archive[masks:blocks].replace(b" id %s\n" % query_id(1), b" id %s\n" % head.id)
    yield _NO_GAPPED.sub(rb"\1\2FALSE\3\2TRUE", archive[blocks:])
