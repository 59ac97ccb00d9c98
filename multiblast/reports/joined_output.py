"""What ``blast_formatter`` prints of many archives, made into what BLAST+ prints of one run.

Each filter reads a stream in large chunks and holds back only what may still belong
to a place it changes.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

from multiblast.archive.karlin import KarlinAltschul
from multiblast.archive.notes import Section, read_search, read_sections
from multiblast.archive.statistics import SearchRequest
from multiblast.errors import ArchiveError
from multiblast.stores.base import chunks

REACH_BYTES = 1 << 16  # longer than any header, footer or statistics block

_QUERY = re.compile(rb"\n\n(?:<b>)?Query=")
_ROUND = re.compile(rb"Results from round \d+\n\Z")  # of psiblast: part of the query's report
_TRAILER = re.compile(rb"(?m)^# BLAST processed (\d+) queries\n")
_STATISTICS = re.compile(
    rb"Lambda      K        H\n(.*) \n\nGapped\nLambda      K        H\n(.*) \n(\nEffective search space used: )"
)
_MISSING = re.compile(rb" +-1\.00")


Rewriting = Callable[[BinaryIO], Iterable[bytes]]
"""Yields a changed copy of a stream."""


@dataclass(frozen=True, slots=True)
class PrintedArchive:
    """An archive of which a report was printed.

    Attributes:
        reports: How many reports there must be: one per query, or per round of psiblast.
        sections: Those of the report, if it is not of the whole file.
        part: First and last letter, 0-based, of the part of each query that was searched: an archive states
            it cut to the end of its batch's first query.
        warned: Whether the program has its warnings about queries in reports.
    """

    archive: Path
    reports: int = 1
    sections: Sequence[Section] | None = None
    part: tuple[int, int] | None = None
    warned: bool = True

    def search(self) -> SearchRequest:
        """Read what the archive states of the search."""
        with self.archive.open("rb") as stream:
            search = read_search(stream)
        search.part = self.part or search.part
        return search

    def read_sections(self) -> Sequence[Section]:
        """Return the sections of the report."""
        if self.sections is not None:
            return self.sections
        with self.archive.open("rb") as stream:
            return list(read_sections(stream, self.part))


PostProcessor = Callable[[PrintedArchive], Rewriting | None]
"""Returns what completes a report of an archive; None if nothing is missing."""


def substitute(
    pieces: Iterable[bytes], pattern: re.Pattern[bytes], replacement: Callable[[re.Match[bytes]], bytes]
) -> Iterator[bytes]:
    """Yield the stream with each match replaced; a match is shorter than `REACH_BYTES`."""
    buffer = b""
    for piece in _gathered(pieces):
        buffer += piece
        place = 0
        while (found := pattern.search(buffer, place)) and found.end() < len(buffer):
            yield buffer[place : found.start()]
            yield replacement(found)
            place = found.end()
        safe = max(place, len(buffer) - REACH_BYTES)
        yield buffer[place:safe]
        buffer = buffer[safe:]
    yield pattern.sub(replacement, buffer)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines together as large chunks: with each, what was held back is searched once more."""
    gathered, size = list[bytes](), 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= REACH_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def join_pairwise(printed: PrintedArchive) -> Rewriting:
    """Leave one header and one footer in pairwise text (formats 0 to 4), and complete its statistics."""
    search = printed.search()
    return lambda stream: _pairwise_joined(chunks(stream), search, printed.reports)


def _pairwise_joined(pieces: Iterator[bytes], search: SearchRequest, reports: int) -> Iterator[bytes]:
    start = b""
    while not (body := _QUERY.search(start)) and (piece := next(pieces, b"")):
        start += piece
    header = _ROUND.sub(b"", start[: body.start()] if body else start)
    joints = 0

    def join(_: re.Match[bytes]) -> bytes:
        nonlocal joints
        joints += 1
        return b""

    joint = re.compile(rb"\n\n  Database: (?:(?!\n\n\n\n\n).)*?" + re.escape(header), re.DOTALL)
    joined = substitute(itertools.chain([start], pieces), joint, join)
    columns = _columns(search)
    yield from substitute(joined, _STATISTICS, lambda found: _complete_statistics(found, columns, gapped=search.gapped))
    if joints + 1 < reports:
        raise ArchiveError(f"blast_formatter printed {joints + 1} reports for {reports} queries")


def _complete_statistics(found: re.Match[bytes], columns: tuple[bytes, bytes, bytes, bytes], *, gapped: bool) -> bytes:
    ungapped_names, ungapped_values, gapped_names, gapped_values = columns
    if _MISSING.match(found[1]):
        return b"\n" + found[3]  # BLAST+ prints none for a query with which it could not search
    text = b"Lambda      K        H%s\n%s %s\n\n" % (ungapped_names, found[1], ungapped_values)
    if gapped:
        text += b"Gapped\nLambda      K        H%s\n%s %s\n" % (gapped_names, found[2], gapped_values)
    return text + found[3]


def _columns(search: SearchRequest) -> tuple[bytes, bytes, bytes, bytes]:
    """Return names and values of the length parameters, which archives do not hold and blastn does not have."""
    ungapped, gapped = search.length_parameters()
    if ungapped is None or gapped is None:
        return b"", b"", b"", b""
    return (
        b"        a         alpha",
        b"%#8.3g %#8.3g " % (ungapped.alpha, ungapped.alpha_v),
        b"        a         alpha    sigma",
        b"%#8.3g %#8.3g %#8.3g " % (gapped.alpha, gapped.alpha_v, gapped.sigma),
    )


