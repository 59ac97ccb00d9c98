"""Plans: which sequences are known, and which are searched together in which batch."""

from __future__ import annotations

import heapq
import platform
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

from sqlalchemy import case
from sqlmodel import col

from multiblast.database import Database, Speed, in_portions, upsert, utc_now
from multiblast.ids import ID_LENGTH, digest
from multiblast.results import Results
from multiblast.search.engine import SearchEngine
from multiblast.search.plugins import search_plugin

if TYPE_CHECKING:
    from multiblast.search.known_before import KnownBefore

_BATCH_S = 20.0  # of one process, where its speed is known: short enough to lose little, long enough to cost nothing
_LEAST_BATCH_S = 3.0  # a shorter one gains less than the start of its process costs
_BATCH_LETTERS = {"blastn": 5_000_000, "blastx": 60_000, "rpstblastn": 60_000, "tblastx": 60_000}
_BATCH_LETTERS_ELSE = 40_000  # where the speed is not known yet
_LEAST_PER_BATCH = 16  # sequences in the last batch, so that in the order of the query it fills as well as by length
_SHOWN_KNOWN_BATCHES = 10
_SLICE = 5000  # sequences that are looked up at a time
_MANY = 20_000  # sequences, of which it does not matter any more in which batch each is
_MOST_SEQUENCES = 20_000  # of a batch, since all of them are held in memory
_KEY = ID_LENGTH // 2  # bytes


_SMOOTHING = 0.5
_MEASURED = {name: col(getattr(Speed, name)) for name in ("letters_per_second", "bytes_per_letter")}


@dataclass(frozen=True, slots=True)
class PlannedSequence:
    """A sequence of a query: its result key, its (first) position, its letters."""

    key: str
    position: int
    letters: int


Before = Callable[[Sequence[PlannedSequence]], Iterable["KnownBefore"]]
"""Finds those of some sequences to search that are known for an earlier state of the databases."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences that one BLAST+ process searches.

    Attributes:
        id: The hash of what it computes.
        positions: 1-based positions in the job's query, of distinct sequences.
        known: Whether all its results were there when it was planned; it then only shows them.
        earlier: The state of the databases in which all its sequences were searched before: see
            `multiblast.grown.states.EarlierState`. Only what is new is then searched; empty for a whole search.
    """

    id: str
    job_id: str
    number: int
    of: int
    positions: tuple[int, ...]
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will do.

    Attributes:
        sequences: Positions in the query.
        distinct: Sequences of different residues among them.
        known: Distinct sequences that have a result.
        known_before: Distinct sequences to search whose results of an earlier state of the databases are known.
        letters: Letters of the distinct sequences to search.
        core_seconds: Estimated time of one core; by the letters alone where no speed is known yet.
        seconds: Estimated wall time; 0 if nothing must run, None if no speed is known yet.
        whole_seconds: What it would be if nothing were known of an earlier state.
        result_bytes: Estimated size of the results to come; None if unknown.
        lost: Packs that results are said to be in and that are not in the store: these are searched again.
    """

    job_id: str
    program: str
    sequences: int = 0
    distinct: int = 0
    known: int = 0
    letters: int = 0
    batches: tuple[Batch, ...] = ()
    core_seconds: float = 0.0
    seconds: float | None = None
    result_bytes: float | None = None
    known_before: int = 0
    whole_seconds: float | None = None
    warnings: tuple[str, ...] = field(default_factory=tuple)
    lost: frozenset[str] = field(default_factory=frozenset)

    @property
    def unknown(self) -> int:
        """Distinct sequences to search."""
        return self.distinct - self.known

    @property
    def before(self) -> str:
        """What is known of an earlier state of the databases, and what that saves, in words; empty for nothing."""
        if not self.known_before:
            return ""
        text = f"{self.known_before:,} known before the update"
        if not self.seconds or not self.whole_seconds:
            return f"{text}: only what is new is searched for them"
        return f"{text}: about {duration_text(self.seconds)} instead of {duration_text(self.whole_seconds)}"

    @property
    def to_run(self) -> tuple[Batch, ...]:
        """The batches that search; the others only show what is known."""
        return tuple(batch for batch in self.batches if not batch.known)


def duration_text(seconds: float) -> str:
    """Return how a person reads a duration."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{max(rest, 1)} s"


