"""How one state of the searched databases differs from an earlier one."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from multiblast.archive import DatabaseSize
from multiblast.grown.oids import OidSet


@dataclass(frozen=True, slots=True)
class Runs:
    """Sequences that both states have, as runs: so many from one OID on, in the same order in both.

    Three sequences of numbers of the same length, such as arrays or views of a mapped file: growth at the end is one
    run, however large the databases are.

    Attributes:
        earlier: The first OID of each run in the earlier state, ascending.
        later: Its first OID in the new state.
        lengths: How many sequences it has.
    """

    earlier: Sequence[int] = field(default_factory=lambda: array("I"))
    later: Sequence[int] = field(default_factory=lambda: array("I"))
    lengths: Sequence[int] = field(default_factory=lambda: array("I"))

    def find(self, earlier_oid: int) -> int | None:
        """Return the new OID of a sequence; None if it is in no run."""
        place = bisect_right(self.earlier, earlier_oid) - 1
        if place < 0 or earlier_oid - self.earlier[place] >= self.lengths[place]:
            return None
        return self.later[place] + earlier_oid - self.earlier[place]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the searched databases differ from an earlier state, all of them together in the order of the search.

    A state may have other databases than the earlier one: for "X and Y", where X alone is known, all of Y is added.
    OIDs are BLAST+'s, 0-based, over all volumes of all databases in order. A sequence counts as the same only if
    all that a search and its archive depend on is: residues, ids and what is masked. It counts as changed if in doubt.

    Attributes:
        size: Letters and sequences of the new state, as BLAST+ takes them for statistics.
        earlier_size: Those of the earlier one.
        added: The sequences of the new state that are new or changed.
        removed: How many sequences of the earlier state are gone or changed.
        kept: Where those are that both have.
    """

    size: DatabaseSize
    earlier_size: DatabaseSize
    added: OidSet
    removed: int
    kept: Runs

    @property
    def sequences(self) -> int:
        """How many sequences the new state has."""
        return self.size.sequences

    @property
    def earlier_sequences(self) -> int:
        """How many the earlier one has."""
        return self.earlier_size.sequences

    def new_oid(self, earlier_oid: int) -> int | None:
        """Return what a sequence of the earlier state is called in the new one; None if it is gone or changed."""
        return self.kept.find(earlier_oid)
