"""Words, scores, gap costs and corrections."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import ALL, INDEPENDENT, PROTEIN_TASKS, PROTEIN_WORDS, Number
from multiblast.options.option import Option
from multiblast.options.values import composition_mode, upper

_MATRICES = "BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250"
_LONG_WORDS = {"blastp", "blastx", "tblastn"}
_PROTEIN = INDEPENDENT - {"blastn"}
_Cost = Annotated[int, Field(ge=0, le=32767)]
_protein_word = partial(
    Option,
    "word_size",
    "wordSize",
    "Length of the word that query and subject must share to be looked at. Shorter finds more, longer is faster.",
    independent_in=INDEPENDENT,
)
_matrix = partial(
    Option,
    "matrix",
    "matrix",
    "Scores of amino acid pairs. High BLOSUM and low PAM numbers suit close relatives and short queries. "
    "Each matrix allows only certain gap costs.",
)
_gap_cost = partial(
    Option,
    kind=_Cost,
    programs=ALL - {"tblastx", "rpsblast", "rpstblastn"},
    independent_in=INDEPENDENT,
    follows_matrix=True,
)
_simple_correction = partial(
    Option,
    "comp_based_stats",
    "compBasedStats",
    "Correct scores for unusual amino acid composition. 0: no (rpsblast: the simplified way of 1999); "
    "1: statistics (Schäffer 2001).",
    default="1",
    independent_in=INDEPENDENT,
)

# Of the fast tasks (blastp-fast and the like) neither is known: 6 and 21 in BLAST+ 2.12.0, 5 and 20 since 2.16.0.
OPTIONS = (
    Option(
        "word_size",
        "wordSize",
        "Length of the exact match that query and subject must share to be looked at. Shorter finds more, longer is "
        "faster.",
        Annotated[int, Field(ge=4, le=2**31 - 1)],
        programs={"blastn"},
        independent_in=INDEPENDENT,
        by_task={"megablast": 28, "dc-megablast": 11, "blastn": 11, "blastn-short": 7},
    ),
    _protein_word(
        kind=Annotated[int, Field(ge=2, le=7)],
        programs=_LONG_WORDS,
        by_task={
            "blastp": 3,
            "blastp-short": 2,
            "blastx": 3,
            "tblastn": 3,
        },
    ),
    _protein_word(
        kind=Annotated[int, Field(ge=2, le=5)],
        programs=PROTEIN_WORDS - _LONG_WORDS,
        by_task={"tblastx": 3, "psiblast": 3, "deltablast": 3},
    ),
    Option(
        "threshold",
        "threshold",
        "Lowest score of a word that counts as similar to a word of the query. Lower finds more, slower.",
        Annotated[Number, Field(gt=0)],
        programs=PROTEIN_WORDS,
        independent_in=INDEPENDENT,
        by_task={
            "blastp": 11.0,
            "blastp-short": 16.0,
            "blastx": 12.0,
            "tblastn": 13.0,
            "tblastx": 13.0,
            "psiblast": 11.0,
            "deltablast": 11.0,
        },
        follows_matrix=True,
    ),
    Option(
        "reward",
        "reward",
        "Score of a match. Only some pairs with the penalty are possible.",
        _Cost,
        programs={"blastn"},
        independent_in=INDEPENDENT,
        by_task={"megablast": 1, "dc-megablast": 2, "blastn": 2, "blastn-short": 1},
    ),
    Option(
        "penalty",
        "penalty",
        "Score of a mismatch, zero or negative. Only some pairs with the reward are possible.",
        Annotated[int, Field(ge=-32767, le=0)],
        programs={"blastn"},
        independent_in=INDEPENDENT,
        by_task={"megablast": -2, "dc-megablast": -3, "blastn": -3, "blastn-short": -3},
    ),
    _matrix(
        kind=Annotated[Literal[*_MATRICES], BeforeValidator(upper)],
        programs={"blastx", "psiblast", "deltablast"},
        independent_in=_PROTEIN,
        by_task=dict.fromkeys(PROTEIN_TASKS, "BLOSUM62"),
    ),
    _matrix(
        kind=Annotated[Literal[*_MATRICES, "IDENTITY"], BeforeValidator(upper)],
        programs={"blastp", "tblastn", "tblastx"},
        independent_in=_PROTEIN | {"tblastx"},
        by_task={**dict.fromkeys((*PROTEIN_TASKS, "tblastx"), "BLOSUM62"), "blastp-short": "PAM30"},
    ),
    _gap_cost(
        "gapopen",
        "gapOpen",
        "Cost of opening a gap.",
        by_task={
            "megablast": 0,
            "dc-megablast": 5,
            "blastn": 5,
            "blastn-short": 5,
            **dict.fromkeys(PROTEIN_TASKS, 11),
            "blastp-short": 9,
        },
    ),
    _gap_cost(
        "gapextend",
        "gapExtend",
        "Cost of each further position of a gap.",
        by_task={
            "megablast": 0,
            "dc-megablast": 2,
            "blastn": 2,
            "blastn-short": 2,
            **dict.fromkeys(PROTEIN_TASKS, 1),
        },
    ),
    Option(
        "comp_based_stats",
        "compBasedStats",
        "Correct scores for unusual amino acid composition. 0: no; 1: statistics (Schäffer 2001); "
        "2: adjusted scores where needed (Yu and Altschul 2005); 3: adjusted scores always.",
        Annotated[Literal["0", "1", "2", "3"], BeforeValidator(composition_mode(default="2", true="2"))],
        default="2",
        programs={"blastp", "blastx", "tblastn", "psiblast"},
        independent_in=INDEPENDENT,
    ),
    _simple_correction(
        kind=Annotated[Literal["0", "1"], BeforeValidator(composition_mode(default="1", true="1"))],
        programs={"deltablast"},
    ),
    # The help has `D` for 1, but what they find with it is that of 0.
    _simple_correction(
        kind=Annotated[Literal["0", "1"], BeforeValidator(composition_mode(default="0", true="1"))],
        programs={"rpsblast", "rpstblastn"},
    ),
)
