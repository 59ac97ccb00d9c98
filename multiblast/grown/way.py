"""For which searches a part of a database is enough: the table of what was tested.

A query whose result of an earlier state is known needs to be searched only in what is new or changed, and in its known
hits, if the checks of `multiblast.grown.partial` hold. That was compared for the programs and options below by
``tests/exactness/grown_databases.py``; anything else is searched whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from multiblast.options import Options

_LIMITS = {"evalue", "max_target_seqs", "max_hsps", "qcov_hsp_perc"}
_MASKS = {"seg", "soft_masking", "lcase_masking"}
_GAPS = {"gapopen", "gapextend", "xdrop_gap", "xdrop_gap_final"}
_PROTEIN = {
    *(_LIMITS | _MASKS | _GAPS),
    *("matrix", "word_size", "threshold", "window_size", "xdrop_ungap", "comp_based_stats"),
}

TABLE: dict[str, frozenset[str]] = {
    "blastp": frozenset(_PROTEIN | {"task", "use_sw_tback"}),
    "psiblast": frozenset(_PROTEIN),
    "blastx": frozenset(_PROTEIN | {"task", "query_gencode", "strand", "sum_stats", "max_intron_length"}),
    "tblastn": frozenset(_PROTEIN | {"task", "db_gencode", "sum_stats", "max_intron_length"}),
    "tblastx": frozenset(
        {*(_LIMITS | _MASKS), "matrix", "threshold", "xdrop_ungap", "query_gencode", "db_gencode", "strand"}
    ),
    "blastn": frozenset(
        {
            *(_LIMITS | {"dust", "soft_masking", "lcase_masking", "perc_identity", "strand"}),
            *("task", "word_size", "reward", "penalty", "gapopen", "gapextend", "xdrop_gap", "no_greedy"),
        }
    ),
}
"""The options that may be changed, by program."""

_OTHER_TASKS = {"rmblastn"}  # its scores are a matrix, without statistics


@dataclass(frozen=True, slots=True)
class Way:
    """How the new state is searched for queries whose results of an earlier state are known.

    Attributes:
        row: The row of the table, by which it is switched off.
        linked: Whether several alignments with a subject are judged together (sum statistics).
    """

    row: str
    linked: bool


def way_for(options: Options) -> Way | None:
    """Return how a search can be made of a part of its databases; None if they must be searched whole."""
    allowed = TABLE.get(options.program)
    if allowed is None or not options.deciding().keys() <= allowed or options.chosen_task in _OTHER_TASKS:
        return None
    linked = options.program in {"blastx", "tblastn", "tblastx"} and options.value("sum_stats") != "false"
    return Way(options.program, linked)
