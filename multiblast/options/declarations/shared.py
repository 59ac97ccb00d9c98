"""Programs, tasks and types that many declarations name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

ALL = frozenset(
    {"blastn", "blastp", "blastx", "tblastn", "tblastx", "psiblast", "deltablast", "rpsblast", "rpstblastn"}
)
PROTEIN_WORDS = ALL - {"blastn", "rpsblast", "rpstblastn"}
"""Programs that start from similar words of proteins."""

INDEPENDENT = frozenset({"blastn", "blastp", "blastx", "tblastn"})
"""Programs whose results do not depend on batch-mates, if no option is changed that says otherwise."""

PROTEIN_TASKS = (
    *("blastp", "blastp-fast", "blastp-short", "blastx", "blastx-fast", "tblastn", "tblastn-fast"),
    *("psiblast", "deltablast"),
)
"""Tasks with gaps that score with a matrix."""

LONG_NUCLEOTIDE_TASKS = ("megablast", "dc-megablast", "blastn", "rmblastn")

OTHER_IN_SHORT_TASKS = {"blastn": None, "blastp": None}
"""No default by program, since versions of BLAST+ differ in ``blastn-short`` and ``blastp-short``: an E-value of 10,
and since 2.16.0 of 1000 and 20000; low complexity masked, and since then not."""

MOST_TARGETS = 500
"""How many subjects BLAST+ keeps of each query by itself."""

Whole = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Percentage = Annotated[float, Field(allow_inf_nan=False, ge=0, le=100)]
