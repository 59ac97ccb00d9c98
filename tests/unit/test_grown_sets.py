"""Sets of sequences as bits, and where sequences of an earlier state are in the new one."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.grown import OidSet, Runs

SIZE = 300


@given(
    oids=st.sets(st.integers(0, SIZE - 1)),
    span=st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted),
    part=st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted),
)
def test_set_is_as_one_of_numbers(oids: set[int], span: list[int], part: list[int]) -> None:
    found = OidSet(SIZE)
    found.add(oids)
    found.add(range(*span))
    expected = oids | set(range(*span))
    assert list(found) == sorted(expected)
    assert found.count() == len(expected)
    assert all((oid in found) == (oid in expected) for oid in range(SIZE))
    first, last = part
    bits = "".join(f"{byte:08b}" for piece in found.pieces(first, last) for byte in piece)
    assert [first + place for place, bit in enumerate(bits) if bit == "1"] == [
        oid for oid in sorted(expected) if first <= oid < last
    ]


def test_set_refuses_what_is_not_in_the_database() -> None:
    with pytest.raises(ValueError, match="no sequence 300 among 300"):
        OidSet(SIZE).add([SIZE])


def test_runs_find_what_both_states_have() -> None:
    runs = Runs(earlier=array("I", [0, 5, 9]), later=array("I", [100, 0, 5]), lengths=array("I", [4, 4, 1]))
    assert [runs.find(oid) for oid in range(11)] == [100, 101, 102, 103, None, 0, 1, 2, 3, 5, None]
    assert Runs().find(0) is None
