"""What a client of NCBI's wants to see, and the same as a request for a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multiblast.errors import InvalidInputError, Problem
from multiblast.reports import Formatting

_VIEWS = {
    "": "0",
    "pairwise": "0",
    "pairwisewithidentities": "0",
    "queryanchored": "1",
    "queryanchorednoidentities": "2",
    "flatqueryanchored": "3",
    "flatqueryanchorednoidentities": "4",
    "tabular": "7",
}
_TYPES = {
    "HTML": "",
    "TEXT": "",
    "TABULAR": "7",
    "CSV": "10",
    "XML": "5",
    "XML2": "14",
    "XML2_S": "16",
    "JSON2": "13",
    "JSON2_S": "15",
    "JSONSA": "12",
    "ASN.1": "8",
    "SAM": "17",
}
_PAIRWISE = {"0", "1", "2", "3", "4"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to see.

    Attributes:
        formatting: Of the report.
        type: ``FORMAT_TYPE``, in capitals.
        is_zip: Whether all files are sent, in a zip, under names of the request id.
        is_text: Whether the report stands between tags of a page.
    """

    formatting: Formatting
    type: str
    is_zip: bool
    is_text: bool


def read_wanted(given: Mapping[str, str]) -> Wanted:
    """Read what a client wants to see.

    Args:
        given: The parameters, their names in capitals.

    Raises:
        InvalidInputError: there is no such format, or it does not have a number.
    """
    kind = given.get("FORMAT_TYPE", "").strip().upper() or "HTML"
    view = given.get("ALIGNMENT_VIEW", "").strip().lower()
    if kind not in _TYPES or view not in _VIEWS:
        raise InvalidInputError(Problem(f"there is no FORMAT_TYPE {kind[:20]!r} with ALIGNMENT_VIEW {view[:40]!r}"))
    number = _TYPES[kind] or _VIEWS[view]
    options: dict[str, Any] = {}
    if number in _PAIRWISE:
        names = {"DESCRIPTIONS": "numDescriptions", "ALIGNMENTS": "numAlignments"}
        options = {ours: given[name].strip() for name, ours in names.items() if given.get(name, "").strip()}
        options |= {"html": True} if kind == "HTML" else {}
    formatting = Formatting.read(number, options=options)
    return Wanted(formatting, kind, kind in {"JSON2", "XML2"}, kind in {"TEXT", "TABULAR"})
