"""Words, gaps and scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Form, MayBeUnset, Option
from multiblast.options.values import (
    composition_mode,
    switch_text,
    upper,
)

__all__ = [
    "CompBasedStats",
    "GapTrigger",
    "Gapextend",
    "Gapopen",
    "Matrix",
    "MatrixOrIdentity",
    "MaxIntronLength",
    "NucleotideWordSize",
    "Penalty",
    "ProfileCompBasedStats",
    "Reward",
    "ShortWordSize",
    "SumStats",
    "Threshold",
    "Ungapped",
    "UseSwTback",
    "WordSize",
    "XdropGap",
    "XdropGapFinal",
]

_Finite = Field(allow_inf_nan=False)

WordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=2,
        le=7,
        description="Length of the word that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
ShortWordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=2,
        le=5,
        description="Length of the word that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
NucleotideWordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=4,
        le=2**31 - 1,
        description="Length of the exact match that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
Gapopen = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Cost of opening a gap."),
    Option("gapOpen"),
]
Gapextend = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Cost of each further position of a gap."),
    Option("gapExtend"),
]
Penalty = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=-32767,
        le=0,
        description="Score of a mismatch, zero or negative. Only some pairs with the reward are possible.",
    ),
    Option("penalty"),
]
Reward = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Score of a match. Only some pairs with the penalty are possible."),
    Option("reward"),
]
Matrix = Annotated[
    Literal["BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250"] | None,
    MayBeUnset(),
    Field(
        description="Scores of amino acid pairs. High BLOSUM and low PAM numbers suit close relatives and short "
        "queries. Each matrix allows only certain gap costs."
    ),
    BeforeValidator(upper),
    Option("matrix"),
]
MatrixOrIdentity = Annotated[
    Literal["BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250", "IDENTITY"] | None,
    MayBeUnset(),
    Field(
        description="Scores of amino acid pairs. High BLOSUM and low PAM numbers suit close relatives and short "
        "queries. Each matrix allows only certain gap costs."
    ),
    BeforeValidator(upper),
    Option("matrix"),
]
Threshold = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(
        gt=0,
        description="Lowest score of a word that counts as similar to a word of the query. Lower finds more, slower.",
    ),
    Option("threshold"),
]
CompBasedStats = Annotated[
    Literal["0", "1", "2", "3"],
    Field(
        description="Correct scores for unusual amino acid composition. 0: no; 1: statistics (Schäffer 2001); "
        "2: adjusted scores where needed (Yu and Altschul 2005); 3: adjusted scores always."
    ),
    BeforeValidator(composition_mode(default="2", true="2")),
    Option("compBasedStats"),
]
ProfileCompBasedStats = Annotated[
    Literal["0", "1"],
    Field(
        description="Correct scores for unusual amino acid composition. 0: no (rpsblast: the simplified way of 1999); "
        "1: statistics (Schäffer 2001)."
    ),
    BeforeValidator(composition_mode(default="1", true="1")),
    Option("compBasedStats"),
]
Ungapped = Annotated[
    bool,
    Field(description="Look for alignments without gaps only. Protein searches then need comp_based_stats 0."),
    Option("ungappedOnly", Form.FLAG),
]
UseSwTback = Annotated[
    bool,
    Field(description="Calculate the final alignments exactly (Smith-Waterman). Slower."),
    Option("useSWTraceback", Form.FLAG),
]
SumStats = Annotated[
    Literal["true", "false"] | None,
    MayBeUnset(),
    Field(description="Judge several alignments with the same database sequence together (sum statistics)."),
    BeforeValidator(switch_text),
    Option("sumStats"),
]
MaxIntronLength = Annotated[
    int,
    Field(
        ge=0,
        le=2**31 - 1,
        description="Largest intron, in nucleotides, across which alignments are linked. 0: link across none.",
    ),
    Option("maxIntronLength"),
]
XdropGap = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop the first extension with gaps once the score has dropped by this many bits."),
    Option("xDropoffPrelimGapped"),
]
XdropGapFinal = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop the final extension with gaps once the score has dropped by this many bits."),
    Option("xDropoffFinalGapped"),
]
GapTrigger = Annotated[
    float,
    _Finite,
    Field(description="Bits that an ungapped alignment must score before gaps are tried."),
    Option("gapTrigger"),
]
