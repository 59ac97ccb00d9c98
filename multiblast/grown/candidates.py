"""How many subjects BLAST+ considers for each query: more than its preliminary list holds would be cut without a word.

Before alignments are made in full, BLAST+ keeps the best subjects of each query by a first score, a limited number,
and its limits adapt once the list is full. With fewer subjects the list may hold what it would not have held in a
search of the whole. Of the subjects on that list only the hits are in a result, so their number is estimated: a
random sample of all databases is searched with the statistics of the whole and without adjusted scores.

The sample begins small and is doubled for the queries that it leaves in doubt. Its bounds are such that a full list
is taken for one with room in less than one of a million cases.

What a sample showed is kept with the result. As databases grow, candidates among their sequences only become fewer;
so in a later state the same sample is searched only in what is new, and its hits are added to those of before.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path

from multiblast.grown.oids import OidSet
from multiblast.options import Options, parse_options

_LEAST_EXPECTED = 32
"""How many subjects of a full list must be in the first sample on average."""

_LEAST_HALVINGS = 3  # of the first sample
_SLACK = 20  # where all candidates are counted, one in so many may be lost again when it is aligned in full
_CHUNK_BYTES = 1 << 16
_STRETCH = 5
_UNADJUSTED = {"comp_based_stats": "0"}
_RISK = 1e-6
_TRIES = 2  # of a query with a sample of each size: what is known of one, and what is new of it; and another sample
_SIZES = 32  # more than there are halvings
_NO_COMPOSITION = {"blastn", "tblastx"}
# What leaves out or judges hits after the preliminary list was made.
_FILTERS = frozenset(
    {"perc_identity", "qcov_hsp_perc", "max_hsps", "max_target_seqs", "comp_based_stats", "use_sw_tback", "evalue"}
)


def preliminary_list(options: Options) -> int:
    """Return how many subjects of a query BLAST+ keeps before it makes alignments in full."""
    most = options.most_targets
    if _adjusts(options):
        return 1050 if most <= 500 else 2 * most + 50  # noqa: PLR2004 - as in BLAST+
    return min(max(2 * most, 10), most + 50)


def _adjusts(options: Options) -> bool:
    return options.program not in _NO_COMPOSITION and options.explicit().get("comp_based_stats") != "0"


def samples(options: Options, sequences: int, gone: int = 0) -> list[Sample]:
    """Return samples, the smallest first, each for the queries that those before leave in doubt.

    None is needed where databases have no more sequences than the list holds; and none is of use where only a large
    part of the databases would tell.

    Args:
        options: Of the search.
        sequences: How many the databases have.
        gone: For how many more subjects the list must have room, since they may have been candidates before.
    """
    limit = preliminary_list(options)
    halvings = int(math.log2(limit / _LEAST_EXPECTED)) if limit > _LEAST_EXPECTED else 0
    if sequences <= limit - gone or halvings < _LEAST_HALVINGS:
        return []
    return [Sample(options, sequences, size, halvings, limit - gone) for size in range(halvings, -1, -1)]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many hits a query had in a sample of so many halvings; as many as `Sample.full` may be more."""

    hits: int
    halvings: int

    @classmethod
    def of(cls, number: int) -> Counted:
        """Return what a number stands for."""
        return cls(*divmod(number, _SIZES))

    @property
    def number(self) -> int:
        """Both as one number, that is kept."""
        return self.hits * _SIZES + self.halvings


class Sample:
    """A random sample of the databases: a half of a half of them, and so on. Each one holds all smaller ones.

    The last one has all sequences: what is known of it is of use in later states.

    Attributes:
        most_hits: How many hits in it leave no doubt, but for the accepted risk, that a query's list has room.
        full: From how many on it is not worth while to ask a larger sample: as many as a full list has on average.
        halvings: How many.
        share: Which part of the databases it is on average.
    """

    def __init__(self, options: Options, sequences: int, halvings: int, first: int, limit: int) -> None:
        """Describe the sample of so many ``halvings``, where the smallest has ``first``, for a list of a length."""
        self.share, risk = 0.5**halvings, _RISK / first / _TRIES  # nothing is left to chance in the last one
        self.most_hits = _most_hits(limit, self.share, risk) if halvings else limit - limit // _SLACK
        self.full = math.ceil(limit / 2**halvings) if halvings else self.most_hits + 1
        self._options = options
        self.halvings, self._first = halvings, first
        self._sequences = sequences

    def drawn(self, seed: str, *, among: OidSet | None = None, without: Sample | None = None) -> OidSet:
        """Return which sequences are in the sample.

        Args:
            seed: It decides that. That of another state of the databases is another one, so that samples of their
                sequences are independent of each other.
            among: Only these; all by default.
            without: A smaller sample, to be left out.
        """
        generator, found = random.Random(seed), OidSet(self._sequences)  # noqa: S311 - no secret
        for start in range(0, len(found.bits), _CHUNK_BYTES):
            length = min(_CHUNK_BYTES, len(found.bits) - start)
            every = (1 << length * 8) - 1
            draws = [generator.getrandbits(length * 8) for _ in range(self._first)]
            bits = int.from_bytes(among.bits[start : start + length]) if among is not None else every
            bits = reduce(and_, draws[: self.halvings], bits)
            if without is not None:
                bits &= ~reduce(and_, draws[self.halvings : without.halvings], every)
            found.bits[start : start + length] = bits.to_bytes(length)
        spare = -self._sequences % 8
        if spare:
            found.bits[-1] &= 0xFF << spare & 0xFF
        return found

    def thinned(self, hits: int, larger: Sample, seed: str) -> int:
        """Return how many of a query's hits in a larger sample this one has: each by chance, as if it were drawn now.

        Where there are so many that the larger one may have more, all are taken to be in this one.
        """
        generator = random.Random(seed)  # noqa: S311 - no secret
        if hits >= larger.full:
            return hits
        return sum(not generator.getrandbits(self.halvings - larger.halvings) for _ in range(hits))

    def arguments(self, evalue: float) -> list[str]:
        """Return the options of the search of what it adds.

        Args:
            evalue: That of the search itself.
        """
        given = {name: value for name, value in self._options.changed().items() if name not in _FILTERS}
        if self._options.program not in _NO_COMPOSITION:
            given |= _UNADJUSTED
            evalue *= _STRETCH if self._options.explicit().get("comp_based_stats") in {"2", "3"} else 1
        # More than these need not be told apart, and are not aligned in full.
        given |= {"evalue": evalue, "max_target_seqs": self.full, "max_hsps": 1}
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
        arguments = parse_options(self._options.program, texts).arguments()
        return [*arguments, "-outfmt", "6 qseqid"]


def _most_hits(limit: int, share: float, risk: float) -> int:
    """Return the largest number of which at most so few of a full list are in a sample with less than a risk."""
    # The binomial distribution; of its terms the logarithms, since the first ones may be too small for a number.
    term = limit * math.log1p(-share)
    count, total = 0, math.exp(term)
    while total <= risk:
        count += 1
        term += math.log((limit - count + 1) / count * share / (1 - share))
        total += math.exp(term)
    return count - 1


def hits_in(output: Path) -> Counter[str]:
    """Return how many subjects each query has in the output of the search of a sample: one on each line.

    What subjects are called is not looked at: in a database without ids of its own, the first words of titles can be
    the same for many.
    """
    with output.open(encoding="ascii") as lines:
        return Counter(map(str.strip, lines))
