"""A set of ids, of which a million take 32 MB: as a set of Python's they take three times as much."""

from __future__ import annotations

from multiblast.ids import ID_LENGTH

_BYTES = ID_LENGTH // 2
_EMPTY = bytes(_BYTES)
_LEAST_PLACES = 1024


class IdSet:
    """Ids, each in the first free place from that which its first bytes say: they are digests, so spread evenly."""

    def __init__(self) -> None:
        self._table = bytearray(_LEAST_PLACES * _BYTES)
        self._count = 0
        self._has_empty = False  # whether the id that marks a free place is one of them

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __contains__(self, one: str) -> bool:
        """Whether an id is one of them."""
        packed = bytes.fromhex(one)
        return self._has_empty if packed == _EMPTY else self._at(self._place(packed)) == packed

    def add(self, one: str) -> bool:
        """Add an id; return whether it is new."""
        packed = bytes.fromhex(one)
        if packed == _EMPTY:
            is_new, self._has_empty = not self._has_empty, True
            self._count += is_new
            return is_new
        place = self._place(packed)
        if self._at(place) == packed:
            return False
        self._table[place : place + _BYTES] = packed
        self._count += 1
        if 2 * self._count * _BYTES > len(self._table):
            self._grow()
        return True

    def _at(self, place: int) -> bytearray:
        return self._table[place : place + _BYTES]

    def _place(self, packed: bytes) -> int:
        """Return where an id is, or else would be."""
        table, size = self._table, len(self._table)
        place = int.from_bytes(packed[:8], "big") * _BYTES % size
        while (there := table[place : place + _BYTES]) != _EMPTY and there != packed:
            place = (place + _BYTES) % size
        return place

    def _grow(self) -> None:
        """Move the ids into a table of twice as many places."""
        before, self._table = self._table, bytearray(2 * len(self._table))
        for start in range(0, len(before), _BYTES):
            if (packed := bytes(before[start : start + _BYTES])) != _EMPTY:
                place = self._place(packed)
                self._table[place : place + _BYTES] = packed
