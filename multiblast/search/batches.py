"""Batches: which sequences are searched together."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from multiblast.ids import digest
from multiblast.search.planned_sequences import PlannedSequence, letters_of
from multiblast.search.speeds import BATCH_S, LEAST_BATCH_S, Pace

_LARGE_S = 5.0  # what is searched together takes longer in a large database only: in others it does not matter
_BEGUN_PER_S = 20  # batches that a job may begin, one after the other
_LEAST_PER_BATCH = 16  # sequences in the last batch, so that in the order of the query it fills as well as by length
MANY = 20_000  # sequences: of more, it does not matter in which batch each is, and no batch holds more in memory


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences that one BLAST+ process searches.

    Attributes:
        id: The hash of what it computes.
        positions: 1-based positions in the job's query, of distinct sequences, in order.
        known: Whether all its results were there when it was planned; it then only shows them.
        earlier: The state of the databases in which all its sequences were searched before: see
            `multiblast.grown.states.EarlierState`. Only what is new is then searched; empty for a whole search.
    """

    id: str
    job_id: str
    number: int
    of: int
    positions: Sequence[int]
    letters: int
    threads: int = 1
    known: bool = False
    earlier: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How a person reads it: ``40 sequences · batch 2 of 7``."""
        noun = "sequence" if len(self.positions) == 1 else "sequences"
        part = " in what is new" if self.earlier else ""
        return f"{len(self.positions):,} {noun}{part} · batch {self.number} of {self.of}"


def pack_batches(
    job_id: str, unknown: Sequence[PlannedSequence], *, workers: int, pace: Pace, part: float = 1.0
) -> list[Batch]:
    """Pack sequences into batches, so that all workers are busy to the end.

    Batches take 20 s each where the speed is known, and ever less towards the end (guided self-scheduling), so that
    what one worker still does when another finds nothing more is short. Fewer sequences than workers run with several
    threads each.

    The long ones, of which few fill the last batch, go first, longest first, each into the batch that has most room
    left. The others fill the batches in the order of the query, so that its beginning is done first and a report of
    it can be begun; of tens of thousands of short ones see `_consecutive`.

    In large databases, through which BLAST+ goes once for many letters, a batch has no fewer than that, whatever it
    takes; if there are not enough for all workers, batches run with several threads each.

    Of the time that the pace says, a search takes a ``part``.
    """
    if not unknown:
        return []
    letters = array("Q", (item.letters for item in unknown))
    total = max(1, sum(letters))
    seconds = pace.core_seconds(total) * part
    least_s, most_s = _limits(seconds, workers, pace, part)
    shares = islice(_shares(seconds, workers, least_s, most_s), len(unknown))
    rooms = [total * share / seconds for share in shares]
    threads = 1 if pace.one_thread else workers
    if len(unknown) > MANY and max(letters) <= min(rooms):
        return _consecutive(job_id, unknown, rooms, threads)
    filled = [places for places in _fill(letters, rooms) if places]
    return numbered(job_id, ([unknown[place] for place in places] for places in filled), len(filled), threads)


def _fill(letters: Sequence[int], rooms: Sequence[float]) -> list[array[int]]:
    """Return which sequences are in each batch: see `pack_batches`."""
    filled = [array("I") for _ in rooms]
    limit = rooms[-1] / _LEAST_PER_BATCH
    # The room that is left, negative since the heap gives the least first; which batch it is.
    bins = [(-room, number) for number, room in enumerate(rooms)]
    heapq.heapify(bins)
    long = (place for place, count in enumerate(letters) if count > limit)
    for place in sorted(long, key=letters.__getitem__, reverse=True):  # those of one length in the order of the query
        room, number = bins[0]
        filled[number].append(place)
        heapq.heapreplace(bins, (room + letters[place], number))
    left = dict(sorted((number, -room) for room, number in bins))
    number, begun = 0, 0.0  # what earlier batches have too much or too little, the next ones make up for
    for place, count in enumerate(letters):
        if count > limit:
            continue
        while number + 1 < len(filled) and begun + count / 2 > left[number]:
            begun -= max(0, left[number])
            number += 1
        filled[number].append(place)
        begun += count
    return filled


def _consecutive(
    job_id: str, unknown: Sequence[PlannedSequence], letters: Sequence[float], threads: int
) -> list[Batch]:
    """Pack many sequences, each short, as they follow each other, so that what a batch reads lies together.

    ``letters`` are those of each batch; one has no more sequences than fit into memory well.
    """
    ends = [0]
    shares = iter(letters)
    target = next(shares)
    filled = 0.0
    for index, item in enumerate(unknown, start=1):
        filled += item.letters
        if filled >= target or index - ends[-1] == MANY:
            # What one has too much, the next has too little.
            filled, target = (
                (filled - target, next(shares, letters[-1])) if filled >= target else (0.0, target - filled)
            )
            ends.append(index)
    if ends[-1] < len(unknown):
        ends.append(len(unknown))
    parts = list(pairwise(ends))
    return numbered(job_id, (unknown[start:end] for start, end in parts), len(parts), threads)


def pack_large_batches(job_id: str, unknown: Sequence[PlannedSequence], most_letters: int, workers: int) -> list[Batch]:
    """Pack sequences into as few batches as may be, for programs whose processes take long to start and use all cores.

    Sequences stay in their order; a batch has at most so many letters, or one sequence.
    """
    starts = list[int]()
    room = 0
    for place, item in enumerate(unknown):
        if not starts or item.letters > room:
            starts.append(place)
            room = most_letters
        room -= item.letters
    parts = list(pairwise([*starts, len(unknown)]))
    return numbered(job_id, (unknown[start:end] for start, end in parts), len(parts), workers)


def numbered(job_id: str, filled: Iterable[Sequence[PlannedSequence]], of: int, threads: int) -> list[Batch]:
    """Return so many batches of some sequences each; fewer batches than threads have several each."""
    threads = max(1, threads // max(1, of))
    return [
        Batch(
            id=_batch_id(items),
            job_id=job_id,
            number=number,
            of=of,
            positions=_compact(sorted(item.position for item in items)),
            letters=letters_of(items),
            threads=threads,
        )
        for number, items in enumerate(filled, start=1)
    ]


def _compact(positions: Sequence[int]) -> Sequence[int]:
    """Return positions, which are in order, as what takes little memory."""
    first, last = positions[0], positions[-1]
    return range(first, last + 1) if last - first == len(positions) - 1 else array("Q", positions)


def _batch_id(items: Sequence[PlannedSequence]) -> str:
    return digest("batch/1", sorted(item.key for item in items))


def _limits(seconds: float, workers: int, pace: Pace, part: float) -> tuple[float, float]:
    """Return how long a batch takes at least and at most, of some core seconds."""
    together_s = pace.core_seconds(pace.together) * part
    if together_s <= _LARGE_S:
        return min(max(LEAST_BATCH_S, together_s, workers / _BEGUN_PER_S), seconds / workers), BATCH_S
    count = max(1, int(seconds / together_s))
    if count > workers or pace.one_thread:  # as many for each worker
        count = max(1, count // workers) * workers
    return seconds / count, max(BATCH_S, seconds / count)


def _shares(seconds: float, workers: int, least_s: float, most_s: float) -> Iterator[float]:
    """Yield what each batch takes of some core seconds: towards the end ever less."""
    while seconds > least_s / 2:
        share = min(seconds, most_s, max(least_s, seconds / (2 * workers)))
        yield share
        seconds -= share
