"""What a change of databases did to a result: hits gained, lost and changed."""

from __future__ import annotations

import csv
import json
import weakref
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as SequenceOf
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, field, fields
from functools import cached_property
from io import SEEK_END, TextIOWrapper
from itertools import islice
from tempfile import TemporaryFile
from typing import Literal, TextIO, overload

from sqlmodel import col, select

from multiblast.actions.stored_file import StoredFile
from multiblast.archive.rows import is_rows, subjects_of_rows
from multiblast.archive.summary import ArchivedSubject, read_subjects
from multiblast.database import QueryJob, Run, in_portions
from multiblast.errors import ConflictError, NotFoundError, ObjectMissingError
from multiblast.ids import digest_of_text, is_id
from multiblast.jobs import IdSet, sequence_digest
from multiblast.object_kinds import ObjectKind
from multiblast.results import ResultKeys
from multiblast.search import SearchEngine, SubjectNames, options_of
from multiblast.stores import Store
from multiblast.targets import ordinal_of

_AT_A_TIME = 5000  # sequences whose results are looked up at a time
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class HitChange:
    """One subject that a sequence hits now and did not before, or the other way round, or with another score.

    Positions are 1-based; E-values and bit scores are of the subject's best HSP, None where it is not hit.
    """

    position: int
    sequence: str
    subject: str
    change: Literal["gained", "lost", "changed"]
    evalue_before: float | None
    evalue_after: float | None
    bit_score_before: float | None
    bit_score_after: float | None


class Changes(SequenceOf[HitChange]):
    """Changes in a temporary file, since there may be many for each of a million sequences."""

    def __init__(self) -> None:
        self._file, self._count = TemporaryFile(), 0  # noqa: SIM115 - closed when nobody has this any more
        weakref.finalize(self, self._file.close)

    def append(self, change: HitChange) -> None:
        """Take one more."""
        self._file.seek(0, SEEK_END)
        self._file.write(json.dumps(astuple(change)).encode() + b"\n")
        self._count += 1

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __iter__(self) -> Iterator[HitChange]:
        """Yield them in order."""
        place = 0
        while lines := self._lines(place):
            place += sum(map(len, lines))
            yield from (HitChange(*json.loads(line)) for line in lines)

    def _lines(self, place: int) -> list[bytes]:
        self._file.seek(place)
        return self._file.readlines(_READ_BYTES)

    @overload
    def __getitem__(self, index: int) -> HitChange: ...
    @overload
    def __getitem__(self, index: slice) -> list[HitChange]: ...
    def __getitem__(self, index: int | slice) -> HitChange | list[HitChange]:
        """Return a change, or some, found by reading from the first on."""
        wanted = range(self._count)[index]
        if isinstance(wanted, range):
            return list(islice(self, wanted.start, wanted.stop, wanted.step))
        return next(islice(self, wanted, None))


@dataclass(slots=True)
class Comparison:
    """What changed in all.

    A hit counts as changed if its bit score did. E-values grow with the database and
    so nearly all change a little; they are reported, but are no change by themselves.

    Attributes:
        sequences: How many could be compared.
        not_comparable: How many could not, because a result of then or now is not there any more.
        changes: Every change, in the order of the query.
    """

    sequences: int = 0
    not_comparable: int = 0
    gained: int = 0
    lost: int = 0
    changed: int = 0
    changes: Changes = field(default_factory=Changes)

    @property
    def text(self) -> str:
        """The numbers, as a person reads them."""
        text = f"{self.gained:,} hits gained, {self.lost:,} lost, {self.changed:,} changed"
        text += f" in {self.sequences:,} sequences"
        return text + (f"; {self.not_comparable:,} sequences could not be compared" if self.not_comparable else "")


