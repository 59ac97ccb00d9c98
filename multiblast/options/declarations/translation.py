"""Translation and strands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Option
from multiblast.options.values import (
    integer,
)

__all__ = [
    "DbGencode",
    "GeneticCode",
    "QueryGencode",
    "Strand",
]

Strand = Annotated[
    Literal["both", "plus", "minus"],
    Field(description="Which strand of the query to search with."),
    Option("strand"),
]
_GENETIC_CODES = (
    "Number of NCBI's genetic code for translating {}: 1 standard, 2 vertebrate mitochondria, 3 yeast mitochondria, "
    "4 moulds, protozoa and Mycoplasma, 5 invertebrate mitochondria, 6 ciliates, 11 bacteria and plastids, "
    "12 alternative yeasts; the others at ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi."
)
GeneticCode = Literal[
    1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33
]  # fmt: skip
QueryGencode = Annotated[
    GeneticCode,
    Field(description=_GENETIC_CODES.format("the query")),
    BeforeValidator(integer),
    Option("queryGenCode"),
]
DbGencode = Annotated[
    GeneticCode,
    Field(description=_GENETIC_CODES.format("the database")),
    BeforeValidator(integer),
    Option("dbGenCode"),
]
