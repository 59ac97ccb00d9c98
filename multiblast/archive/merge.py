"""Join archives of single queries into one file that blast_formatter reads in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from multiblast.archive.batch import Head
from multiblast.archive.split import PLACEHOLDER
from multiblast.archive.text import ARCHIVE_START, encode_string, query_id, rename_query
from multiblast.errors import ArchiveError

_QUERY = b"            id {\n              %s\n            },\n" % query_id(1)
_ROUND_END = b"\n}\n"
_NEXT_ROUND = _ROUND_END + ARCHIVE_START
_NEXT_QUERY = b"          },\n          seq {\n"
_QUERIES_END = b"          }\n        }\n      },\n"
_ALIGNMENTS = b"\n  results {\n    alignments {\n"
_MASKS = b"\n    masks {\n"
_BLOCKS = b"\n    ka-blocks {\n"
_END = b"    },"
_TOGETHER_BYTES, _TOGETHER_QUERIES = 16 << 20, 1000
_PROFILE_SEARCHES = (b'service "psi"', b'service "delta_blast"')
_SERVICE_BYTES = 512  # within which an archive names its service
# An ungapped search has no parameters of gapped alignment; BLAST+ itself then reports the ungapped ones.
_NEGATIVE = b"        lambda { -1, "
_NO_GAPPED = re.compile(
    rb"(\{\n)(        lambda \{ \d.*?gapped )FALSE(\n      \},\n      \{\n)        lambda \{ -1, .*?gapped TRUE",
    re.DOTALL,
)


def merge(  # noqa: PLR0913 - how archives are read and written
    parts: Iterable[tuple[str | bytes | Head, bytes]],
    output: BinaryIO,
    databases: str | Sequence[str],
    *,
    first: int = 1,
    together: bool = False,
    prepare: Callable[[bytes], bytes] | None = None,
) -> int:
    """Write archives one after the other, their queries numbered in order and under their titles; return how many.

    Args:
        parts: Each query's defline, without ``>``, or the head that BLAST+ made of it, and its
            archive as `split` made it, in the order of the report; empty of a query that BLAST+
            passes over, which counts for the numbers of those after it.
        output: Where the file is written; nothing is read back.
        databases: Where the searched databases are now, as given to ``-db``, in the order
            in which they were searched: hits are numbers into them.
        first: The number of the first query; a report may be made of several such files.
        together: Write many queries as one archive where that can be. The formatter is several times
            as fast with it, and wrong about the statistics of all queries but the first: for tables.
        prepare: What each part is changed by before; it must keep the form of an archive that `split` made.

    Raises:
        ArchiveError: a part is not an archive made by `split`.
    """
    names = databases if isinstance(databases, str) else " ".join(databases)
    database = b"      subject database %s,\n" % encode_string(names)
    number = first - 1
    group = _Group(output)
    for number, (title, archive) in enumerate(parts, start=first):
        head = title if isinstance(title, Head) else Head.numbered(number, title)
        for one in _rounds(archive) if archive else ():
            part = _read_part(prepare(one) if prepare else one, head, database)
            # One archive has one request: another one, or too many bytes, begins the next.
            if not (together and group.takes(part)):
                group.write()
            group.add(part)
    group.write()
    return number - first + 1


def _rounds(archive: bytes) -> Iterator[bytes]:
    """Yield the archives of a query's rounds, of which only psiblast makes several."""
    if not _has_profiles(archive):
        yield archive
        return
    start = 0
    while (end := archive.find(_NEXT_ROUND, start)) >= 0:
        yield archive[start : end + len(_ROUND_END)]
        start = end + len(_ROUND_END)
    yield archive[start:] if start else archive


def _has_profiles(archive: bytes) -> bool:
    return any(archive.find(service, 0, _SERVICE_BYTES) >= 0 for service in _PROFILE_SEARCHES)


class _Part(NamedTuple):
    """One query's archive, under its own name."""

    opening: bytes
    query: bytes
    request: bytes
    alignments: bytes
    masks: bytes
    blocks: bytes

    @property
    def is_alone(self) -> bool:
        """Whether it is a search with profiles, whose rounds are one archive each."""
        return _has_profiles(self.opening)


class _Group:
    """Queries that are written as one archive."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._parts: list[_Part] = []
        self._bytes = 0

    def takes(self, part: _Part) -> bool:
        """Return whether a query can stand in one archive with those before it, in bounded memory."""
        if not self._parts or self._bytes > _TOGETHER_BYTES or len(self._parts) >= _TOGETHER_QUERIES or part.is_alone:
            return False
        return (part.opening, part.request) == (self._parts[0].opening, self._parts[0].request)

    def add(self, part: _Part) -> None:
        self._parts.append(part)
        self._bytes += len(part.alignments) + len(part.query)

    def write(self) -> None:
        """Write what was added, if anything."""
        parts, self._parts, self._bytes = self._parts, [], 0
        if not parts:
            return
        self._output.write(parts[0].opening)
        self._output.write(_NEXT_QUERY.join(part.query for part in parts))
        self._output.writelines((parts[0].request, _ALIGNMENTS))
        self._output.write(_listed(part.alignments for part in parts))
        self._output.write(_MASKS)
        self._output.write(_listed(part.masks for part in parts))
        self._output.write(parts[0].blocks)


def _listed(elements: Iterable[bytes]) -> bytes:
    joined = b",\n".join(filter(None, elements))
    return joined + b"\n" + _END if joined else _END


def _read_part(archive: bytes, head: Head, database: bytes) -> _Part:
    query = archive.find(_QUERY)
    place = archive.find(PLACEHOLDER, query)
    results = archive.find(_ALIGNMENTS, place)
    blocks = archive.rfind(_BLOCKS)  # from the end: most of an archive is its alignments
    masks = archive.rfind(_MASKS, 0, blocks + 1)
    if not 0 < query < place < results < masks < blocks:
        raise ArchiveError("an archive to be merged is not one of a single query as made by a split")
    instance, statistics = archive[query + len(_QUERY) : place], archive[blocks:]
    # The end of the list of queries lies between the query and the database; it belongs after the last query.
    closing = _QUERIES_END if instance.endswith(_QUERIES_END) else b""
    return _Part(
        opening=archive[:query],
        query=head.text + instance.removesuffix(closing),
        # Results of former versions can have a comma for an option that was taken out.
        request=closing + database + archive[place + len(PLACEHOLDER) : results].replace(b" {,\n", b" {\n"),
        alignments=rename_query(_elements(archive[results + len(_ALIGNMENTS) : masks]), query_id(1), head.id),
        masks=_elements(archive[masks + len(_MASKS) : blocks]).replace(
            b" id %s\n" % query_id(1), b" id %s\n" % head.id
        ),
        blocks=_NO_GAPPED.sub(rb"\1\2FALSE\3\2TRUE", statistics) if _NEGATIVE in statistics else statistics,
    )


def _elements(text: bytes) -> bytes:
    """Return the elements of a list, without the list's end."""
    return text.removesuffix(_END).removesuffix(b"\n")
