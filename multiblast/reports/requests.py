"""What a user asks of a report: a format by its number or name, and its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from multiblast.errors import InvalidInputError, Problem
from multiblast.ids import Canonical
from multiblast.reports.formats import Formatting

__all__ = ["ReportFormat", "ReportRequest", "read_report_request"]


class ReportFormat(StrEnum):
    """The formats a report can have: BLAST+'s by number, and three of ours. ``ReportFormat("5")`` works too."""

    PAIRWISE = "0 pairwise text"
    ANCHORED_IDENTITIES = "1 query-anchored text, identities as dots"
    ANCHORED = "2 query-anchored text"
    FLAT_IDENTITIES = "3 flat query-anchored text, identities as dots"
    FLAT = "4 flat query-anchored text"
    XML = "5 BLAST XML"
    TABULAR = "6 tabular"
    TABULAR_COMMENTS = "7 tabular with comment lines"
    SEQALIGN = "8 Seqalign, text ASN.1"
    SEQALIGN_BINARY = "9 Seqalign, binary ASN.1"
    CSV = "10 comma-separated values"
    ARCHIVE = "11 BLAST archive, ASN.1"
    SEQALIGN_JSON = "12 Seqalign, JSON"
    JSON_FILES = "13 BLAST JSON, one file a query"
    XML2_FILES = "14 BLAST XML2, one file a query"
    JSON = "15 BLAST JSON"
    XML2 = "16 BLAST XML2"
    SAM = "17 SAM"
    ORGANISM = "18 organism report"
    HTML = "html page, to look at"
    PARQUET = "parquet table of hits"
    PSSM = "pssm files, the profiles that psiblast or deltablast kept"

    @property
    def short(self) -> str:
        """BLAST+'s number, or the first word of a format of ours."""
        return self.value.split(" ")[0]

    @property
    def is_ours(self) -> bool:
        """Whether BLAST+ has no such format."""
        return not self.short.isdigit()

    @classmethod
    def _missing_(cls, value: object) -> ReportFormat | None:
        return next((member for member in cls if member.short == str(value)), None)


# How requests spell what `Formatting` calls by its own names.
_SPELLINGS = {
    "formatFields": "fields",
    "delimiter": "delimiter",
    "html": "html",
    "showGIs": "show_gis",
    "numDescriptions": "num_descriptions",
    "numAlignments": "num_alignments",
    "maxTargetSequences": "max_target_sequences",
    "lineLength": "line_length",
    "sortHits": "sort_hits",
    "sortHSPs": "sort_hsps",
}
_NUMBER = re.compile(r"\d{1,9}")
_BOOLEANS = {"true": True, "false": False, "": True}


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A checked request for a report.

    Attributes:
        format: What to make.
        formatting: BLAST+'s own format and options; without meaning for a format of ours.
    """

    format: ReportFormat
    formatting: Formatting

    def changed(self) -> dict[str, Canonical]:
        """Return the request as it counts for the report's id: spelled as in requests, without defaults."""
        changed: dict[str, Canonical] = {"formatType": self.format.short}
        defaults = {field.name: field.default for field in fields(Formatting)}
        for spelling, name in _SPELLINGS.items():
            value = getattr(self.formatting, name)
            if value != defaults[name]:
                changed[spelling] = list(value) if isinstance(value, tuple) else value
        return changed


def read_report_request(
    format: ReportFormat | int | str,  # noqa: A002 - BLAST+'s own word for it
    *,
    fields: str = "",
    options: Mapping[str, Any] | None = None,
) -> ReportRequest:
    """Read a report's format and options.

    Args:
        format: A format by number or name.
        fields: Field specifiers, separated by blanks.
        options: Others by the spelling of requests (``numDescriptions``), values typed or as text.

    Raises:
        InvalidInputError: with all problems, by key.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {"fields": tuple(fields.split())}
    try:
        chosen = ReportFormat(str(format))
    except ValueError:
        chosen = ReportFormat.PAIRWISE
        problems.append(Problem(f"there is no format {format!r}: choose 0 to 18, html, parquet or pssm", "formatType"))
    for key, value in (options or {}).items():
        if key not in _SPELLINGS:
            problems.append(Problem(f"the formatter has no option {key!r}: choose from {', '.join(_SPELLINGS)}", key))
            continue
        try:
            values[_SPELLINGS[key]] = _typed(key, value)
        except InvalidInputError as error:
            problems.extend(error.problems)
    if chosen.is_ours:
        given = [*(["formatFields"] if fields else []), *(options or {})]
        problems += [Problem(f"format {chosen.short} has no options", key) for key in given]
        values = {}
    try:
        formatting = Formatting(0 if chosen.is_ours else int(chosen.short), **values)
    except InvalidInputError as error:
        problems.extend(error.problems)
    if problems:
        raise InvalidInputError(problems)
    return ReportRequest(chosen, formatting)


def _typed(key: str, value: Any) -> Any:
    if key == "formatFields":
        return tuple(value.split() if isinstance(value, str) else value)
    if key == "delimiter":
        return str(value)
    if key in {"html", "showGIs"}:
        switch = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
        if switch is None:
            raise InvalidInputError(Problem(f"{value!r} is neither true nor false", key))
        return switch
    if not _NUMBER.fullmatch(str(value)):
        raise InvalidInputError(Problem(f"{value!r} is not a whole number", key))
    return int(value)
