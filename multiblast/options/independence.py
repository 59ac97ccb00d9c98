"""Whether a query gets the same result whatever other queries are searched with it.

BLAST+ searches several queries together, a batch. Mostly that only saves time. But some cutoffs are taken from
the whole batch: alignments that are judged by sum statistics are cut at a score that goes with the average length of
the queries, and where weak hits of nucleotides are wanted, the most lenient cutoff of any query decides which are
looked at. Blastx cuts what it searches together into pieces of 10,002 letters, near whose ends it finds less. And
psiblast has other hits for a long query that comes after others. Then a query can get more or fewer hits with other
*batch-mates*. A result that is kept for a sequence, and given to everybody who searches it, must not depend on that.

A search is called independent if its results do not depend on batch-mates: if its program is, and each option that
is changed is declared to be so in that program (`Option.independent_in`), which the integration tests show. All
other searches run with ``BATCH_SIZE=1`` in the environment: one query at a time within a process, slower and safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from multiblast.options.base import Options
from multiblast.options.declarations.shared import INDEPENDENT

_GAP_TRIGGER_BITS = 27
"""What an ungapped nucleotide alignment must score before gaps are tried."""

_WORD_SCORES = frozenset({"task", "word_size", "reward", "penalty", "ungapped"})
_SUBJECTS_PER_EVALUE = 10
"""Where single alignments are judged together (sum statistics), the shortest that BLAST+ keeps have about as large an
E-value as the databases have subjects; with a margin for where it is less."""

_PIECE_LETTERS = 10_002
"""How much blastx searches at a time."""


@dataclass(frozen=True, slots=True)
class Independence:
    """What makes a sequence's result independent of its batch-mates; in each case infinite if nothing does.

    Attributes:
        least_space: The effective search space that it must have, in residues times residues.
        least_subjects: The subjects that the databases must have.
        most_letters: How long it may be.
    """

    least_space: float = 0
    least_subjects: float = 0
    most_letters: float = inf

    def holds(self, space: float, subjects: float = inf, letters: int = 0) -> bool:
        """Whether it does for a sequence of some letters in a space, with a number of subjects."""
        return (
            self.least_space < inf
            and space >= self.least_space
            and subjects >= self.least_subjects
            and letters <= self.most_letters
        )


_NEVER = Independence(least_space=inf)
_MOST_OF_SHORT_QUERIES = 1000.0  # the E-value of blastn-short since BLAST+ 2.16.0; 10 before


def independence_of(options: Options) -> Independence:
    """Return what makes the results of a search independent of batch-mates.

    For blastn, hits weaker than the trigger for gaps are wanted only in a space smaller than 2^27 times the
    E-value (with a margin of 2); the long words of megablast score more than that in any case.
    """
    program, changed = options.program, options.deciding()
    if not all(program in options.declared[name].independent_in for name in changed):
        return _NEVER
    evalue = float(str(options.explicit().get("evalue", _MOST_OF_SHORT_QUERIES)))
    found = Independence()
    sums = changed.get("sum_stats") != "false"
    if program == "tblastx":  # never has gaps, so it depends on batch-mates unless sum statistics are off
        return _NEVER if sums else found
    if program not in INDEPENDENT:
        return _NEVER
    if program == "blastn" and not changed.keys().isdisjoint(_WORD_SCORES):
        found = Independence(least_space=2 * 2.0**_GAP_TRIGGER_BITS * evalue)
    elif program in {"blastx", "tblastn"}:
        letters = _PIECE_LETTERS if program == "blastx" else inf
        found = Independence(least_subjects=_SUBJECTS_PER_EVALUE * evalue if sums else 0, most_letters=letters)
    by_size = found.least_space or found.least_subjects
    return _NEVER if by_size and any(options.declared[name].changes_size for name in changed) else found


def needs_own_process(options: Options) -> bool:
    """Return whether a process can search one query only, since it reads or writes one profile."""
    return any(options.declared[name].needs_own_process for name in options.named())


def needs_one_thread(options: Options) -> bool:
    """Return whether a process may have one thread only, since BLAST+ finds something else with several."""
    return any(options.declared[name].needs_one_thread for name in options.changed())
