"""What a search works with on this machine: the databases, files and result keys that its options and targets mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from multiblast.archive import DatabaseSize
from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.installation import Installation
from multiblast.jobs import TargetName
from multiblast.molecules import DatabaseKind
from multiblast.options import (
    Independence,
    Options,
    independence_of,
    needs_own_process,
    parse_options,
)
from multiblast.results import ResultKeys
from multiblast.search.profiles import OUTPUTS
from multiblast.targets import BlastDatabase, Targets, database_argument
from multiblast.targets.indices import index_files, index_fingerprint, index_path

QUERY_FILE, PROFILE_FILE = "query.fasta", "profile.asn1"

_DATABASE_OPTIONS = {"rpsdb"}
_LONGEST_ADJUSTMENT = 50  # letters by which edge effects shorten sequences at most; the real search space is larger


@dataclass(frozen=True, slots=True)
class SearchedSequence:
    """A sequence to search: its result key and residues."""

    key: str
    residues: bytes


@dataclass(frozen=True)
class SearchContext:
    """What all batches of one job share; ``paths`` are of options that name a database or file."""

    job_id: str
    search_key: str
    options: Options
    databases: tuple[BlastDatabase, ...]
    paths: Mapping[str, str] = field(default_factory=dict)

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

    def command(self, program: str, directory: Path, threads: int) -> list[str]:
        """Return the argument list of a search that writes its archive to standard output.

        In the directory is the query, or the profile that takes its place, and there other outputs go.
        """
        query = [] if self.options.profile else ["-query", str(directory / QUERY_FILE)]
        database = ["-db", database_argument(self.databases)]
        command = [program, *query, *database, "-outfmt", "11", *self.arguments(directory)]
        return command + (["-num_threads", str(threads)] if threads > 1 else [])


@dataclass
class Resolver:
    """Finds the databases and files that submissions and recipes name, as they are on this machine now."""

    installation: Installation
    targets: Targets

    def context(self, job: QueryJob) -> SearchContext:
        """Return what a job's batches share.

        Raises:
            InvalidInputError: this machine does not have the databases.
            ConflictError: it has others of their names, or another version of BLAST+.
        """
        context = self.resolve(job.site, targets_of(job), options_of(job), job.id)
        self.targets.note_use(context.databases)
        if context.search_key != job.search_key:
            raise ConflictError(f"a database or the BLAST+ version changed since job {job.id} was recorded: restart it")
        return context

    def resolve(self, site: str, targets: tuple[TargetName, ...], options: Options, job_id: str = "") -> SearchContext:
        """Return what a search of some targets works with, also one that is no job."""
        databases = self.databases(site, targets, options)
        search_key = self.result_keys(options, databases).search
        return SearchContext(job_id, search_key, options, databases, self._paths(options, databases))

    def databases(self, site: str, targets: tuple[TargetName, ...], options: Options) -> tuple[BlastDatabase, ...]:
        """Return the databases of some targets, in the order in which they are always searched.

        Raises:
            InvalidInputError: unknown or unfit targets, all of them; or there is no such index.
        """
        names = [(target.display, target.file) for target in targets]
        databases = self.targets.resolve_all(site, names, options.database_kind)
        _index_files(options, databases)
        return databases

    def result_keys(self, options: Options, databases: Collection[BlastDatabase]) -> ResultKeys:
        """Return the maker of result keys for a search of these databases as they are now."""
        named = {option: database.fingerprint for option, database in self.named_databases(options).items()}
        files = _index_files(options, databases)
        index = {"index_name": index_fingerprint(files)} if files else {}
        return ResultKeys(
            options.program,
            self.installation.version(options.program),
            {**options.deciding(), **named, **index},
            [database.fingerprint for database in databases],
            keeps_case=options.keeps_case,
        )

    def named_databases(self, options: Options) -> dict[str, BlastDatabase]:
        """Return the databases that options name, by option: the domain database of deltablast."""
        return {
            option: self._profile_database(option, name)
            for option, name in options.named().items()
            if option in _DATABASE_OPTIONS
        }

    def _paths(self, options: Options, databases: Collection[BlastDatabase]) -> dict[str, str]:
        paths = {option: str(database.path) for option, database in self.named_databases(options).items()}
        name = options.megablast_index
        return paths | ({"index_name": str(index_path(databases, name))} if name else {})

    def _profile_database(self, option: str, name: str) -> BlastDatabase:
        """Return the profile database of this name: ``DATABASE``, or more of ``SITE/TARGET/DATABASE``."""
        profiles = [database for database in self.targets.databases() if database.molecule is DatabaseKind.PROFILE]
        for database in profiles:
            if f"/{database.display}".endswith(f"/{name}"):
                return database
        there = ", ".join(database.display for database in profiles) or "none: add one to the targets"
        raise InvalidInputError(Problem(f"no profile database {name!r} is registered; there is {there}", option))


def options_of(job: QueryJob) -> Options:
    """Return a job's program and options."""
    return parse_options(job.program, job.recipe["options"])


def targets_of(job: QueryJob) -> tuple[TargetName, ...]:
    """Return what a job searches."""
    return tuple(TargetName(target["targetDisplayName"], target["targetFile"]) for target in job.recipe["targets"])


def _index_files(options: Options, databases: Collection[BlastDatabase]) -> list[Path]:
    """Return the files of the index that a search uses, if it uses one."""
    name = options.megablast_index
    return [] if name is None else index_files(databases, name)