def _with_parameters(pieces: Iterable[bytes], parameters: Iterable[KarlinAltschul | None]) -> Iterator[bytes]:
    """Yield a report with the parameters of each archive, for which ``blast_formatter`` prints -1.

    K stands first of each three.
    """
    remaining, now = iter(parameters), None

    def restore(found: re.Match[bytes]) -> bytes:
        nonlocal now
        if found[2] == b"kappa":
            now = next(remaining, None)
        if now is None:
            return found[0]
        value = {b"kappa": now.k, b"lambda": now.lambda_, b"entropy": now.h}[found[2]]
        return found[1] + found[2] + found[3] + b"%.15g" % value

    return substitute(pieces, _PARAMETER, restore)


_PARAMETER = re.compile(rb'(<Statistics_|<|")(kappa|lambda|entropy)(>|": )-1(?!\d)')


def join_tables(printed: PrintedArchive) -> Rewriting:
    """Leave one trailer in commented tables (format 7), with the number of all queries."""
    return lambda stream: _tables_joined(chunks(stream), printed.reports)


def _tables_joined(pieces: Iterator[bytes], reports: int) -> Iterator[bytes]:
    tables = 0

    def count(found: re.Match[bytes]) -> bytes:
        nonlocal tables
        tables += int(found[1])
        return b""

    yield from substitute(pieces, _TRAILER, count)
    if tables < reports:
        raise ArchiveError(f"blast_formatter printed {tables} tables for {reports} queries")
    yield b"# BLAST processed %d queries\n" % reports


def join_sam(_printed: PrintedArchive) -> Rewriting:
    """Make one SAM file of those that follow each other, each reference named once.

    The stream is read twice. The program's own command line is left out of the header:
    it would name files that are gone.
    """
    return _sam_joined


def without_command_line(line: bytes) -> bytes:
    """Return a line of SAM's header on a program without the command by which it was run."""
    return _COMMAND_LINE.sub(b"", line)


_COMMAND_LINE = re.compile(rb"\tCL:[^\t\n]*")


def _sam_joined(stream: BinaryIO) -> Iterator[bytes]:
    first, references, program = b"", dict[bytes, None](), b""
    for line in stream:
        if line.startswith(b"@HD\t"):
            first = first or line
        elif line.startswith(b"@SQ\t"):
            references[line] = None
        elif line.startswith(b"@PG\t"):
            program = program or without_command_line(line)
    yield first
    yield from references
    yield program
    stream.seek(0)
    yield from (line for line in stream if not line.startswith((b"@HD\t", b"@SQ\t", b"@PG\t")))


def annotate(printed: PrintedArchive, *, is_json: bool) -> Rewriting | None:
    """Put BLAST+'s notes, the gapped parameters of psiblast, and the lengths of parts into an XML or JSON report."""
    sections, search = printed.read_sections(), printed.search()
    notes, parameters = [one.note if printed.warned else "" for one in sections], [one.gapped for one in sections]
    if not (search.part or any(notes) or any(parameters)):
        return None

    def rewrite(stream: BinaryIO) -> Iterable[bytes]:
        lines = _with_parameters(_with_notes(stream, notes, is_json=is_json), parameters)
        return _with_lengths(lines, search) if search.part else lines

    return rewrite


def _with_lengths(pieces: Iterable[bytes], search: SearchRequest) -> Iterator[bytes]:
    """Yield a report with the lengths of the parts of queries that were searched, not of the whole queries."""
    return substitute(pieces, _LENGTH, lambda found: found[1] + b"%d" % search.searched_length(int(found[2])))


_LENGTH = re.compile(rb'(<(?:BlastOutput_|Iteration_)?query-len>|"query_len": )(\d+)(?!\d)')


def _with_notes(lines: Iterable[bytes], notes: Sequence[str], *, is_json: bool) -> Iterator[bytes]:
    """Yield a report with the notes of each query, or round of psiblast, put where BLAST+ puts them.

    Where a query has no hits, BLAST+'s note stands before its saying so; else last of what is said of the query.
    """
    texts = map(_json_text if is_json else _xml_text, notes)
    text = indent = b""
    for line in lines:
        if _QUERY_PLACE.match(line):
            text, indent = next(texts, b""), b""
        if not text:
            yield line
        elif found := _NOTHING_FOUND.match(line):
            yield found[1] + text + b" " + found[2]
            text = b""
        elif found := _XML_END.match(line):
            tag = b"Iteration_message" if found[2] == b"Iteration" else b"message"
            yield b"%s  <%s>%s</%s>\n%s" % (found[1], tag, text, tag, line)
            text = b""
        elif indent and line == indent + b"}\n":
            yield b'%s},\n%s"message": "%s"\n' % (indent, indent, text)
            text = b""
        else:
            indent = found[1] if (found := _JSON_STATISTICS.match(line)) else indent
            yield line


_QUERY_PLACE = re.compile(rb' *(?:<Iteration_iter-num>|"query_id": "|<query-id>)')
_NOTHING_FOUND = re.compile(rb'( *(?:<(?:Iteration_)?message>|"message": "))(No hits found.*\n)', re.DOTALL)
_XML_END = re.compile(rb"( *)</(Iteration|Search)>\n")
_JSON_STATISTICS = re.compile(rb'( *)"stat": \{\n')


def _xml_text(message: str) -> bytes:
    """Return text as BLAST+'s XML has it: Latin-1, as it takes titles for UTF-8 and writes their characters' codes."""
    entities = {'"': "&quot;", "'": "&apos;"}
    return escape(message, entities).encode("latin-1", "surrogateescape")


def _json_text(message: str) -> bytes:
    return json.dumps(message, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")
