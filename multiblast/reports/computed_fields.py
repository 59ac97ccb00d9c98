"""Tables in which ``blast_formatter`` has other numbers than the program that searched: these are computed.

It does not know which part of each query was searched, and prints lengths and coverage of the whole query. And it
knows the matrix, with which the programs that search domains cannot tell similar residues from others: to them
only identical ones are positive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from multiblast.archive.statistics import SearchRequest
from multiblast.blast_versions import version_numbers
from multiblast.errors import ArchiveError
from multiblast.reports.coverage import coverage_percent
from multiblast.reports.joined_output import PrintedArchive, Rewriting, join_tables
from multiblast.reports.report_options import Formatting

_OF_PARTS = frozenset({"qlen", "qcovs", "qcovhsp", "qcovus"})
_OF_DOMAINS = frozenset({"ppos", "positive"})

_STANDARD = (
    "qaccver", "saccver", "pident", "length", "mismatch", "gapopen", "qstart", "qend", "sstart", "send", "evalue",
    "bitscore",
)  # fmt: skip
# A number first, so that no row looks like a comment.
_NEEDED = ("qlen", "qstart", "qend", "sseqid", "slen", "qcovs", "length", "nident")
_NEEDED_FOR = {"qcovus": ("sstart", "send", "btop")}
_SEPARATOR = "\x1f"  # in no title
_NAMES = b"# Fields: "
_VERSION = re.compile(rb"# \S+ ([\d.]+)\+")
_OF_TAXA = frozenset({"sscinames", "scomnames", "sblastnames"})
_NEWER = (2, 17)  # coverage is counted in codons; names of taxa between commas are quoted
_COLUMNS = re.compile(rb"(\d+)|(.)(.)")  # of an alignment: equal ones, or the letters of query and subject


def computed_fields(search: SearchRequest, fields: Iterable[str]) -> frozenset[str]:
    """Return those fields of a search's table that must be computed."""
    computed = (_OF_PARTS if search.part else frozenset()) | (_OF_DOMAINS if search.finds_domains else frozenset())
    return computed.intersection(fields)


def printed_as(formatting: Formatting) -> Formatting:
    """Return a table with comments, which separate the queries, and with what must be known beside its own fields."""
    wanted = columns(formatting)
    needed = (name for field in wanted for name in _NEEDED_FOR.get(field, ()))
    fields = dict.fromkeys((*_NEEDED, *needed, *wanted))
    return formatting.model_copy(update={"format": "7", "fields": tuple(fields), "delimiter": _SEPARATOR})


def complete_table(printed: PrintedArchive, formatting: Formatting) -> Rewriting:
    """Make the table that is wanted of one that was `printed_as` its format asks."""
    search, joined = printed.search(), join_tables(printed)
    return lambda stream: _completed(_lines(joined, stream), formatting, search)


def columns(formatting: Formatting) -> tuple[str, ...]:
    """Return the fields of a table, each once, as BLAST+ prints them."""
    fields = (_STANDARD if field == "std" else (field,) for field in formatting.fields or ("std",))
    return tuple(dict.fromkeys(name for names in fields for name in names))


def delimiter_of(formatting: Formatting) -> str:
    """Return what stands between the columns of a table."""
    return formatting.delimiter or ("," if formatting.format == "10" else "\t")


def _lines(joined: Rewriting, stream: BinaryIO) -> Iterator[bytes]:
    left = b""
    for piece in joined(stream):
        *lines, left = (left + piece).split(b"\n")
        yield from lines
    if left:
        yield left


