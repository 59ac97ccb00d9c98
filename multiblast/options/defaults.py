"""What the programs use where an option is not given and their help names no default.

Source: BLAST+ 2.12.0. The integration tests show for each that giving it
explicitly changes nothing. What is not listed here has no known default: given
explicitly, it counts as a change.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiblast.ids import Canonical

__all__ = ["MATRIX_DEPENDENT", "task_defaults"]

_BLOSUM62: dict[str, Canonical] = {"matrix": "BLOSUM62", "gapopen": 11, "gapextend": 1, "window_size": 40}
_PROTEIN_DROPOFFS: dict[str, Canonical] = {"xdrop_ungap": 7.0, "xdrop_gap": 15.0, "xdrop_gap_final": 25.0}
_PROTEIN = {**_BLOSUM62, **_PROTEIN_DROPOFFS}
_FAST: dict[str, Canonical] = {"word_size": 6, "threshold": 21.0}
_PAM30: dict[str, Canonical] = {"matrix": "PAM30", "gapopen": 9, "gapextend": 1, "window_size": 15}

_TASKS: dict[str, dict[str, Canonical]] = {
    "megablast": {"word_size": 28, "reward": 1, "penalty": -2, "gapopen": 0, "gapextend": 0, "window_size": 0},
    "dc-megablast": {
        "word_size": 11,
        "reward": 2,
        "penalty": -3,
        "gapopen": 5,
        "gapextend": 2,
        "window_size": 40,
        "template_type": "coding",
        "template_length": 18,
    },
    "blastn": {"word_size": 11, "reward": 2, "penalty": -3, "gapopen": 5, "gapextend": 2, "window_size": 0},
    "blastn-short": {"word_size": 7, "reward": 1, "penalty": -3, "gapopen": 5, "gapextend": 2, "window_size": 0},
    "rmblastn": {},
    "blastp": {**_PROTEIN, "word_size": 3, "threshold": 11.0},
    "blastp-fast": {**_PROTEIN, **_FAST},
    "blastp-short": {**_PROTEIN, **_PAM30, "word_size": 2, "threshold": 16.0},
    "blastx": {**_PROTEIN, "word_size": 3, "threshold": 12.0},
    "blastx-fast": {**_PROTEIN, **_FAST},
    "tblastn": {**_PROTEIN, "word_size": 3, "threshold": 13.0},
    "tblastn-fast": {**_PROTEIN, **_FAST},
    "tblastx": {"matrix": "BLOSUM62", "window_size": 40, "xdrop_ungap": 7.0, "word_size": 3, "threshold": 13.0},
    "psiblast": {**_PROTEIN, "word_size": 3, "threshold": 11.0},
    "deltablast": {**_PROTEIN, "word_size": 3, "threshold": 11.0},
    "rpsblast": {**_PROTEIN_DROPOFFS, "window_size": 40},
    "rpstblastn": {**_PROTEIN_DROPOFFS, "window_size": 40},
}

MATRIX_DEPENDENT = frozenset({"gapopen", "gapextend", "threshold", "window_size"})
"""Options whose default goes with the matrix: where that is changed, an explicit value stands."""


def task_defaults(task: str) -> Mapping[str, Canonical]:
    """Return what a task, or a program without tasks, uses for options its help names no default for."""
    return _TASKS[task]
