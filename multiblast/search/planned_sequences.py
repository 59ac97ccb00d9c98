"""The sequences that a search is planned for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from multiblast.jobs import Ids


class PlannedSequence(NamedTuple):
    """A sequence of a query: its result key, its (first) position, its letters."""

    key: str
    position: int
    letters: int


class PlannedSequences(Sequence[PlannedSequence]):
    """Sequences to search, of which a million take 30 MB."""

    def __init__(self, sequences: Iterable[PlannedSequence] = ()) -> None:
        self._keys, self._positions, self._letters = Ids(), array("Q"), array("Q")
        for sequence in sequences:
            self.append(sequence)

    def append(self, sequence: PlannedSequence) -> None:
        """Take one more."""
        self._keys.append(sequence.key)
        self._positions.append(sequence.position)
        self._letters.append(sequence.letters)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> PlannedSequence: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedSequence]: ...

    def __getitem__(self, index: int | slice) -> PlannedSequence | Sequence[PlannedSequence]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return PlannedSequence(self._keys[index], self._positions[index], self._letters[index])

    def __iter__(self) -> Iterator[PlannedSequence]:
        return map(PlannedSequence, self._keys, self._positions, self._letters)


def letters_of(sequences: Iterable[PlannedSequence]) -> int:
    """Return how many letters sequences have together."""
    return sum(sequence.letters for sequence in sequences)
