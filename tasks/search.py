"""The stages of a search as tasks, and the run of a whole job by a flow run."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture, wait
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

from blocks.services import services
from multiblast.database import JobStatus
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, NotFoundError
from multiblast.log_lines import set_job
from multiblast.reports import Formatting
from multiblast.search import (
    Batch,
    Outcome,
    Plan,
    Recorded,
    SearchedJob,
    SearchRun,
    SequenceRow,
    Steps,
    Submission,
    board,
)
from tasks.orders import ORDERS_AT_A_TIME, elsewhere
from tasks.page import RunPage, show_plan
from tasks.recovery import cancel_at_once, dismiss_helpers
from tasks.registry import record_if_wanted
from tasks.reports import make_reports
from tasks.runs import RETRY_IF_TRANSIENT, is_cluster, names_kept_out, requester, sequence_name, tag_run
from tasks.shards import call_helpers, wait_for_turn

_SHOWN_CHILDREN = 25  # a run's graph stays readable up to here; the table has all
_TICK_S = 0.5


def _batch_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    batch: Batch = parameters["batch"]
    return f"multiblast-batch-{batch.id}"


def _child_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    row: SequenceRow = parameters["row"]
    return f"multiblast-child-{row.job_id}-{row.result_key}"


@task(cache_policy=NO_CACHE, task_run_name="check and record the query", **RETRY_IF_TRANSIENT)
def record_query(submission: Submission, notify: str = "", wanted: Sequence[Formatting] = ()) -> Recorded:
    """Check a submission whole, then record its job, its children, the reports, and whom to notify of its end."""
    who = requester(submission.owner)
    services().accounts.check_submitter(who, has_link=True)
    services().wanted_reports.check(submission.options, wanted)
    with names_kept_out():
        recorded = services().queries.submit(who, submission, notify=notify)
    services().wanted_reports.record(who, recorded.job_id, wanted)
    return recorded


@task(cache_policy=NO_CACHE, task_run_name="plan the query")
def preview_search(submission: Submission) -> Plan:
    """Find out what a submission would take."""
    with names_kept_out():
        return services().queries.preview(submission)


def _run(job_id: str, site: str = "", coupling: str = "") -> SearchRun:
    """Return the run of a job, of which this process does a part; the searches themselves may be done at a site."""
    run = services().queries.run(job_id, run_id=str(flow_run.id or ""), progress=partial(board.advance, job_id))
    return replace(run, start_search=elsewhere(site, coupling).start) if site else run


@task(cache_policy=NO_CACHE, task_run_name="plan the search", **RETRY_IF_TRANSIENT)
def plan_search(job_id: str) -> Plan:
    """Find out what is known, and pack the rest into batches."""
    return _run(job_id).plan()


def _search_batch(batch: Batch, site: str = "", coupling: str = "") -> Outcome:
    return _run(batch.job_id, site, coupling).search(batch)


# The function keeps its name, by which clusters of Dask's and Ray's find it.
search_batch = task(
    name="search_batch",
    description="Search one batch with one BLAST+ process, and store its results as they come.",
    cache_key_fn=_batch_id,
    persist_result=True,
    task_run_name="search {batch.label}",
    **RETRY_IF_TRANSIENT,
)(_search_batch)


@task(cache_key_fn=_child_id, persist_result=True, task_run_name=sequence_name)
def show_sequence(row: SequenceRow) -> str:
    """Show one child job in the run's graph."""
    return f"{row.status}, {row.hits} hits"


@task(cache_policy=NO_CACHE, task_run_name="complete the job", **RETRY_IF_TRANSIENT)
def finish_query(job_id: str, lost: Collection[str] = ()) -> SearchedJob:
    """Wait for what others search, then complete the children and the parent: see `SearchRun.finish`."""
    return _run(job_id).finish(lost)


