"""What the report shows, read from BLAST+'s JSON (format 15) a query at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from multiblast.errors import ArchiveError
from multiblast.reports.coverage import coverage_percent

_ORDINAL = "gnl|BL_ORD_ID|"
_UNTITLED = "unnamed protein product"  # what BLAST+ calls a query without a title, of whatever molecule


class Hsp(NamedTuple):
    """One alignment; first its numbers, in the order in which the page reads them.

    Coordinates are 1-based and inclusive; a start beyond its end means the minus strand. Frames are 0 where
    nothing is translated.
    """

    bit_score: float
    score: int
    evalue: float
    identity: int
    positive: int
    gaps: int
    length: int
    query_start: int
    query_end: int
    subject_start: int
    subject_end: int
    query_frame: int
    subject_frame: int
    query_row: str
    midline: str
    subject_row: str

    @property
    def numbers(self) -> tuple[float | str, ...]:
        """All but the rows of letters."""
        return self[:-3]


@dataclass(frozen=True, slots=True)
class Subject:
    """One hit: a subject sequence and its alignments, the best first.

    Attributes:
        name: Its accession or, in a database without parsed ids, the first word of its defline.
        others: Names of further sequences that are the same.
        id: What its database knows it by.
    """

    name: str
    title: str
    length: int
    others: tuple[str, ...]
    hsps: tuple[Hsp, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """One query and its hits, in BLAST+'s order; the message is BLAST+'s, e.g. that there are none."""

    position: int
    name: str
    title: str
    length: int
    message: str
    subjects: tuple[Subject, ...]

    def coverage_percent(self, subject: Subject) -> int:
        """Return how much of the query the HSPs of a subject cover, as BLAST+'s ``qcovs`` rounds it."""
        return coverage_percent(((hsp.query_start, hsp.query_end) for hsp in subject.hsps), self.length)


def read_results(stream: Iterable[bytes], queries: Iterable[tuple[int, int]] | None = None) -> Iterator[QueryResult]:
    """Yield the results of the lines of a file in format 15, in order; one at a time is in memory.

    The queries' positions and lengths may be given; else they are counted from 1, and as stated.

    BLAST+ starts and ends the object of each query with a line that is a brace;
    no string in JSON holds a line break.

    Raises:
        ArchiveError: the file is not as BLAST+ writes it.
    """
    position = 0
    try:
        given = iter(queries or ())
        for count, text in enumerate(_objects(stream), start=1):
            position, length = next(given, (count, 0))
            yield _result(json.loads(text.decode("utf-8", "replace")), position, length)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ArchiveError(f"blast_formatter's JSON is not as expected at query {position}: {error!r}") from error
    if not position:
        raise ArchiveError("blast_formatter's JSON holds no query")


def _objects(stream: Iterable[bytes]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for line in stream:
        if line == b"{\n":
            lines = [line]
        elif lines and line in (b",\n", b"]\n"):
            yield b"".join(lines)
            lines = []
        elif lines:
            lines.append(line)
    # What is left over of a whole file is the brace that closes it.
    if lines:
        raise ValueError("the file is cut short")


def _result(document: dict[str, Any], position: int, length: int) -> QueryResult:
    results = document["report"]["results"]
    search = results["search"] if "search" in results else results["iterations"][-1]["search"]
    title = search.get("query_title", "")
    if title == _UNTITLED:
        title = ""
    return QueryResult(
        position=position,
        name=title.partition(" ")[0] or f"Query_{position}",
        title=title.partition(" ")[2].strip(),
        length=length or search["query_len"],
        message=search.get("message", ""),
        subjects=tuple(_subject(hit) for hit in search["hits"]),
    )


def _subject(hit: dict[str, Any]) -> Subject:
    (name, title), *others = [_name(description) for description in hit["description"]]
    hsps = tuple(_hsp(hsp) for hsp in hit["hsps"])
    first = hit["description"][0]["id"]
    return Subject(name, title, hit["len"], tuple(other for other, _ in others), hsps, first)


def _name(description: dict[str, Any]) -> tuple[str, str]:
    """Return a subject's name and the rest of its title."""
    title = description.get("title", "").strip()
    subject = description["id"]
    # BLAST+ leaves the accession out where it takes a subject's name for that of a query, as `Query_1`.
    accession = description.get("accession", subject)
    if subject.startswith(_ORDINAL):
        name, _, rest = title.partition(" ")
        return name or "unnamed", rest.strip()
    versioned = re.search(rf"(?<=\|){re.escape(accession)}\.\d+(?=\||$)", subject)
    return versioned[0] if versioned else accession, title


def _hsp(hsp: dict[str, Any]) -> Hsp:
    query_frame, subject_frame = hsp.get("query_frame", 0), hsp.get("hit_frame", 0)
    is_minus = subject_frame < 0 or hsp.get("hit_strand") == "Minus"
    return Hsp(
        hsp["bit_score"],
        hsp["score"],
        hsp["evalue"],
        hsp["identity"],
        hsp.get("positive", hsp["identity"]),
        hsp["gaps"],
        hsp["align_len"],
        *_oriented(hsp["query_from"], hsp["query_to"], is_minus=query_frame < 0),
        *_oriented(hsp["hit_from"], hsp["hit_to"], is_minus=is_minus),
        query_frame,
        subject_frame,
        hsp["qseq"],
        hsp["midline"],
        hsp["hseq"],
    )


def _oriented(start: int, end: int, *, is_minus: bool) -> tuple[int, int]:
    return (max(start, end), min(start, end)) if is_minus else (start, end)
