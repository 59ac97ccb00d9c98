"""The stages of a search."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateDetails
from prefect.context import TaskRunContext
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.states import Completed

from blocks.services import services
from multiblast.database import JobStatus
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, NotFoundError
from multiblast.log_lines import set_job
from multiblast.outages import is_outage
from multiblast.search import (
    Batch,
    Outcome,
    Plan,
    Recorded,
    SearchedJob,
    SequenceRow,
    Submission,
    board,
)
from tasks.page import RunPage
from tasks.recovery import cancel_at_once, dismiss_helpers
from tasks.registry import record_if_wanted
from tasks.runs import RETRY_IF_TRANSIENT, batch_name, is_cluster, requester, sequence_name, tag_run
from tasks.sharing import call_helpers, wait_behind_small

__all__ = [
    "finish_query",
    "plan_search",
    "preview_search",
    "record_query",
    "search_batch",
    "search_job",
    "search_part",
]

_SHOWN_CHILDREN = 25  # a run's graph stays readable up to here; the table has all
_TICK_S = 0.5


def _batch_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    batch: Batch = parameters["batch"]
    return f"multiblast-batch-{batch.id}"


def _child_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    row: SequenceRow = parameters["row"]
    return f"multiblast-child-{row.job_id}-{row.result_key}"


@task(cache_policy=NO_CACHE, task_run_name="check and record the query", **RETRY_IF_TRANSIENT)
def record_query(submission: Submission, notify: str = "") -> Recorded:
    """Check a submission whole, then record its job, its children and their positions, and who wants to be told."""
    at = services()
    if notify:
        at.notices.check(notify)
    recorded = at.query_service.record(requester(submission.owner), submission)
    if notify:
        at.notices.ask(recorded.job_id, notify)
    return recorded


@task(cache_policy=NO_CACHE, task_run_name="plan the query")
def preview_search(submission: Submission) -> Plan:
    """Find out what a submission would take."""
    return services().search.preview(submission)


@task(cache_policy=NO_CACHE, task_run_name="plan the search", **RETRY_IF_TRANSIENT)
def plan_search(job_id: str) -> Plan:
    """Find out what is known, and pack the rest into batches."""
    return services().search.plan(job_id)


def start_search(plan: Plan) -> None:
    """Note that a planned job now runs."""
    services().search.start(plan, str(flow_run.id or ""))
    board.begin(plan.job_id, to_search=plan.unknown, reused=plan.known, letters=plan.letters)


def _search_batch(batch: Batch) -> Outcome:
    at = services()
    with at.fair_queue.turn(batch.job_id, given_up=lambda: at.search.jobs.query(batch.job_id).cancel_requested):
        return at.search.run(batch, lambda sequences, letters: board.advance(batch.job_id, sequences, letters))


# The function keeps its name, by which clusters of Dask's and Ray's find it.
search_batch = task(
    name="search_batch",
    description="Search one batch with one BLAST+ process, and store its results as they come.",
    cache_key_fn=_batch_id,
    persist_result=True,
    task_run_name=batch_name,
    **RETRY_IF_TRANSIENT,
)(_search_batch)


@task(cache_key_fn=_child_id, persist_result=True, task_run_name=sequence_name)
def show_sequence(row: SequenceRow) -> str:
    """Show one child job in the run's graph."""
    return f"{row.status}, {row.hits} hits"


async def search_batches(batches: Sequence[Batch], page: RunPage) -> list[Outcome]:
    """Run batches, as many at a time as there are cores (a cluster gets all), and keep the page up to date meanwhile.

    Raises:
        ProgramError: a batch failed for a reason that is not one of its sequences; those not begun are left.
    """
    waiting, futures = deque(batches), list[PrefectFuture[Outcome]]()
    pending: dict[asyncio.Future[None], PrefectFuture[Outcome]] = {}
    at_a_time = len(batches) if is_cluster() else services().installation.workers
    while pending or waiting:
        while waiting and len(pending) < at_a_time:
            batch = waiting.popleft()
            futures.append(search_batch.with_options(refresh_cache=not batch.known).submit(batch))
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

    def tell(_future: PrefectFuture[Any]) -> None:
        loop.call_soon_threadsafe(end)

    future.add_done_callback(tell)
    return ended


