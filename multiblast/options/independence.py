"""Which searches give a sequence the same result in any company.

BLAST+ takes some cutoffs from all the queries it searches together: alignments
without gaps that are judged by sum statistics are cut at a score that goes
with the average query length, and where weak hits of nucleotides are wanted,
the most lenient cutoff of any query decides which are looked at. A result that
is kept for a sequence must not depend on that.

A search is independent if its program and every changed option stand in the
table; the integration tests show it. What is not in the table runs with
``BATCH_SIZE=1`` in the environment: one query at a time within a process.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from multiblast.options.base import Options

__all__ = ["INDEPENDENT", "independent_from", "is_independent", "needs_own_process"]

_SEARCH = frozenset({"task", "evalue", "max_target_seqs", "max_hsps", "qcov_hsp_perc"})
_FILTERS = frozenset({"taxids", "negative_taxids", "db_soft_mask", "db_hard_mask", "soft_masking", "lcase_masking"})
_EXTENSION = frozenset({"xdrop_ungap", "xdrop_gap", "xdrop_gap_final", "window_size", "gapopen", "gapextend"})
_BEST_HITS = frozenset({"culling_limit", "best_hit_overhang", "best_hit_score_edge", "subject_besthit"})
_SHARED = _SEARCH | _FILTERS | _EXTENSION | _BEST_HITS | {"word_size"}
_PROTEIN = _SHARED | {"matrix", "threshold", "seg", "comp_based_stats", "dbsize", "searchsp"}
_SUMS = frozenset({"sum_stats", "max_intron_length"})
_ITERATIONS = frozenset({"num_iterations", "inclusion_ethresh", "pseudocount", "gap_trigger", "sum_stats"})

INDEPENDENT: Mapping[str, frozenset[str]] = {
    "blastn": _SHARED
    | {"reward", "penalty", "dust", "perc_identity", "ungapped", "no_greedy", "min_raw_gapped_score"}
    | {"strand", "template_type", "template_length"},
    "blastp": _PROTEIN | {"ungapped", "use_sw_tback"},
    "blastx": _PROTEIN | _SUMS | {"strand", "query_gencode"},
    "tblastn": _PROTEIN | _SUMS | {"db_gencode"},
    "tblastx": frozenset({"evalue", "matrix", "seg", "sum_stats"}),
    "psiblast": _PROTEIN | _ITERATIONS | {"use_sw_tback"},
}
"""For each program, the options that may be changed without ending its independence."""

_GAP_TRIGGER_BITS = 27
"""What an ungapped nucleotide alignment must score before gaps are tried."""

_WORD_SCORES = frozenset({"task", "word_size", "reward", "penalty", "ungapped"})
_ONE_FILE = ("in_pssm", "out_pssm", "out_ascii_pssm")


def independent_from(options: Options) -> float:
    """Return the effective search space from which on a query's result is the same in any company.

    It is 0 where every query's is, infinite where none's is. For blastn, hits
    weaker than the trigger for gaps are wanted only in a space smaller than
    2^27 times the E-value (with a margin of 2); the long words of megablast
    score more than that in any case.
    """
    changed = options.deciding()
    if not changed.keys() <= INDEPENDENT.get(options.program, frozenset()):
        return inf
    if options.program == "tblastx":
        return 0 if changed.get("sum_stats") == "false" else inf
    if options.program == "blastn" and not changed.keys().isdisjoint(_WORD_SCORES):
        return 2 * 2.0**_GAP_TRIGGER_BITS * float(options.model_dump()["evalue"])
    return 0 if options.program in INDEPENDENT else inf


def is_independent(options: Options, search_space: float = 0) -> bool:
    """Tell whether queries get the same result in any company; if not, they need ``BATCH_SIZE=1``.

    Args:
        options: The options of the search.
        search_space: The smallest effective search space of the queries, residues times residues; 0 if not known.
    """
    least = independent_from(options)
    return least < inf and search_space >= least


def needs_own_process(options: Options) -> bool:
    """Tell whether only one query can be searched by a process, since it reads or writes one profile."""
    return any(getattr(options, name, False) for name in _ONE_FILE)
