"""The report formats, BLAST+'s and ours: one row per format, which holds all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from multiblast.archive.evalues import with_all_digits
from multiblast.errors import InvalidInputError, Problem
from multiblast.reports import deltablast
from multiblast.reports.hits import write_hits_report
from multiblast.reports.html import write_html_report
from multiblast.reports.joined_output import PostProcessor, annotate, join_pairwise, join_sam, join_tables
from multiblast.reports.joints import JSON, XML, XML2, Joint
from multiblast.reports.profiles import write_profiles
from multiblast.search import search_plugin

if TYPE_CHECKING:
    from multiblast.reports.writer import ReportSource

_TABULAR_FIELDS = (
    "std", "qseqid", "qgi", "qacc", "qaccver", "qlen", "sseqid", "sallseqid", "sgi", "sallgi", "sacc", "saccver",
    "sallacc", "slen", "qstart", "qend", "sstart", "send", "qseq", "sseq", "evalue", "bitscore", "score", "length",
    "pident", "nident", "mismatch", "positive", "gapopen", "gaps", "ppos", "frames", "qframe", "sframe", "btop",
    "staxid", "ssciname", "scomname", "sblastname", "sskingdom", "staxids", "sscinames", "scomnames", "sblastnames",
    "sskingdoms", "stitle", "salltitles", "sstrand", "qcovs", "qcovhsp", "qcovus",
)  # fmt: skip
_TSV, _JSON = ("tsv", "text/tab-separated-values"), "application/json"
_PAIRWISE_OPTIONS = ("num_descriptions", "line_length", "sort_hits")


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """A format that reports can have.

    Attributes:
        name: The number that ``-outfmt`` has for it, or a name of ours.
        label: What forms call it, after its name.
        extension: Of its files.
        media_type: Of its first file.
        fields: The specifiers it takes; empty if its columns cannot be chosen.
        options: Options of the formatter that only some formats have, by their names in `Formatting`.
        programs: The programs whose results can have it; empty if all can.
        joinable: Whether the report of many queries is the reports of some and of the others, one after the other,
            so that parts of it can be formatted at the same time.
        together: Whether it prints no statistics of a query, so that the query's archive may hold others.
        prepare: What changes the archive of each query for the formatter; None if nothing does.
        file_per_query: Whether it is an index, and one file for each query.
        names_rounds: Whether psiblast itself prints something between the rounds of a query, or after them.
        joint: How documents of some queries and of others are put together, so that parts of it can be formatted at the
            same time; None if they cannot.
        post_process: What makes of the formatter's output that which BLAST+ prints; None if it is that already.
        deltablast: Where reports of deltablast name the program, which the formatter takes for psiblast.
        from_profiles: Whether it is made of the profiles that a search kept, not of its results.
        from_rows: Whether it can be made of rows of hits, as search plugins find them.
        write: For a format of ours, what writes its files into a directory, the one to open first before others.
    """

    name: str
    label: str
    extension: str
    media_type: str = "text/plain"
    fields: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    joinable: bool = False
    together: bool = False
    prepare: Callable[[bytes], bytes] | None = None
    file_per_query: bool = False
    names_rounds: bool = False
    joint: Joint | None = None
    post_process: PostProcessor | None = None
    deltablast: deltablast.Renaming | None = None
    from_profiles: bool = False
    from_rows: bool = False
    write: Callable[[ReportSource, Path], list[Path]] | None = None

    def is_made_in_parts(self, rounds: int) -> bool:
        """Whether parts of a report can be formatted apart; ``rounds`` is how many the search has at most, 0 for any.

        Of several rounds the formatter mixes up documents, which are made query by query then.
        """
        return self.joinable or (self.joint is not None and rounds == 1)

    @property
    def choice(self) -> str:
        """The format as a choice in a form."""
        return f"{self.name} {self.label}"


def _pairwise(name: str, label: str, *options: str) -> ReportFormat:
    return ReportFormat(
        name,
        label,
        "txt",
        options=(*_PAIRWISE_OPTIONS, *options),
        joinable=True,
        names_rounds=True,
        post_process=join_pairwise,
        deltablast=deltablast.TEXT,
    )


def _table(name: str, label: str, extension: str, media_type: str, **more: Any) -> ReportFormat:
    return ReportFormat(
        name,
        label,
        extension,
        media_type,
        fields=_TABULAR_FIELDS,
        options=("delimiter",),
        joinable=True,
        together=True,
        names_rounds=True,
        from_rows=True,
        **more,
    )


def _document(name: str, label: str, extension: str, **more: Any) -> ReportFormat:
    return ReportFormat(
        name,
        label,
        extension,
        f"application/{extension}",
        post_process=partial(annotate, is_json=extension == "json"),
        deltablast=deltablast.STRUCTURED,
        **more,
    )


_ROWS = (
    _pairwise("0", "pairwise text", "sort_hsps"),
    _pairwise("1", "query-anchored text, identities as dots"),
    _pairwise("2", "query-anchored text"),
    _pairwise("3", "flat query-anchored text, identities as dots"),
    _pairwise("4", "flat query-anchored text"),
    _document("5", "BLAST XML", "xml", joint=XML),
    _table("6", "tabular", *_TSV),
    _table("7", "tabular with comment lines", *_TSV, post_process=join_tables, deltablast=deltablast.TABLE),
    ReportFormat("8", "Seqalign, text ASN.1", "asn1", deltablast=deltablast.SEQALIGN),
    ReportFormat("9", "Seqalign, binary ASN.1", "asn1", "application/octet-stream", deltablast=deltablast.BINARY),
    _table("10", "comma-separated values", "csv", "text/csv"),
    ReportFormat("11", "BLAST archive, ASN.1", "asn1"),
    ReportFormat("12", "Seqalign, JSON", "json", _JSON, joinable=True, together=True, deltablast=deltablast.SEQALIGN),
    _document("13", "BLAST JSON, one file per query", "json", file_per_query=True),
    _document("14", "BLAST XML2, one file per query", "xml", file_per_query=True),
    _document("15", "BLAST JSON", "json", joint=JSON),
    _document("16", "BLAST XML2", "xml", joint=XML2),
    ReportFormat(
        "17",
        "SAM",
        "txt",
        fields=("SQ", "SR"),
        programs=("blastn",),
        joinable=True,
        together=True,
        prepare=with_all_digits,
        post_process=join_sam,
    ),
    ReportFormat(
        "18", "organism report", "txt", joinable=True, together=True, names_rounds=True, deltablast=deltablast.TEXT
    ),
    ReportFormat("html", "page, to look at", "html", "text/html", from_rows=True, write=write_html_report),
    ReportFormat(
        "parquet",
        "table of hits",
        "parquet",
        "application/vnd.apache.parquet",
        from_rows=True,
        write=write_hits_report,
    ),
    ReportFormat(
        "pssm",
        "files, the profiles that psiblast or deltablast kept",
        "asn1",
        programs=("psiblast", "deltablast"),
        from_profiles=True,
        write=write_profiles,
    ),
)
FORMATS = {row.name: row for row in _ROWS}
"""All formats by name, in the order of forms: BLAST+'s first."""
_NUMBERS = [name for name in FORMATS if name.isdigit()]
FORMAT_NAMES = f"{_NUMBERS[0]} to {_NUMBERS[-1]}, {', '.join(name for name in FORMATS if not name.isdigit())}"
"""The names of all formats, for messages."""
FormatChoice = Annotated[
    str,
    BeforeValidator(str),
    WithJsonSchema({"type": "string", "enum": [row.choice for row in _ROWS], "title": "format"}),
]
"""A format as a form offers it."""


def formats_of(program: str) -> list[ReportFormat]:
    """Return the formats that results of a program can have."""
    if search_plugin(program):
        return [row for row in _ROWS if row.from_rows]
    return [row for row in _ROWS if not row.programs or program in row.programs]


def find_format(given: object) -> ReportFormat:
    """Return a format by its name, a number or text, or as a choice of a form (only the first word counts)."""
    words = str(given).split(maxsplit=1)
    if words and (found := FORMATS.get(words[0])):
        return found
    raise InvalidInputError(Problem(f"there is no format {given!r}: choose {FORMAT_NAMES}", "formatType"))