class Comparisons:
    """Compares results of the same sequences from before and after a change of databases or program."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine

    def compare(self, job: QueryJob, before: QueryJob | None) -> Comparison:
        """Compare a job with what it found before its databases changed, or with another: see `Queries.compare`."""
        other = before or job
        search_before = before.search_key if before else self.search_before(job)
        fingerprints = self._fingerprints(other.id, search_before) if search_before else []
        if search_before is None:
            search_before, fingerprints = self._earlier_state(job)
        if search_before is None:
            raise ConflictError(
                f"job {job.id} was only searched with the databases as they are: there is nothing to compare"
            )
        comparison = Comparison()
        with ExitStack() as stack:
            names = tuple(
                stack.enter_context(closing(_Names(self._engine.store, databases)))
                for databases in (fingerprints, self._fingerprints(job.id, job.search_key))
            )
            for change in self._changes(job, other, search_before, comparison, names):
                comparison.changes.append(change)
        return comparison

    def _fingerprints(self, job_id: str, search_key: str) -> list[str]:
        """Return what the databases of a search were, as its runs recorded them."""
        with self._engine.database.read() as session:
            runs = select(Run).where(Run.job_id == job_id, Run.search_key == search_key).limit(1)
            run = session.exec(runs).first()
        return [database["fingerprint"] for database in run.databases] if run else []

    def can_compare(self, job: QueryJob) -> bool:
        """Whether there is something to compare: an earlier search of the job, or results that others found before."""
        with self._engine.database.read() as session:
            known = select(Run.number).where(Run.job_id == job.id, Run.known_before > 0).limit(1)
            if session.exec(known).first() is not None:
                return True
        return self.search_before(job) is not None

    def _earlier_state(self, job: QueryJob) -> tuple[str | None, list[str]]:
        """Return the key of the same search in an earlier state of its databases, for which others had results."""
        context = self._engine.context(job.id)
        for state in self._engine.states.earlier(context.databases):
            keys = self._engine.resolver.result_keys(context.options, context.databases, state.searched)
            found = (keys.key(sequence.residues) for sequence in self._engine.sequences(job))
            if any(self._engine.results.packs(some) for some in in_portions(found, _AT_A_TIME)):
                return keys.search, state.searched
        return None, []

    def search_before(self, job: QueryJob) -> str | None:
        """Return the key of a job's last search with other databases or another program version, if there was one."""
        with self._engine.database.read() as session:
            keys = select(Run.search_key).where(
                Run.job_id == job.id, Run.search_key != job.search_key, Run.search_key != ""
            )
            return session.exec(keys.order_by(col(Run.number).desc())).first()

    def _changes(
        self, job: QueryJob, other: QueryJob, search_before: str, comparison: Comparison, names: tuple[_Names, ...]
    ) -> Iterator[HitChange]:
        results = self._engine.results
        pairs = enumerate(self._pairs(job, other, search_before), start=1)
        for some in in_portions(pairs, _AT_A_TIME):
            known = results.known({key for _, (_, *keys) in some for key in keys if key})
            both = [(position, *pair) for position, pair in some if {*pair[1:]} <= known.keys()]
            comparison.not_comparable += len(some) - len(both)
            comparison.sequences += len(both)
            wanted = (keys for _, _, *keys in both if keys[0] != keys[1])
            archives = results.archives(key for keys in wanted for key in keys)
            for position, name, before, after in both:
                if before == after:
                    continue
                then_found, now_found = _subjects(next(archives)), _subjects(next(archives))
                for change in _compare(position, name, names[0].named(then_found), names[1].named(now_found)):
                    setattr(comparison, change.change, getattr(comparison, change.change) + 1)
                    yield change

    def _pairs(self, job: QueryJob, other: QueryJob, search_before: str) -> Iterator[tuple[str, str, str]]:
        """Yield name, key of the result before and of that after, of each sequence; the former is empty if unknown."""
        then, now = _keys(other, search_before), _keys(job, job.search_key)
        known = None if other.id == job.id else IdSet()
        if known is not None:
            for sequence in self._engine.sequences(other):
                known.add(sequence_digest(sequence.residues))
        for sequence in self._engine.sequences(job):
            residues = sequence.residues
            has_before = known is None or sequence_digest(residues) in known
            yield sequence.name, then.key(residues) if has_before else "", now.key(residues)

    def keep(self, job_id: str, comparison: Comparison) -> str:
        """Keep a comparison of a job as a file, by its content; return its name."""
        with TemporaryFile() as file:
            text = TextIOWrapper(file, "utf-8", newline="", write_through=True)
            write_changes(comparison.changes, text)
            name = f"{digest_of_text('comparison/1', file)}.tsv"
            file.seek(0)
            self._engine.store.put(comparison_key(job_id, name), file)
            text.detach()
        return name

    def kept(self, job_id: str, name: str) -> StoredFile:
        """Return a comparison that was kept; `NotFoundError` if there is none of the name."""
        key, store = comparison_key(job_id, name), self._engine.store
        if not (is_id(name.removesuffix(".tsv")) and store.exists(key)):
            raise NotFoundError("comparison", name[:60], "compare the job again")
        return StoredFile(name, store.stat(key).size_bytes, "text/tab-separated-values", name, store, key)


