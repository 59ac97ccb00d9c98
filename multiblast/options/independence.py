"""Whether a query gets the same result whatever other queries are searched with it.

BLAST+ searches several queries together, a batch. Mostly that only saves time. But some cutoffs are taken from
the whole batch: alignments without gaps that are judged by sum statistics are cut at a score that goes with the
average length of the queries, and where weak hits of nucleotides are wanted, the most lenient cutoff of any query
decides which are looked at. Then a query can get more or fewer hits with other *batch-mates*. A result that is kept
for a sequence, and given to everybody who searches it, must not depend on that.

A search is called independent if its results do not depend on batch-mates: if its program is, and each option that
is changed is declared to be so in that program (`Option.independent_in`), which the integration tests show. All
other searches run with ``BATCH_SIZE=1`` in the environment: one query at a time within a process, slower and safe.
"""

from __future__ import annotations

from math import inf

from multiblast.options.base import Options
from multiblast.options.declarations.shared import INDEPENDENT

_GAP_TRIGGER_BITS = 27
"""What an ungapped nucleotide alignment must score before gaps are tried."""

_WORD_SCORES = frozenset({"task", "word_size", "reward", "penalty", "ungapped"})


def independent_from(options: Options) -> float:
    """Return the effective search space from which on a query's result does not depend on batch-mates.

    It is 0 where no result does, infinite where every one may. For blastn, hits
    weaker than the trigger for gaps are wanted only in a space smaller than
    2^27 times the E-value (with a margin of 2); the long words of megablast
    score more than that in any case.
    """
    program, changed = options.program, options.deciding()
    if not all(program in options.declared[name].independent_in for name in changed):
        return inf
    if program == "tblastx":  # never has gaps, so it depends on batch-mates unless sum statistics are off
        return 0 if changed.get("sum_stats") == "false" else inf
    if program == "blastn" and not changed.keys().isdisjoint(_WORD_SCORES):
        return 2 * 2.0**_GAP_TRIGGER_BITS * float(options.value("evalue"))
    return 0 if program in INDEPENDENT else inf


def is_independent(options: Options, search_space: float = 0) -> bool:
    """Return whether results do not depend on batch-mates; if they may, a search needs ``BATCH_SIZE=1``.

    The search space is the smallest effective one of the queries, residues times residues; 0 if not known.
    """
    least = independent_from(options)
    return least < inf and search_space >= least


def needs_own_process(options: Options) -> bool:
    """Return whether a process can search one query only, since it reads or writes one profile."""
    return any(options.declared[name].needs_own_process for name in options.named())
