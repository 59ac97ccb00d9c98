"""The limits of a search: how good hits must be and how many are kept, which part is searched; and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import (
    ALL,
    INDEPENDENT,
    LONG_NUCLEOTIDE_TASKS,
    MOST_TARGETS,
    OTHER_IN_SHORT_TASKS,
    Number,
    Percentage,
)
from multiblast.options.option import NOWHERE, Option
from multiblast.options.values import location_text

_Most = Annotated[int, Field(ge=1, le=2**31 - 1)]
_USUAL = "the usual"
_FAST = "longer words, misses some distant hits"


def _task(program: str, meanings: Mapping[str, str]) -> Option:
    """Declare the presets of a program, the default one first."""
    tasks = tuple(meanings)
    text = f"Preset. {'; '.join(f'{task}: {meaning}' for task, meaning in meanings.items())}."
    kind: Any = Literal[*tasks]
    return Option("task", "task", text, kind, default=tasks[0], programs={program}, independent_in=INDEPENDENT)


OPTIONS = (
    _task(
        "blastn",
        {
            "megablast": "near-identical sequences, fast",
            "dc-megablast": "other species",
            "blastn": "distant relatives",
            "blastn-short": "queries under 50 letters",
            "rmblastn": "repeats",
        },
    ),
    _task("blastp", {"blastp": _USUAL, "blastp-fast": _FAST, "blastp-short": "queries under 30 residues"}),
    _task("blastx", {"blastx": _USUAL, "blastx-fast": _FAST}),
    _task("tblastn", {"tblastn": _USUAL, "tblastn-fast": _FAST}),
    Option(
        "evalue",
        "eValue",
        "Keep hits up to this expectation value: how many such hits chance alone would give. Smaller is stricter.",
        Annotated[Number, Field(gt=0)],
        default=10.0,
        by_program=OTHER_IN_SHORT_TASKS,
        by_task=dict.fromkeys((*LONG_NUCLEOTIDE_TASKS, "blastp", "blastp-fast"), 10.0),
        programs=ALL,
        independent_in=INDEPENDENT | {"tblastx"},
    ),
    Option(
        "max_target_seqs",
        "maxTargetSequences",
        "How many aligned database sequences to keep per query. It also steers the search: with a small number, the "
        "ones kept are not always the best; 5 or more is recommended.",
        _Most,
        default=MOST_TARGETS,
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    Option(
        "max_hsps",
        "maxHSPs",
        "How many alignments (HSPs) to keep for each pair of query and database sequence. Empty: all.",
        _Most,
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
