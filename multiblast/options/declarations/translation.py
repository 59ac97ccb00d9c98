"""Translation and strands."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator

from multiblast.options.option import Option
from multiblast.options.values import integer

_GENETIC_CODES = (
    "Number of NCBI's genetic code for translating {}: 1 standard, 2 vertebrate mitochondria, 3 yeast mitochondria, "
    "4 moulds, protozoa and Mycoplasma, 5 invertebrate mitochondria, 6 ciliates, 11 bacteria and plastids, "
    "12 alternative yeasts; the others at ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi."
)
_CODES = 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33
_genetic_code = partial(Option, kind=Annotated[Literal[*_CODES], BeforeValidator(integer)], default=1)

OPTIONS = (
    Option(
        "strand",
        "strand",
        "Which strand of the query to search with.",
        Literal["both", "plus", "minus"],
        default="both",
        programs={"blastn", "blastx", "tblastx", "rpstblastn"},
        independent_in={"blastn", "blastx"},
    ),
    _genetic_code(
        "query_gencode",
        "queryGenCode",
        _GENETIC_CODES.format("the query"),
        programs={"blastx", "tblastx", "rpstblastn"},
        independent_in={"blastx"},
    ),
    _genetic_code(
        "db_gencode",
        "dbGenCode",
        _GENETIC_CODES.format("the database"),
        programs={"tblastn", "tblastx"},
        independent_in={"tblastn"},
    ),
)
