"""Sets of a database's sequences, by their ordinal numbers (OIDs): one bit each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_CHUNK_BYTES = 1 << 20
_BITS = 8


class OidSet:
    """Some of the sequences 0 to ``size`` - 1 of a database, over all its volumes in order.

    One bit each, the most significant of a byte first, as in the masks of BLAST+: 75 MB for 600 million sequences.
    """

    def __init__(self, size: int, bits: bytearray | None = None) -> None:
        """Take the bits as they are; without, make an empty set in memory."""
        self.size = size
        self.bits = bytearray(bytes_for(size)) if bits is None else bits
        if len(self.bits) < bytes_for(size):
            raise ValueError(f"{len(self.bits)} bytes do not hold the bits of {size} sequences")

    def __contains__(self, oid: int) -> bool:
        """Whether a sequence is in the set."""
        return bool(self.bits[oid // _BITS] >> (_BITS - 1 - oid % _BITS) & 1)

    def __iter__(self) -> Iterator[int]:
        """Yield the sequences in ascending order."""
        for start in range(0, bytes_for(self.size), _CHUNK_BYTES):
            chunk = self.bits[start : start + _CHUNK_BYTES]
            for place, byte in enumerate(chunk) if any(chunk) else ():
                if byte:
                    first = (start + place) * _BITS
                    yield from (first + bit for bit in range(_BITS) if byte >> (_BITS - 1 - bit) & 1)

    def count(self) -> int:
        """Return how many there are."""
        return sum(int.from_bytes(chunk).bit_count() for chunk in self.pieces(0, self.size))

    def add(self, oids: Iterable[int]) -> None:
        """Add sequences."""
        for oid in oids:
            if not 0 <= oid < self.size:
                raise ValueError(f"there is no sequence {oid} among {self.size}")
            self.bits[oid // _BITS] |= 1 << (_BITS - 1 - oid % _BITS)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bits of the sequences from ``start`` up to before ``end``, as if ``start`` were the first.

        Each piece but the last has a megabyte; what fills up the last byte is zero.
        """
        shift = start % _BITS
        for first in range(start, end, _CHUNK_BYTES * _BITS):
            count = min(end - first, _CHUNK_BYTES * _BITS)
            place, length = first // _BITS, bytes_for(count)
            bits = int.from_bytes(self.bits[place : place + length + 1].ljust(length + 1, b"\0"))
            bits = bits >> (_BITS - shift) & ((1 << length * _BITS) - 1)
            spare = length * _BITS - count
            yield (bits >> spare << spare).to_bytes(length)


def bytes_for(count: int) -> int:
    """Return how many bytes the bits of so many sequences take."""
    return -(-count // _BITS)
