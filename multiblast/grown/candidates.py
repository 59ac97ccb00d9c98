"""How many subjects BLAST+ considers for each query: more than its preliminary list holds would be cut without a word.

Before alignments are made in full, BLAST+ keeps the best subjects of each query by a first score, a limited number,
and its limits adapt once the list is full. With fewer subjects the list may hold what it would not have held in a
search of the whole. Of the subjects on that list only the hits are in a result, so their number is estimated: a
random sample of all databases is searched with the statistics of the whole and without adjusted scores.

The sample is as large as it must be for a full list to be taken for one with room in one of a million cases.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

from multiblast.grown.oids import OidSet
from multiblast.options import Options, parse_options

_LEAST_EXPECTED = 32
"""How many subjects of a full list must be in the sample on average."""

_LEAST_HALVINGS, _LARGER = 3, 2
_CHUNK_BYTES = 1 << 16
_SEED = 20  # any; the same sample each time
_STRETCH = 5
_UNADJUSTED = {"comp_based_stats": "0"}
_RISK = 1e-6
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


def samples(options: Options, sequences: int) -> list[Sample]:
    """Return a small sample, and a larger one for the queries that the small one leaves in doubt.

    None is needed where databases have no more sequences than the list holds; and none is of use where only a large
    part of the databases would tell.
    """
    limit = preliminary_list(options)
    halvings = int(math.log2(limit / _LEAST_EXPECTED)) if limit > _LEAST_EXPECTED else 0
    if sequences <= limit or halvings < _LEAST_HALVINGS:
        return []
    return [Sample(options, sequences, number) for number in (halvings, halvings - _LARGER) if number]


class Sample:
    """A random sample of the databases, halved some times, and how many hits in it a query may have."""

    def __init__(self, options: Options, sequences: int, halvings: int) -> None:
        self.limit = preliminary_list(options)
        self._options = options
        self._halvings = halvings
        self._sequences = sequences

    @property
    def most_hits(self) -> int:
        """How many hits in the sample leave no doubt, but for the accepted risk, that the list has room."""
        mean = self.limit / 2**self._halvings
        term = total = math.exp(-mean)
        count = 0
        while total <= _RISK:
            count += 1
            term *= mean / count
            total += term
        return count - 1

    def subjects(self) -> OidSet:
        """Return the sample, each sequence with the same chance."""
        generator, found = random.Random(_SEED + self._halvings), OidSet(self._sequences)  # noqa: S311 - no secret
        for start in range(0, len(found.bits), _CHUNK_BYTES):
            length = min(_CHUNK_BYTES, len(found.bits) - start)
            bits = (1 << length * 8) - 1
            for _ in range(self._halvings):
                bits &= generator.getrandbits(length * 8)
            found.bits[start : start + length] = bits.to_bytes(length)
        spare = -self._sequences % 8
        if spare:
            found.bits[-1] &= 0xFF << spare & 0xFF
        return found

    def arguments(self, evalue: float) -> list[str]:
        """Return the options of the search of the sample.

        Args:
            evalue: That of the search itself.
        """
        given = {name: value for name, value in self._options.changed().items() if name not in _FILTERS}
        if self._options.program not in _NO_COMPOSITION:
            given |= _UNADJUSTED
            evalue *= _STRETCH if self._options.explicit().get("comp_based_stats") in {"2", "3"} else 1
        # More than these need not be told apart, and are not aligned in full.
        given |= {"evalue": evalue, "max_target_seqs": self.most_hits + 1, "max_hsps": 1}
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
        arguments = parse_options(self._options.program, texts).arguments()
        return [*arguments, "-outfmt", "6 qseqid sseqid"]


def hits_in(output: Path) -> Counter[str]:
    """Return how many subjects each query has in the output of the search of a sample."""
    found = Counter[str]()
    with output.open(encoding="utf-8", errors="replace") as lines:
        last = ""
        for line in lines:
            if line != last:
                found[line.partition("\t")[0]] += 1
            last = line
    return found
