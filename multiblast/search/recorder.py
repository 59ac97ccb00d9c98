"""Recording a submission: check it whole, give it its ids, write it down; nothing runs yet."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, TYPE_CHECKING

from multiblast.blast_versions import remedy_of_old, version_note
from multiblast.coupling import Reference, brought
from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, ObjectMissingError, Problem, collecting
from multiblast.ids import ID_LENGTH
from multiblast.jobs import JobConfig, NewSequence, sequence_digest
from multiblast.object_kinds import ObjectKind
from multiblast.options import Options, added_program
from multiblast.results import ResultKeys
from multiblast.search.advice import advice
from multiblast.search.context import SearchContext, SearchedSequence, options_of, targets_of
from multiblast.search.deflines import check_deflines
from multiblast.search.engine import SearchEngine
from multiblast.search.plan import Plan, make_plan
from multiblast.search.planned_sequences import PlannedSequence
from multiblast.search.profiles import Profile, profile_key, read_profile
from multiblast.search.submission import StoreKey, Submission
from multiblast.sequences import Query, check_query
from multiblast.sequences.sequence import as_text
from multiblast.settings import QueryLimits

if TYPE_CHECKING:
    from multiblast.search.known_before import KnownBefore


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job as it was recorded; warnings are what is legal but should be known."""

    job_id: str
    sequences: int
    letters: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checked:
    """A submission in which nothing is wrong; a profile in its options goes by its id, a note is on the program."""

    options: Options
    keys: ResultKeys
    query: Query
    profile: Profile | None
    note: str = ""

    def warnings(self, lengths: Sequence[int]) -> list[str]:
        """Return what is legal but should be known; ``lengths`` are the letters of each sequence."""
        notes = [self.note] if self.note else []
        return [*notes, *map(str, self.query.warnings), *advice(self.options, lengths)]


