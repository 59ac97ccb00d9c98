"""Children as columns: what was put in comes out, in less memory."""

from __future__ import annotations

import pytest

from multiblast.ids import digest
from multiblast.jobs import Child, ChildColumns


def _child(number: int, pack: str | None = "packs/a") -> Child:
    return Child(number, digest("child/1", number), digest("result/1", number), 100 * number, 99, 90 + number, pack)


CHILDREN = [_child(number, f"packs/{number % 3}") for number in range(1, 9)]


def test_children_come_back_as_they_were() -> None:
    columns = ChildColumns(CHILDREN)
    assert list(columns) == CHILDREN
    assert columns[-1] == CHILDREN[-1]
    assert list(columns.letters) == [child.letters for child in CHILDREN]


def test_children_without_a_result_are_left_out() -> None:
    columns = ChildColumns([_child(1), _child(2, None), _child(3)])
    assert list(columns.positions) == [1, 3]


@pytest.mark.parametrize("part", [slice(2, 5), slice(3, None), slice(None, 2), slice(6, 20), slice(8, 9)])
def test_slices_are_those_of_a_list(part: slice) -> None:
    assert list(ChildColumns(CHILDREN)[part]) == CHILDREN[part]


def test_the_digest_of_ids_is_that_of_their_list() -> None:
    keys = ChildColumns(CHILDREN).result_keys
    assert digest("results/1", keys) == digest("results/1", list(keys)) == digest("results/1", keys[:])


def test_indexes_beyond_the_end_are_refused() -> None:
    with pytest.raises(IndexError):
        ChildColumns(CHILDREN)[8]