def comparison_key(job_id: str, name: str) -> str:
    """Return where a comparison of a job lies in the store."""
    return ObjectKind.COMPARISON.key(f"{job_id}-{name}")


def _keys(job: QueryJob, search_key: str) -> ResultKeys:
    """Return what gives the keys of a job's results in one search."""
    return ResultKeys.of_search(search_key, keeps_case=options_of(job).keeps_case)


class _Names:
    """Names of subjects, looked up only if there are some that have none in the results."""

    def __init__(self, store: Store, fingerprints: list[str]) -> None:
        self._store = store
        self._fingerprints = fingerprints

    def named(self, subjects: dict[str, ArchivedSubject]) -> dict[str, ArchivedSubject]:
        """Return subjects by their names, of several of one name the best; `ConflictError` if none are known."""
        named: dict[str, ArchivedSubject] = {}
        for subject in subjects.values():
            name = subject.id if ordinal_of(subject.id) is None else self._known.name(subject.id)
            known = named.get(name)
            if known is None or known.bit_score < subject.bit_score:
                named[name] = subject
        return named

    @cached_property
    def _known(self) -> SubjectNames:
        try:
            return SubjectNames(self._store, self._fingerprints)
        except ObjectMissingError as error:
            raise ConflictError(
                "the database only numbers its sequences, and which were meant is not known any more: build it "
                "with -parse_seqids to compare"
            ) from error

    def close(self) -> None:
        if "_known" in vars(self):
            self._known.close()


def _subjects(archive: bytes) -> dict[str, ArchivedSubject]:
    return subjects_of_rows(archive) if is_rows(archive) else read_subjects(archive)


def write_changes(changes: Iterable[HitChange], output: TextIO, delimiter: str = "\t") -> None:
    """Write changes as a table with a head line, numbers in full."""
    writer = csv.writer(output, delimiter=delimiter, lineterminator="\n")
    writer.writerow([column.name for column in fields(HitChange)])
    writer.writerows(astuple(change) for change in changes)


def _compare(
    position: int, name: str, before: dict[str, ArchivedSubject], after: dict[str, ArchivedSubject]
) -> Iterator[HitChange]:
    for subject in dict.fromkeys((*after, *before)):
        old, new = before.get(subject), after.get(subject)
        kind: Literal["gained", "lost", "changed"] = "gained" if old is None else "lost" if new is None else "changed"
        if old and new and old.bit_score == new.bit_score:
            continue
        yield HitChange(
            position,
            name,
            subject,
            kind,
            old.evalue if old else None,
            new.evalue if new else None,
            old.bit_score if old else None,
            new.bit_score if new else None,
        )