@dataclass
class Recorder:
    """Turns submissions into jobs, within limits."""

    engine: SearchEngine
    limits: QueryLimits
    references: tuple[str, ...] = ()
    """Places from which query files may be fetched: see `multiblast.settings.Policy.references`."""

    def record(self, submission: Submission) -> Recorded:
        """Check a submission and record its job; one that exists already is found again.

        Raises:
            InvalidInputError: with everything that is wrong; nothing was stored.
        """
        with self._checked(submission) as checked:
            options, profile = checked.options, checked.profile
            config = JobConfig(submission.site, options.program, options.changed(), frozenset(submission.targets))
            with TemporaryFile() as file:
                facts = _write_canonical(checked, config, file)
                job_id = config.query_id(facts.digests)
                query_key = ObjectKind.QUERY.spread_key(job_id, ".fasta")
                files: dict[str, IO[bytes]] = {query_key: file}
                if profile is not None:
                    files[profile_key(profile.id)] = BytesIO(profile.text)
                self._store(files)
                sequences = facts.sequences(file)
                alone = next(sequences) if len(facts) == 1 else None
                job = _job(config, facts, alone, job_id=job_id, query_key=query_key, search_key=checked.keys.search)
                job.notes = checked.warnings(facts.letters)
                self.engine.jobs.add(
                    job,
                    sequences,
                    owner=submission.owner,
                    summary=submission.summary,
                    description=submission.description,
                )
                self._store(files)  # what a submission that was killed had left may have been swept until now
            return Recorded(job_id, checked.query.sequences, checked.query.letters, tuple(job.notes))

    def _store(self, files: Mapping[str, IO[bytes]]) -> None:
        """Store files, by their keys, that are not there."""
        for key, file in files.items():
            if not self.engine.store.exists(key):
                file.seek(0)
                self.engine.store.put(key, file)

    def record_again(self, job: QueryJob) -> None:
        """Record a job again from its recipe, so that it runs with the databases as they are now.

        Raises:
            ConflictError: its sequences are not in the storage any more.
        """
        try:
            with self._copied(job.query_key, job.query_offset, job.query_bytes) as path:
                self.record(Submission(path, job.site, targets_of(job), options_of(job)))
        except ObjectMissingError as error:
            if error.key != job.query_key:
                raise
            raise ConflictError(f"the sequences of job {job.id} are not in the storage: submit them again") from error

    def preview(self, submission: Submission) -> Plan:
        """Check a submission and plan its search, without recording anything."""
        with self._checked(submission) as checked:
            lengths = array("Q")

            def planned() -> Iterator[PlannedSequence]:
                for position, sequence in enumerate(checked.query, start=1):
                    lengths.append(sequence.length)
                    yield PlannedSequence(checked.keys.key(sequence.residues), position, sequence.length)

            def subject_letters() -> int:
                return self._context(submission, checked).database_size.letters

            before = partial(self._known_before, submission, checked)
            plan = make_plan(
                self.engine,
                checked.options,
                checked.keys.search,
                planned(),
                subject_letters=subject_letters,
                before=before,
            )
            return replace(plan, warnings=(*checked.warnings(lengths), *plan.warnings))

    def _known_before(
        self, submission: Submission, checked: _Checked, unknown: Sequence[PlannedSequence]
    ) -> Iterator[KnownBefore]:
        from multiblast.search.known_before import EarlierResults

        def residues(positions: Collection[int]) -> Iterator[SearchedSequence]:
            for position, sequence in enumerate(checked.query, start=1):
                if position in positions:
                    yield SearchedSequence(checked.keys.key(sequence.residues), sequence.residues)

        return EarlierResults(self.engine, self._context(submission, checked)).find(unknown, residues, quick=True)

    def _context(self, submission: Submission, checked: _Checked) -> SearchContext:
        return self.engine.resolver.resolve(submission.site, submission.targets, checked.options)

    def count(self, submission: Submission) -> int:
        """Check a submission, and count its sequences."""
        with self._checked(submission) as checked:
            return checked.query.sequences

    @contextmanager
    def _checked(self, submission: Submission) -> Iterator[_Checked]:
        """Check targets, options and query together, so that a user mends all in one go; give what they mean."""
        with self.at_hand(submission) as here:
            yield self._check(here)

    @contextmanager
    def at_hand(self, submission: Submission) -> Iterator[Submission]:
        """Give a submission whose query is here for as long as the block runs, wherever it was."""
        if isinstance(submission.query, Reference):
            with brought(submission.query, self.references, self.limits.query_bytes) as path:
                yield replace(submission, query=path)
        elif isinstance(submission.query, StoreKey):
            if not self.engine.store.exists(submission.query):
                missing = ObjectMissingError(submission.query)
                raise InvalidInputError(Problem(f"{missing}: upload the file first", "query_file"))
            with self._copied(submission.query) as path:
                yield replace(submission, query=path)
        else:
            yield submission

    @contextmanager
    def _copied(self, key: str, *part: int) -> Iterator[Path]:
        with NamedTemporaryFile(suffix=".fasta") as file:
            with self.engine.store.open(key, *part) as stream:
                shutil.copyfileobj(stream, file)
            file.flush()
            yield Path(file.name)

    def _check(self, submission: Submission) -> _Checked:
        options, source = submission.options, submission.query
        if isinstance(source, Reference):
            raise TypeError("the query is elsewhere: see at_hand")
        version = self.engine.installation.version(options.program)
        is_added = added_program(options.program) is not None
        if not is_added and (remedy := remedy_of_old(version)):
            raise InvalidInputError(Problem(f"BLAST+ {version} is too old: {remedy}", "program"))
        problems = list(options.missing_in(version))
        with collecting(problems):
            self.engine.resolver.named_databases(options)
        with collecting(problems):
            databases = self.engine.resolver.databases(submission.site, submission.targets, options)
        with collecting(problems):
            query, profile = self._check_query(source, options, problems)
        if problems:
            raise InvalidInputError(problems)
        if profile is not None:
            options = options.model_copy(update={"in_pssm": profile.id})
        keys = self.engine.resolver.result_keys(options, databases)
        return _Checked(options, keys, query, profile, "" if is_added else version_note(version))

    def _check_query(
        self, source: str | bytes | Path, options: Options, problems: list[Problem]
    ) -> tuple[Query, Profile | None]:
        """Return the query, or that of the profile that takes its place."""
        profile = read_profile(options.profile, self.engine.store) if options.profile else None
        if profile is not None and not isinstance(source, Path) and not source.strip():
            source = profile.fasta
        query = check_query(
            source,
            molecule=options.query_molecule,
            limits=self.limits,
            max_target_seqs=options.most_targets,
            reads_ids=options.reads_titles,
            leaves_out=options.leaves_out,
        )
        if profile is not None and [one.residues.upper() for one in query] != [profile.residues.encode()]:
            reason = "give no query with a profile, or only the one that it was made for"
            problems.append(Problem(reason, "in_pssm"))
        if options.reads_titles:
            titles = (sequence.defline for sequence in query)
            problems.extend(check_deflines(titles, options.query_molecule, self.engine.installation))
        return query, profile


