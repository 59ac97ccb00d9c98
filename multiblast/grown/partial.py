"""The search of those sequences of a database that are new, or known as hits: exact, or refused query by query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.archive.summary import ArchivedSubject, read_subjects
from multiblast.errors import InvalidInputError, UnderivableError
from multiblast.grown.alias import argument_of, write_alias
from multiblast.grown.candidates import Counted, preliminary_list, samples
from multiblast.grown.cutoffs import EarlierSearch
from multiblast.grown.difference import Difference
from multiblast.grown.known_hits import KnownHits, Run, strange_id
from multiblast.grown.oids import OidSet
from multiblast.grown.sampling import STARTED, Sampling
from multiblast.grown.way import Way, way_for
from multiblast.options import Options
from multiblast.targets import BlastDatabase

_MOST_REMOVED = 0.25
_SMALL_PART = STARTED // 10
"""Known hits for which a process of its own pays."""


@dataclass(frozen=True, slots=True)
class KnownResult:
    """A sequence whose result of an earlier state is known.

    Attributes:
        key: Its result key in the new state.
        residues: As they are given to the program.
        archive: Its result of the earlier state, as `multiblast.archive.split` made it, with the same program, version
            and options.
        counted: What a sample of that state, or of one before it, showed of its candidates; None if none was searched.
    """

    key: str
    residues: bytes
    archive: bytes
    counted: Counted | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Queries that are searched together, and what they are searched in.

    Attributes:
        keys: The queries.
        subjects: How many sequences are searched: all that are new or changed, and the known hits of the queries.
        database: What follows ``-db``; all else of the command is as for the whole. It names an alias in the
            directory that was given to `partial_search`, which must stay until the end.
    """

    keys: tuple[str, ...]
    subjects: int
    database: str


