"""What all batches of a job share, and how its program is called and its results are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from multiblast.archive import DatabaseSize, SplitArchive, split
from multiblast.database import QueryJob
from multiblast.installation import Installation
from multiblast.jobs import TargetName
from multiblast.options import (
    Independence,
    Options,
    independence_of,
    needs_one_thread,
    needs_own_process,
    parse_options,
)
from multiblast.search.profiles import OUTPUTS
from multiblast.targets import BlastDatabase, database_argument

if TYPE_CHECKING:
    from multiblast.plugins.search_programs import SearchPlugin

QUERY_FILE, PROFILE_FILE = "query.fasta", "profile.asn1"

_LONGEST_ADJUSTMENT = 50  # letters by which edge effects shorten sequences at most; the real search space is larger


@dataclass(frozen=True, slots=True)
class SearchedSequence:
    """A sequence to search: its result key and residues."""

    key: str
    residues: bytes


@dataclass(frozen=True)
class SearchContext:
    """What all batches of one job share.

    Attributes:
        paths: Of options that name a database or file.
        plugin: What searches, if it is not BLAST+: see `multiblast.search.plugin_context`.
        part: What follows ``-db`` where a part of the databases is searched: see `multiblast.grown`; empty for all.
    """

    job_id: str
    search_key: str
    options: Options
    databases: tuple[BlastDatabase, ...]
    paths: Mapping[str, str] = field(default_factory=dict)
    plugin: SearchPlugin | None = None
    part: str = ""

    @cached_property
    def database_size(self) -> DatabaseSize:
        """How large the databases are together."""
        letters = sum(database.letters for database in self.databases)
        return DatabaseSize(letters=letters, sequences=sum(database.sequences for database in self.databases))

    def by_independence(self, sequences: Sequence[SearchedSequence]) -> Iterator[list[SearchedSequence]]:
        """Yield the sequences whose result does not depend on their batch-mates, then the others.

        Where a program only works with one query, each is alone.
        """
        if needs_own_process(self.options):
            yield from ([sequence] for sequence in sequences)
            return
        groups = {True: list[SearchedSequence](), False: list[SearchedSequence]()}
        for sequence in sequences:
            groups[self.is_independent(sequence.residues)].append(sequence)
        yield from filter(None, groups.values())

    def is_independent(self, residues: bytes) -> bool:
        """Whether a sequence gets the same result with any batch-mates: see `multiblast.options.independence`."""
        letters = len(residues)
        space = max(0, letters - _LONGEST_ADJUSTMENT) * self._subject_letters
        return self._independence.holds(space, self.database_size.sequences, letters)

    @cached_property
    def _independence(self) -> Independence:
        return independence_of(self.options)

    @cached_property
    def _subject_letters(self) -> int:
        """What is left of the databases for alignments to begin in."""
        size = self.database_size
        return max(0, size.letters - size.sequences * _LONGEST_ADJUSTMENT)

    def arguments(self, directory: Path = Path()) -> list[str]:
        """Return the options of the command line; files that a search reads and writes are in ``directory``."""
        files = {name: str(directory / file) for name, file in {"in_pssm": PROFILE_FILE, **OUTPUTS}.items()}
        return self.options.arguments({**files, **self.paths})

    def written(self, residues: bytes) -> bytes:
        """Return a sequence as it is given to the program."""
        return residues

    @property
    def is_prepared(self) -> bool:
        """Whether nothing that takes long must be made before a search."""
        return True

    def prepare(self, installation: Installation, directory: Path, cancelled: Callable[[], bool]) -> None:
        """Make what a search in a directory needs beside the databases and the query: nothing, here."""

    def confined(self, command: Sequence[str], directory: Path, threads: int) -> list[str]:
        """Return the command as it is started in a directory: as it is."""
        _ = directory, threads
        return list(command)

    def results(
        self, stream: BinaryIO, directory: Path, sequences: int, finish: Callable[[], object]
    ) -> Iterator[SplitArchive]:
        """Yield the results of the sequences of a search, from what its program writes to standard output.

        Args:
            stream: That, which grows until the program has ended.
            directory: Where its other files are.
            sequences: How many there are.
            finish: Waits for the end of the program, and raises a `ProgramError` if it is a bad one.

        Raises:
            ArchiveError: the program wrote something else than it should.
        """
        _ = directory, sequences, finish
        yield from split(stream, self.database_size, self.options.strands)

    def command(self, program: str, directory: Path, threads: int) -> list[str]:
        """Return the argument list of a search that writes its archive to standard output.

        In the directory is the query, or the profile that takes its place, and there other outputs go.
        """
        query = [] if self.options.profile else ["-query", str(directory / QUERY_FILE)]
        database = ["-db", self.part or database_argument(self.databases)]
        command = [program, *query, *database, "-outfmt", "11", *self.arguments(directory)]
        return command + (["-num_threads", str(threads)] if threads > 1 and not needs_one_thread(self.options) else [])


def options_of(job: QueryJob) -> Options:
    """Return a job's program and options."""
    return parse_options(job.program, job.recipe["options"])


def targets_of(job: QueryJob) -> tuple[TargetName, ...]:
    """Return what a job searches."""
    return tuple(TargetName(target["targetDisplayName"], target["targetFile"]) for target in job.recipe["targets"])
