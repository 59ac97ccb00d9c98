"""How alignments are extended, linked and judged: what few people change."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import ALL, INDEPENDENT, PROTEIN_TASKS, Count, Number, Whole
from multiblast.options.option import NOWHERE, Form, Option, flag
from multiblast.options.values import integer, lower_choice, switch_text

_PROFILE_TASKS = ("rpsblast", "rpstblastn")
_dropoff = partial(Option, kind=Number, programs=ALL - {"tblastx"}, independent_in=INDEPENDENT)
_space = partial(
    Option, kind=Whole, default=0, programs=ALL, independent_in=INDEPENDENT - {"blastn"}, changes_size=True
)

OPTIONS = (
    Option(
        "template_type",
        "templateType",
        "Which positions of a word must match in discontiguous MegaBLAST; goes with template_length.",
        Annotated[Literal["coding", "optimal", "coding_and_optimal"], BeforeValidator(lower_choice)],
        programs={"blastn"},
        independent_in=INDEPENDENT,
        by_task={"dc-megablast": "coding"},
        requires=("template_length",),
    ),
    Option(
        "template_length",
        "templateLength",
        "Length of the word pattern of discontiguous MegaBLAST; goes with template_type.",
        Annotated[Literal[16, 18, 21], BeforeValidator(integer)],
        programs={"blastn"},
        independent_in=INDEPENDENT,
        by_task={"dc-megablast": 18},
        requires=("template_type",),
    ),
    Option(
        "max_intron_length",
        "maxIntronLength",
        "Largest intron, in nucleotides, across which alignments are linked. 0: link across none.",
        Count,
        default=0,
        programs={"blastx", "tblastn", "tblastx"},
        independent_in={"blastx", "tblastn"},
    ),
    Option(
        "sum_stats",
        "sumStats",
        "Judge several alignments with the same database sequence together (sum statistics).",
        Annotated[Literal["true", "false"], BeforeValidator(switch_text)],
        programs=ALL - {"blastp"},
        independent_in={"blastx", "tblastn", "tblastx"},
        until={"blastn": "2.16.0"},
    ),
    flag(
        "ungapped",
        "ungappedOnly",
        "Look for alignments without gaps only. Protein searches then need comp_based_stats 0.",
        programs={"blastn", "blastp", "blastx", "tblastn", "rpstblastn"},
        independent_in={"blastn", "blastp"},
    ),
    flag(
        "use_sw_tback",
        "useSWTraceback",
        "Calculate the final alignments exactly (Smith-Waterman). Slower.",
        programs=ALL - {"blastn", "tblastx"},
        independent_in={"blastp"},
    ),
    _dropoff(
        "xdrop_gap",
        "xDropoffPrelimGapped",
        "Stop the first extension with gaps once the score has dropped by this many bits.",
        by_task=dict.fromkeys((*PROTEIN_TASKS, *_PROFILE_TASKS), 15.0),
    ),
    _dropoff(
        "xdrop_gap_final",
        "xDropoffFinalGapped",
        "Stop the final extension with gaps once the score has dropped by this many bits.",
        by_task=dict.fromkeys((*PROTEIN_TASKS, *_PROFILE_TASKS), 25.0),
    ),
    flag(
        "no_greedy",
        "nonGreedy",
        "Extend with full dynamic programming in place of the greedy way.",
        programs={"blastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "min_raw_gapped_score",
        "minRawGappedScore",
        "Drop alignments with gaps whose raw score is lower than this.",
        Annotated[int, Field(ge=-(2**31), le=2**31 - 1)],
        programs={"blastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "off_diagonal_range",
        "offDiagonalRange",
        "How many diagonals away the second word hit may lie. 0: on the same one.",
        Count,
        default=0,
        programs={"blastn"},
        independent_in=NOWHERE,
    ),
    Option(
        "use_index",
        "useIndex",
        "Use the database's MegaBLAST index, which must have been made beforehand.",
        bool,
        default=False,
        programs={"blastn"},
        independent_in=NOWHERE,
    ),
    Option(
        "index_name",
        "indexName",
        "Name of an old-style MegaBLAST index. Empty: that of the database.",
        Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})?$")],
        default="",
        programs={"blastn"},
        independent_in=NOWHERE,
        form=Form.NAMED,
        requires=("use_index",),
    ),
    _space("dbsize", "dbSize", "Calculate E-values as if the database had this many letters. 0: its real size."),
    _space("searchsp", "searchSpace", "Calculate E-values with this effective search space. 0: the real one."),
    Option(
        "xdrop_ungap",
        "xDropoffUngapped",
        "Stop extending without gaps once the score has dropped by this many bits.",
        Number,
        programs=ALL,
        independent_in=INDEPENDENT,
        by_task=dict.fromkeys((*PROTEIN_TASKS, "tblastx", *_PROFILE_TASKS), 7.0),
    ),
    Option(
        "window_size",
        "windowSize",
        "Two word hits must lie this close together to start an extension. 0: one hit is enough.",
        Count,
        programs=ALL,
        independent_in=INDEPENDENT,
        by_task={
            "megablast": 0,
            "dc-megablast": 40,
            "blastn": 0,
            "blastn-short": 0,
            **dict.fromkeys((*PROTEIN_TASKS, "tblastx", *_PROFILE_TASKS), 40),
            "blastp-short": 15,
        },
        follows_matrix=True,
    ),
    flag(
        "parse_deflines",
        "parseDefLines",
        "Read identifiers such as sp|P12345|NAME from the query's titles. Does not change what is found.",
        programs=ALL,
        independent_in=NOWHERE,
        decides_result=False,
    ),
)
