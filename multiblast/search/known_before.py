"""Sequences that were searched in an earlier state of their databases: only what is new is left to search."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from multiblast.database import in_portions
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, UnderivableError
from multiblast.grown import Counted, EarlierSearch, KnownResult, PartialSearch, partial_search, way_for
from multiblast.grown.refused_ways import RefusedWays
from multiblast.programs import BLAST_ENVIRONMENT, Program
from multiblast.results import ResultKeys
from multiblast.search.context import SearchContext, SearchedSequence
from multiblast.search.engine import SearchEngine
from multiblast.search.planned_sequences import PlannedSequence, PlannedSequences

if TYPE_CHECKING:
    from multiblast.grown.states import EarlierState

_AT_A_TIME = 20_000
_EXAMPLES = 20  # results of which one says how all were found
_QUICK_SEQUENCES = 1_000_000
# About which part of a whole search is left, measured by `make bench`: alignments of known hits are no fewer in a small
# database, where they are a larger share.
_SHARE, _SHARE_IN_SMALL, _SHARE_OF_NEW, _SMALL_LETTERS = 0.2, 0.27, 1.0, 9_000_000
_SAMPLES, _SAMPLES_IN_SMALL = 0.04, 0.06  # of that: what is spared where samples of an earlier state are known

Residues = Callable[[Collection[int]], Iterable[SearchedSequence]]
"""Returns the sequences at some positions of a query."""


@dataclass(frozen=True, slots=True)
class KnownBefore:
    """Sequences to search whose results of one earlier state are known.

    Attributes:
        search_key: Of the search then.
        letters: Of the databases then, to those now.
        share: About which part of the time of a whole search it takes to search what is new.
    """

    state: EarlierState
    search_key: str
    sequences: Sequence[PlannedSequence]
    letters: float
    share: float


@dataclass
class EarlierResults:
    """Finds results of earlier states, and makes what is to be searched with them.

    Attributes:
        context: Of the search now.
    """

    engine: SearchEngine
    context: SearchContext

    def find(
        self, unknown: Sequence[PlannedSequence], residues: Residues, *, quick: bool = False
    ) -> Iterator[KnownBefore]:
        """Yield sequences whose results of an earlier state are known, by states, if it pays to search with them.

        Args:
            unknown: Those without a result now.
            residues: What gives their residues.
            quick: Leave out large databases whose states were not compared yet.
        """
        if not self._is_possible:
            return
        left: Sequence[PlannedSequence] = unknown
        databases = self.context.databases
        for state in self.engine.states.earlier(databases) if left else ():
            if quick and not self.engine.states.is_compared(state, databases, _QUICK_SEQUENCES):
                continue
            keys = self._keys(state.fingerprints)
            found, others = self._split(left, keys, residues)
            share = self._share(state) if found else None
            if share is None:
                continue
            examples = list(residues({one.position for one in found[:_EXAMPLES]}))
            has_changed, usable = self._changing(keys, state, examples), PlannedSequences()
            for sequence in found:
                (others if has_changed(sequence.letters) else usable).append(sequence)
            if usable:
                letters = state.size.letters / max(1, self.context.database_size.letters)
                yield KnownBefore(state, keys.search, usable, letters, share - self._spared(keys, examples))
            left = others
            if not left:
                return

    def part(
        self,
        fingerprints: Sequence[str],
        sequences: Sequence[SearchedSequence],
        directory: Path,
        cancelled: Callable[[], bool],
    ) -> PartialSearch:
        """Find out for which sequences what part is to be searched: see `multiblast.grown.partial_search`.

        Args:
            fingerprints: The earlier state: one for each database, empty for one that was not searched.
            sequences: To search, with results in that state or without.
            directory: An empty one, for the files of the search.
            cancelled: Asked while programs run.

        Raises:
            MultiblastError: something is not as it should be; the whole can be searched all the same.
        """
        if not self._is_possible:
            return PartialSearch()
        state = next(
            (one for one in self.engine.states.earlier(self.context.databases) if one.fingerprints == fingerprints),
            None,
        )
        if state is None:
            return PartialSearch()
        keys = self._keys(fingerprints)
        with self.engine.states.difference(state, self.context.databases) as difference:
            return partial_search(
                self.context.options,
                self.context.databases,
                difference,
                self._results(keys, sequences),
                directory,
                lambda command, output: self._run(command, output, cancelled),
            )

    @property
    def _is_possible(self) -> bool:
        if not self.engine.grown.enabled or self.context.plugin is not None:
            return False
        way = way_for(self.context.options)
        return way is not None and not RefusedWays(self.engine.database).holds(way.row)

    def _keys(self, fingerprints: Sequence[str]) -> ResultKeys:
        searched = list(filter(None, fingerprints))
        return self.engine.resolver.result_keys(self.context.options, self.context.databases, searched)

    def _split(
        self, sequences: Sequence[PlannedSequence], keys: ResultKeys, residues: Residues
    ) -> tuple[PlannedSequences, PlannedSequences]:
        """Return the sequences that have a result under their earlier keys, and the others."""
        found, others = PlannedSequences(), PlannedSequences()
        for some in in_portions(sequences, _AT_A_TIME):
            known = self._known(keys, residues({sequence.position for sequence in some}))
            for sequence in some:
                (found if sequence.key in known else others).append(sequence)
        return found, others

    def _known(self, keys: ResultKeys, sequences: Iterable[SearchedSequence]) -> set[str]:
        """Return the present keys of those sequences that have a result under their earlier ones."""
        then = {keys.key(one.residues): one.key for one in sequences}
        return {then[key] for key in self.engine.results.packs(then)}

    def _results(self, keys: ResultKeys, sequences: Sequence[SearchedSequence]) -> Iterator[KnownResult]:
        then = {keys.key(one.residues): one for one in sequences}
        rows = self.engine.results.known(then)
        lost = self.engine.results.lost_packs(rows.values())
        there = [key for key, row in rows.items() if row.pack not in lost]
        numbers = self.engine.results.counted(there)
        for key, archive in zip(there, self.engine.results.archives(there), strict=True):
            counted = Counted.of(numbers[key]) if key in numbers else None
            yield KnownResult(then[key].key, then[key].residues, archive, counted)

    def _changing(
        self, keys: ResultKeys, state: EarlierState, examples: Sequence[SearchedSequence]
    ) -> Callable[[int], bool]:
        """Return what says for which letters of a query its least score is another one, as far as they decide it.

        These are then searched with the others that are searched whole. One result says how all were found.
        """
        search = self._example(keys, examples)
        now = self.context.database_size

        @cache
        def changes(letters: int) -> bool:
            if search is None or search.linked:
                return False
            with suppress(UnderivableError):
                return search.cutoffs(now, letters) != search.cutoffs(state.size, letters)
            return False

        return changes

    def _example(self, keys: ResultKeys, sequences: Sequence[SearchedSequence]) -> EarlierSearch | None:
        """Return how some sequence was searched in an earlier state; None if no result says so."""
        way = way_for(self.context.options)
        if way is None:
            return None
        with suppress(MultiblastError):  # a damaged one is found when it is used
            for one in self._results(keys, sequences):
                if one.archive and (search := EarlierSearch(one.archive, way.linked)).was_searched:
                    return search
        return None

    def _share(self, state: EarlierState) -> float | None:
        """Return about which part of a whole search's time is left; None if too much is new, or that is not known."""
        with (
            suppress(ConflictError, InvalidInputError),
            self.engine.states.difference(state, self.context.databases) as difference,
        ):
            new = difference.added.count() / max(1, difference.sequences)
            share = min(1.0, _SHARE + _SHARE_IN_SMALL * self._smallness + _SHARE_OF_NEW * new)
            return share if new <= self.engine.grown.new_share else None
        return None

    def _spared(self, keys: ResultKeys, sequences: Sequence[SearchedSequence]) -> float:
        """Return about which part of a whole search's time earlier samples spare, by how many sequences have one."""
        then = [keys.key(one.residues) for one in sequences]
        counted = len(self.engine.results.counted(then)) / max(1, len(then))
        return counted * (_SAMPLES + _SAMPLES_IN_SMALL * self._smallness)

    @property
    def _smallness(self) -> float:
        return min(1.0, _SMALL_LETTERS / max(1, self.context.database_size.letters))

    def _run(self, command: Sequence[str], output: Path, cancelled: Callable[[], bool]) -> None:
        program, *arguments = command
        Program(
            [self.engine.installation.program(program), *arguments],
            stdout=output,
            environment=BLAST_ENVIRONMENT,
            timeout_s=self.engine.installation.time_limit_s,
            cancelled=cancelled,
        ).run()
