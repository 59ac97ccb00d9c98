"""Plans: which sequences are known, and which are searched together in which batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from multiblast.database import Speed, in_portions
from multiblast.jobs import IdSet
from multiblast.options import Options
from multiblast.results import Results
from multiblast.search.batches import MANY, Batch, numbered, pack_batches, pack_large_batches
from multiblast.search.engine import SearchEngine
from multiblast.search.planned_sequences import PlannedSequence, PlannedSequences, letters_of
from multiblast.search.plugins import search_plugin
from multiblast.search.speeds import Speeds, usual_pace

if TYPE_CHECKING:
    from multiblast.search.known_before import KnownBefore

_SHOWN_KNOWN_BATCHES = 10
_SLICE = 5000  # sequences that are looked up at a time

Before = Callable[[Sequence[PlannedSequence]], Iterable["KnownBefore"]]
"""Finds those of some sequences to search that are known for an earlier state of the databases."""


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


def make_plan(  # noqa: PLR0913 - a search, and the job it is for
    engine: SearchEngine,
    options: Options,
    search_key: str,
    sequences: Iterable[PlannedSequence],
    *,
    subject_letters: Callable[[], int],
    job_id: str = "",
    warnings: Sequence[str] = (),
    before: Before | None = None,
) -> Plan:
    """Find out which sequences are known, and pack the others into batches; planning changes nothing.

    Known results are looked for in the store; lost ones are searched again. A few batches of known results are in the
    plan too, to be shown. All sequences of the query are given, in order; equal ones are searched once. Among those to
    search, ``before`` finds the ones that are known for an earlier state of the databases. ``subject_letters`` says how
    large these are, 0 if that is not known.
    """
    found = _Found()
    for some in in_portions(sequences, _SLICE):
        found.add(some, engine.results)
    unknown = found.unknown
    earlier = list(before(unknown)) if before and unknown else []
    speed = _speed(Speeds(engine.database), search_key, earlier) if unknown else None
    pace = usual_pace(options, subject_letters() if unknown else 0)
    if speed:
        pace = replace(pace, letters_per_second=speed.letters_per_second, is_known=True)
    workers = engine.installation.workers
    plugin = search_plugin(options.program)
    if plugin:
        batches = pack_large_batches(job_id, unknown, plugin.table.batch_letters, workers)
    else:
        pack = partial(pack_batches, job_id, workers=workers, pace=pace)
        batches = _with_parts(pack, unknown, earlier, found.sequences, 1 if pace.one_thread else workers)
    letters = letters_of(unknown)
    left = letters - sum(round((1 - one.share) * letters_of(one.sequences)) for one in earlier)
    shown = [replace(batch, known=True) for batch in numbered(job_id, found.shown.values(), len(found.shown), 1)]
    return Plan(
        job_id=job_id,
        program=options.program,
        sequences=found.sequences,
        distinct=len(found.seen),
        known=len(found.seen) - len(unknown),
        letters=letters,
        batches=(*shown, *batches),
        core_seconds=pace.core_seconds(left),
        seconds=pace.estimated_seconds(left, min(workers, sum(batch.threads for batch in batches))),
        known_before=sum(len(one.sequences) for one in earlier),
        whole_seconds=pace.estimated_seconds(letters, workers) if earlier else None,
        result_bytes=speed.bytes_per_letter * letters if speed else None,
        warnings=(*warnings, *_lost_warnings(found.lost)),
        lost=frozenset(found.lost_packs),
    )


def _with_parts(
    pack: Callable[..., list[Batch]],
    unknown: Sequence[PlannedSequence],
    earlier: Sequence[KnownBefore],
    count: int,
    threads: int,
) -> list[Batch]:
    """Return batches of sequences to search whole, then those of sequences known for an earlier state.

    Args:
        pack: Packs some sequences into batches.
        unknown: All of them.
        earlier: Those known for earlier states.
        count: How many sequences the query has.
        threads: How many they may have together.
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
    of, each = len(batches), max(1, threads // len(batches))
    return [replace(batch, number=number, of=of, threads=each) for number, batch in enumerate(batches, start=1)]


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


@dataclass(slots=True)
class _Found:
    """What was found of the sequences of a query so far.

    Attributes:
        seen: The keys of distinct sequences.
        lost: How many are known, but in ``lost_packs``.
        shown: Some known sequences of each of the first packs.
    """

    sequences: int = 0
    seen: IdSet = field(default_factory=IdSet)
    unknown: PlannedSequences = field(default_factory=PlannedSequences)
    lost: int = 0
    lost_packs: set[str] = field(default_factory=set)
    shown: dict[str, PlannedSequences] = field(default_factory=dict)
    _packs: set[str] = field(default_factory=set)

    def add(self, sequences: Sequence[PlannedSequence], results: Results) -> None:
        """Look up the next sequences."""
        self.sequences += len(sequences)
        new: dict[str, PlannedSequence] = {}
        for sequence in sequences:
            if self.seen.add(sequence.key):
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
                shown = self.shown.setdefault(pack, PlannedSequences())
                if len(shown) < MANY:
                    shown.append(sequence)
