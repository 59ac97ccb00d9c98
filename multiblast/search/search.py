"""The search service: everything that happens to a query job, behind a few calls."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from multiblast.database import ChildJob, Database, JobStatus, QueryJob, Result, Run, Speed, utc_now
from multiblast.errors import ConflictError
from multiblast.ids import digest
from multiblast.installation import Installation
from multiblast.jobs import ACTIVE, Child, Jobs, TargetName
from multiblast.options import Options, parse_options
from multiblast.programs import ask_seldom
from multiblast.results import Results
from multiblast.search.planning import Batch, Plan, Unknown, core_seconds, estimated_seconds, pack_batches
from multiblast.search.recording import Recorded, Recorder
from multiblast.search.running import Item, OnProgress, Outcome, Runner, SearchContext
from multiblast.search.subject_names import keep_names
from multiblast.search.submission import StoreKey, Submission
from multiblast.search.table import SearchedJob, sequence_rows
from multiblast.settings import QueryLimits
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, Targets
from multiblast.working_space import working_space

__all__ = ["JobState", "Search"]

_POLL_S = 0.5
_SHOWN_KNOWN_BATCHES = 10


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's status and how far it is, in positions of its query."""

    job_id: str
    status: JobStatus
    sequences: int
    done: int
    failed: int
    reason: str = ""


