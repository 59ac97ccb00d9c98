"""How a query job runs: planned, started, one batch after the other, finished; or failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiblast.database import JobStatus, QueryJob, Run
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, MultiblastError
from multiblast.files import working_space
from multiblast.jobs import ACTIVE, Child
from multiblast.options import added_program
from multiblast.outages import is_outage
from multiblast.programs import throttled
from multiblast.search.batch_search import BatchSearch, OnProgress, Outcome, Start, start_here
from multiblast.search.batches import Batch
from multiblast.search.context import SearchContext, SearchedSequence, options_of
from multiblast.search.engine import SearchEngine
from multiblast.search.plan import Before, Plan, make_plan
from multiblast.search.planned_sequences import PlannedSequence
from multiblast.search.searched_job import MOST_ROWS, SearchedJob, searched_job
from multiblast.search.steps import LargeSteps, Steps
from multiblast.search.subject_names import keep_names
from multiblast.targets import BlastDatabase

if TYPE_CHECKING:
    from multiblast.search.known_before import KnownBefore

_POLL_S = 0.5
_AT_A_TIME = 20_000  # sequences that the end of a run takes over from others
_COMPARED_PER_S = 2e9  # letters of query times letters of databases: blastp does five times as much

Turn = Callable[[], AbstractContextManager[None]]
"""Waits until a batch may be searched; the block of its context is the search."""


def no_progress(sequences: int, letters: int) -> None:
    """Report progress to nobody."""


def never() -> bool:
    """Go on."""
    return False


@dataclass
class SearchRun:
    """One run of a query job, from its plan to its end.

    `execute` runs it whole; `multiblast.search.steps.Steps` holds the order. The steps may be taken in several
    processes, each with a run of its own of the same job.

    Attributes:
        run_id: The id of whatever runs it, for the job's history.
        progress: Called with the sequences and letters that were just done.
        turn: What each batch waits for before it is searched.
        listed: How many sequences the job that it returns lists.
        start_search: What starts BLAST+: here, or elsewhere.
        given_up: Called several times a second; once it returns True this run ends, though the job may go on elsewhere.
    """

    engine: SearchEngine
    job_id: str
    run_id: str = ""
    progress: OnProgress = no_progress
    turn: Turn = nullcontext
    listed: int = MOST_ROWS
    start_search: Start = start_here
    given_up: Callable[[], bool] = never
    _has_waited: bool | None = field(default=None, init=False)

    def execute(self, plan: Plan | None = None) -> SearchedJob:
        """Run the job in this process from beginning to end, by a plan that was just made if there is one.

        Raises:
            JobFailedError: the job is not complete now.
        """
        return Steps(self, plan).execute_here()

    def execute_on_all_cores(self) -> SearchedJob:
        """Run the job as `execute` does, several batches at a time, and patient with servers: see `LargeSteps`."""
        return LargeSteps(self).execute_here()

    def plan(self, *, quick: bool = False) -> Plan:
        """Find out which sequences are known, and pack the others into batches: see `make_plan`.

        With ``quick``, large databases are not compared with earlier states, unless that was done before.
        """
        self.note_status()
        before = partial(self._known_before, quick=quick)
        return self._plan(self._job(), before)

    def note_status(self) -> None:
        """Note whether the job waits for a run, as this one sees it for the first time."""
        if self._has_waited is None:
            self._has_waited = self._job().status == JobStatus.QUEUED

    def plan_part(self, part: int, of: int) -> Plan:
        """Plan how this machine, the part-th of those that help, helps with a job that another one runs.

        It is all that is left of the job, begun elsewhere. No sequence is assigned: the first machine that comes
        to a batch claims it, so nothing waits for a machine that comes late, or not at all.

        Raises:
            InvalidInputError: this machine does not have the databases.
            ConflictError: it has others of their names, or another version of BLAST+; or the job does not run.
        """
        job = self._job()
        if job.status != JobStatus.IN_PROGRESS:
            raise ConflictError(f"job {job.id} is {job.status}: only a job that runs can be helped")
        self.engine.resolver.context(job)
        plan = self.plan()
        first = part * len(plan.to_run) // (of + 1)
        return replace(plan, batches=plan.to_run[first:] + plan.to_run[:first])

    def is_small(self, plan: Plan, limit_s: float) -> bool:
        """Whether one core searches what is not known within a time, so that it is not worth a process of its own.

        Of the first search of its kind nobody knows how long it takes: it is small if all letters of the query
        compared with all of the databases are few.
        """
        if not plan.unknown:
            return True
        context = self.engine.resolver.context(self._job())
        if not context.is_prepared:
            return False
        if plan.seconds is not None:
            return plan.core_seconds <= limit_s
        databases = context.databases
        return plan.letters * sum(database.letters for database in databases) <= limit_s * _COMPARED_PER_S

    def settle_known(self, job: QueryJob) -> bool:
        """Bring a job that waits to its end at once, if nothing is to be searched; return whether it has ended.

        It goes on waiting if a result has gone meanwhile, or a database is another one: its run will say so.
        """
        plan = self._plan(job)
        if plan.unknown:
            return False
        try:
            run = self._record(job, plan, self.engine.resolver.context(job))
        except (ConflictError, InvalidInputError):
            return False
        run.finished_at = run.started_at
        return self.engine.jobs.settle(job, run_id=self.run_id, run=run) not in ACTIVE

    @working_space()
    def start(self, plan: Plan) -> None:
        """Note that the job now runs, with which program and databases.

        Raises:
            JobFailedError: it was cancelled while it waited for this run. One that had been before is submitted again,
                and of one that ran it was the other run that ended.
        """
        engine, job = self.engine, self._job()
        context = engine.resolver.context(job)
        engine.results.clear_failures(engine.jobs.failed_keys(job))
        engine.jobs.start(job, run_id=self.run_id, unless_cancelled=bool(self._has_waited))
        with engine.database.write() as session:
            session.add(self._record(job, plan, context))
        # After the run was recorded, which keeps the names from being swept. What plugins find has names.
        if plan.unknown and context.plugin is None:
            keep_names(engine.store, context.databases)

    def search(self, batch: Batch) -> Outcome:
        """Search one batch when its turn has come, but for what is known or being searched by somebody else.

        Raises:
            ProgramError: the failure is not one of a sequence: see `BatchSearch.run`.
            ConflictError: the job was cancelled while the batch waited, or its databases have changed.
        """
        with self.turn():
            job = self._job()
            children = list(self.engine.jobs.children_at(job, batch.positions))
            return self._search(job, children, batch.threads, batch.earlier)

    def finish(self, lost: Collection[str] = ()) -> SearchedJob:
        """Bring the job to its end: wait for what others search, take over what they drop, settle.

        What was in ``lost`` packs, which were not in the store when the job was planned, must be searched, unless they
        are back.

        Raises:
            JobFailedError: the job is not complete now.
        """
        engine, job = self.engine, self._job()
        while left := self._left(job, engine.results.absent(lost)):
            outcome = self._search(job, left, engine.installation.workers)
            if outcome.elsewhere and not outcome.searched:
                time.sleep(_POLL_S)
        engine.jobs.end_runs(job)  # first: who waits for the job's end then reads what the run did
        engine.jobs.settle(job, run_id=self.run_id)
        self._keep_states(job)
        done = searched_job(engine.database, job.id, count=self.listed)
        if done.status != JobStatus.COMPLETE:
            raise JobFailedError(job.id, done.status, done.reason)
        return done

    def fail(self, error: BaseException) -> None:
        """Note that the run ended in an error, or was cancelled; what was found stays.

        If a server was away, the job stays in progress: that is nobody's failure, and what
        watches over runs sees that this one has ended, and runs the job again.
        """
        if isinstance(error, MultiblastError):
            error.job_id = self.job_id
        if is_outage(error):
            return
        cancelled = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        why = "its run was cancelled" if cancelled else str(error) or type(error).__name__
        job = self._job()
        status = JobStatus.CANCELLED if cancelled or job.cancel_requested else JobStatus.FAILED
        self.engine.jobs.stop(job, status, why, run_id=self.run_id)

    def _record(self, job: QueryJob, plan: Plan, context: SearchContext) -> Run:
        return Run(
            job_id=job.id,
            search_key=job.search_key,
            program_version=self.engine.installation.version(job.program),
            databases=[_describe(database) for database in context.databases],
            command=context.command(job.program, Path(), 1),
            reused=plan.known,
            known_before=plan.known_before,
            flow_run=self.run_id,
        )

    def _job(self) -> QueryJob:
        return self.engine.jobs.query(self.job_id)

    def _plan(self, job: QueryJob, before: Before | None = None) -> Plan:
        """Plan a job, also by what ``before`` knows of earlier states of its databases."""
        children = self.engine.jobs.children(job)
        sequences = (PlannedSequence(child.result_key, child.position, child.letters) for child in children)
        return make_plan(
            self.engine,
            options_of(job),
            job.search_key,
            sequences,
            subject_letters=lambda: self._subject_letters(job),
            job_id=job.id,
            warnings=job.notes,
            before=before,
        )

    def _subject_letters(self, job: QueryJob) -> int:
        """Return how large the databases of a job are; 0 if they are others by now, or gone: its run will say so."""
        with suppress(ConflictError, InvalidInputError):
            return self.engine.resolver.context(job).database_size.letters
        return 0

    def _known_before(self, unknown: Sequence[PlannedSequence], *, quick: bool) -> Iterator[KnownBefore]:
        job = self._job()

        def residues(positions: Collection[int]) -> Iterator[SearchedSequence]:
            return self._residues(job, self.engine.jobs.children_at(job, positions))

        from multiblast.search.known_before import EarlierResults

        try:
            context = self.engine.resolver.context(job)
        except (ConflictError, InvalidInputError):  # its run will say so
            return iter(())
        return EarlierResults(self.engine, context).find(unknown, residues, quick=quick)

    def _keep_states(self, job: QueryJob) -> None:
        """Note what the databases are, for the time when they have grown; that is no part of the job's search."""
        if self.engine.grown.enabled and added_program(job.program) is None:
            with suppress(ConflictError, InvalidInputError):  # they are others by now, or gone
                self.engine.states.keep(self.engine.resolver.context(job).databases)

    @working_space()
    def _search(self, job: QueryJob, children: Sequence[Child], threads: int, earlier: tuple[str, ...] = ()) -> Outcome:
        engine = self.engine
        distinct = {sequence.key: sequence for sequence in self._residues(job, children)}
        cancelled = throttled(lambda: self.given_up() or self._job().cancel_requested)
        context, run = engine.resolver.context(job), engine.jobs.last_run(job.id)
        number = run.number if run else None
        batch = BatchSearch(
            engine, context, threads, self.progress, cancelled, self.start_search, earlier, run_number=number
        )
        return batch.run(list(distinct.values()))

    def _left(self, job: QueryJob, lost: Collection[str]) -> list[Child]:
        """Return sequences of different result keys that have neither a result nor a failure, some of many."""
        first = {child.result_key: child for child in self.engine.jobs.unfinished(job, lost, _AT_A_TIME)}
        return list(first.values())

    def _residues(self, job: QueryJob, children: Iterable[Child]) -> Iterator[SearchedSequence]:
        store = self.engine.store
        with store.open(job.query_key) as stream:
            data = stream if stream.seekable() else None
            for child in children:
                if data is not None:
                    data.seek(child.query_offset)
                    record = data.read(child.query_bytes)
                else:
                    record = store.read(job.query_key, child.query_offset, child.query_bytes)
                yield SearchedSequence(child.result_key, record.split(b"\n")[1])


def _describe(database: BlastDatabase) -> dict[str, Any]:
    """What a data steward must know of a database years later."""
    return {
        "target": database.target,
        "database": database.name,
        "title": database.title,
        "fingerprint": database.fingerprint,
        "sequences": database.sequences,
        "letters": database.letters,
        "date": database.date.isoformat(),
    }