@dataclass(slots=True)
class PartialSearch:
    """What of the new state is to be searched for some queries, so that they get the whole's result.

    Attributes:
        way: How; None if nothing can be searched so.
        parts: What to search, each as a batch of its own. Each query is in one of them, in the order in which they
            were given, or refused.
        refused: Why the others must be searched whole, by key.
        counted: What samples of the new state showed, by key, to be given with its `KnownResult` in the next state.
    """

    way: Way | None = None
    parts: list[Part] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    counted: dict[str, Counted] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The queries that need not be searched whole."""
        return [key for part in self.parts for key in part.keys]


def partial_search(  # noqa: PLR0913, PLR0917 - what is searched, what is known, and the means
    options: Options,
    databases: Sequence[BlastDatabase],
    difference: Difference,
    known: Iterable[KnownResult],
    directory: Path,
    run: Run,
) -> PartialSearch:
    """Find out which queries need a part of the databases only, and write the aliases to search them by.

    Each part is then searched as any other batch, with its ``database`` in the command; what
    `multiblast.archive.split` makes of its archive are the results that the whole databases would give, byte for byte.

    Args:
        options: Program and options; `way_for` says whether they allow it at all.
        databases: The new state, in canonical order.
        difference: From the earlier state, of all databases together.
        known: The sequences, some hundreds at a time; read once, one by one.
        directory: An empty one for alias files, which are some bytes and a bit for each sequence of the databases.
        run: Runs a short search of a sample, which shows how many subjects each query has about, and ``blastdbcmd``.

    Raises:
        ProgramError: a program failed.
        ArchiveError: a known result is not as it should be.
    """
    way = way_for(options)
    reason = "the options are not in the table" if way is None else _hindrance(options, difference)
    if way is None or reason:
        return PartialSearch(way, refused={one.key: reason for one in known})
    return _Preparation(options, databases, difference, directory, run, PartialSearch(way)).prepare(way, known)


def _hindrance(options: Options, difference: Difference) -> str:
    """Return why no query can be searched in a part; empty if some can."""
    if difference.removed > _MOST_REMOVED * difference.earlier_sequences:
        return "too much was removed from the databases"
    most = max(difference.sequences, difference.earlier_sequences)
    if preliminary_list(options) < most and not samples(options, most):
        return f"too few subjects are kept for {options.most_targets} targets: BLAST+ may drop some"
    return ""


@dataclass
class _Preparation:
    """The way from known results to parts."""

    options: Options
    databases: Sequence[BlastDatabase]
    difference: Difference
    directory: Path
    run: Run
    result: PartialSearch
    residues: dict[str, bytes] = field(default_factory=dict)
    evalue: float = 0.0

    def prepare(self, way: Way, known: Iterable[KnownResult]) -> PartialSearch:
        hits: dict[str, list[str]] = {}
        before = dict[str, Counted]()
        for one in known:
            search = EarlierSearch(one.archive, way.linked) if one.archive else None
            subjects = read_subjects(one.archive)
            if reason := self._refusal(search, subjects.values()):
                self.result.refused[one.key] = reason
            elif search is not None:
                self.evalue = search.request.evalue
                self.residues[one.key] = one.residues
                hits[one.key] = list(subjects)
                if one.counted is not None:
                    before[one.key] = one.counted
        try:
            for key in self._with_full_lists(before):
                self.result.refused[key] = "so many subjects are, or were, similar that BLAST+ may drop some"
                del hits[key]
            self._write(KnownHits(self.databases, self.difference, self.directory, self.run).find(hits))
        except InvalidInputError as error:
            self.result.refused |= dict.fromkeys(hits, str(error))
            self.result.parts = []
        return self.result

    def _refusal(self, search: EarlierSearch | None, hits: Collection[ArchivedSubject]) -> str:
        """Return why one query must be searched whole, as far as its earlier result says; empty if it need not."""
        if search is None or not search.was_searched:
            return "nothing of it can be searched"
        if len(hits) >= self.options.most_targets:
            return "its list of hits is full"
        if strange := strange_id(hits):
            return f"{strange!r} is no accession by which its sequence can be found"
        try:
            return self._refusal_by_size(search)
        except UnderivableError as error:
            return str(error)

    def _refusal_by_size(self, search: EarlierSearch) -> str:
        new, earlier = self.difference.size, self.difference.earlier_size
        if search.space(earlier) != search.stated_space:
            return "its statistics cannot be derived"
        has_less_space = search.depends_on_space and search.space(new) < search.stated_space
        if has_less_space or new.letters < earlier.letters:
            return "the databases have shrunk, so that weaker hits count"
        return "" if search.cutoffs(new) == search.cutoffs(earlier) else "the least score of a hit has changed"

    def _with_full_lists(self, before: Mapping[str, Counted]) -> list[str]:
        """Return the queries for which BLAST+ may have more subjects than it keeps."""
        place, run = self.directory, self.run
        sampling = Sampling(self.options, self.databases, self.difference, place, run, self.evalue, self.residues)
        sampling.decide(before)
        self.result.counted = sampling.counted
        return sampling.full

    def _write(self, hits: Mapping[str, Sequence[int]]) -> None:
        """Make parts: a process each, so as small as starts of processes allow, since all search each other's hits."""
        most = max(_SMALL_PART, self.difference.added.count() // 2)
        groups: list[tuple[list[str], set[int]]] = []
        for key, numbers in hits.items():
            if not groups or len(groups[-1][1]) >= most:
                groups.append(([], set()))
            groups[-1][0].append(key)
            groups[-1][1].update(numbers)
        for number, (keys, together) in enumerate(groups):
            subjects = OidSet(self.difference.sequences, bytearray(self.difference.added.bits))
            subjects.add(together)
            alias = self._alias(subjects, f"part{number}")
            self.result.parts.append(Part(tuple(keys), subjects.count(), argument_of(alias)))

    def _alias(self, subjects: OidSet, name: str) -> Path:
        return write_alias(self.databases, self.difference.size, subjects, self.directory, name)
