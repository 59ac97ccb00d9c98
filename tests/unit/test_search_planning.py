"""Batches: everything in one of them, none too long, the last ones short, all workers busy."""

from array import array

import pytest

from multiblast.search.batches import Batch, pack_batches
from multiblast.search.planned_sequences import PlannedSequence

SPEED = 100.0


def pack(lengths: list[int], workers: int, speed: float | None = SPEED) -> list[Batch]:
    unknown = [
        PlannedSequence(f"key-{position}", position, letters) for position, letters in enumerate(lengths, start=1)
    ]
    return pack_batches("job", "blastp", unknown, workers=workers, letters_per_second=speed)


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
@pytest.mark.parametrize("lengths", [[1], [0], [30] * 5, [300] * 1000, list(range(1, 2000)), [50_000, *[10] * 500]])
def test_planning_puts_each_sequence_into_one_batch(lengths: list[int], workers: int) -> None:
    batches = pack(lengths, workers)
    assert sorted(position for batch in batches for position in batch.positions) == list(range(1, len(lengths) + 1))
    assert [batch.letters for batch in batches] == [
        sum(lengths[position - 1] for position in batch.positions) for batch in batches
    ]
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert {batch.of for batch in batches} == {len(batches)}


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_planning_makes_long_batches_first_and_short_ones_last(workers: int) -> None:
    batches = pack([50] * 20_000, workers)  # 10 000 core seconds
    seconds = [batch.letters / SPEED for batch in batches]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] == pytest.approx(20, abs=1)
    assert seconds[-1] <= 4
    assert len(batches) < 10_000 / 20 + 12 * workers


def test_planning_gives_a_small_job_to_all_workers_at_once() -> None:
    assert [batch.letters for batch in pack([100] * 8, 4)] == [200, 200, 200, 200]


def test_planning_gives_fewer_sequences_than_workers_several_threads() -> None:
    batches = pack([5000, 4000], 8)
    assert [(list(batch.positions), batch.threads) for batch in batches] == [([1], 4), ([2], 4)]


def test_planning_leaves_a_sequence_that_fills_a_batch_alone() -> None:
    assert pack([50_000, *[10] * 500], 2)[0].positions == range(1, 2)


def test_planning_keeps_positions_in_little_memory() -> None:
    batches = pack([50_000, *[10, 20] * 500], 2)
    assert all(isinstance(batch.positions, range | array) for batch in batches)
    assert [list(batch.positions) for batch in batches] == [sorted(batch.positions) for batch in batches]
