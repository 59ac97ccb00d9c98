"""Split a batch's archive into one archive per query, independent of the batch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from multiblast.archive.batch import ArchivedQuery, BatchArchive, read_batches
from multiblast.archive.statistics import (
    UNDERIVABLE,
    DatabaseSize,
    QueryStatistics,
    SearchRequest,
    read_statistics,
    write_statistics,
)
from multiblast.archive.summary import Summary, summarise
from multiblast.archive.text import dense_query, query_id, rename_query
from multiblast.errors import ArchiveError, UnderivableError

# Stands for the databases, whose place may change between search and report.
PLACEHOLDER = b'      subject database "",\n'

TOGETHER = 512  # queries whose statistics are derived at once
READ_BYTES = 1 << 20  # of alignments in memory, but for those of one query
_STRANDS = {"both": (1, -1), "plus": (1,), "minus": (-1,)}

_QUERY = query_id(1)
_DATABASE = re.compile(rb'\A((?:          \}\n        \}\n      \},\n)?)      subject database "(?:[^"]|"")*",\n')


def _option(name: bytes) -> re.Pattern[bytes]:
    """Match an option, of which each query can have its own, with the comma before it or, if it is the first, after."""
    item = rb'\n        \{\n          name "%s",\n.*?\n        \}' % name
    return re.compile(rb",%s(?=,?\n)|(?<=\{)(?:%s,?)+(?=\n)" % (item, item), re.DOTALL)


_CASE_MASK, _INDEX_NAME = _option(b"LCaseMask"), _option(b"MbIndexName")
_NO_OPTIONS = re.compile(rb",\n      program-options \{\n      \}")
# As computed for the batch's first query, or for one before it: the last option, unless the user chose it.
_SEARCH_SPACE = re.compile(
    rb',\n        \{\n          name "EffectiveSearchSpace",\n          value big-integer -?\d+\n        \}'
    rb"(?=\n      \})"
)


@dataclass(frozen=True, slots=True)
class SplitArchive:
    """One query's result.

    Attributes:
        position: 0-based index of the query in the run's query file.
        archive: A complete archive of this query alone, as text. It names the query ``Query_1``, without title, and no
            database: its bytes follow from residues, options, program and database content alone. After several
            rounds of psiblast it is one such archive for each, one after the other.
    """

    position: int
    archive: bytes
    summary: Summary


def split(stream: BinaryIO, database: DatabaseSize | None = None, strand: str = "both") -> Iterator[SplitArchive]:
    """Yield the results in a seekable file of one or several archives one by one, in query order.

    Memory holds one query's result and the queries of one of BLAST+'s own batches. The rounds
    of psiblast stay together; their summary is that of the last. Only an archive of several queries
    needs the size of the databases and the ``strand`` that was searched (``both``, ``plus`` or ``minus``):
    it states the statistics of the first query alone, and no strand.

    Raises:
        UnderivableError: the statistics of each query cannot be derived: run the batch with ``BATCH_SIZE=1``.
        ArchiveError: the file is not as BLAST+ writes it, or is cut short.
    """
    for _, rounds in itertools.groupby(_split(stream, database, _STRANDS[strand]), lambda part: part.position):
        *earlier, last = rounds
        if earlier:
            summary = last.summary
            if earlier[0].summary.identity_percent is None:  # of a query with O, for which later rounds have X
                summary = summary._replace(identity_percent=None)
            last = replace(last, archive=b"".join(part.archive for part in (*earlier, last)), summary=summary)
        yield last


def _split(stream: BinaryIO, database: DatabaseSize | None, strands: Sequence[int]) -> Iterator[SplitArchive]:
    for batch in read_batches(stream):
        search = SearchRequest(batch.opening, batch.request)
        request = _normal_request(batch.request)
        found = _with_statistics(batch, search, database, strands)
        for query, statistics, alignments in _with_alignments(stream, batch.end, found):
            name = query_id(query.number)
            dense = alignments.split(dense_query(name))
            renamed = dense_query(_QUERY).join(dense) if len(dense) > 1 else rename_query(alignments, name, _QUERY)
            summary = summarise(alignments, dense, query, search, searched=statistics.ungapped is not None)
            archive = _write(batch.opening, query, request, renamed, statistics)
            yield SplitArchive(query.number - 1, archive, summary)


def _with_statistics(
    batch: BatchArchive, search: SearchRequest, database: DatabaseSize | None, strands: Sequence[int]
) -> Iterator[tuple[ArchivedQuery, QueryStatistics]]:
    stated = read_statistics(batch.statistics)
    # What BLAST+ states is right for the first query, so for a single one nothing need be derived.
    if len(batch.queries) == 1:
        yield batch.queries[0], stated
        return
    if database is None:
        raise UnderivableError(
            f"an archive of several queries needs the size of its database to be split; or {UNDERIVABLE}"
        )
    for start in range(0, len(batch.queries), TOGETHER):
        queries = batch.queries[start : start + TOGETHER]
        derived = search.derive(queries, database, strands) if search.is_derivable else []
        # Those of the first query must come out as they are stated, to the last digit, or nothing is derived.
        if not derived or (not start and write_statistics(derived[0]) != write_statistics(stated)):
            raise UnderivableError(f"the statistics of each query cannot be derived from this archive; {UNDERIVABLE}")
        yield from zip(queries, derived, strict=True)


def _with_alignments(
    stream: BinaryIO, end: int, found: Iterable[tuple[ArchivedQuery, QueryStatistics]]
) -> Iterator[tuple[ArchivedQuery, QueryStatistics, bytes]]:
    """Yield queries of an archive that ends at ``end`` with their alignments, which are read for some at once."""
    position = stream.tell()  # the reader of batches goes on from here
    start, held = 0, b""
    for query, statistics in found:
        if query.end and not start <= query.start <= query.end <= start + len(held):
            start = stream.seek(query.start)
            held = stream.read(min(max(query.end - start, READ_BYTES), end - start))
        alignments = held[query.start - start : query.end - start] if query.end else b""
        if query.end and not (alignments.startswith(b"      {\n") and alignments.endswith(b"\n      }")):
            raise ArchiveError(f"the alignments of Query_{query.number} are not whole")
        yield query, statistics, alignments
    stream.seek(position)


def _normal_request(request: bytes) -> bytes:
    text, count = _DATABASE.subn(rb"\1" + PLACEHOLDER, request)
    if not count:
        raise ArchiveError("the archive does not name the database that it searched")
    # Masks of all the batch's queries; those that were used stand with the results. And where an index was.
    text = _SEARCH_SPACE.sub(b"", text, count=1)
    for superfluous in (_CASE_MASK, _INDEX_NAME, _NO_OPTIONS):
        text = superfluous.sub(b"", text)
    return text


def _write(
    opening: bytes, query: ArchivedQuery, request: bytes, alignments: bytes, statistics: QueryStatistics
) -> bytes:
    masks = query.masks if statistics.ungapped else b""  # of what could not be searched BLAST+ alone lists none
    return b"".join(
        (
            opening,
            b"            id {\n              %s\n            },\n" % _QUERY,
            query.instance,
            request,
            b"\n    alignments {\n",
            alignments,
            b"\n    },\n    masks {\n" if alignments else b"    },\n    masks {\n",
            masks.replace(b" id %s\n" % query_id(query.number), b" id %s\n" % _QUERY),
            b"\n    },\n" if masks else b"    },\n",
            write_statistics(statistics),
        )
    )
