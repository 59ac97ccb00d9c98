"""Children as columns, so that those of a large job stay in memory while it is reported on."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from multiblast.ids import ID_LENGTH

if TYPE_CHECKING:
    from multiblast.jobs.jobs import Child

_ID_BYTES = ID_LENGTH // 2


class Ids(Sequence[str]):
    """Ids, 16 bytes each."""

    def __init__(self, data: bytearray | None = None) -> None:
        self._data = bytearray() if data is None else data

    def append(self, one: str) -> None:
        """Add an id."""
        self._data += bytes.fromhex(one)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._data) // _ID_BYTES

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Ids: ...
    def __getitem__(self, index: int | slice) -> str | Ids:
        """Return an id, or those of a slice without a step."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            return Ids(self._data[start * _ID_BYTES : stop * _ID_BYTES])
        place = range(len(self))[index] * _ID_BYTES
        return self._data[place : place + _ID_BYTES].hex()

    def __iter__(self) -> Iterator[str]:
        """Yield them in order."""
        data = self._data
        return (data[place : place + _ID_BYTES].hex() for place in range(0, len(data), _ID_BYTES))


class ChildColumns(Sequence["Child"]):
    """Children that have a result, some 70 bytes each: as objects they take ten times as much."""

    def __init__(self, children: Iterable[Child] = ()) -> None:
        self.job_ids, self.result_keys = Ids(), Ids()
        self.positions, self.letters = array("I"), array("Q")
        self._offsets, self._bytes, self._packs = array("Q"), array("Q"), array("I")
        self._pack_keys: list[str] = []
        numbers = dict[str, int]()
        for child in children:
            if child.pack is not None:
                self._add(child, numbers.setdefault(child.pack, len(numbers)))
        self._pack_keys.extend(numbers)

    def _add(self, child: Child, pack: int) -> None:
        self.job_ids.append(child.job_id)
        self.result_keys.append(child.result_key)
        self.positions.append(child.position)
        self.letters.append(child.letters)
        self._offsets.append(child.query_offset)
        self._bytes.append(child.query_bytes)
        self._packs.append(pack)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> Child: ...
    @overload
    def __getitem__(self, index: slice) -> ChildColumns: ...
    def __getitem__(self, index: int | slice) -> Child | ChildColumns:
        """Return a child, or those of a slice without a step."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            return self._between(start, stop)
        from multiblast.jobs.jobs import Child

        return Child(
            self.positions[index],
            self.job_ids[index],
            self.result_keys[index],
            self._offsets[index],
            self._bytes[index],
            self.letters[index],
            self._pack_keys[self._packs[index]],
        )

    def _between(self, start: int, stop: int) -> ChildColumns:
        part = ChildColumns()
        part.job_ids, part.result_keys = self.job_ids[start:stop], self.result_keys[start:stop]
        part.positions, part.letters = self.positions[start:stop], self.letters[start:stop]
        part._offsets, part._bytes = self._offsets[start:stop], self._bytes[start:stop]
        part._packs, part._pack_keys = self._packs[start:stop], self._pack_keys
        return part
