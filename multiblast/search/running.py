"""Running a batch: claim, search, split, store; and narrowing a failure down to the sequence that causes it."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from sqlalchemy.dialects import postgresql, sqlite

from multiblast.archive import DatabaseSize, Summary, split
from multiblast.database import BatchRun, Database, Speed, utc_now
from multiblast.errors import ArchiveError, FailureClass, ProgramError, UnderivableError
from multiblast.installation import Installation
from multiblast.options import Options, independent_from, needs_own_process
from multiblast.outages import is_outage
from multiblast.programs import Completed, Program
from multiblast.results import PackWriter, Results, new_holder
from multiblast.search.profiles import OUTPUTS, outputs_of, profile_key
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, database_argument, name_subjects

__all__ = ["Item", "OnProgress", "Outcome", "Runner", "SearchContext", "transient"]

QUERY, PROFILE = "query.fasta", "profile.asn1"

_log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
"""Called with the sequences and letters that were just done."""

_FLUSH_S = 5.0  # results are stored at least this often, so that a crash loses little
_FLUSH_BYTES = 64 << 20
_SMOOTHING = 0.5
_LONGEST_ADJUSTMENT = 50  # letters by which edge effects shorten sequences at most; the real search space is larger
# These fail whatever the sequences are; narrowing down would only fail more often.
_NOT_THE_SEQUENCES = {
    FailureClass.CANCELLED,
    FailureClass.DATABASE,
    FailureClass.KILLED,
    FailureClass.MISSING_PROGRAM,
    FailureClass.NETWORK,
    FailureClass.OUTPUT,
}


@dataclass(frozen=True, slots=True)
class Item:
    """A sequence to search: its result key and residues."""

    key: str
    residues: bytes


@dataclass(frozen=True)
class SearchContext:
    """What all batches of one job share.

    Attributes:
        speed_key: Under which the speed of this search is remembered.
        paths: Of options that name a database or file.
    """

    job_id: str
    options: Options
    databases: tuple[BlastDatabase, ...]
    speed_key: str
    paths: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def database_size(self) -> DatabaseSize:
        """How large the databases are together."""
        letters = sum(database.letters for database in self.databases)
        return DatabaseSize(letters=letters, sequences=sum(database.sequences for database in self.databases))

    def companies(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Yield the sequences that get the same result in any company, and the others.

        Where a program only works with one query, each is alone.
        """
        if needs_own_process(self.options):
            yield from ([item] for item in items)
            return
        apart = {True: list[Item](), False: list[Item]()}
        for item in items:
            apart[self.is_independent(item)].append(item)
        yield from filter(None, apart.values())

    def is_independent(self, item: Item) -> bool:
        """Tell whether a sequence gets the same result in any company: see `multiblast.options.independence`."""
        query = max(0, len(item.residues) - _LONGEST_ADJUSTMENT)
        return query * self._subject_letters >= self._independent_from

    @cached_property
    def _independent_from(self) -> float:
        return independent_from(self.options)

    @cached_property
    def _subject_letters(self) -> int:
        """What is left of the databases for alignments to begin in."""
        size = self.database_size
        return max(0, size.letters - size.sequences * _LONGEST_ADJUSTMENT)

    def arguments(self, directory: Path = Path()) -> list[str]:
        """Return the options of the command line; files that a search reads and writes are in ``directory``."""
        files = {name: str(directory / file) for name, file in {"in_pssm": PROFILE, **OUTPUTS}.items()}
        return self.options.arguments({**files, **self.paths})

    def command(self, program: str, directory: Path, threads: int) -> list[str]:
        """Return the argument list of a search that writes its archive to standard output.

        Args:
            program: The program, by path or name.
            directory: Where the query is, or the profile that takes its place, and where other outputs go.
            threads: Of the process.
        """
        query = [] if getattr(self.options, "in_pssm", "") else ["-query", str(directory / QUERY)]
        command = [
            program,
            *query,
            "-db",
            database_argument(self.databases),
            "-outfmt",
            "11",
            *self.arguments(directory),
        ]
        return command + (["-num_threads", str(threads)] if threads > 1 else [])


@dataclass(slots=True)
class Outcome:
    """How a batch ended.

    Attributes:
        searched: Sequences searched here.
        reused: Those that had a result when their turn came.
        elsewhere: Those somebody else was searching at that time.
        failed: Those that cannot be searched; the reasons are recorded.
        seconds: Wall time of BLAST+.
    """

    searched: int = 0
    reused: int = 0
    elsewhere: int = 0
    failed: int = 0
    seconds: float = 0.0
    stderr: list[str] = field(default_factory=list)