@task(cache_policy=NO_CACHE, task_run_name="complete the job", **RETRY_IF_TRANSIENT)
def finish_query(job_id: str) -> SearchedJob:
    """Wait for what others search, then complete the children and the parent.

    Raises:
        JobFailedError: the job is not complete now.
    """
    search = services().search
    search.finish(job_id, run_id=str(flow_run.id or ""))
    job = search.searched_job(job_id)
    if job.status != JobStatus.COMPLETE:
        raise JobFailedError(job.job_id, job.status, job.reason)
    return job


def show_children(job: SearchedJob) -> None:
    """Let each child of a small job stand in the run's graph."""
    if len(job.rows) <= _SHOWN_CHILDREN:
        wait([show_sequence.submit(row) for row in job.rows])


async def _finish(job_id: str, page: RunPage) -> SearchedJob:
    """Complete a job, and keep the page up to date while others still search for it."""
    future = finish_query.submit(job_id)
    ended = _ended(future)
    while not ended.done():
        await asyncio.wait([ended], timeout=_TICK_S)
        await page.show_progress()
    board.end(job_id)
    return future.result()


def give_up(job_id: str, error: BaseException) -> None:
    """Note that a job's run ended in an error, or was cancelled; what was found stays.

    If a server was away, the job stays in progress: reconcile-jobs sees that its run ended, and runs it again.
    """
    board.end(job_id)
    if is_outage(error):
        return
    cancelled = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
    why = "its run was cancelled" if cancelled else str(error) or type(error).__name__
    services().search.fail(job_id, why, cancelled=cancelled, run_id=str(flow_run.id or ""))


def _queued(job_id: str, run_id: UUID) -> SearchedJob:
    """Return a job that waits, in a state that names the flow run which will search it."""
    state: State[SearchedJob] = Completed(
        name="Queued",
        message=f"Job {job_id} waits behind other jobs: flow run {run_id} searches it.",
        data=services().search.searched_job(job_id),
        state_details=StateDetails(child_flow_run_id=run_id),
    )
    return cast("SearchedJob", state)  # Prefect takes the job out of the state


async def search_job(job_id: str, *, may_wait: bool = False) -> SearchedJob:
    """Plan a recorded job, search it and complete it, and show all of that on the run's page.

    A run that is stopped from outside, or ends since a server was away, leaves its job in progress, and reconcile-jobs
    runs it again; only a run that was cancelled cancels its job.

    Args:
        job_id: The job.
        may_wait: Whether a large job is left to the queue of large ones; it then is queued, and so the run's end says.
    """
    set_job(job_id)
    page, helpers = RunPage(job_id), 0
    try:
        await tag_run(job_id)
        plan = plan_search(job_id)
        await page.show_plan(plan)
        if may_wait and (run_id := wait_behind_small(plan)):
            await page.show_waiting(run_id)
            return _queued(job_id, run_id)
        start_search(plan)
        helpers = await call_helpers(plan)
        await search_batches(plan.batches, page)
        job = await _finish(job_id, page)
    except TerminationSignal:
        cancel_at_once(flow_run.id)
        raise
    except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:
        give_up(job_id, error)
        if helpers:
            dismiss_helpers(UUID(flow_run.id))
        raise
    if helpers:
        dismiss_helpers(UUID(flow_run.id), at_once=False)  # those at work find nothing left, and end
    show_children(job)
    await page.show_result(job)
    record_if_wanted(job_id)
    return job


@task(cache_policy=NO_CACHE, task_run_name="plan part {part} of {of}")
def plan_part(job_id: str, part: int, of: int) -> Plan:
    """Find out what is left of a job, in the order in which this helper goes through it."""
    return services().search.plan_part(job_id, part, of)


async def search_part(job_id: str, part: int, of: int) -> State[Any]:
    """Help with a job in progress until nothing is left to begin; return how that ended."""
    try:
        plan = plan_part(job_id, part, of)
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        return Completed(name="NotHere", message=f"{platform.node()} leaves the work to others: {error}")
    outcomes = await search_batches(plan.batches, RunPage(job_id, shown=False))
    searched = sum(outcome.searched for outcome in outcomes)
    return Completed(message=f"{platform.node()} searched {searched:,} of {plan.unknown:,} sequences that were left.")