class _Facts:
    """What is noted of each sequence of a query while it is written as canonical FASTA: a million take 50 MB.

    Attributes:
        letters: Of each sequence.
    """

    def __init__(self, config: JobConfig) -> None:
        self._config = config
        self._digests, self._keys = bytearray(), bytearray()
        self._sizes, self.letters = array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self.letters)

    def add(self, canonical: bytes, key: str, letters: int) -> None:
        """Note the next sequence, and its result key."""
        self._digests += bytes.fromhex(sequence_digest(canonical))
        self._keys += bytes.fromhex(key)
        self._sizes.append(len(canonical))
        self.letters.append(letters)

    @property
    def query_bytes(self) -> int:
        """The size of the canonical FASTA."""
        return sum(self._sizes)

    @property
    def digests(self) -> Iterator[str]:
        """The digests that make the job's id."""
        return _ids(self._digests)

    def sequences(self, file: IO[bytes]) -> Iterator[NewSequence]:
        """Yield the sequences; ``file`` has the canonical FASTA, and is read along for their titles."""
        file.seek(0)
        offset = 0
        children = self._config.child_ids(self.digests)
        for child, key, size, letters in zip(children, _ids(self._keys), self._sizes, self.letters, strict=True):
            defline = file.read(size).partition(b"\n")[0][1:]
            title = as_text(defline[1:] if defline.startswith(b" ?") else defline)
            yield NewSequence(child, key, offset, size, letters, title)
            offset += size


def _ids(packed: bytearray) -> Iterator[str]:
    size = ID_LENGTH // 2
    return (packed[place : place + size].hex() for place in range(0, len(packed), size))


def _write_canonical(checked: _Checked, config: JobConfig, file: IO[bytes]) -> _Facts:
    """Write a query as canonical FASTA; return what its sequences are."""
    facts = _Facts(config)
    for sequence in checked.query:
        canonical = sequence.canonical
        file.write(canonical)
        facts.add(canonical, checked.keys.key(sequence.residues), sequence.length)
    return facts


def _job(  # noqa: PLR0913 - the columns of a job
    config: JobConfig, facts: _Facts, alone: NewSequence | None, *, job_id: str, query_key: str, search_key: str
) -> QueryJob:
    targets = [{"targetDisplayName": target.display, "targetFile": target.file} for target in sorted(config.targets)]
    return QueryJob(
        id=job_id,
        query_key=query_key,
        search_key=search_key,
        site=config.site,
        program=config.program,
        recipe={"targets": targets, "options": dict(config.options)},
        sequences=len(facts),
        letters=sum(facts.letters),
        title=alone.title if alone else "",
        query_bytes=facts.query_bytes,
        result_key=alone.result_key if alone else "",
    )