class Runner:
    """Runs batches on this machine."""

    def __init__(self, database: Database, results: Results, installation: Installation, store: Store) -> None:
        self._database, self.results = database, results
        self.installation, self.store = installation, store

    def run(
        self,
        context: SearchContext,
        items: Sequence[Item],
        threads: int,
        *,
        progress: OnProgress,
        cancelled: Callable[[], bool],
    ) -> Outcome:
        """Search those of some sequences that nobody has searched or is searching.

        Raises:
            ProgramError: the failure is not one of a sequence: cancelled, database or program not usable, killed.
        """
        holder = new_holder()
        outcome = Outcome()
        with self.results.holding(holder):
            claim = self.results.claim([item.key for item in items], holder)
            outcome.reused, outcome.elsewhere = len(claim.known), len(claim.others)
            mine = [item for item in items if item.key in claim.mine]
            if mine:
                attempt = _Attempt(self, context, threads, holder, outcome, progress, cancelled)
                for company in context.companies(mine):
                    attempt.search(company)
        return outcome

    def record(self, run: BatchRun) -> int:
        """Write down how one BLAST+ process went; return its number."""
        with self._database.write() as session:
            session.add(run)
            session.flush()
            return run.number or 0

    def record_speed(self, key: str, letters_per_second: float, bytes_per_letter: float) -> None:
        """Blend a measured speed into the remembered one, in one statement, as batches may end at the same time."""
        measured = {"letters_per_second": letters_per_second, "bytes_per_letter": bytes_per_letter}
        with self._database.write() as session:
            dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
            statement = dialect.insert(Speed).values(key=key, updated_at=utc_now(), **measured)
            new, old = statement.excluded, Speed.__table__.c  # type: ignore[attr-defined]  # added by SQLModel
            blended = {name: old[name] + _SMOOTHING * (new[name] - old[name]) for name in measured}
            blended["updated_at"] = new.updated_at
            session.connection().execute(statement.on_conflict_do_update(index_elements=["key"], set_=blended))


