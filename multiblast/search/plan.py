"""Plans: which sequences are known, and which are searched together in which batch."""

from __future__ import annotations

import heapq
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import case
from sqlmodel import col

from multiblast.database import Database, Speed, upsert, utc_now
from multiblast.ids import digest
from multiblast.results import StoredResult
from multiblast.search.engine import SearchEngine
from multiblast.search.plugins import search_plugin

_BATCH_S = 20.0  # of one process, where its speed is known: short enough to lose little, long enough to cost nothing
_LEAST_BATCH_S = 3.0  # a shorter one gains less than the start of its process costs
_BATCH_LETTERS = {"blastn": 5_000_000, "blastx": 60_000, "rpstblastn": 60_000, "tblastx": 60_000}
_BATCH_LETTERS_ELSE = 40_000  # where the speed is not known yet
_SHOWN_KNOWN_BATCHES = 10


_SMOOTHING = 0.5
_MEASURED = {name: col(getattr(Speed, name)) for name in ("letters_per_second", "bytes_per_letter")}


@dataclass(frozen=True, slots=True)
class PlannedSequence:
    """A sequence of a query: its result key, its (first) position, its letters."""

    key: str
    position: int
    letters: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences that one BLAST+ process searches.

    Attributes:
        id: The hash of what it computes.
        positions: 1-based positions in the job's query, of distinct sequences.
        known: Whether all its results were there when it was planned; it then only shows them.
    """

    id: str
    job_id: str
    number: int
    of: int
    positions: tuple[int, ...]
    letters: int
    threads: int = 1
    known: bool = False

    @property
    def label(self) -> str:
        """How a person reads it: ``40 sequences · batch 2 of 7``."""
        noun = "sequence" if len(self.positions) == 1 else "sequences"
        return f"{len(self.positions):,} {noun} · batch {self.number} of {self.of}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will do.

    Attributes:
        sequences: Positions in the query.
        distinct: Sequences of different residues among them.
        known: Distinct sequences that have a result.
        letters: Letters of the distinct sequences to search.
        core_seconds: Estimated time of one core; by the letters alone where no speed is known yet.
        seconds: Estimated wall time; 0 if nothing must run, None if no speed is known yet.
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
    warnings: tuple[str, ...] = field(default_factory=tuple)
    lost: frozenset[str] = field(default_factory=frozenset)

    @property
    def unknown(self) -> int:
        """Distinct sequences to search."""
        return self.distinct - self.known

    @property
    def to_run(self) -> tuple[Batch, ...]:
        """The batches that search; the others only show what is known."""
        return tuple(batch for batch in self.batches if not batch.known)


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
) -> Plan:
    """Find out which sequences are known, and pack the others into batches; planning changes nothing.

    Known results are looked for in the store; lost ones are searched again. A few batches of known results are in the
    plan too, to be shown. All sequences of the query are given, in order; equal ones are searched once.
    """
    count, first = 0, dict[str, PlannedSequence]()
    for count, sequence in enumerate(sequences, start=1):  # noqa: B007 - the last one is how many there are
        first.setdefault(sequence.key, sequence)
    found = engine.results.known(first)
    lost = engine.results.lost_packs(found.values())
    known = {key: row for key, row in found.items() if row.pack not in lost}
    unknown = [sequence for key, sequence in first.items() if key not in known]
    speed = Speeds(engine.database).get(search_key) if unknown else None
    per_second = speed.letters_per_second if speed else None
    workers = engine.installation.workers
    plugin = search_plugin(program)
    if plugin:
        batches = pack_large_batches(job_id, unknown, plugin.table.batch_letters, workers)
    else:
        batches = pack_batches(job_id, program, unknown, workers=workers, letters_per_second=per_second)
    letters = _letters(unknown)
    return Plan(
        job_id=job_id,
        program=program,
        sequences=count,
        distinct=len(first),
        known=len(known),
        letters=letters,
        batches=(*_known_batches(job_id, first, known), *batches),
        core_seconds=core_seconds(program, letters, per_second),
        # The one batch of a plugin uses all cores.
        seconds=estimated_seconds(letters, workers, workers if plugin else len(batches), per_second),
        result_bytes=speed.bytes_per_letter * letters if speed else None,
        warnings=(*warnings, *_lost_warnings(len(found) - len(known))),
        lost=lost,
    )


def _lost_warnings(count: int) -> Iterator[str]:
    if count:
        yield (
            f"{count:,} results are known, but not in the store, and are searched again: "
            "if another storage is meant, cancel the job and mend the storage's settings"
        )


def _known_batches(
    job_id: str, sequences: Mapping[str, PlannedSequence], known: Mapping[str, StoredResult]
) -> Iterator[Batch]:
    """Yield one batch for each of the first packs that hold known results, so that they can be shown."""
    packs: dict[str, list[PlannedSequence]] = {}
    for key, sequence in sequences.items():
        if key in known:
            packs.setdefault(known[key].pack, []).append(sequence)
    shown = list(packs.values())[:_SHOWN_KNOWN_BATCHES]
    for number, some in enumerate(shown, start=1):
        yield Batch(
            id=_batch_id(some),
            job_id=job_id,
            number=number,
            of=len(shown),
            positions=tuple(sequence.position for sequence in some),
            letters=_letters(some),
            known=True,
        )


def pack_batches(
    job_id: str, program: str, unknown: Sequence[PlannedSequence], *, workers: int, letters_per_second: float | None
) -> list[Batch]:
    """Pack sequences into batches, so that all workers are busy to the end.

    Longest first, each into the batch that has most room left. Batches take 20 s each where the
    speed is known, and ever less towards the end (guided self-scheduling), so that what one
    worker still does when another finds nothing more is short. Fewer sequences than
    workers run with several threads each.

    The speed is the measured one of a single-threaded process; None if there is none.
    """
    if not unknown:
        return []
    letters = max(1, sum(item.letters for item in unknown))
    seconds = core_seconds(program, letters, letters_per_second)
    shares = islice(_shares(seconds, workers), len(unknown))
    # The room that is left, negative since the heap gives the least first; which batch it is; what is in it.
    bins = [(-letters * share / seconds, number, list[PlannedSequence]()) for number, share in enumerate(shares)]
    heapq.heapify(bins)
    for item in sorted(unknown, key=lambda item: (-item.letters, item.position)):
        room, number, items = bins[0]
        items.append(item)
        heapq.heapreplace(bins, (room + item.letters, number, items))
    filled = sorted((items for _, _, items in bins if items), key=_letters, reverse=True)
    return _numbered(job_id, filled, workers)


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