def _completed(lines: Iterable[bytes], formatting: Formatting, search: SearchRequest) -> Iterator[bytes]:
    wanted, printed = columns(formatting), printed_as(formatting).fields
    delimiter = delimiter_of(formatting).encode()
    computed = computed_fields(search, wanted)
    separator, subject, rows = _SEPARATOR.encode(), None, list[dict[str, bytes]]()
    names_of_taxa = _OF_TAXA.intersection(wanted) if delimiter == b"," else ()
    is_newer = False

    def flush() -> Iterator[bytes]:
        computed_rows = _of_subject(rows, search, has_unique="qcovus" in computed, counts_codons=is_newer)
        for row, values in zip(rows, computed_rows, strict=True):
            row.update((name, values[name]) for name in computed)
            row.update((name, b'"%b"' % row[name]) for name in names_of_taxa if is_newer)
            yield delimiter.join(row[name] for name in wanted) + b"\n"
        rows.clear()

    for line in lines:
        if separator in line and not line.startswith(b"#"):
            values = line.split(separator)
            if len(values) != len(printed):
                raise ArchiveError(f"blast_formatter printed {len(values)} of {len(printed)} fields: {line[:200]!r}")
            row = dict(zip(printed, values, strict=True))
            if subject != (subject := (row["sseqid"], row["slen"], row["qcovs"])):
                yield from flush()
            rows.append(row)
            continue
        yield from flush()
        if version := _VERSION.fullmatch(line):
            is_newer = version_numbers(version[1].decode()) >= _NEWER
        if line.startswith(_NAMES):
            names = dict(zip(printed, line.removeprefix(_NAMES).split(b", "), strict=True))
            line = _NAMES + b", ".join(names[name] for name in wanted)  # noqa: PLW2901 - the line as it is to be
        if formatting.format == "7" or not line.startswith(b"#"):
            yield line + b"\n"
    yield from flush()


def _of_subject(
    rows: list[dict[str, bytes]], search: SearchRequest, *, has_unique: bool, counts_codons: bool
) -> Iterator[dict[str, bytes]]:
    """Yield what can be computed of each row of a query's subject, whose length may be counted in codons.

    Only if it ``has_unique`` coverage, the fields that this needs are in the rows.
    """
    spans = [(int(row["qstart"]), int(row["qend"])) for row in rows]
    # BLAST+ takes the part to be as long as that, though the query may end within it.
    first, last = search.part or (0, int(rows[0]["qlen"]) - 1) if rows else (0, 0)
    asked = last - first + 1
    covered = coverage_percent(spans, asked)
    unique = coverage_percent(_spans_of_unique(rows), asked) if has_unique else 0
    for row, span in zip(rows, spans, strict=True):
        searched = search.searched_length(int(row["qlen"]))
        # Codons of a translated query, in percent of its letters, since 2.17.0 of its codons; tblastx counts letters of
        # what stands alone.
        length = searched // search.query_step if counts_codons and search.program != "tblastx" else searched
        codons = coverage_percent([(1, (abs(span[1] - span[0]) + 1) // search.query_step)], length)
        identical, columns = int(row["nident"]), int(row["length"])
        yield {
            "qlen": b"%d" % asked,
            "qcovs": b"%d" % covered,
            "qcovhsp": b"%d" % (covered if search.program == "tblastx" and len(rows) == 1 else codons),
            "qcovus": b"%d" % unique,
            "positive": b"%d" % identical,
            "ppos": b"%.2f" % (100 * identical / columns),
        }


def _spans_of_unique(rows: Iterable[dict[str, bytes]]) -> Iterator[tuple[int, int]]:
    """Yield which parts of a query lie opposite to what no row before has of the subject.

    BLAST+ passes over a part of the subject whose first or last letter lies opposite to a gap.
    """
    taken = list[tuple[int, int]]()
    for row in rows:
        start, end = sorted((int(row["sstart"]), int(row["send"])))
        left = list(_without(taken, start, end))
        ends = ((_opposite(row, first), _opposite(row, last)) for first, last in left)
        yield from ((first, last) for first, last in ends if first and last)
        taken = sorted(taken + left)


def _without(taken: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what of a span is not in others, which are sorted and apart."""
    for first, last in taken:
        if last >= start and first <= end:
            if start < first:
                yield start, first - 1
            start = last + 1
    if start <= end:
        yield start, end


def _opposite(row: dict[str, bytes], position: int) -> int:
    """Return the position in the query that is aligned with one in the subject; 0 for a gap."""
    query, subject = int(row["qstart"]), int(row["sstart"])
    step = 1 if subject <= int(row["send"]) else -1
    for equal, query_letter, subject_letter in _COLUMNS.findall(row["btop"]):
        in_query, in_subject = (int(equal),) * 2 if equal else (query_letter != b"-", subject_letter != b"-")
        ahead = (position - subject) * step
        if ahead < in_subject:
            return query + ahead if in_query else 0
        query, subject = query + in_query, subject + step * in_subject
    raise ArchiveError(f"blast_formatter printed an alignment without its position {position}: {row['btop'][:200]!r}")
