"""How Multi-Blast 1.x calls what 2.0 calls otherwise: statuses, options, formats, orders, keys of errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiblast.errors import InvalidInputError, Problem
from web.words import ORDERS

_MOST_BYTES = 1 << 63

STATUSES = {
    "queued": "queued",
    "in-progress": "in-progress",
    "complete": "completed",
    "failed": "errored",
    "cancelled": "errored",
    "expired": "expired",
}
TOOLS = ("blastn", "blastp", "blastx", "tblastn", "tblastx")
"""The programs that it has; its clients cannot read jobs of others."""

_OPTIONS = {
    "queryLoc": "queryLocation",
    "maxTargetSeqs": "maxTargetSequences",
    "lcaseMasking": "lowercaseMasking",
    "qCovHSPPerc": "queryCoverageHSPPercent",
    "percIdentity": "percentIdentity",
    "xDropUngap": "xDropoffUngapped",
    "xDropGap": "xDropoffPrelimGapped",
    "xDropGapFinal": "xDropoffFinalGapped",
    "noGreedy": "nonGreedy",
    "ungapped": "ungappedOnly",
    "queryGeneticCode": "queryGenCode",
    "dbGencode": "dbGenCode",
}
_OPTIONS_1 = {new: old for old, new in _OPTIONS.items()}
_OF_REPORTS = {"outFormat", "numDescriptions", "numAlignments", "lineLength", "sortHits", "sortHSPs"}
_STATISTICS = (
    "none",
    "comp-based-stats",
    "conditional-comp-based-score-adjustment",
    "unconditional-comp-based-score-adjustment",
)
_TASKS = {"blastn": "megablast", "blastp": "blastp", "blastx": "blastx", "tblastn": "tblastn"}
_FORMATS = (
    "pairwise",
    "query-anchored-with-identities",
    "query-anchored-without-identities",
    "flat-query-anchored-with-identities",
    "flat-query-anchored-without-identities",
    "xml",
    "tabular",
    "tabular-with-comments",
    "text-asn-1",
    "binary-asn-1",
    "csv",
    "archive-asn-1",
    "seqalign-json",
    "multi-file-json",
    "multi-file-xml2",
    "single-file-json",
    "single-file-xml2",
    "sam",
    "organism-report",
)
_ORDERS = {**ORDERS, "sortHits": ("by-eval", *ORDERS["sortHits"][1:])}
_REPORT = {"fields": "formatFields", "fieldDelim": "delimiter", "maxTargetSeqs": "maxTargetSequences"}
_REPORT_1 = {"queryJobID": "jobID", **{new: old for old, new in _REPORT.items()}}


def options_of_2(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of 1.x as 2.0 spells it, without what is about reports."""
    options = {
        _OPTIONS.get(name, name): value
        for name, value in config.items()
        if name not in _OF_REPORTS | {"query"} and value is not None
    }
    place = options.get("queryLocation")
    if isinstance(place, dict) and "end" in place:
        options["queryLocation"] = {"start": place.get("start"), "stop": place["end"]}
    if options.get("templateType") == "both":
        options["templateType"] = "coding-and-optimal"
    return options


def notes_of(request: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of a job that does not change its search, and is returned with it.

    Raises:
        InvalidInputError: it is not as 1.x writes it.
    """
    notes = {name: request[name] for name in ("isPrimary", "maxResultSize") if request.get(name) is not None}
    problems = []
    if not isinstance(notes.setdefault("isPrimary", True), bool):
        problems.append(Problem("true or false is needed here", "isPrimary"))
    size = notes.setdefault("maxResultSize", 0)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _MOST_BYTES:
        problems.append(Problem("a number of bytes is needed here, 0 for no limit", "maxResultSize"))
    if (chosen := config.get("outFormat")) is not None:
        try:
            notes["outFormat"] = _OutFormat.model_validate(chosen).model_dump(exclude_unset=True)
        except ValidationError:
            reason = f"an object is needed here: format, one of {', '.join(_FORMATS)}; delim, a text; fields, texts"
            problems.append(Problem(reason, "config.outFormat"))
    if problems:
        raise InvalidInputError(problems)
    return notes


class _OutFormat(BaseModel):
    model_config = ConfigDict(strict=True)

    format: Literal[_FORMATS]  # type: ignore[valid-type]  # one of a tuple
    delim: Annotated[str, Field(max_length=1)] = ""
    fields: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=100)] = []


def options_of_1(config: Mapping[str, Any], out_format: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a configuration of 2.0 as clients of 1.x can read it, with the defaults that they need.

    ``out_format`` is that which was submitted, which does not count for the search.
    """
    tool = str(config["tool"])
    options = {_OPTIONS_1.get(name, name): value for name, value in config.items()}
    options = {"eValue": "10", **({"task": _TASKS[tool]} if tool in _TASKS else {}), **options}
    options["eValue"] = str(options["eValue"])
    if tool in {"blastx", "tblastx"}:
        options.setdefault("queryGeneticCode", 1)
    if "dbGencode" in options:
        options["dbGenCode"] = options["dbGencode"]
    for name in ("dust", "seg"):
        if name in options:
            options[name] = _filter_of_1(name, str(options[name]))
    if "compBasedStats" in options:
        options["compBasedStats"] = _STATISTICS[int(options["compBasedStats"])]
    if "queryLoc" in options:
        start, _, stop = str(options["queryLoc"]).partition("-")
        options["queryLoc"] = {"start": int(start), "end": int(stop), "stop": int(stop)}
    if options.get("templateType") == "coding_and_optimal":
        options["templateType"] = "both"
    for name in ("taxIds", "negativeTaxIds"):
        if name in options:
            options[name] = [int(one) for one in str(options[name]).split(",")]
    return {**options, "outFormat": out_format or {"format": "single-file-json"}}


def _filter_of_1(name: str, text: str) -> Any:
    if text in {"yes", "no"}:
        return text
    numbers = [float(number) for number in text.split()]
    names = ("level", "window", "linker") if name == "dust" else ("window", "locut", "hicut")
    return {name: int(number) if number.is_integer() else number for name, number in zip(names, numbers, strict=True)}


def formatting_of_2(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request for a report in 1.x's words as 2.0's ``blastConfig``."""
    left_out = {"jobID", "description", "format", "parseDefLines"}
    options = {
        _REPORT.get(name, name): value for name, value in request.items() if name not in left_out and value is not None
    }
    for name, words in _ORDERS.items():
        if options.get(name) in words:
            options[name] = words.index(options[name])
    chosen = request.get("format", "pairwise")
    options["formatType"] = _FORMATS.index(chosen) if chosen in _FORMATS else chosen
    if isinstance(fields := options.get("formatFields"), list):
        options["formatFields"] = " ".join(_field(str(field)) for field in fields)
    return options


def formatting_of_1(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's configuration of 2.0 in 1.x's words."""
    options = {_REPORT_1.get(name, name): value for name, value in config.items() if name != "formatType"}
    for name, words in _ORDERS.items():
        if name in options:
            options[name] = words[int(options[name])]
    number = config.get("formatType", 0)
    options["format"] = _FORMATS[number] if isinstance(number, int) else number
    return options


def _field(name: str) -> str:
    return name.upper() if name in {"sq", "sr"} else name


def key_of_1(key: str) -> str:
    """Return the key of a problem as 1.x calls it."""
    key = re.sub(r"\[\d+\].*", "", key.removeprefix("jobConfig.").removeprefix("blastConfig."))
    return _OPTIONS_1.get(key, _REPORT_1.get(key, key))
