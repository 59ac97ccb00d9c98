"""What every search has, and the presets of programs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import ALL, INDEPENDENT, Number, Percentage
from multiblast.options.option import NOWHERE, Option
from multiblast.options.values import location_text

_Most = Annotated[int, Field(ge=1, le=2**31 - 1)]

OPTIONS = (
    Option(
        "task",
        "task",
        "Preset. megablast: near-identical sequences, fast; dc-megablast: other species; blastn: distant relatives; "
        "blastn-short: queries under 50 letters; rmblastn: repeats.",
        Literal["megablast", "dc-megablast", "blastn", "blastn-short", "rmblastn"],
        default="megablast",
        programs={"blastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "task",
        "task",
        "Preset. blastp: the usual; blastp-fast: longer words, misses some distant hits; "
        "blastp-short: queries under 30 residues.",
        Literal["blastp", "blastp-fast", "blastp-short"],
        default="blastp",
        programs={"blastp"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "task",
        "task",
        "Preset. blastx: the usual; blastx-fast: longer words, misses some distant hits.",
        Literal["blastx", "blastx-fast"],
        default="blastx",
        programs={"blastx"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "task",
        "task",
        "Preset. tblastn: the usual; tblastn-fast: longer words, misses some distant hits.",
        Literal["tblastn", "tblastn-fast"],
        default="tblastn",
        programs={"tblastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "evalue",
        "eValue",
        "Keep hits up to this expectation value: how many such hits chance alone would give. Smaller is stricter.",
        Annotated[Number, Field(gt=0)],
        default=10.0,
        programs=ALL,
        independent_in=INDEPENDENT | {"tblastx"},
    ),
    Option(
        "max_target_seqs",
        "maxTargetSequences",
        "How many aligned database sequences to keep per query. It also steers the search: with a small number, the "
        "ones kept are not always the best; 5 or more is recommended.",
        _Most,
        default=500,
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    Option(
        "max_hsps",
        "maxHSPs",
        "How many alignments (HSPs) to keep for each pair of query and database sequence. Empty: all.",
        _Most,
        default=None,
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    Option(
        "qcov_hsp_perc",
        "queryCoverageHSPPercent",
        "Keep only alignments that cover at least this percentage of the query.",
        Percentage,
        default=0.0,
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    Option(
        "query_loc",
        "queryLocation",
        "Search only this part of each query: start-stop, counted from 1, for example 10-250. Empty: all of it.",
        Annotated[str, Field(pattern=r"^([0-9]+-[0-9]+)?$"), BeforeValidator(location_text)],
        default="",
        programs=ALL,
        independent_in=NOWHERE,
    ),
)
