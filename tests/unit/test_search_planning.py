"""Batches: everything in one of them, none too long, the last ones short, all workers busy."""

from array import array

import pytest

from multiblast.options import parse_options
from multiblast.search.batches import Batch, pack_batches
from multiblast.search.planned_sequences import PlannedSequence
from multiblast.search.speeds import Pace, usual_pace

SPEED = 100.0


def pack(lengths: list[int], workers: int, speed: float = SPEED, together: int = 0) -> list[Batch]:
    unknown = [
        PlannedSequence(f"key-{position}", position, letters) for position, letters in enumerate(lengths, start=1)
    ]
    return pack_batches("job", unknown, workers=workers, pace=Pace(speed, together))


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
    assert [batch.letters for batch in pack([50] * 8, 4)] == [100, 100, 100, 100]


def test_planning_gives_fewer_sequences_than_workers_several_threads() -> None:
    batches = pack([5000, 4000], 8)
    assert [(list(batch.positions), batch.threads) for batch in batches] == [([1], 4), ([2], 4)]


@pytest.mark.parametrize(
    ("count", "workers", "batches", "threads"),
    [
        (5, 2, 1, 2),  # fewer than should be searched together: one process with all cores
        (25, 8, 2, 4),
        (45, 2, 4, 1),  # as many for each worker
        (95, 4, 8, 1),
        (1000, 2, 100, 1),
    ],
)
def test_planning_keeps_together_what_goes_through_a_large_database(
    count: int, workers: int, batches: int, threads: int
) -> None:
    packed = pack([100] * count, workers, speed=10.0, together=1000)
    assert len(packed) == batches
    assert {batch.threads for batch in packed} == {threads}
    assert min(batch.letters for batch in packed) >= min(1000, 100 * count)


def test_planning_divides_what_a_small_database_answers_at_once() -> None:
    assert [batch.letters for batch in pack([100] * 4, 2, speed=1000.0, together=1000)] == [200, 200]


def test_planning_gives_processes_of_one_thread_to_all_workers() -> None:
    unknown = [PlannedSequence(f"key-{position}", position, 100) for position in range(1, 5)]
    batches = pack_batches("job", unknown, workers=2, pace=Pace(10.0, 1000, one_thread=True))
    assert [(batch.letters, batch.threads) for batch in batches] == [(200, 1), (200, 1)]


@pytest.mark.parametrize(("letters", "alike"), [(0, 100), (100, 190), (1000, 1000), (5000, 5000)])
def test_pace_counts_the_way_through_the_databases(letters: int, alike: float) -> None:
    pace = Pace(10.0, 1000, is_known=True)
    assert pace.as_together(letters) == alike
    assert pace.core_seconds(letters) == alike / 10
    assert pace.estimated_seconds(letters, 2) == (alike / 20 if letters else 0)


def test_pace_is_slower_in_larger_databases() -> None:
    options = parse_options("blastn", {})
    small, large = usual_pace(options, 30_000_000), usual_pace(options, 10_000_000_000)
    assert small == usual_pace(options)
    assert large.letters_per_second == small.letters_per_second / 10
    assert not large.is_known


@pytest.mark.parametrize("program", ["psiblast", "tblastx", "rpsblast"])
def test_pace_of_one_way_for_each_sequence_has_nothing_to_keep_together(program: str) -> None:
    assert usual_pace(parse_options(program, {})).together == 0


def test_planning_leaves_a_sequence_that_fills_a_batch_alone() -> None:
    assert pack([50_000, *[10] * 500], 2)[0].positions == range(1, 2)


def test_planning_keeps_positions_in_little_memory() -> None:
    batches = pack([50_000, *[10, 20] * 500], 2)
    assert all(isinstance(batch.positions, range | array) for batch in batches)
    assert [list(batch.positions) for batch in batches] == [sorted(batch.positions) for batch in batches]
