"""Sets of ids: each id is in them once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from multiblast.ids import digest
from multiblast.jobs import IdSet

_EMPTY = "00" * 16


def test_an_id_is_new_once_however_many_there_are() -> None:
    ids = [digest("result/1", number) for number in range(10_000)]
    found = IdSet()
    assert all(found.add(one) for one in ids)
    assert not any(found.add(one) for one in ids)
    assert all(one in found for one in ids)
    assert len(found) == len(ids)


@given(st.lists(st.sampled_from([_EMPTY, *(f"{5:016x}{number:016x}" for number in range(20))])))
def test_ids_with_the_same_beginning_are_told_apart(ids: list[str]) -> None:
    found, seen = IdSet(), set[str]()
    for one in ids:
        assert (one in found) == (one in seen)
        assert found.add(one) == (one not in seen)
        seen.add(one)
    assert len(found) == len(seen)
