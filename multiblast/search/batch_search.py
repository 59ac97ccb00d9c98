"""The search of one batch: claimed, searched, split, stored; a failure is narrowed down to the guilty sequence."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.exc import SQLAlchemyError

from multiblast.archive import Summary
from multiblast.database import BatchRun
from multiblast.errors import ArchiveError, FailureClass, MultiblastError, ProgramError, UnderivableError
from multiblast.outages import patiently
from multiblast.programs import BLAST_ENVIRONMENT, EXIT_CODES, ONE_BY_ONE, Completed, Program, Running
from multiblast.results import PackWriter, new_holder
from multiblast.search.checked_part import CheckedPart
from multiblast.search.context import PROFILE_FILE, QUERY_FILE, SearchContext, SearchedSequence
from multiblast.search.engine import SearchEngine
from multiblast.search.known_before import EarlierResults
from multiblast.search.profiles import outputs_of, profile_key
from multiblast.search.result_writer import ResultWriter
from multiblast.search.speeds import Speeds, usual_pace

_log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
"""Called with the sequences and letters that were just done."""

_LOOK_S = 0.5
# These fail whatever the sequences are; narrowing down would only fail more often.
_NOT_THE_SEQUENCES = {
    FailureClass.CANCELLED,
    FailureClass.DATABASE,
    FailureClass.KILLED,
    FailureClass.MISSING_PROGRAM,
    FailureClass.NETWORK,
    FailureClass.OUTPUT,
}
_FROM_OUTSIDE = {FailureClass.CANCELLED, FailureClass.KILLED, FailureClass.TIME_LIMIT}


@dataclass(slots=True)
class Outcome:
    """How a batch ended.

    Attributes:
        reused: Sequences that had a result when their turn came.
        elsewhere: Those somebody else was searching at that time.
        failed: Those that cannot be searched; the reasons are recorded.
    """

    searched: int = 0
    reused: int = 0
    elsewhere: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A search that is to be started: its files are in a directory, where its outputs go, too.

    Attributes:
        archive: What the program writes to standard output.
        one_by_one: Whether it is to treat each sequence as if it were its only one.
        threads: Of its process.
    """

    context: SearchContext
    command: list[str]
    directory: Path
    archive: Path
    one_by_one: bool
    time_limit_s: float
    cancelled: Callable[[], bool]
    threads: int = 1


Start = Callable[[Started], Running]
"""Starts a search."""


def start_here(search: Started) -> Running:
    """Start a search on this machine."""
    return Program(
        search.context.confined(search.command, search.directory, search.threads),
        shown=search.command,
        stdout=search.archive,
        environment=ONE_BY_ONE if search.one_by_one else BLAST_ENVIRONMENT,
        timeout_s=search.time_limit_s,
        cancelled=search.cancelled,
        exit_codes=EXIT_CODES if search.context.plugin is not None else None,
    )