class Search:
    """Records query jobs and searches them, each distinct sequence once.

    Args:
        database: Where jobs are recorded.
        store: Where queries and results are kept.
        installation: The programs of this machine.
        targets: The databases of this machine.
        limits: What a job may ask for.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        installation: Installation,
        targets: Targets,
        limits: QueryLimits,
    ) -> None:
        self._database, self._store, self._installation, self._targets = database, store, installation, targets
        self.jobs = Jobs(database)
        self.results = Results(database, store)
        self._recorder = Recorder(self.jobs, store, installation, targets, limits)
        self._runner = Runner(database, self.results, installation, store)

    def record(self, submission: Submission) -> Recorded:
        """Check a submission and record its job: see `Recorder.record`."""
        return self._recorder.record(submission)

    def check(self, submission: Submission) -> None:
        """Check a submission without recording it: see `Recorder.check`."""
        if not isinstance(submission.query, StoreKey):
            self._recorder.check(submission)

    def plan(self, job_id: str) -> Plan:
        """Find out which sequences are known, and pack the others into batches.

        Known results are verified to be in the store; lost ones are searched again.
        A few batches of known results are in the plan too, to be shown.
        """
        job = self.jobs.query(job_id)
        first = _first_positions(self.jobs.children(job))
        lost = self.results.check_present(first)
        known = {key: child for key, child in first.items() if child.pack is not None and key not in lost}
        unknown = [Unknown(key, child.position, child.letters) for key, child in first.items() if key not in known]
        plan = self._plan(job_id, job.program, job.search_key, unknown)
        return replace(
            plan,
            sequences=job.sequences,
            distinct=len(first),
            known=len(known),
            batches=(*_known_batches(job_id, known), *plan.batches),
            warnings=tuple(job.notes),
        )

    def plan_part(self, job_id: str, part: int, of: int) -> Plan:
        """Plan how this machine helps with a job that another one runs: all that is left of it, begun elsewhere.

        No sequence is given to anybody: whoever comes to a batch first claims it, so nothing
        waits for a machine that comes late, or not at all.

        Args:
            job_id: The job.
            part: Which of the machines that help this is, 1-based.
            of: How many there are, beside the one that runs the job.

        Raises:
            InvalidInputError: this machine does not have the databases.
            ConflictError: it has others of their names, or another version of BLAST+; or the job does not run.
        """
        job = self.jobs.query(job_id)
        if job.status != JobStatus.IN_PROGRESS:
            raise ConflictError(f"job {job_id} is {job.status}: only a job that runs can be helped")
        self._context(job)
        plan = self.plan(job_id)
        first = part * len(plan.to_run) // (of + 1)
        return replace(plan, batches=plan.to_run[first:] + plan.to_run[:first])

    def preview(self, submission: Submission) -> Plan:
        """Plan a submission without recording it.

        Raises:
            InvalidInputError: as `record`.
        """
        preview = self._recorder.preview(submission)
        distinct = {key: Unknown(key, number, letters) for number, (key, letters) in enumerate(preview.sequences, 1)}
        known = self.results.known(distinct)
        unknown = [item for key, item in distinct.items() if key not in known]
        plan = self._plan("", submission.options.program, preview.search_key, unknown)
        return replace(
            plan,
            sequences=len(preview.sequences),
            distinct=len(distinct),
            known=len(known),
            warnings=preview.warnings,
        )

    def _plan(self, job_id: str, program: str, search_key: str, unknown: Sequence[Unknown]) -> Plan:
        """Plan what must be searched, by the speed of earlier searches of the same kind on this machine."""
        speed = self._speed(_speed_key(search_key)) if unknown else None
        per_second = speed.letters_per_second if speed else None
        workers = self._installation.workers
        batches = pack_batches(job_id, program, unknown, workers=workers, letters_per_second=per_second)
        letters = sum(item.letters for item in unknown)
        return Plan(
            job_id=job_id,
            program=program,
            letters=letters,
            batches=tuple(batches),
            core_seconds=core_seconds(program, letters, per_second),
            seconds=estimated_seconds(letters, workers, len(batches), per_second),
            result_bytes=speed.bytes_per_letter * letters if speed else None,
        )

    @working_space()
    def start(self, plan: Plan, run_id: str = "") -> int:
        """Note that a planned job now runs, with which program and databases; return the run's number."""
        job = self.jobs.query(plan.job_id)
        context = self._context(job)
        keys = [child.result_key for child in self.jobs.children(job)]
        self.results.forgive(keys)
        self.jobs.start(job, run_id=run_id)
        run = Run(
            job_id=job.id,
            search_key=job.search_key,
            program_version=self._installation.version(job.program),
            databases=[_describe(database) for database in context.databases],
            command=context.command(job.program, Path(), 1),
            searched=plan.unknown,
            reused=plan.known,
            flow_run=run_id,
        )
        if plan.unknown:
            keep_names(self._store, context.databases)
        with self._database.write() as session:
            session.add(run)
            session.flush()
            return run.number or 0

    def run(self, batch: Batch, progress: OnProgress = lambda _sequences, _letters: None) -> Outcome:
        """Search one batch, but for what is known or being searched by somebody else.

        Raises:
            ProgramError: as `Runner.run`.
        """
        job = self.jobs.query(batch.job_id)
        wanted = set(batch.positions)
        children = [child for child in self.jobs.children(job) if child.position in wanted]
        return self._run(job, children, batch.threads, progress)

    def finish(self, job_id: str, *, run_id: str = "", progress: OnProgress = lambda _s, _l: None) -> JobState:
        """Bring a job to its end: wait for what others search, take over what they drop, settle.

        Raises:
            ProgramError: as `run`.
        """
        job = self.jobs.query(job_id)
        while left := self._left(job):
            outcome = self._run(job, left, self._installation.workers, progress)
            if outcome.elsewhere and not outcome.searched:
                time.sleep(_POLL_S)
        self.jobs.settle(job, run_id=run_id)
        with self._database.write() as session:
            unfinished = select(Run).where(Run.job_id == job_id, col(Run.finished_at).is_(None))
            for run in session.exec(unfinished):
                run.finished_at = utc_now()
        return self.state(job_id)

    def state(self, job_id: str) -> JobState:
        """Tell a job's status and how far it is."""
        job = self.jobs.query(job_id)
        counts = self.jobs.counts(job)
        return JobState(job_id, JobStatus(job.status), counts.sequences, counts.done, counts.failed, job.reason)

    def left(self, job_id: str) -> tuple[int, int]:
        """Tell how many distinct sequences of a job have no result yet, and their letters."""
        job = self.jobs.query(job_id)
        with self._database.read() as session:
            if job.sequences == 1:
                return (0, 0) if session.get(Result, job.result_key) else (1, job.letters)
            left = (
                select(ChildJob.result_key, ChildJob.letters)
                .outerjoin(Result, col(Result.key) == ChildJob.result_key)
                .where(ChildJob.parent_id == job_id, col(Result.key).is_(None))
                .distinct()
                .subquery()
            )
            count, letters = session.exec(select(func.count(), func.coalesce(func.sum(left.c.letters), 0))).one()
        return int(count), int(letters)

    def searched_job(self, job_id: str, *, count: int = 0) -> SearchedJob:
        """Return what became of a job, with the rows of its first ``count`` sequences (0: of all)."""
        job = self.jobs.query(job_id)
        with self._database.read() as session:
            run = session.exec(select(Run).where(Run.job_id == job_id).order_by(col(Run.number).desc())).first()
        rows = sequence_rows(self._database, job, since=run.started_at if run else None, count=count)
        return SearchedJob(
            job_id=job_id,
            status=job.status,
            sequences=job.sequences,
            searched=run.searched if run else 0,
            reused=run.reused if run else 0,
            failed=self.jobs.counts(job).failed,
            rows=tuple(rows),
            warnings=tuple(job.notes),
            reason=job.reason,
            command=tuple(run.command) if run else (),
        )

    def fail(self, job_id: str, why: str, *, cancelled: bool = False, run_id: str = "") -> None:
        """Note that a job's run ended in an error, or was cancelled; what was found stays."""
        job = self.jobs.query(job_id)
        status = JobStatus.CANCELLED if cancelled or job.cancel_requested else JobStatus.FAILED
        self.jobs.stop(job, status, why, run_id=run_id)

    def restart(self, job_id: str) -> Recorded:
        """Record a job again from its recipe, so that it runs with the databases as they are now."""
        job = self.jobs.query(job_id)
        with NamedTemporaryFile(suffix=".fasta") as file:
            with self._store.open(job.query_key, job.query_offset, job.query_bytes) as stream:
                shutil.copyfileobj(stream, file)
            file.flush()
            submission = Submission(Path(file.name), job.site, _targets(job), self.options(job))
            return self._recorder.record(submission)

    def cancel(self, job_id: str) -> None:
        """Stop a job: its BLAST+ processes are killed within a second or so; what is complete is kept.

        Raises:
            ConflictError: the job has ended already.
        """
        job = self.jobs.query(job_id)
        if job.status not in ACTIVE:
            raise ConflictError(f"job {job_id} is {job.status}: only a queued or running job can be cancelled")
        self.jobs.stop(job, JobStatus.CANCELLED, "cancelled by its user")

    def context(self, job_id: str) -> SearchContext:
        """Return what a job's batches share; its databases as they are now."""
        return self._context(self.jobs.query(job_id))

    def _context(self, job: QueryJob) -> SearchContext:
        options = self.options(job)
        databases = self._recorder.databases(job.site, _targets(job), options)
        self._targets.note_use(databases)
        keys = self._recorder.result_keys(options, databases)
        if keys.search != job.search_key:
            raise ConflictError(f"a database or the BLAST+ version changed since job {job.id} was recorded: restart it")
        return SearchContext(
            job.id, options, databases, _speed_key(keys.search), self._recorder.paths(options, databases)
        )

    def options(self, job: QueryJob) -> Options:
        """Return a job's program and options."""
        return parse_options(job.program, job.recipe["options"])

    @working_space()
    def _run(self, job: QueryJob, children: Sequence[Child], threads: int, progress: OnProgress) -> Outcome:
        context = self._context(job)
        distinct = {item.key: item for item in self._residues(job, children)}
        cancelled = ask_seldom(lambda: self.jobs.query(job.id).cancel_requested)
        return self._runner.run(context, list(distinct.values()), threads, progress=progress, cancelled=cancelled)

    def _left(self, job: QueryJob) -> list[Child]:
        first = _first_positions(self.jobs.children(job))
        return [child for child in first.values() if child.pack is None and child.failure is None]

    def _residues(self, job: QueryJob, children: Sequence[Child]) -> Iterator[Item]:
        with self._store.open(job.query_key) as stream:
            data = stream if stream.seekable() else None
            for child in children:
                if data is not None:
                    data.seek(child.query_offset)
                    record = data.read(child.query_bytes)
                else:
                    record = self._store.read(job.query_key, child.query_offset, child.query_bytes)
                yield Item(child.result_key, record.split(b"\n")[1])

    def _speed(self, key: str) -> Speed | None:
        with self._database.read() as session:
            return session.get(Speed, key)


def _speed_key(search_key: str) -> str:
    return digest("speed/1", [search_key, platform.node()])


def _targets(job: QueryJob) -> tuple[TargetName, ...]:
    return tuple(TargetName(target["targetDisplayName"], target["targetFile"]) for target in job.recipe["targets"])


def _first_positions(children: Iterator[Child]) -> dict[str, Child]:
    """Return the first child of each result key, in order."""
    first: dict[str, Child] = {}
    for child in children:
        first.setdefault(child.result_key, child)
    return first


def _known_batches(job_id: str, known: dict[str, Child]) -> list[Batch]:
    """Make one batch of each of the first packs that hold known results, so that they can be shown."""
    packs: dict[str, list[Child]] = {}
    for child in known.values():
        if child.pack is not None:
            packs.setdefault(child.pack, []).append(child)
    shown = list(packs.values())[:_SHOWN_KNOWN_BATCHES]
    return [
        Batch(
            id=digest("batch/1", sorted(child.result_key for child in children)),
            job_id=job_id,
            number=number,
            of=len(shown),
            positions=tuple(child.position for child in children),
            letters=sum(child.letters for child in children),
            known=True,
        )
        for number, children in enumerate(shown, start=1)
    ]


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
