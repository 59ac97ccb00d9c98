"""Tables in which ``blast_formatter`` has other numbers than the program that searched: these are computed.

It does not know which part of each query was searched, and prints lengths and coverage of the whole query. And it
knows the matrix, with which the programs that search domains cannot tell similar residues from others: to them
only identical ones are positive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from multiblast.archive.statistics import SearchRequest
from multiblast.errors import ArchiveError
from multiblast.reports.coverage import coverage_percent
from multiblast.reports.joined_output import PrintedArchive, Rewriting, join_tables
from multiblast.reports.report_options import Formatting

_OF_PARTS = frozenset({"qlen", "qcovs", "qcovhsp"})
_OF_DOMAINS = frozenset({"ppos", "positive"})

_STANDARD = (
    "qaccver", "saccver", "pident", "length", "mismatch", "gapopen", "qstart", "qend", "sstart", "send", "evalue",
    "bitscore",
)  # fmt: skip
# A number first, so that no row looks like a comment.
_NEEDED = ("qlen", "qstart", "qend", "sseqid", "slen", "qcovs", "length", "nident")
_SEPARATOR = "\x1f"  # in no title
_NAMES = b"# Fields: "


def computed_fields(search: SearchRequest, fields: Iterable[str]) -> frozenset[str]:
    """Return those fields of a search's table that must be computed."""
    computed = (_OF_PARTS if search.part else frozenset()) | (_OF_DOMAINS if search.finds_domains else frozenset())
    return computed.intersection(fields)


def printed_as(formatting: Formatting) -> Formatting:
    """Return a table with comments, which separate the queries, and with what must be known beside its own fields."""
    fields = dict.fromkeys((*_NEEDED, *_columns(formatting)))
    return formatting.model_copy(update={"format": "7", "fields": tuple(fields), "delimiter": _SEPARATOR})


def complete_table(printed: PrintedArchive, formatting: Formatting) -> Rewriting:
    """Make the table that is wanted of one that was `printed_as` its format asks."""
    search, joined = printed.search(), join_tables(printed)
    return lambda stream: _completed(_lines(joined, stream), formatting, search)


def _columns(formatting: Formatting) -> tuple[str, ...]:
    """Return the fields, each once, as BLAST+ prints them."""
    fields = (_STANDARD if field == "std" else (field,) for field in formatting.fields)
    return tuple(dict.fromkeys(name for names in fields for name in names))


def _lines(joined: Rewriting, stream: BinaryIO) -> Iterator[bytes]:
    left = b""
    for piece in joined(stream):
        *lines, left = (left + piece).split(b"\n")
        yield from lines
    if left:
        yield left


def _completed(lines: Iterable[bytes], formatting: Formatting, search: SearchRequest) -> Iterator[bytes]:
    wanted, printed = _columns(formatting), printed_as(formatting).fields
    delimiter = (formatting.delimiter or ("," if formatting.format == "10" else "\t")).encode()
    computed = computed_fields(search, wanted)
    separator, subject, rows = _SEPARATOR.encode(), None, list[dict[str, bytes]]()

    def flush() -> Iterator[bytes]:
        for row, values in zip(rows, _of_subject(rows, search), strict=True):
            yield delimiter.join(values[name] if name in computed else row[name] for name in wanted) + b"\n"
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
        if line.startswith(_NAMES):
            names = dict(zip(printed, line.removeprefix(_NAMES).split(b", "), strict=True))
            line = _NAMES + b", ".join(names[name] for name in wanted)  # noqa: PLW2901 - the line as it is to be
        if formatting.format == "7" or not line.startswith(b"#"):
            yield line + b"\n"
    yield from flush()


def _of_subject(rows: list[dict[str, bytes]], search: SearchRequest) -> Iterator[dict[str, bytes]]:
    """Yield what can be computed of each row of a query's subject."""
    spans = [(int(row["qstart"]), int(row["qend"])) for row in rows]
    # BLAST+ takes the part to be as long as that, though the query may end within it.
    first, last = search.part or (0, int(rows[0]["qlen"]) - 1) if rows else (0, 0)
    asked = last - first + 1
    covered = coverage_percent(spans, asked)
    for row, span in zip(rows, spans, strict=True):
        searched = search.searched_length(int(row["qlen"]))
        # Codons of a translated query, in percent of its letters; tblastx counts letters of what stands alone.
        codons = coverage_percent([(1, (abs(span[1] - span[0]) + 1) // search.query_step)], searched)
        identical, columns = int(row["nident"]), int(row["length"])
        yield {
            "qlen": b"%d" % asked,
            "qcovs": b"%d" % covered,
            "qcovhsp": b"%d" % (covered if search.program == "tblastx" and len(rows) == 1 else codons),
            "positive": b"%d" % identical,
            "ppos": b"%.2f" % (100 * identical / columns),
        }