class FlowSearch(Steps):
    """The run of a recorded job by a flow run: each step a task, all of it shown on the run's page.

    It also makes the reports that wait for the job, parts of them while others are searched.
    If a step fails, the job fails, and the runs that help end. A run that is stopped from outside, or ends since a
    server was away, leaves its job in progress, and reconcile-jobs runs it again; only a run that was cancelled
    cancels its job, and a job that was cancelled its runs.
    """

    def __init__(self, job_id: str, *, may_wait: bool = False) -> None:
        """Begin.

        Args:
            job_id: The job.
            may_wait: Whether the run of a large job waits for its turn.
        """
        super().__init__(_run(job_id))
        set_job(job_id)
        self._job_id = job_id
        self._may_wait = may_wait
        self._page = RunPage(job_id)
        self._helpers = 0
        self._early = services().wanted_reports.early_parts(job_id, run_id=str(flow_run.id or ""))

    async def plan(self) -> Plan:
        """Find out what is known and what must be searched; the run of a large job then waits for its turn."""
        self.run.note_status()
        await tag_run(self._job_id)
        plan = plan_search(self._job_id)
        await show_plan(plan, f"plan-{self._job_id:.8}")
        if self._may_wait:
            await wait_for_turn(plan)
        return plan

    async def start(self, plan: Plan) -> None:
        """Note that the job now runs, and call helpers for a large one."""
        await super().start(plan)
        board.begin(self._job_id, to_search=plan.unknown, reused=plan.known, letters=plan.letters)
        self._helpers = await call_helpers(plan)

    async def search(self, plan: Plan) -> None:
        """Search all batches: see `search_batches`."""
        if plan.unknown:
            self._early.start()
        await search_batches(plan.batches, self._page)

    async def finish(self, plan: Plan) -> SearchedJob:
        """Complete the job, and keep the page up to date while others still search for it."""
        future = finish_query.submit(self._job_id, plan.lost)
        ended = _ended(future)
        while not ended.done():
            await asyncio.wait([ended], timeout=_TICK_S)
            await self._page.show_progress()
        job = future.result()
        board.end(self._job_id)
        self._dismiss_helpers(at_once=False)  # those at work find nothing left, and end
        return job

    def fail(self, error: BaseException) -> None:
        """Note that the run ended in an error, or was cancelled; one that is stopped leaves its job in progress.

        What stops a deployment's run reaches it in several ways; only the server knows whether it is cancelled.
        """
        board.end(self._job_id)
        stopped = (asyncio.CancelledError, KeyboardInterrupt) if deployment.id else ()
        if isinstance(error, (TerminationSignal, *stopped)):
            cancel_at_once(flow_run.id)
            return
        if isinstance(error, Exception | asyncio.CancelledError | KeyboardInterrupt):
            super().fail(error)
        self._dismiss_helpers(at_once=True)

    def _dismiss_helpers(self, *, at_once: bool) -> None:
        if self._helpers:
            dismiss_helpers(UUID(flow_run.id), at_once=at_once)

    async def execute(self) -> SearchedJob:
        """Do all steps; where they fail, the page says so too."""
        with self._early:
            try:
                job = await super().execute()
            except Exception as error:
                await self._page.show_failure()
                ended = services().queries.jobs.query(self._job_id)
                if ended.status == JobStatus.CANCELLED:
                    raise JobFailedError(ended.id, ended.status, ended.reason) from error
                raise
            await asyncio.to_thread(make_reports, self._job_id, self._early)
        return job

    async def show(self, job: SearchedJob) -> None:
        """Show what was found, each child of a small job also in the run's graph; record it if that is wanted."""
        if len(job.rows) <= _SHOWN_CHILDREN:
            wait([show_sequence.submit(row) for row in job.rows])
        await self._page.show_result(job)
        record_if_wanted(self._job_id)


async def search_batches(batches: Sequence[Batch], page: RunPage, site: str = "", coupling: str = "") -> list[Outcome]:
    """Run batches, as many at a time as there are cores (a cluster gets all), and keep the page up to date meanwhile.

    Raises:
        ProgramError: a batch failed for a reason that is not one of its sequences; those not begun are left.
    """
    waiting, futures = deque(batches), list[PrefectFuture[Outcome]]()
    pending: dict[asyncio.Future[None], PrefectFuture[Outcome]] = {}
    at_a_time = ORDERS_AT_A_TIME if site else len(batches) if is_cluster() else services().installation.workers
    while pending or waiting:
        while waiting and len(pending) < at_a_time:
            batch = waiting.popleft()
            futures.append(search_batch.with_options(refresh_cache=not batch.known).submit(batch, site, coupling))
            pending[_ended(futures[-1])] = futures[-1]
        await page.show_progress()  # while all cores are busy
        done, _ = await asyncio.wait(pending, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
        for future in map(pending.pop, done):
            future.wait()  # at once; after that its state is here, and the server is not asked for it
            if future.state.is_failed() or future.state.is_crashed():
                waiting.clear()
    return [future.result() for future in futures]


def _ended(future: PrefectFuture[Any]) -> asyncio.Future[None]:
    """Return what is done when a task run has ended, well or not, whatever runs it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    def report_end(_future: PrefectFuture[Any]) -> None:
        loop.call_soon_threadsafe(end)

    future.add_done_callback(report_end)
    return ended


@task(cache_policy=NO_CACHE, task_run_name="plan part {part} of {of}")
def plan_part(job_id: str, part: int, of: int) -> Plan:
    """Find out what is left of a job, in the order in which this helper goes through it."""
    return _run(job_id).plan_part(part, of)


async def search_part(job_id: str, part: int, of: int, site: str = "", coupling: str = "") -> State[Any]:
    """Help with a job in progress until nothing is left to begin, here or by a site; return how that ended."""
    helper = site or platform.node()
    try:
        plan = plan_part(job_id, part, of)
        outcomes = await search_batches(plan.batches, RunPage(job_id, shown=False), site, coupling)
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        return Completed(name="NotHere", message=f"{helper} leaves the work to others: {error}")
    searched = sum(outcome.searched for outcome in outcomes)
    return Completed(message=f"{helper} searched {searched:,} of {plan.unknown:,} sequences that were left.")
