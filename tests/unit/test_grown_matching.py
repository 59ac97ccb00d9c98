"""Runs of sequences that two states of a database have in common."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.grown.matching import opened_runs, write_runs


def digest(name: int) -> bytes:
    return blake2b(b"%d" % name, digest_size=16).digest()


def matched(directory: Path, old: list[int], new: list[int], at_a_time: int = 7) -> list[tuple[int, int, int]]:
    for name, state in (("old", old), ("new", new)):
        (directory / name).write_bytes(b"".join(map(digest, state)))
    output = BytesIO()
    write_runs(directory / "old", directory / "new", output, at_a_time)
    (directory / "runs").write_bytes(output.getvalue())
    with opened_runs(directory / "runs") as runs:
        found = list(zip(runs.earlier, runs.later, runs.lengths, strict=True))
        places = [runs.find(oid) for oid in range(len(old))]
    assert [first for first, _, _ in found] == sorted(first for first, _, _ in found)
    assert [new[place] for place in places if place is not None] == [
        old[oid] for oid, place in enumerate(places) if place is not None
    ]
    return found


NAMES = st.lists(st.integers(0, 12), max_size=30)


@given(old=NAMES, new=NAMES, at_a_time=st.integers(1, 40))
def test_as_many_of_each_sequence_are_matched_as_both_have(
    tmp_path_factory: pytest.TempPathFactory, old: list[int], new: list[int], at_a_time: int
) -> None:
    """Whatever the order, and however often a sequence is there."""
    runs = matched(tmp_path_factory.getbasetemp(), old, new, at_a_time)
    assert sum(length for _, _, length in runs) == (Counter(old) & Counter(new)).total()
    taken = [later + step for _, later, length in runs for step in range(length)]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda old: [*old, 100, 101], [(0, 0, 50)]),
        (lambda old: [100, *old], [(0, 1, 50)]),
        (lambda old: old[:10] + old[11:], [(0, 0, 10), (11, 10, 39)]),
        (lambda old: [*old[:10], 100, *old[11:]], [(0, 0, 10), (11, 11, 39)]),
        (lambda old: old[25:] + old[:25], [(0, 25, 25), (25, 0, 25)]),
        (lambda _: [], []),
        (lambda old: old, [(0, 0, 50)]),
    ],
)
def test_runs_are_few_where_sequences_stay_together(
    tmp_path: Path, change: Callable[[list[int]], list[int]], expected: list[tuple[int, int, int]]
) -> None:
    old = list(range(50))
    assert matched(tmp_path, old, change(old)) == expected


def test_sequences_of_another_second_half_of_the_digest_are_changed(tmp_path: Path) -> None:
    first, second = digest(1), digest(2)
    (tmp_path / "old").write_bytes(digest(0) + first + second)
    (tmp_path / "new").write_bytes(second + first[:8] + second[8:] + digest(3))
    with (tmp_path / "runs").open("wb") as output:
        write_runs(tmp_path / "old", tmp_path / "new", output)
    with opened_runs(tmp_path / "runs") as runs:
        assert [runs.find(oid) for oid in range(3)] == [None, None, 0]


def test_many_sequences_in_another_order_are_matched(tmp_path: Path) -> None:
    old = list(range(3000))
    new = random.Random(1).sample(old, 2000)
    assert sum(length for _, _, length in matched(tmp_path, old, new, 500)) == 2000
