"""One archive of a batch: where each query's parts lie in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from multiblast.archive.ids import shown_id
from multiblast.archive.text import ARCHIVE_START, QUERY_ID, decode_string, encode_string, query_id, title_of
from multiblast.errors import ArchiveError

CHUNK_BYTES = 1 << 20

_ALIGNMENTS = b"\n    alignments {\n"
_ALIGNMENTS_END = b"\n    },\n    masks {\n"
_BLOCKS = b"    },\n    ka-blocks {\n"
_ELEMENT = b"\n      {\n"
_ARCHIVE_END = b"\n}\n"
_QUERIES = b"\n      queries bioseq-set {\n        seq-set {\n          seq {\n"
_PROFILE = re.compile(rb"\n      queries pssm \{\n.*?\n          query seq \{\n", re.DOTALL)
_DATABASE = b"      subject database "
_QUERIES_END = b"          }\n        }\n      },\n"
_QUERY_SEPARATOR = b"          },\n          seq {\n"
_QUERY = re.compile(
    rb'            id \{\n              (?:local str "Query_(\d+)"|(.*?))\n            \},\n', re.DOTALL
)
_TITLE = re.compile(rb'\n              title ("(?:[^"]|"")*")')
_INSTANCE = b"            inst {\n"
_NUMBERED = b"            id {\n              %s\n            },\n"
_TITLED = b"            descr {\n              title %s\n            },\n"
_IDS = re.compile(
    rb"\A            id \{\n              (.*?)(?:,\n              (?=\S).*?)?\n            \}", re.DOTALL
)
_LENGTH = re.compile(rb"\n +length (\d+)")
_SPACE = re.compile(rb'("(?:[^"]|"")*")|\s+')
_USER_MASK = re.compile(
    rb'\n          name "LCaseMask",\n          value query-mask (\{\n.*?\n          \})', re.DOTALL
)
_BLANK = re.compile(rb"\s*\Z")
_MASK_QUERY = re.compile(rb' id local str "Query_(\d+)"')


@dataclass(frozen=True, slots=True)
class ArchivedQuery:
    """A query of a batch.

    Attributes:
        number: 1-based, counted through the run's query file; 0 of one that has an id of its own, and is then alone.
        ids: Its own ids, as they stand in the archive; empty if it is called by its number.
        instance: Its sequence from ``inst {`` on, with the profile it was searched with, if any.
        title: As a string literal; empty if it has none.
        start, end: Offsets of its alignments in the file; equal if it has none.
        masks: Its mask elements, joined as in a mask list.
        user_masks: Those of what was masked before the search: lower case, and low-complexity regions of nucleotides.
    """

    number: int
    ids: bytes
    instance: bytes
    title: bytes
    start: int = 0
    end: int = 0
    masks: bytes = b""
    user_masks: bytes = b""

    @property
    def name(self) -> str:
        """What BLAST+ calls it in messages."""
        return shown_id(self.ids, of_query=True) if self.ids else f"Query_{self.number}"


@dataclass(slots=True)
class BatchArchive:
    """The parts of one ``Blast4-archive`` value.

    Attributes:
        opening: From the start to the queries.
        request: After the queries to the results: database and options.
        statistics: ``ka-blocks`` and ``search-stats``, which hold for the first query only.
        start, end: Offsets of the value in the file.
    """

    opening: bytes
    request: bytes
    statistics: bytes
    queries: list[ArchivedQuery] = field(default_factory=list)
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What an archive states of a query before its residues.

    Attributes:
        id: The id that alignments and masks name it by, on one line.
        text: Its ids and its title, as they stand in the archive.
        length: How many residues follow; 0 if unknown.
    """

    id: bytes
    text: bytes
    length: int = 0

    @property
    def first_id(self) -> bytes:
        """The first of its ids, as it stands in the archive, without the blanks before all of its lines."""
        found = _IDS.match(self.text)
        return found[1].replace(b"\n" + 14 * b" ", b"\n") if found else b""

    @property
    def title(self) -> bytes:
        """Its title; empty if it has none."""
        found = _TITLE.search(self.text)
        return decode_string(found[1]).encode("utf-8", "surrogateescape") if found else b""

    @classmethod
    def numbered(cls, number: int, defline: str | bytes) -> Head:
        """Return the head of a query whose defline is all title, as BLAST+ takes it by itself."""
        name, title = query_id(number), title_of(defline)
        return cls(name, _NUMBERED % name + (_TITLED % encode_string(title) if title else b""))


def read_batches(stream: BinaryIO) -> Iterator[BatchArchive]:
    """Yield the archives of a seekable file in order, without reading alignments into memory.

    Raises:
        ArchiveError: the file is not as BLAST+ writes it, or is cut short.
    """
    reader = _Reader(stream)
    while not reader.at_end():
        start = reader.offset
        batch = _read_batch(reader)
        batch.start, batch.end = start, reader.offset
        yield batch


def read_heads(stream: BinaryIO) -> Iterator[Head]:
    """Yield the heads of all queries in a file of archives, in order."""
    reader = _Reader(stream)
    while not reader.at_end():
        text = reader.take(_ALIGNMENTS)
        reader.take(_ARCHIVE_END)
        start = text.find(_QUERIES)
        for element in text[start + len(_QUERIES) : text.find(_QUERIES_END, start)].split(_QUERY_SEPARATOR):
            head = element[: max(0, element.find(_INSTANCE))]
            ids = _IDS.match(head)
            if ids is None:
                raise ArchiveError(f"the archive holds a query of unknown form: {head[:120]!r}")
            length = _LENGTH.search(element, len(head))
            yield Head(_SPACE.sub(_on_one_line, ids[1]), head, int(length[1]) if length else 0)


def _on_one_line(found: re.Match[bytes]) -> bytes:
    return found[1].replace(b"\n", b"") if found[1] else b" "


def _read_batch(reader: _Reader) -> BatchArchive:
    opening, queries, request = _read_request(reader.take(_ALIGNMENTS))
    if [number for number, *_ in queries] == [0]:
        return _read_named(reader, opening, queries[0], request)
    spans = dict(_read_spans(reader))
    reader.take(_ALIGNMENTS_END)
    masks, statistics = _read_tail(reader.take(_ARCHIVE_END))
    user_masks = _by_query(found[1] for found in _USER_MASK.finditer(request))
    unknown = (spans.keys() | masks.keys()) - {number for number, *_ in queries}
    if unknown:
        raise ArchiveError(f"the archive holds results of a query it does not list: Query_{min(unknown)}")
    found = [
        ArchivedQuery(*query, *spans.get(query[0], (0, 0)), masks.get(query[0], b""), user_masks.get(query[0], b""))
        for query in queries
    ]
    return BatchArchive(opening, request, statistics, found)


def _read_named(reader: _Reader, opening: bytes, query: _QueryText, request: bytes) -> BatchArchive:
    """Return the archive of one query that has an id of its own; its alignments are passed over."""
    for _ in reader.windows(_ELEMENT, _ALIGNMENTS_END):
        pass
    reader.take(_ALIGNMENTS_END)
    tail = reader.take(_ARCHIVE_END)
    return BatchArchive(opening, request, tail[max(0, tail.find(_BLOCKS)) :], [ArchivedQuery(*query)])


_QueryText = tuple[int, bytes, bytes, bytes]  # number, ids, residues, title


def read_request(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Return what the first archive of a file says before and after its queries."""
    opening, _, request = _cut_request(_Reader(stream).take(_ALIGNMENTS))
    return opening, request


def _read_request(text: bytes) -> tuple[bytes, list[_QueryText], bytes]:
    opening, elements, request = _cut_request(text)
    queries = [_read_query(element) for element in elements]
    if len(queries) > 1 and [number for number, *_ in queries] != sorted({number for number, *_ in queries}):
        raise ArchiveError("the archive's queries are not in ascending order")
    return opening, queries, request


def _cut_request(text: bytes) -> tuple[bytes, list[bytes], bytes]:
    if not text.startswith(ARCHIVE_START):
        raise ArchiveError("the archive does not start as BLAST+ starts it")
    if (profile := _PROFILE.search(text)) is not None:  # of a round of psiblast after the first
        end = text.find(_DATABASE, profile.end())
        return text[: profile.end()], [text[profile.end() : end]], text[end:]
    start = text.find(_QUERIES)
    end = text.find(_QUERIES_END, start)
    if start < 0 or end < 0:
        raise ArchiveError("the archive's request does not hold a set of queries as BLAST+ writes it")
    first = start + len(_QUERIES)
    return text[:first], text[first:end].split(_QUERY_SEPARATOR), text[end:]


def _read_query(element: bytes) -> _QueryText:
    query = _QUERY.match(element)
    instance = element.find(_INSTANCE)
    if query is None or instance < 0:
        raise ArchiveError(f"the archive holds a query of unknown form: {element[:120]!r}")
    title = _TITLE.search(element, 0, instance)
    number, ids = query.groups()
    return int(number or 0), ids or b"", element[instance:], title[1] if title else b""


def _read_spans(reader: _Reader) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield query numbers with the offsets of their alignments, in file order."""
    seen: set[bytes] = set()
    name, start = b"", 0
    for window, offset, last in reader.windows(_ELEMENT, _ALIGNMENTS_END):
        for found in QUERY_ID.finditer(window):
            if found[1] == name:
                continue
            boundary = offset + window.rfind(_ELEMENT, 0, found.start()) + len(b"\n")
            if name:
                yield int(name), (start, boundary - len(b",\n"))
            name, start = found[1], boundary
            if name in seen:
                raise ArchiveError(f"the alignments of Query_{int(name)} do not stand together in the archive")
            seen.add(name)
        if last and name:
            yield int(name), (start, offset + len(window))
        elif window.strip() and not name:
            raise ArchiveError("the archive holds alignments that name no query")


def _read_tail(text: bytes) -> tuple[dict[int, bytes], bytes]:
    masks_end = text.find(_BLOCKS)
    end = text.find(b"\n    }\n  }", masks_end)
    if masks_end < 0 or end < 0:
        raise ArchiveError("the archive does not end in masks and statistics as BLAST+ writes them")
    elements = text[:masks_end].removesuffix(b"\n").split(b",\n      {\n") if masks_end else []
    masks = _by_query(b"      {\n" + element.removeprefix(b"      {\n") for element in elements)
    return masks, text[masks_end + len(b"    },\n") : end + len(b"\n    }\n  }")]


def _by_query(masks: Iterable[bytes]) -> dict[int, bytes]:
    joined: dict[int, list[bytes]] = {}
    for mask in masks:
        named = {int(number) for number in _MASK_QUERY.findall(mask)}
        if len(named) != 1:
            raise ArchiveError(f"a mask of the archive does not belong to one query: {sorted(named)}")
        joined.setdefault(named.pop(), []).append(mask)
    return {number: b",\n".join(elements) for number, elements in joined.items()}


class _Reader:
    """A window on a file that is read forwards in large chunks."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer, self._next = b"", 0
        self._start = stream.tell()  # of the buffer, in the file
        self._ended = False

    @property
    def offset(self) -> int:
        return self._start + self._next

    def at_end(self) -> bool:
        return _BLANK.match(self._buffer, self._next) is not None and not self._more()

    def take(self, token: bytes) -> bytes:
        """Return what stands before ``token`` and move behind it."""
        searched = 0
        while (found := self._buffer.find(token, self._next + searched)) < 0:
            searched = max(0, len(self._buffer) - self._next - len(token) + 1)
            if not self._more():
                raise ArchiveError(f"the archive is cut short: {token.strip().decode()!r} is missing")
        taken = self._buffer[self._next : found]
        self._next = found + len(token)
        return taken

    def windows(self, element: bytes, end: bytes) -> Iterator[tuple[bytes, int, bool]]:
        """Yield parts of a list up to ``end``, each of whole elements, with its offset and whether it is the last.

        Each part starts with the line break before it: what was taken last must end in one. Afterwards ``end`` is next.
        """
        self._next -= 1
        while (stop := self._buffer.find(end, self._next)) < 0:
            whole = self._buffer.rfind(element, self._next + 1)
            if whole > 0:
                yield self._buffer[self._next : whole], self.offset, False
                self._next = whole
            if not self._more():
                raise ArchiveError("the archive is cut short: its alignments do not end")
        yield self._buffer[self._next : stop], self.offset, True
        self._next = stop

    def _more(self) -> bool:
        left = self._buffer[self._next :]
        chunk = self._stream.read(max(CHUNK_BYTES, len(left)))
        if not chunk and not self._ended and left and not left.endswith(b"\n"):
            self._ended = True
            chunk = b"\n"
        self._start, self._buffer, self._next = self.offset, left + chunk, 0
        return bool(chunk)
