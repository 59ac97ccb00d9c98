"""What every search has, and the presets of programs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Form, MayBeUnset, Option
from multiblast.options.values import (
    location_text,
)

__all__ = [
    "BlastnTask",
    "BlastpTask",
    "BlastxTask",
    "Dbsize",
    "Evalue",
    "LcaseMasking",
    "MaxHsps",
    "MaxTargetSeqs",
    "ParseDeflines",
    "QcovHspPerc",
    "QueryLoc",
    "Searchsp",
    "SoftMasking",
    "TblastnTask",
    "WindowSize",
    "XdropUngap",
]

_INT8_MAX = 2**63 - 1
_Finite = Field(allow_inf_nan=False)

Evalue = Annotated[
    float,
    _Finite,
    Field(
        gt=0,
        description="Keep hits up to this expectation value: how many such hits chance alone would give. "
        "Smaller is stricter.",
    ),
    Option("eValue"),
]
MaxTargetSeqs = Annotated[
    int,
    Field(
        ge=1,
        le=2**31 - 1,
        description="How many aligned database sequences to keep a query. It also steers the search: with a small "
        "number, the ones kept are not always the best; 5 or more is recommended.",
    ),
    Option("maxTargetSequences"),
]
MaxHsps = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=1,
        le=2**31 - 1,
        description="How many alignments (HSPs) to keep for each pair of query and database sequence. Empty: all.",
    ),
    Option("maxHSPs"),
]
QcovHspPerc = Annotated[
    float,
    _Finite,
    Field(ge=0, le=100, description="Keep only alignments that cover at least this percentage of the query."),
    Option("queryCoverageHSPPercent"),
]
QueryLoc = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+-[0-9]+)?$",
        description="Search only this part of each query: start-stop, counted from 1, for example 10-250. "
        "Empty: all of it.",
    ),
    BeforeValidator(location_text),
    Option("queryLocation"),
]
SoftMasking = Annotated[
    bool,
    Field(
        description="Use masked regions (low complexity, lower case) only when looking for words to start from; "
        "alignments may run through them."
    ),
    Option("softMasking"),
]
LcaseMasking = Annotated[
    bool,
    Field(description="Treat lower-case letters of the query as masked."),
    Option("lowercaseMasking", Form.FLAG),
]
Dbsize = Annotated[
    int,
    Field(
        ge=0, le=_INT8_MAX, description="Calculate E-values as if the database had this many letters. 0: its real size."
    ),
    Option("dbSize"),
]
Searchsp = Annotated[
    int,
    Field(ge=0, le=_INT8_MAX, description="Calculate E-values with this effective search space. 0: the real one."),
    Option("searchSpace"),
]
XdropUngap = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop extending without gaps once the score has dropped by this many bits."),
    Option("xDropoffUngapped"),
]
WindowSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=0,
        le=2**31 - 1,
        description="Two word hits must lie this close together to start an extension. 0: one hit is enough.",
    ),
    Option("windowSize"),
]
ParseDeflines = Annotated[
    bool,
    Field(
        description="Read identifiers such as sp|P12345|NAME from the query's titles. Does not change what is found."
    ),
    Option("parseDefLines", Form.FLAG, decides=False),
]

BlastnTask = Annotated[
    Literal["megablast", "dc-megablast", "blastn", "blastn-short", "rmblastn"],
    Field(
        description="Preset. megablast: near-identical sequences, fast; dc-megablast: other species; blastn: distant "
        "relatives; blastn-short: queries under 50 letters; rmblastn: repeats."
    ),
    Option("task"),
]
BlastpTask = Annotated[
    Literal["blastp", "blastp-fast", "blastp-short"],
    Field(
        description="Preset. blastp: the usual; blastp-fast: longer words, misses some distant hits; "
        "blastp-short: queries under 30 residues."
    ),
    Option("task"),
]
BlastxTask = Annotated[
    Literal["blastx", "blastx-fast"],
    Field(description="Preset. blastx: the usual; blastx-fast: longer words, misses some distant hits."),
    Option("task"),
]
TblastnTask = Annotated[
    Literal["tblastn", "tblastn-fast"],
    Field(description="Preset. tblastn: the usual; tblastn-fast: longer words, misses some distant hits."),
    Option("task"),
]
