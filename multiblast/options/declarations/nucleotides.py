"""What only nucleotide searches have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Form, MayBeUnset, Option
from multiblast.options.values import (
    integer,
    lower_choice,
)

__all__ = [
    "IndexName",
    "MinRawGappedScore",
    "NoGreedy",
    "OffDiagonalRange",
    "TemplateLength",
    "TemplateType",
    "UseIndex",
]

UseIndex = Annotated[
    bool,
    Field(description="Use the database's MegaBLAST index, which must have been made beforehand."),
    Option("useIndex"),
]
IndexName = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})?$",
        description="Name of an old-style MegaBLAST index. Empty: that of the database.",
    ),
    Option("indexName", Form.NAMED, requires=("use_index",)),
]
TemplateType = Annotated[
    Literal["coding", "optimal", "coding_and_optimal"] | None,
    MayBeUnset(),
    Field(description="Which positions of a word must match in discontiguous MegaBLAST; goes with template_length."),
    BeforeValidator(lower_choice),
    Option("templateType", requires=("template_length",)),
]
TemplateLength = Annotated[
    Literal[16, 18, 21] | None,
    MayBeUnset(),
    Field(description="Length of the word pattern of discontiguous MegaBLAST; goes with template_type."),
    BeforeValidator(integer),
    Option("templateLength", requires=("template_type",)),
]
NoGreedy = Annotated[
    bool,
    Field(description="Extend with full dynamic programming in place of the greedy way."),
    Option("nonGreedy", Form.FLAG),
]
MinRawGappedScore = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=-(2**31), le=2**31 - 1, description="Drop alignments with gaps whose raw score is lower than this."),
    Option("minRawGappedScore"),
]
OffDiagonalRange = Annotated[
    int,
    Field(ge=0, le=2**31 - 1, description="How many diagonals away the second word hit may lie. 0: on the same one."),
    Option("offDiagonalRange"),
]