@dataclass
class BatchSearch:
    """Searches sequences of one job on this machine, each one unless somebody else has or does.

    Attributes:
        threads: Of a BLAST+ process.
        progress: Called whenever a result is there.
        cancelled: Called several times a second; a BLAST+ process is killed once it returns True.
        start_search: What starts BLAST+: here, or elsewhere.
        earlier: The state of the databases in which the sequences were searched before: see `Batch.earlier`.
        run_number: Of the run that counts what is searched.
    """

    engine: SearchEngine
    context: SearchContext
    threads: int
    progress: OnProgress
    cancelled: Callable[[], bool]
    start_search: Start = start_here
    earlier: tuple[str, ...] = ()
    run_number: int | None = None
    _holder: str = field(default_factory=new_holder, init=False)
    _lost: Collection[str] = field(default=(), init=False)
    _outcome: Outcome = field(default_factory=Outcome, init=False)
    _compared: CheckedPart | None = field(default=None, init=False)
    _counted: dict[str, int] = field(default_factory=dict, init=False)

    def run(self, sequences: Sequence[SearchedSequence]) -> Outcome:
        """Search those sequences that nobody has searched or is searching.

        Raises:
            ProgramError: the failure is not one of a sequence: cancelled, database or program not usable, killed.
        """
        keys = [sequence.key for sequence in sequences]
        # A result whose pack is not in the store is no result: it is found again, and its row then replaced.
        self._lost = self.engine.results.lost_packs(self.engine.results.known(keys).values())
        with self.engine.results.keep_leases_alive(self._holder):
            claim = self.engine.results.claim(keys, self._holder, lost=self._lost)
            self._outcome.reused = len(claim.known)
            self._outcome.elsewhere = len(claim.others)
            mine = [sequence for sequence in sequences if sequence.key in claim.mine]
            mine = self._without_left_out(mine)
            if self.earlier and self.start_search is start_here:
                mine = self._search_part(mine)
            self._search_groups(mine)
        return self._outcome

    def _search_groups(self, sequences: Sequence[SearchedSequence]) -> None:
        for group in self.context.by_independence(sequences):
            self._search(group, one_by_one=not self.context.is_independent(group[0].residues))

    def _search_part(self, sequences: Sequence[SearchedSequence]) -> list[SearchedSequence]:
        """Search what is new of the databases for sequences that are known of an earlier state; return what is left.

        Those that a part is not enough for are searched whole first, and with them some that are searched in the part
        as well, and compared before any other result of it is kept. Whatever goes wrong, the whole can be searched
        all the same.
        """
        whole, done = self.context, set[str]()
        with TemporaryDirectory(prefix="multiblast-") as directory:
            try:
                found = EarlierResults(self.engine, whole).part(
                    self.earlier, sequences, Path(directory), self.cancelled
                )
                if found.way is None:
                    return list(sequences)
                self._counted = {key: counted.number for key, counted in found.counted.items()}
                parts = [CheckedPart(self.engine, part, found.way.row, whole) for part in found.parts]
                in_part_only = {key for part in parts for key in part.keys - part.checked}
                others = [one for one in sequences if one.key not in in_part_only]
                self._search_groups(others)
                done = {one.key for one in others}  # they have a result, or failed
                chosen = [(part, part.to_compare(sequences)) for part in parts]
                for part, some in (*chosen, *((part, part.others(sequences)) for part in parts)):
                    self.context, self._compared = replace(whole, part=part.database), part
                    self._search_groups(some)
            except (MultiblastError, OSError) as error:
                if isinstance(error, ProgramError) and error.failure_class in _FROM_OUTSIDE:
                    raise
                self._log(f"searches the whole databases after all: {error}", sequences)
            finally:
                self.context, self._compared = whole, None
        known = self.engine.results.known([one.key for one in sequences])
        left = [one for one in sequences if one.key not in done]
        return [one for one in left if one.key not in known or known[one.key].pack in self._lost]

    def _without_left_out(self, sequences: Sequence[SearchedSequence]) -> list[SearchedSequence]:
        """Keep empty results of the sequences that BLAST+ passes over; return the others."""
        groups: dict[bool, list[SearchedSequence]] = {True: [], False: []}
        for sequence in sequences:
            groups[self.context.options.leaves_out(len(sequence.residues))].append(sequence)

        def keep(pack: PackWriter, summaries: list[Summary]) -> None:
            self.engine.results.add(pack, summaries, self._holder, lost=self._lost, run=self.run_number)

        if groups[True]:
            with closing(ResultWriter(self.engine.store, self.context.databases, keep, self._wait)) as writer:
                for sequence in groups[True]:
                    writer.add(sequence.key, b"", Summary.of_left_out(len(sequence.residues)))
                    self.progress(1, len(sequence.residues))
                writer.flush()
            self._outcome.searched += len(groups[True])
        return groups[False]

    def _search(self, sequences: Sequence[SearchedSequence], *, one_by_one: bool) -> None:
        """Search some sequences by one process; where BLAST+ fails, search halves until the guilty sequence is alone.

        ``one_by_one``, BLAST+ treats each sequence as if it were its only one.
        """
        run = BatchRun(
            job_id=self.context.job_id,
            command=[],
            host=platform.node(),
            sequences=len(sequences),
            letters=sum(len(sequence.residues) for sequence in sequences),
            part=self._compared.text if self._compared else "",
        )
        stored: set[str] = set()
        try:
            self._run_program(sequences, run, stored, one_by_one=one_by_one)
        except UnderivableError:
            # What an archive of several queries leaves out of each one's statistics cannot be derived here.
            self._search([one for one in sequences if one.key not in stored], one_by_one=True)
        except ProgramError as error:
            run.exit_code = error.exit_code
            run.failure_class = error.failure_class
            run.stderr = error.stderr
            number = self._record(run)
            if error.failure_class in _NOT_THE_SEQUENCES or self._compared is not None:
                raise
            self.engine.resolver.check_unchanged(self.context)  # else they are innocent
            self._narrow([one for one in sequences if one.key not in stored], error, number, one_by_one=one_by_one)
        else:
            self._log(f"searched {len(sequences)} sequences in {run.seconds:.1f} s", sequences)
            self._record(run)

    def _narrow(
        self, left: Sequence[SearchedSequence], error: ProgramError, batch_run: int, *, one_by_one: bool
    ) -> None:
        if len(left) == 1:
            self.engine.results.fail(
                left[0].key, error.failure_class, str(error), self._holder, batch_run=batch_run, lost=self._lost
            )
            self._outcome.failed += 1
            self._log(f"could not search one sequence: {error}", left)
            return
        middle = (len(left) + 1) // 2
        for half in filter(None, (left[:middle], left[middle:])):
            self._search(half, one_by_one=one_by_one)

    def _record(self, run: BatchRun) -> int:
        """Write down how one BLAST+ process went; return its number."""
        with self.engine.database.write() as session:
            session.add(run)
            session.flush()
            return run.number or 0

    def _log(self, message: str, sequences: Sequence[SearchedSequence]) -> None:
        child = sequences[0].key if len(sequences) == 1 else ""
        _log.info(message, extra={"job": self.context.job_id, "child": child})

    def _run_program(
        self, sequences: Sequence[SearchedSequence], run: BatchRun, stored: set[str], *, one_by_one: bool
    ) -> None:
        options, installation = self.context.options, self.engine.installation
        with TemporaryDirectory(prefix="multiblast-") as directory:
            place = Path(directory)
            archive = place / "archive.asn1"
            self._write_input(sequences, place)
            self.context.prepare(installation, place, self.cancelled)
            program_path = installation.program(options.program)
            command = self.context.command(program_path, place, self.threads)
            # What is recorded gives the same by itself: the alias of a part is gone after the search.
            run.command = replace(self.context, part="").command(program_path, place, self.threads)
            limit_s = installation.time_limit_s
            search = Started(self.context, command, place, archive, one_by_one, limit_s, self.cancelled, self.threads)
            with self.start_search(search) as program:
                size = self._store_results(sequences, program, archive, stored)
                completed = program.finish()
        self._note_end(sequences, run, completed, stored, size)

    def _store_results(
        self, sequences: Sequence[SearchedSequence], program: Running, archive: Path, stored: set[str]
    ) -> int:
        """Split the archive while BLAST+ writes it, and store what is there every few seconds."""
        size, has_outputs = 0, bool(outputs_of(self.context.options, ""))
        way = self._compared.way if self._compared else ""

        def keep(pack: PackWriter, summaries: list[Summary]) -> None:
            self.engine.resolver.check_unchanged(self.context)
            self.engine.results.add(
                pack, summaries, self._holder, lost=self._lost, run=self.run_number, way=way, counted=self._counted
            )
            stored.update(entry.key for entry in pack.entries)
            self._outcome.searched += len(pack.entries)

        with (
            closing(ResultWriter(self.engine.store, self.context.databases, keep, self._wait)) as writer,
            program.follow(archive) as stream,
        ):
            try:
                for part in self.context.results(stream, archive.parent, len(sequences), program.finish):
                    sequence = sequences[part.position]
                    if self._compared and self._compared.is_checked(sequence.key, part.archive):
                        stored.add(sequence.key)
                        continue
                    if has_outputs:  # kept before the result says that they are there
                        patiently(partial(self._keep_outputs, sequence, archive.parent), self._wait)
                    size += writer.add(sequence.key, part.archive, part.summary)
                    self.progress(1, len(sequence.residues))
            except UnderivableError:
                raise
            except ArchiveError as error:
                program.finish()  # a program that failed half-way says why; else the archive itself is at fault
                raise ProgramError(program.command, 0, f"{error}\n", FailureClass.ENGINE) from error
            finally:
                writer.flush()
        return size

    def _wait(self, seconds: float) -> bool:
        """Wait until a server may be back; return whether the search is cancelled meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(SQLAlchemyError):  # it is that server which is away
                if self.cancelled():
                    return True
            time.sleep(min(_LOOK_S, seconds))
        return False

    def _write_input(self, sequences: Sequence[SearchedSequence], directory: Path) -> None:
        with (directory / QUERY_FILE).open("wb") as file:
            for number, sequence in enumerate(sequences, start=1):
                file.write(b">q%d\n%b\n" % (number, self.context.written(sequence.residues)))
        if profile := self.context.options.profile:
            (directory / PROFILE_FILE).write_bytes(self.engine.store.read(profile_key(profile)))

    def _keep_outputs(self, sequence: SearchedSequence, directory: Path) -> None:
        """Store what the program wrote beside its archive; it writes nothing where there is nothing to keep."""
        for name, key in outputs_of(self.context.options, sequence.key).items():
            if (path := directory / name).is_file():
                with path.open("rb") as stream:
                    self.engine.store.put(key, stream)

    def _note_end(
        self, sequences: Sequence[SearchedSequence], run: BatchRun, completed: Completed, stored: set[str], size: int
    ) -> None:
        run.seconds, run.stderr = completed.seconds, completed.stderr
        if len(stored) < len(sequences):  # exit code 0 is not success
            reason = f"no result for {len(sequences) - len(stored)} of {len(sequences)} sequences\n"
            raise ProgramError(run.command, 0, completed.stderr + reason, FailureClass.BAD_QUERY_OR_OPTIONS)
        if completed.host:  # its speed says nothing of ours
            run.host = completed.host
            return
        if self.earlier:  # a part, or what a part was not enough for: their speed says nothing of other searches
            return
        context = self.context
        usual = usual_pace(context.options, context.database_size.letters)
        Speeds(self.engine.database).record(
            usual, context.search_key, run.letters, completed.seconds, size, self.threads
        )