@dataclass(slots=True)
class _Attempt:
    """One claim's way through BLAST+, in halves where it fails."""

    runner: Runner
    context: SearchContext
    threads: int
    holder: str
    outcome: Outcome
    progress: OnProgress
    cancelled: Callable[[], bool]
    alone: bool = False

    def search(self, items: Sequence[Item]) -> None:
        """Search some sequences; where BLAST+ fails, search halves until the sequence that breaks it is alone."""
        run = BatchRun(
            job_id=self.context.job_id,
            command=[],
            host=platform.node(),
            sequences=len(items),
            letters=sum(len(item.residues) for item in items),
        )
        stored: set[str] = set()
        try:
            self._run_program(items, run, stored)
        except UnderivableError:
            # Its statistics cannot be told from an archive of several queries, so BLAST+ must tell each one's.
            self.alone = True
            self.search([item for item in items if item.key not in stored])
        except ProgramError as error:
            run.exit_code, run.failure_class, run.stderr = error.exit_code, error.failure_class, error.stderr
            number = self.runner.record(run)
            if error.failure_class in _NOT_THE_SEQUENCES:
                raise
            self._narrow([item for item in items if item.key not in stored], error, number)
        else:
            self._say(f"searched {len(items)} sequences in {run.seconds:.1f} s", items)
            self.runner.record(run)

    def _narrow(self, left: Sequence[Item], error: ProgramError, batch_run: int) -> None:
        if len(left) == 1:
            self.runner.results.fail(left[0].key, error.failure_class, str(error), batch_run)
            self.outcome.failed += 1
            self._say(f"could not search one sequence: {error}", left)
            return
        middle = (len(left) + 1) // 2
        for half in (left[:middle], left[middle:]):
            if half:
                self.search(half)

    def _say(self, what: str, items: Sequence[Item]) -> None:
        child = items[0].key if len(items) == 1 else ""
        _log.info(what, extra={"job": self.context.job_id, "child": child})

    def _run_program(self, items: Sequence[Item], run: BatchRun, stored: set[str]) -> None:
        options = self.context.options
        with TemporaryDirectory(prefix="multiblast-") as directory:
            place = Path(directory)
            archive = place / "archive.asn1"
            self._write_input(items, place)
            run.command = self.context.command(self.runner.installation.program(options.program), place, self.threads)
            environment = {"BLAST_USAGE_REPORT": "false"}
            if self.alone or not self.context.is_independent(items[0]):
                environment["BATCH_SIZE"] = "1"
            with Program(
                run.command,
                stdout=archive,
                environment=environment,
                timeout_s=self.runner.installation.time_limit_s,
                cancelled=self.cancelled,
            ) as program:
                size = self._store_results(items, program, archive, stored)
                completed = program.finish()
        self._note_end(items, run, completed, stored, size)

    def _store_results(self, items: Sequence[Item], program: Program, archive: Path, stored: set[str]) -> int:
        """Split the archive while BLAST+ writes it, and store what is there every few seconds."""
        size, has_outputs = 0, bool(outputs_of(self.context.options, ""))
        with (
            _Sink(self.runner, self.holder, self.context.databases, stored) as sink,
            program.follow(archive) as stream,
        ):
            try:
                for part in split(stream, self.context.database_size):
                    item = items[part.position]
                    if has_outputs:  # kept before the result says that they are there
                        self._keep_outputs(item, archive.parent)
                    size += sink.add(item.key, part.archive, part.summary)
                    self.progress(1, len(item.residues))
            except UnderivableError:
                raise
            except ArchiveError as error:
                program.finish()  # a program that failed half-way says why; else the archive itself is at fault
                raise ProgramError(program.command, 0, f"{error}\n", FailureClass.ENGINE) from error
            finally:
                sink.flush()
                self.outcome.searched += sink.count
        return size

    def _write_input(self, items: Sequence[Item], directory: Path) -> None:
        _write_query(directory / QUERY, items)
        if profile := getattr(self.context.options, "in_pssm", ""):
            (directory / PROFILE).write_bytes(self.runner.store.read(profile_key(profile)))

    def _keep_outputs(self, item: Item, directory: Path) -> None:
        """Store what the program wrote beside its archive; it writes nothing where there is nothing to keep."""
        for name, key in outputs_of(self.context.options, item.key).items():
            if (path := directory / name).is_file():
                with path.open("rb") as stream:
                    self.runner.store.put(key, stream)

    def _note_end(
        self, items: Sequence[Item], run: BatchRun, completed: Completed, stored: set[str], size: int
    ) -> None:
        run.seconds, run.stderr = completed.seconds, completed.stderr
        self.outcome.seconds += completed.seconds
        if completed.stderr:
            self.outcome.stderr.append(completed.stderr)
        if len(stored) < len(items):  # exit code 0 is not success
            reason = f"no result for {len(items) - len(stored)} of {len(items)} sequences\n"
            raise ProgramError(run.command, 0, completed.stderr + reason, FailureClass.BAD_QUERY_OR_OPTIONS)
        speed = run.letters / max(completed.seconds, 1e-3) / self.threads
        self.runner.record_speed(self.context.speed_key, speed, size / max(run.letters, 1))


class _Sink:
    """Takes results one by one and stores them as packs, a new one every few seconds."""

    def __init__(self, runner: Runner, holder: str, databases: Sequence[BlastDatabase], stored: set[str]) -> None:
        self._runner, self._holder, self._databases, self._stored = runner, holder, databases, stored
        self.count = 0
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pack.close()

    def add(self, key: str, archive: bytes, summary: Summary) -> int:
        """Take one result; return its compressed size in bytes."""
        entry = self._pack.add(key, archive)
        self._summaries.append(summary)
        if self._pack.size_bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_S:
            self.flush()
        return entry.length

    def flush(self) -> None:
        """Store what was taken since the last time."""
        best = name_subjects(self._databases, [summary.best_hit for summary in self._summaries])
        named = [replace(summary, best_hit=name) for summary, name in zip(self._summaries, best, strict=True)]
        self._runner.results.add(self._pack, named, self._holder)
        self._stored.update(entry.key for entry in self._pack.entries)
        self.count += len(self._pack.entries)
        self._pack.close()
        self._begin()

    def _begin(self) -> None:
        self._pack, self._summaries = PackWriter(self._runner.store), list[Summary]()
        self._since = time.monotonic()


def transient(error: BaseException) -> bool:
    """Tell whether trying again may help: a server was away, or the program was killed from outside."""
    killed = isinstance(error, ProgramError) and error.failure_class in {FailureClass.KILLED, FailureClass.NETWORK}
    return killed or is_outage(error)


def _write_query(path: Path, items: Sequence[Item]) -> None:
    with path.open("wb") as file:
        for number, item in enumerate(items, start=1):
            file.write(b">q%d\n%b\n" % (number, item.residues))
