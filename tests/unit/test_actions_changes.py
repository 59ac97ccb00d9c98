"""Changes of hits, kept in a file: they read as a list does."""

from __future__ import annotations

import pytest

from multiblast.actions.comparison import Changes, HitChange

CHANGES = [
    HitChange(n, f"s{n}", "subject\tof one\n", "gained", None, 1e-5 / n, None, 100.1 + n) for n in range(1, 3000)
]


@pytest.fixture
def kept() -> Changes:
    changes = Changes()
    for change in CHANGES:
        changes.append(change)
    return changes


def test_changes_come_back_as_they_were(kept: Changes) -> None:
    assert len(kept) == len(CHANGES)
    assert list(kept) == CHANGES


@pytest.mark.parametrize("part", [slice(10), slice(5, 8), slice(2990, 5000), slice(0)])
def test_changes_have_slices_as_lists_have(kept: Changes, part: slice) -> None:
    assert kept[part] == CHANGES[part]


def test_changes_may_be_read_by_two_at_a_time_and_go_on(kept: Changes) -> None:
    pairs = zip(kept, kept, strict=True)
    assert all(one == other for one, other in pairs)
    kept.append(CHANGES[0])
    assert kept[-1] == CHANGES[0]
    with pytest.raises(IndexError):
        kept[len(CHANGES) + 1]
