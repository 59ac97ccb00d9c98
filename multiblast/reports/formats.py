"""The report formats of BLAST+ and what each of them can be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multiblast.errors import InvalidInputError, Problem

__all__ = ["FORMATS", "SAM_FIELDS", "TABULAR_FIELDS", "Format", "Formatting"]

TABULAR_FIELDS = (
    "std", "qseqid", "qgi", "qacc", "qaccver", "qlen", "sseqid", "sallseqid", "sgi", "sallgi", "sacc", "saccver",
    "sallacc", "slen", "qstart", "qend", "sstart", "send", "qseq", "sseq", "evalue", "bitscore", "score", "length",
    "pident", "nident", "mismatch", "positive", "gapopen", "gaps", "ppos", "frames", "qframe", "sframe", "btop",
    "staxid", "ssciname", "scomname", "sblastname", "sskingdom", "staxids", "sscinames", "scomnames", "sblastnames",
    "sskingdoms", "stitle", "salltitles", "sstrand", "qcovs", "qcovhsp", "qcovus",
)  # fmt: skip
SAM_FIELDS = ("SQ", "SR")
_PAIRWISE = range(5)
_SORT_MAX = 4


@dataclass(frozen=True, slots=True)
class Format:
    """One of BLAST+'s output formats.

    Attributes:
        number: What ``-outfmt`` calls it.
        title: What BLAST+'s manual calls it.
        extension: Of its files.
        fields: The specifiers it takes; none if it cannot be customised.
        one_file_a_query: Whether it is an index and one file for each query.
    """

    number: int
    title: str
    extension: str
    fields: tuple[str, ...] = ()
    one_file_a_query: bool = False


FORMATS = (
    Format(0, "Pairwise", "txt"),
    Format(1, "Query-anchored showing identities", "txt"),
    Format(2, "Query-anchored no identities", "txt"),
    Format(3, "Flat query-anchored showing identities", "txt"),
    Format(4, "Flat query-anchored no identities", "txt"),
    Format(5, "BLAST XML", "xml"),
    Format(6, "Tabular", "tsv", TABULAR_FIELDS),
    Format(7, "Tabular with comment lines", "tsv", TABULAR_FIELDS),
    Format(8, "Seqalign (text ASN.1)", "asn1"),
    Format(9, "Seqalign (binary ASN.1)", "asn1"),
    Format(10, "Comma-separated values", "csv", TABULAR_FIELDS),
    Format(11, "BLAST archive (ASN.1)", "asn1"),
    Format(12, "Seqalign (JSON)", "json"),
    Format(13, "Multiple-file BLAST JSON", "json", one_file_a_query=True),
    Format(14, "Multiple-file BLAST XML2", "xml", one_file_a_query=True),
    Format(15, "Single-file BLAST JSON", "json"),
    Format(16, "Single-file BLAST XML2", "xml"),
    Format(17, "Sequence Alignment/Map (SAM)", "txt", SAM_FIELDS),
    Format(18, "Organism Report", "txt"),
)
"""By number."""


@dataclass(frozen=True, slots=True)
class Formatting:
    """A report's format and options; checked when it is made.

    Attributes:
        format_type: 0 to 18.
        fields: Specifiers in their order, for formats 6, 7, 10 and 17; BLAST+'s own if empty.
        delimiter: Between fields, for formats 6, 7 and 10; the format's own if empty.
        html: Whether text reports are HTML.
        show_gis: Whether deflines show GI numbers.
        num_descriptions: One-line descriptions to show.
        num_alignments: Subjects to show alignments for.
        max_target_sequences: Both of these at once, for any format.
        line_length: Columns of an alignment.
        sort_hits: 0 E-value, 1 bit score, 2 total score, 3 identity, 4 coverage.
        sort_hsps: 0 E-value, 1 score, 2 query start, 3 identity, 4 subject start.

    Raises:
        InvalidInputError: all that does not fit, by the key a request has it under.
    """

    format_type: int = 0
    fields: tuple[str, ...] = ()
    delimiter: str = ""
    html: bool = False
    show_gis: bool = False
    num_descriptions: int | None = None
    num_alignments: int | None = None
    max_target_sequences: int | None = None
    line_length: int | None = None
    sort_hits: int | None = None
    sort_hsps: int | None = None

    def __post_init__(self) -> None:
        """Check everything."""
        if not 0 <= self.format_type < len(FORMATS):
            raise InvalidInputError(
                Problem(f"there is no format {self.format_type}: choose 0 to {len(FORMATS) - 1}", "formatType")
            )
        problems = [*self._field_problems(), *self._pairwise_problems(), *self._range_problems()]
        if problems:
            raise InvalidInputError(problems)

    @property
    def format(self) -> Format:
        """The format."""
        return FORMATS[self.format_type]

    def check_program(self, program: str) -> None:
        """Check what depends on the program that searched.

        Raises:
            InvalidInputError: the program has no such report.
        """
        problems = []
        if self.format.fields == SAM_FIELDS and program != "blastn":
            problems.append(
                Problem(f"only results of blastn can be written as SAM, not those of {program}", "formatType")
            )
        if "qcovus" in self.fields and program != "blastn":
            problems.append(Problem(f"only blastn knows the field qcovus, not {program}", "formatFields"))
        if problems:
            raise InvalidInputError(problems)

    def arguments(self) -> list[str]:
        """Return the options of ``blast_formatter`` that this stands for."""
        delimiter = [f"delim={self.delimiter}"] if self.delimiter else []
        arguments = ["-outfmt", " ".join([str(self.format_type), *delimiter, *self.fields])]
        arguments += ["-html"] if self.html else []
        arguments += ["-show_gis"] if self.show_gis else []
        numbers = {
            "-num_descriptions": self.num_descriptions,
            "-num_alignments": self.num_alignments,
            "-max_target_seqs": self.max_target_sequences,
            "-line_length": self.line_length,
            "-sorthits": self.sort_hits,
            "-sorthsps": self.sort_hsps,
        }
        for name, number in numbers.items():
            arguments += [] if number is None else [name, str(number)]
        return arguments

    def _field_problems(self) -> Iterator[Problem]:
        allowed = self.format.fields
        if self.fields and not allowed:
            yield Problem(f"format {self.format_type} has no fields to choose; 6, 7, 10 and 17 have", "formatFields")
        elif unknown := [name for name in self.fields if name not in allowed]:
            names = ", ".join(repr(name) for name in unknown)
            yield Problem(
                f"format {self.format_type} knows no field {names}: choose from {' '.join(allowed)}", "formatFields"
            )
        if self.delimiter and allowed != TABULAR_FIELDS:
            yield Problem(f"format {self.format_type} has no delimiter to choose; 6, 7 and 10 have", "delimiter")
        elif self.delimiter and not (
            self.delimiter.isprintable() and self.delimiter.isascii() and " " not in self.delimiter
        ):
            yield Problem(f"the delimiter {self.delimiter!r} is not made of printable ASCII characters", "delimiter")

    def _pairwise_problems(self) -> Iterator[Problem]:
        if self.format_type not in _PAIRWISE:
            given = {
                "numDescriptions": self.num_descriptions,
                "lineLength": self.line_length,
                "sortHits": self.sort_hits,
            }
            for key, number in given.items():
                if number is not None:
                    yield Problem(f"format {self.format_type} does not have this option; formats 0 to 4 do", key)
        if self.format_type and self.sort_hsps is not None:
            yield Problem(f"format {self.format_type} does not have this option; only format 0 does", "sortHSPs")
        if self.max_target_sequences is not None:
            for key, number in {"numDescriptions": self.num_descriptions, "numAlignments": self.num_alignments}.items():
                if number is not None:
                    yield Problem("give either this or maxTargetSequences", key)

    def _range_problems(self) -> Iterator[Problem]:
        ranges = (
            ("numDescriptions", self.num_descriptions, 0, None),
            ("numAlignments", self.num_alignments, 0, None),
            ("maxTargetSequences", self.max_target_sequences, 1, None),
            ("lineLength", self.line_length, 1, None),
            ("sortHits", self.sort_hits, 0, _SORT_MAX),
            ("sortHSPs", self.sort_hsps, 0, _SORT_MAX),
        )
        for key, number, low, high in ranges:
            if number is not None and (number < low or (high is not None and number > high)):
                wanted = f"from {low} to {high}" if high is not None else f"of at least {low}"
                yield Problem(f"{number} is not a number {wanted}", key)
