"""Which searches give a sequence the same result in any company.

BLAST+ takes some cutoffs from the average length of the queries it searches
together, where alignments without gaps are judged by sum statistics. A result
that is kept for a sequence must not depend on that.

A search is independent if its program and every changed option stand in the
table; the integration tests show it for each. What is not in the table runs
with ``BATCH_SIZE=1`` in the environment: one query at a time within a process.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiblast.options.base import Options

__all__ = ["INDEPENDENT", "is_independent", "needs_own_process"]

_SEARCH = frozenset({"evalue", "max_target_seqs", "max_hsps", "qcov_hsp_perc", "query_loc", "dbsize", "searchsp"})
_EXTENSION = frozenset({"xdrop_ungap", "xdrop_gap", "xdrop_gap_final", "window_size", "gapopen", "gapextend"})
_BEST_HITS = frozenset({"culling_limit", "best_hit_overhang", "best_hit_score_edge", "subject_besthit"})
_SHARED = _SEARCH | _EXTENSION | _BEST_HITS | {"task", "word_size", "soft_masking", "lcase_masking"}
_PROTEIN = _SHARED | {"matrix", "threshold", "seg", "comp_based_stats", "use_sw_tback"}
_SUMS = frozenset({"sum_stats", "max_intron_length"})
_PROFILE = frozenset({"num_iterations", "inclusion_ethresh", "pseudocount", "gap_trigger", "sum_stats"})

INDEPENDENT: Mapping[str, frozenset[str]] = {
    "blastn": _SHARED
    | {"reward", "penalty", "dust", "perc_identity", "ungapped", "sum_stats", "no_greedy", "min_raw_gapped_score"}
    | {"off_diagonal_range", "strand"},
    "blastp": _PROTEIN | {"ungapped"},
    "blastx": _PROTEIN | _SUMS | {"strand", "query_gencode"},
    "tblastn": _PROTEIN | _SUMS | {"db_gencode"},
    "psiblast": _PROTEIN | _PROFILE,
}
"""For each program that is independent at all, the options that may be changed without ending that."""

_ONE_FILE = ("in_pssm", "out_pssm", "out_ascii_pssm")


def is_independent(options: Options) -> bool:
    """Tell whether a sequence gets the same result in any company; if not, it needs ``BATCH_SIZE=1``."""
    return options.program in INDEPENDENT and options.deciding().keys() <= INDEPENDENT[options.program]


def needs_own_process(options: Options) -> bool:
    """Tell whether only one query can be searched by a process, since it reads or writes one profile."""
    return any(getattr(options, name, False) for name in _ONE_FILE)
