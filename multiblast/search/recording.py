"""Recording a submission: check it whole, give it its ids, write it down; nothing runs yet."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from multiblast.database import QueryJob
from multiblast.errors import InvalidInputError, ObjectMissingError, Problem
from multiblast.installation import Installation
from multiblast.jobs import JobConfig, Jobs, NewSequence, TargetName, sequence_digest
from multiblast.options import PROFILE_PROGRAMS, QUERY_MOLECULE, TARGET_MOLECULE, Options
from multiblast.results import ResultKeys
from multiblast.search.advice import advice
from multiblast.search.deflines import check_deflines
from multiblast.search.profiles import Profile, profile_key, read_profile
from multiblast.search.submission import StoreKey, Submission
from multiblast.sequences import Query, check_query
from multiblast.settings import QueryLimits
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, DatabaseKind, Targets
from multiblast.targets.indices import index_files, index_fingerprint, index_path

__all__ = ["Preview", "Recorded", "Recorder"]


_DEFAULT_MAX_TARGET_SEQS = 500  # of all programs
_DATABASE_OPTIONS = {"rpsdb"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job as it was recorded.

    Attributes:
        warnings: What is legal but should be known.
    """

    job_id: str
    sequences: int
    letters: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a submission would search.

    Attributes:
        search_key: Digest of program, version, options and databases.
        sequences: Result key and letters of each sequence, in order.
        warnings: What is legal but should be known.
    """

    search_key: str
    sequences: list[tuple[str, int]]
    warnings: tuple[str, ...]


class Recorder:
    """Turns submissions into jobs."""

    def __init__(
        self, jobs: Jobs, store: Store, installation: Installation, targets: Targets, limits: QueryLimits
    ) -> None:
        self._jobs, self._store, self._installation = jobs, store, installation
        self._targets, self._limits = targets, limits

    def record(self, submission: Submission) -> Recorded:
        """Check a submission and record its job; one that exists already is found again.

        Raises:
            InvalidInputError: with everything that is wrong; nothing was stored.
        """
        if isinstance(submission.query, StoreKey):
            with self._fetched(submission.query) as path:
                return self.record(replace(submission, query=path))
        databases, query, profile = self._checked(submission)
        options = _with_id(submission.options, profile)
        keys = self.result_keys(options, databases)
        config = JobConfig(submission.site, options.program, options.changed(), frozenset(submission.targets))
        with TemporaryFile() as file:
            sequences, digests = _write_canonical(query, config, keys, file)
            job_id = config.query_id(digests)
            query_key = f"queries/{job_id[:2]}/{job_id}.fasta"
            if not self._store.exists(query_key):
                file.seek(0)
                self._store.put(query_key, file)
        if profile is not None and not self._store.exists(profile_key(profile.id)):
            self._store.put(profile_key(profile.id), BytesIO(profile.text))
        job = _job(config, sequences, job_id=job_id, query_key=query_key, search_key=keys.search)
        warnings = _warnings(query, options, [sequence.letters for sequence in sequences])
        job.notes = list(warnings)
        self._jobs.record(
            job,
            sequences if len(sequences) > 1 else (),
            owner=submission.owner,
            summary=submission.summary,
            description=submission.description,
        )
        return Recorded(job_id, query.sequences, query.letters, warnings)

    def preview(self, submission: Submission) -> Preview:
        """Check a submission and tell what it would search, without recording anything.

        Raises:
            InvalidInputError: as `record`.
        """
        if isinstance(submission.query, StoreKey):
            with self._fetched(submission.query) as path:
                return self.preview(replace(submission, query=path))
        databases, query, profile = self._checked(submission)
        options = _with_id(submission.options, profile)
        keys = self.result_keys(options, databases)
        sequences = [(keys.key(sequence.residues), sequence.length) for sequence in query]
        warnings = _warnings(query, options, [letters for _, letters in sequences])
        return Preview(keys.search, sequences, warnings)

    @contextmanager
    def _fetched(self, key: StoreKey) -> Iterator[Path]:
        """Copy a query from the store to a temporary file."""
        with NamedTemporaryFile(suffix=".fasta") as file:
            try:
                with self._store.open(key) as stream:
                    shutil.copyfileobj(stream, file)
            except ObjectMissingError as error:
                raise InvalidInputError(Problem(f"{error}: upload the file first", "query_file")) from error
            file.flush()
            yield Path(file.name)

    def result_keys(self, options: Options, databases: Collection[BlastDatabase]) -> ResultKeys:
        """Return the maker of result keys for a search of these databases as they are now."""
        return ResultKeys(
            options.program,
            self._installation.version(options.program),
            {**options.deciding(), **self._named(options, "fingerprint"), **_index(options, databases)},
            [database.fingerprint for database in databases],
            keeps_case=getattr(options, "lcase_masking", False),
        )

    def paths(self, options: Options, databases: Collection[BlastDatabase]) -> dict[str, str]:
        """Return where that is which options name: the domain database of deltablast, an index of blastn."""
        name = getattr(options, "index_name", "")
        return self._named(options, "path") | ({"index_name": str(index_path(databases, name))} if name else {})

    def _named(self, options: Options, fact: str) -> dict[str, str]:
        return {
            option: str(getattr(self._profile_database(option, name), fact))
            for option, name in options.named().items()
            if option in _DATABASE_OPTIONS
        }

    def _profile_database(self, option: str, name: str) -> BlastDatabase:
        """Return the profile database of this name: ``DATABASE``, or more of ``SITE/TARGET/DATABASE``."""
        profiles = [database for database in self._targets.databases() if database.molecule == "profile"]
        for database in profiles:
            if f"/{database.display}".endswith(f"/{name}"):
                return database
        there = ", ".join(database.display for database in profiles) or "none: add one to the targets"
        raise InvalidInputError(Problem(f"no profile database {name!r} is registered; there is {there}", option))

    def databases(self, site: str, targets: tuple[TargetName, ...], options: Options) -> tuple[BlastDatabase, ...]:
        """Return the databases of some targets, in the order in which they are always searched.

        Raises:
            InvalidInputError: unknown or unfit targets, all of them.
        """
        names = [(target.display, target.file) for target in targets]
        kind: DatabaseKind = (
            "profile" if options.program in PROFILE_PROGRAMS else TARGET_MOLECULE[options.program].value
        )
        return self._targets.resolve_all(site, names, kind)

    def check(self, submission: Submission) -> None:
        """Check targets, options and query together, so that a user mends all in one go.

        Raises:
            InvalidInputError: with everything that is wrong.
        """
        self._checked(submission)

    def _checked(self, submission: Submission) -> tuple[tuple[BlastDatabase, ...], Query, Profile | None]:
        """Return what a submission searches, and with what."""
        options, source = submission.options, submission.query
        profile: Profile | None = None
        problems: list[Problem] = []
        try:
            self._named(options, "path")
        except InvalidInputError as error:
            problems.extend(error.problems)
        try:
            databases = self.databases(submission.site, submission.targets, options)
            _index(options, databases)
        except InvalidInputError as error:
            problems.extend(error.problems)
        try:
            if given := getattr(options, "in_pssm", ""):
                profile = read_profile(given, self._store)
                source = source if isinstance(source, Path) or source.strip() else profile.fasta
            query = check_query(
                source,
                molecule=QUERY_MOLECULE[options.program].value,
                limits=self._limits,
                max_target_seqs=getattr(options, "max_target_seqs", None) or _DEFAULT_MAX_TARGET_SEQS,
            )
            if profile is not None and [one.residues.upper() for one in query] != [profile.residues.encode()]:
                reason = "give no query with a profile, or only the one that it was made for"
                problems.append(Problem(reason, "in_pssm"))
            if getattr(options, "parse_deflines", False):
                titles = (sequence.defline for sequence in query)
                problems.extend(check_deflines(titles, QUERY_MOLECULE[options.program], self._installation))
        except InvalidInputError as error:
            problems.extend(error.problems)
        if problems:
            raise InvalidInputError(problems)
        return databases, query, profile


def _index(options: Options, databases: Collection[BlastDatabase]) -> dict[str, str]:
    """Return the fingerprint of the index that a search uses, if it uses one."""
    if not getattr(options, "use_index", False):
        return {}
    return {"index_name": index_fingerprint(index_files(databases, getattr(options, "index_name", "")))}


def _with_id(options: Options, profile: Profile | None) -> Options:
    """Return options in which a profile goes by its id."""
    return options if profile is None else options.model_copy(update={"in_pssm": profile.id})


def _write_canonical(
    query: Query, config: JobConfig, keys: ResultKeys, file: IO[bytes]
) -> tuple[list[NewSequence], list[str]]:
    """Write a query as canonical FASTA; return its sequences, and the digests that make the job's id."""
    facts: list[tuple[str, int, int, int, str]] = []
    digests: list[str] = []
    offset = 0
    for sequence in query:
        canonical = sequence.canonical
        file.write(canonical)
        digests.append(sequence_digest(canonical))
        facts.append((keys.key(sequence.residues), offset, len(canonical), sequence.length, sequence.title))
        offset += len(canonical)
    children = config.child_ids(digests)
    return [NewSequence(child, *fact) for child, fact in zip(children, facts, strict=True)], digests


def _warnings(query: Query, options: Options, lengths: Sequence[int]) -> tuple[str, ...]:
    return (*map(str, query.warnings), *advice(options, lengths))


def _job(
    config: JobConfig, sequences: Sequence[NewSequence], *, job_id: str, query_key: str, search_key: str
) -> QueryJob:
    alone = sequences[0] if len(sequences) == 1 else None
    targets = [{"targetDisplayName": target.display, "targetFile": target.file} for target in sorted(config.targets)]
    return QueryJob(
        id=job_id,
        query_key=query_key,
        search_key=search_key,
        site=config.site,
        program=config.program,
        recipe={"targets": targets, "options": dict(config.options)},
        sequences=len(sequences),
        letters=sum(sequence.letters for sequence in sequences),
        title=alone.title if alone else "",
        query_bytes=sum(sequence.query_bytes for sequence in sequences),
        result_key=alone.result_key if alone else "",
    )
