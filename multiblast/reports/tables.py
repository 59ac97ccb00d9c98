"""Tables (formats 6, 7 and 10) of blastn, blastp and blastx, made of results as they are kept, without a formatter.

The columns that most tables have follow from what an archive says of an alignment. So neither subjects are loaded nor
archives put together: it takes a third of the formatter's time. Whatever is not of the plain form that is known
here (ungapped alignments, unusual ids or titles), is left to the formatter: see `UnknownFormError`.

Source: ``tabular.cpp`` and ``align_format_util.cpp`` of the NCBI C++ Toolkit, as they were seen to print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from multiblast.archive.alignments import Alignment, UnknownFormError, read_alignments
from multiblast.archive.text import title_of
from multiblast.reports.computed_fields import columns, delimiter_of
from multiblast.reports.report_options import Formatting
from multiblast.targets import BlastDatabase, database_argument, subject_titles

if TYPE_CHECKING:
    from multiblast.search import SearchContext

# Of translated subjects an archive counts identities otherwise here and there than the formatter, letter by letter.
_PROGRAMS = ("blastn", "blastp", "blastx")
_AT_A_TIME = 10_000  # alignments in memory, whose subjects are named together, but for those of one query
_MOST_NAMES = 100_000
_BASE = b",10,"  # of numbers in archives
_NO_EVALUE = 1e-180
_EVALUE_TEXTS = ((0.0009, b"%.2e"), (0.1, b"%4.3f"), (1.0, b"%3.2f"), (10.0, b"%2.1f"))
_MOST_BITS_WITH_DECIMAL, _MOST_BITS_WHOLE = 99.9, 99_999

# A word that BLAST+ prints as it is, and what may follow it: it tidies up punctuation.
_WORD = rb"[A-Za-z0-9](?:[A-Za-z0-9_|.:/+=#@-]*[A-Za-z0-9_|])?"
_TITLE = re.compile(rb"(%b)(?: [^ ,;.:)\]}].*)?" % _WORD, re.DOTALL)
_PLAIN_TITLE = re.compile(rb"%b(?: %b)*" % (_WORD, _WORD))
_KNOWN_ID = re.compile(
    rb'(?:genbank|embl|ddbj|other|tpg|tpe|tpd|gpipe|swissprot)\{(?:name"\w+",)?accession"(\w+)"(?:,version(\d+))?\}'
    rb'|localstr"([\w.-]+)"'
)
_COLUMNS = {
    "qseqid": ("query id", "b"),
    "qacc": ("query acc.", "b"),
    "qaccver": ("query acc.ver", "b"),
    "saccver": ("subject acc.ver", "b"),
    "pident": ("% identity", ".3f"),
    "nident": ("identical", "d"),
    "length": ("alignment length", "d"),
    "mismatch": ("mismatches", "d"),
    "gapopen": ("gap opens", "d"),
    "gaps": ("gaps", "d"),
    "qstart": ("q. start", "d"),
    "qend": ("q. end", "d"),
    "sstart": ("s. start", "d"),
    "send": ("s. end", "d"),
    "evalue": ("evalue", "b"),
    "bitscore": ("bit score", "b"),
    "score": ("score", "b"),
}
"""What comments call a column, and how its value is written; in the order of `_values`."""


Result = tuple[int, bytes, bytes]
"""The number of a query in its report, its defline, and its archive."""


def table_of_results(
    formatting: Formatting, context: SearchContext, version: str
) -> Callable[[Iterable[Result], BinaryIO], None] | None:
    """Return what writes a table of results, in order, into a file; None if only the formatter can.

    It raises an `UnknownFormError` if the formatter must make the table after all.

    Args:
        formatting: Of the report.
        context: Of the search.
        version: That of BLAST+, as comments state it.
    """
    options = context.options
    plain = Formatting(format=formatting.format, fields=formatting.fields, delimiter=formatting.delimiter)
    fields = columns(formatting)
    if (
        formatting.format not in {"6", "7", "10"}
        or formatting != plain
        or context.plugin is not None
        or options.program not in _PROGRAMS
        or options.part is not None
        or options.value("db_hard_mask")  # of masked letters an archive counts none as identical
        or options.reads_titles
        or not all(name in _COLUMNS for name in fields)
    ):
        return None
    return _Table(formatting, fields, context.databases, f"{options.program.upper()} {version}").write


class _Table:
    """Writes one table."""

    def __init__(
        self, formatting: Formatting, fields: Sequence[str], databases: Sequence[BlastDatabase], program: str
    ) -> None:
        self._has_comments = formatting.format == "7"
        self._databases, self._names = databases, dict[bytes, bytes]()
        self._chosen = itemgetter(*map(list(_COLUMNS).index, fields))
        conversions = (f"%{_COLUMNS[name][1]}" for name in fields)
        self._line = f"{delimiter_of(formatting).replace('%', '%%').join(conversions)}\n".encode()
        self._start = f"# {program}\n# Query: ".encode()
        self._database = f"\n# Database: {database_argument(databases)}\n".encode()
        self._fields = f"# Fields: {', '.join(_COLUMNS[name][0] for name in fields)}\n".encode()

    def write(self, results: Iterable[Result], output: BinaryIO) -> None:
        """Write the table of some results."""
        count = alignments = 0
        read: list[tuple[int, bytes, list[Alignment]]] = []
        for count, (number, defline, archive) in enumerate(results, start=1):  # noqa: B007 - how many there were
            read.append((number, title_of(defline), read_alignments(archive)))
            alignments += len(read[-1][2]) + 1
            if alignments > _AT_A_TIME:
                self._write_some(read, output)
                alignments = 0
        self._write_some(read, output)
        if self._has_comments:
            output.write(b"# BLAST processed %d queries\n" % count)

    def _write_some(self, read: list[tuple[int, bytes, list[Alignment]]], output: BinaryIO) -> None:
        """Write what was read, and forget it."""
        self._learn_names({hsp.subject for _, _, hsps in read for hsp in hsps})
        for one in read:
            self._write_query(*one, output)
        read.clear()

    def _write_query(self, number: int, title: bytes, hsps: Sequence[Alignment], output: BinaryIO) -> None:
        query = _first_word(title) if title else b"Query_%d" % number
        if self._has_comments:
            if title and not _PLAIN_TITLE.fullmatch(title):
                raise UnknownFormError(f"a title has punctuation that BLAST+ may tidy up: {title[:60]!r}")
            output.writelines((self._start, title, self._database, self._fields if hsps else b""))
            output.write(b"# %d hits found\n" % len(hsps))
        names, line, chosen = self._names, self._line, self._chosen
        output.writelines([line % chosen(_values(query, names[hsp.subject], hsp)) for hsp in hsps])

    def _learn_names(self, subjects: set[bytes]) -> None:
        """Find out how subjects are called that alignments name so."""
        if len(self._names) > _MOST_NAMES:
            self._names.clear()
        new = subjects - self._names.keys()
        ordinals = {int(subject): subject for subject in new if subject.isdigit()}
        titles = subject_titles(self._databases, sorted(ordinals))
        self._names.update((ordinals[ordinal], _first_word(title)) for ordinal, title in titles.items() if title)
        for subject in new:
            if found := _KNOWN_ID.fullmatch(subject):
                accession, version, name = found.groups()
                self._names[subject] = name or accession + (b".%d" % int(version) if version else b"")
        if unknown := next((one for one in new if one not in self._names), None):
            raise UnknownFormError(f"an id of a subject is none of those that are known here: {unknown[:100]!r}")


def _values(query: bytes, subject: bytes, found: Alignment) -> tuple[Any, ...]:
    """Return the values of all columns of an alignment between two that are called so."""
    _, score, evalue, bits, same, length, gaps, openings, *ends = found
    percent, mismatches = same / length * 100, length - same - gaps
    texts = _evalue_text(evalue), _bits_text(bits), score
    return query, query, query, subject, percent, same, length, mismatches, openings, gaps, *ends, *texts


# The same E-values and scores come up in many results.
@lru_cache(10_000)
def _evalue_text(real: bytes) -> bytes:
    evalue = float(real.replace(_BASE, b"e"))
    if evalue < _NO_EVALUE:
        return b"0.0"
    decimals = next((text for limit, text in _EVALUE_TEXTS if evalue < limit), b"%.0f")
    return decimals % evalue


@lru_cache(10_000)
def _bits_text(real: bytes) -> bytes:
    bits = float(real.replace(_BASE, b"e"))
    if bits > _MOST_BITS_WHOLE:
        return b"%5.3e" % bits
    return b"%3d" % bits if bits > _MOST_BITS_WITH_DECIMAL else b"%4.1f" % bits


def _first_word(title: bytes) -> bytes:
    found = _TITLE.fullmatch(title)
    if found is None:
        raise UnknownFormError(f"a title begins with something that BLAST+ may tidy up: {title[:60]!r}")
    return found[1]