class Speeds:
    """How fast this machine searched before, per program, options and databases: by that the next search is planned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, search_key: str) -> Speed | None:
        """Return the speed of earlier searches of this kind, if there were any."""
        with self._database.read() as session:
            return session.get(Speed, _speed_key(search_key))

    def record(  # noqa: PLR0913, PLR0917 - a measurement
        self, program: str, search_key: str, letters: int, seconds: float, size_bytes: int, threads: int = 1
    ) -> None:
        """Blend the speed of one thread into the remembered one, in one statement, as batches may end at the same time.

        A short search is mostly the start of its process, whatever its letters: it says how fast a search is at least.
        """
        short = seconds < _LEAST_BATCH_S
        speed = letters / max(seconds, 1e-3) / threads
        measured = {
            "letters_per_second": max(speed, letters / core_seconds(program, letters, None)) if short else speed,
            "bytes_per_letter": size_bytes / max(letters, 1),
        }
        with self._database.write() as session:
            row = {"key": _speed_key(search_key), "updated_at": utc_now(), **measured}
            upsert(session, Speed, [row], _raised if short else _blended)


def _blended(new: Any) -> dict[str, Any]:
    blended = {name: old + _SMOOTHING * (new[name] - old) for name, old in _MEASURED.items()}
    return {**blended, "updated_at": new.updated_at}


def _raised(new: Any) -> dict[str, Any]:
    speed, old = new.letters_per_second, col(Speed.letters_per_second)
    return {**_blended(new), "letters_per_second": case((speed > old, speed), else_=old)}


def _speed_key(search_key: str) -> str:
    return digest("speed/1", [search_key, platform.node()])


def make_plan(  # noqa: PLR0913 - a search, and the job it is for
    engine: SearchEngine,
    program: str,
    search_key: str,
    sequences: Iterable[PlannedSequence],
    *,
    job_id: str = "",
    warnings: Sequence[str] = (),
    before: Before | None = None,
) -> Plan:
    """Find out which sequences are known, and pack the others into batches; planning changes nothing.

    Known results are looked for in the store; lost ones are searched again. A few batches of known results are in the
    plan too, to be shown. All sequences of the query are given, in order; equal ones are searched once. Among those to
    search, ``before`` finds the ones that are known for an earlier state of the databases.
    """
    found = _Found()
    for some in in_portions(sequences, _SLICE):
        found.add(some, engine.results)
    unknown = found.unknown
    earlier = list(before(unknown)) if before and unknown else []
    speed = _speed(Speeds(engine.database), search_key, earlier) if unknown else None
    per_second = speed.letters_per_second if speed else None
    workers = engine.installation.workers
    plugin = search_plugin(program)
    if plugin:
        batches = pack_large_batches(job_id, unknown, plugin.table.batch_letters, workers)
    else:
        pack = partial(pack_batches, job_id, program, workers=workers, letters_per_second=per_second)
        batches = _with_parts(pack, unknown, earlier, found.sequences, workers)
    letters = _letters(unknown)
    left = letters - sum(round((1 - one.share) * _letters(one.sequences)) for one in earlier)
    return Plan(
        job_id=job_id,
        program=program,
        sequences=found.sequences,
        distinct=len(found.seen),
        known=len(found.seen) - len(unknown),
        letters=letters,
        batches=(*_known_batches(job_id, found.shown), *batches),
        core_seconds=core_seconds(program, left, per_second),
        # The one batch of a plugin uses all cores.
        seconds=estimated_seconds(left, workers, workers if plugin else len(batches), per_second),
        known_before=sum(len(one.sequences) for one in earlier),
        whole_seconds=estimated_seconds(letters, workers, workers, per_second) if earlier else None,
        result_bytes=speed.bytes_per_letter * letters if speed else None,
        warnings=(*warnings, *_lost_warnings(found.lost)),
        lost=frozenset(found.lost_packs),
    )


def _with_parts(
    pack: Callable[..., list[Batch]],
    unknown: Sequence[PlannedSequence],
    earlier: Sequence[KnownBefore],
    count: int,
    workers: int,
) -> list[Batch]:
    """Return batches of sequences to search whole, then those of sequences known for an earlier state.

    Args:
        pack: Packs some sequences into batches.
        unknown: All of them.
        earlier: Those known for earlier states.
        count: How many sequences the query has.
        workers: How many batches may run at a time.
    """
    if not earlier:
        return pack(unknown)
    is_before = bytearray(count + 1)
    for one in earlier:
        for sequence in one.sequences:
            is_before[sequence.position] = 1
    batches = pack(PlannedSequences(sequence for sequence in unknown if not is_before[sequence.position]))
    for one in earlier:
        parts = pack(one.sequences, part=one.share)
        batches += [replace(batch, earlier=one.state.fingerprints) for batch in parts]
    of, threads = len(batches), max(1, workers // len(batches))
    return [replace(batch, number=number, of=of, threads=threads) for number, batch in enumerate(batches, start=1)]


def _speed(speeds: Speeds, search_key: str, earlier: Iterable[KnownBefore]) -> Speed | None:
    """Return the speed of searches of the whole; where none were made in this state, by that of an earlier one."""
    speed = speeds.get(search_key)
    for one in earlier:
        if speed is None and (then := speeds.get(one.search_key)):
            per_second = then.letters_per_second * one.letters
            speed = Speed(key="", letters_per_second=per_second, bytes_per_letter=then.bytes_per_letter)
    return speed


def _lost_warnings(count: int) -> Iterator[str]:
    if count:
        yield (
            f"{count:,} results are known, but not in the store, and are searched again: "
            "if another storage is meant, cancel the job and mend the storage's settings"
        )


class PlannedSequences(Sequence[PlannedSequence]):
    """Sequences to search, of which a million take 30 MB."""

    def __init__(self, sequences: Iterable[PlannedSequence] = ()) -> None:
        self._keys, self._positions, self._letters = bytearray(), array("Q"), array("Q")
        for sequence in sequences:
            self.append(sequence)

    def append(self, sequence: PlannedSequence) -> None:
        """Take one more."""
        self._keys += bytes.fromhex(sequence.key)
        self._positions.append(sequence.position)
        self._letters.append(sequence.letters)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> PlannedSequence: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedSequence]: ...

    def __getitem__(self, index: int | slice) -> PlannedSequence | Sequence[PlannedSequence]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        key = self._keys[index * _KEY : (index + 1) * _KEY].hex()
        return PlannedSequence(key, self._positions[index], self._letters[index])


@dataclass(slots=True)
class _Found:
    """What was found of the sequences of a query so far.

    Attributes:
        seen: The keys of distinct sequences.
        lost: How many are known, but in ``lost_packs``.
        shown: Some known sequences of each of the first packs.
    """

    sequences: int = 0
    seen: set[bytes] = field(default_factory=set)
    unknown: PlannedSequences = field(default_factory=PlannedSequences)
    lost: int = 0
    lost_packs: set[str] = field(default_factory=set)
    shown: dict[str, list[PlannedSequence]] = field(default_factory=dict)
    _packs: set[str] = field(default_factory=set)

    def add(self, sequences: Sequence[PlannedSequence], results: Results) -> None:
        """Look up the next sequences."""
        self.sequences += len(sequences)
        new: dict[str, PlannedSequence] = {}
        for sequence in sequences:
            if (short := bytes.fromhex(sequence.key)) not in self.seen:
                self.seen.add(short)
                new[sequence.key] = sequence
        packs = results.packs(new)
        others = set(packs.values()) - self._packs
        self._packs |= others
        self.lost_packs |= results.absent(others)
        for key, sequence in new.items():
            pack = packs.get(key)
            if pack is None or pack in self.lost_packs:
                self.lost += pack is not None
                self.unknown.append(sequence)
            elif pack in self.shown or len(self.shown) < _SHOWN_KNOWN_BATCHES:
                shown = self.shown.setdefault(pack, [])
                if len(shown) < _MANY:
                    shown.append(sequence)


def _known_batches(job_id: str, packs: Mapping[str, Sequence[PlannedSequence]]) -> Iterator[Batch]:
    """Yield one batch for each of the first packs that hold known results, so that they can be shown."""
    for number, some in enumerate(packs.values(), start=1):
        yield Batch(
            id=_batch_id(some),
            job_id=job_id,
            number=number,
            of=len(packs),
            positions=tuple(sequence.position for sequence in some),
            letters=_letters(some),
            known=True,
        )


def pack_batches(  # noqa: PLR0913 - what is packed, and what each batch may take
    job_id: str,
    program: str,
    unknown: Sequence[PlannedSequence],
    *,
    workers: int,
    letters_per_second: float | None,
    part: float = 1.0,
) -> list[Batch]:
    """Pack sequences into batches, so that all workers are busy to the end.

    Batches take 20 s each where the speed is known, and ever less towards the end (guided self-scheduling), so that
    what one worker still does when another finds nothing more is short. Fewer sequences than workers run with several
    threads each.

    The long ones, of which few fill the last batch, go first, longest first, each into the batch that has most room
    left. The others fill the batches in the order of the query, so that its beginning is done first and a report of
    it can be begun; of tens of thousands of short ones see `_consecutive`.

    The speed is the measured one of a single-threaded process; None if there is none. Of the time that it says, a
    search takes a ``part``.
    """
    if not unknown:
        return []
    letters = max(1, sum(item.letters for item in unknown))
    seconds = core_seconds(program, letters, letters_per_second) * part
    shares = islice(_shares(seconds, workers), len(unknown))
    rooms = [letters * share / seconds for share in shares]
    if len(unknown) > _MANY and max(item.letters for item in unknown) <= min(rooms):
        return _consecutive(job_id, unknown, rooms)
    filled = [list[PlannedSequence]() for _ in rooms]
    limit = rooms[-1] / _LEAST_PER_BATCH
    # The room that is left, negative since the heap gives the least first; which batch it is.
    bins = [(-room, number) for number, room in enumerate(rooms)]
    heapq.heapify(bins)
    long = (item for item in unknown if item.letters > limit)
    for item in sorted(long, key=lambda item: (-item.letters, item.position)):
        room, number = bins[0]
        filled[number].append(item)
        heapq.heapreplace(bins, (room + item.letters, number))
    left = dict(sorted((number, -room) for room, number in bins))
    number, begun = 0, 0.0  # what earlier batches have too much or too little, the next ones make up for
    for item in sorted((item for item in unknown if item.letters <= limit), key=attrgetter("position")):
        while number + 1 < len(filled) and begun + item.letters / 2 > left[number]:
            begun -= max(0, left[number])
            number += 1
        filled[number].append(item)
        begun += item.letters
    return _numbered(job_id, [items for items in filled if items], workers)


def _consecutive(job_id: str, unknown: Sequence[PlannedSequence], letters: Sequence[float]) -> list[Batch]:
    """Pack many sequences, each short, as they follow each other, so that what a batch reads lies together.

    ``letters`` are those of each batch; one has no more sequences than fit into memory well.
    """
    ends = [0]
    shares = iter(letters)
    target = next(shares)
    filled = 0.0
    for index, item in enumerate(unknown, start=1):
        filled += item.letters
        if filled >= target or index - ends[-1] == _MOST_SEQUENCES:
            # What one has too much, the next has too little.
            filled, target = (
                (filled - target, next(shares, letters[-1])) if filled >= target else (0.0, target - filled)
            )
            ends.append(index)
    if ends[-1] < len(unknown):
        ends.append(len(unknown))
    parts = list(pairwise(ends))
    return [
        replace(_numbered(job_id, [unknown[start:end]], 1)[0], number=number, of=len(parts), threads=1)
        for number, (start, end) in enumerate(parts, start=1)
    ]


def pack_large_batches(job_id: str, unknown: Sequence[PlannedSequence], most_letters: int, workers: int) -> list[Batch]:
    """Pack sequences into as few batches as may be, for programs whose processes take long to start and use all cores.

    Sequences stay in their order; a batch has at most so many letters, or one sequence.
    """
    filled: list[list[PlannedSequence]] = []
    room = 0
    for item in unknown:
        if item.letters > room:
            filled.append([])
            room = most_letters
        filled[-1].append(item)
        room -= item.letters
    return _numbered(job_id, filled, workers)


def _numbered(job_id: str, filled: Sequence[Sequence[PlannedSequence]], workers: int) -> list[Batch]:
    """Return batches of some sequences each; fewer batches than workers run with several threads each."""
    threads = max(1, workers // max(1, len(filled)))
    return [
        Batch(
            id=_batch_id(items),
            job_id=job_id,
            number=number,
            of=len(filled),
            positions=tuple(sorted(item.position for item in items)),
            letters=_letters(items),
            threads=threads,
        )
        for number, items in enumerate(filled, start=1)
    ]


def _batch_id(items: Sequence[PlannedSequence]) -> str:
    return digest("batch/1", sorted(item.key for item in items))


def _letters(items: Sequence[PlannedSequence]) -> int:
    return sum(item.letters for item in items)


def _shares(seconds: float, workers: int) -> Iterator[float]:
    """Yield what each batch takes of some core seconds: at most 20, and towards the end ever less."""
    least = min(_LEAST_BATCH_S, seconds / workers)
    while seconds > least / 2:
        share = min(seconds, _BATCH_S, max(least, seconds / (2 * workers)))
        yield share
        seconds -= share


def core_seconds(program: str, letters: int, letters_per_second: float | None) -> float:
    """Return how long one core searches some letters; where the speed is not known, as long as is usual."""
    if letters_per_second:
        return letters / letters_per_second
    if plugin := search_plugin(program):
        return letters / (plugin.table.batch_letters / _BATCH_S)
    return letters / (_BATCH_LETTERS.get(program, _BATCH_LETTERS_ELSE) / _BATCH_S)


def estimated_seconds(letters: int, workers: int, batches: int, letters_per_second: float | None) -> float | None:
    """Return the wall time of searching some letters, or None if the speed is not known."""
    if not letters:
        return 0.0
    if letters_per_second is None:
        return None
    return letters / letters_per_second / max(1, min(workers, batches))
