"""Which scores and gap costs BLAST+ has statistics for: it refuses all others.

Source: BLAST+ 2.12.0's own messages; the integration tests compare each row with the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd

NO_GAPS = (32767, 32767)
"""The pair that stands for gaps being impossible."""

_OPENINGS: Mapping[str, Mapping[int, Iterable[int]]] = {
    "BLOSUM45": {3: range(10, 14), 2: range(12, 17), 1: range(16, 20)},
    "BLOSUM50": {3: range(9, 14), 2: range(12, 17), 1: range(15, 20)},
    "BLOSUM62": {2: range(6, 12), 1: range(9, 14)},
    "BLOSUM80": {2: (25, 13, 9, 8, 7, 6), 1: range(9, 12)},
    "BLOSUM90": {2: range(6, 10), 1: range(9, 12)},
    "PAM30": {3: (15, 13), 2: (14, 7, 6, 5), 1: (14, 10, 9, 8)},
    "PAM70": {3: (12,), 2: (11, 8, 7, 6), 1: range(9, 12)},
    "PAM250": {3: range(11, 16), 2: range(13, 18), 1: range(17, 22)},
    "IDENTITY": {2: (15,)},
}
GAP_COSTS: Mapping[str, frozenset[tuple[int, int]]] = {
    matrix: frozenset((opening, extension) for extension, openings in rows.items() for opening in openings) | {NO_GAPS}
    for matrix, rows in _OPENINGS.items()
}
"""Possible (opening, extension) costs of each protein matrix."""

MATRIX_GAP_COSTS: Mapping[str, tuple[int, int]] = {
    "BLOSUM45": (14, 2),
    "BLOSUM50": (13, 2),
    "BLOSUM62": (11, 1),
    "BLOSUM80": (10, 1),
    "BLOSUM90": (10, 1),
    "PAM30": (9, 1),
    "PAM70": (10, 1),
    "PAM250": (14, 2),
    "IDENTITY": (15, 2),
}
"""The gap costs that go with a matrix when none are given."""


@dataclass(frozen=True, slots=True)
class AllowedGapCosts:
    """Gap costs that go with a reward and a penalty.

    Attributes:
        pairs: Possible (opening, extension) costs.
        beyond: Costs both at least as high as these are possible too.
        linear: Whether no costs at all, 0 and 0, are possible.
    """

    pairs: frozenset[tuple[int, int]]
    beyond: tuple[int, int]
    linear: bool

    def allow(self, opening: int, extension: int) -> bool:
        """Return whether BLAST+ takes these costs."""
        if (opening, extension) == (0, 0):
            return self.linear
        return (opening, extension) in self.pairs or (opening >= self.beyond[0] and extension >= self.beyond[1])

    def times(self, factor: int) -> AllowedGapCosts:
        """Return the costs for scores that are ``factor`` times as high."""
        pairs = frozenset((opening * factor, extension * factor) for opening, extension in self.pairs)
        return AllowedGapCosts(pairs, (self.beyond[0] * factor, self.beyond[1] * factor), self.linear)


def _costs(pairs: str, beyond: tuple[int, int], *, linear: bool = True) -> AllowedGapCosts:
    split = (pair.split("/") for pair in pairs.split())
    return AllowedGapCosts(frozenset((int(opening), int(extension)) for opening, extension in split), beyond, linear)


_NUCLEOTIDE: Mapping[tuple[int, int], AllowedGapCosts] = {
    (1, -5): _costs("3/3", (3, 3)),
    (1, -4): _costs("0/2 1/2 1/1 2/1 2/2", (2, 2)),
    (2, -7): _costs("0/4 2/4 2/2 4/2 4/4", (4, 4)),
    (1, -3): _costs("0/2 1/2 1/1 2/1 2/2", (2, 2)),
    (2, -5): _costs("0/4 2/4 2/2 4/2 4/4", (4, 4)),
    (1, -2): _costs("0/2 1/2 1/1 2/1 2/2 3/1", (2, 2)),
    (2, -3): _costs("0/4 2/4 4/4 3/3 2/2 4/2 5/2 6/2 6/4", (6, 4)),
    (3, -4): _costs("4/2 5/2 6/2 4/3 5/3 6/3", (6, 3), linear=False),
    (1, -1): _costs("0/2 1/2 2/2 3/2 4/2 2/1 3/1 4/1", (4, 2), linear=False),
    (3, -2): _costs("5/5", (5, 5), linear=False),
    (4, -5): _costs("3/5 4/5 5/5 6/5 12/8", (12, 8), linear=False),
    (5, -4): _costs("8/6 10/6 25/10", (25, 10), linear=False),
}


def nucleotide_gap_costs(reward: int, penalty: int) -> AllowedGapCosts | None:
    """Return the gap costs that go with a reward and a penalty; ``None`` if BLAST+ does not know the pair."""
    factor = gcd(reward, penalty) or 1
    costs = _NUCLEOTIDE.get((reward // factor, penalty // factor))
    return costs.times(factor) if costs else None
