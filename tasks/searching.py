"""The stages of a search."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.futures import wait
from prefect.runtime import flow_run
from prefect.tasks import Task

from blocks.services import services
from multiblast.database import JobStatus
from multiblast.errors import JobFailedError
from multiblast.search import (
    Batch,
    Outcome,
    Plan,
    Recorded,
    SearchedJob,
    SequenceRow,
    Submission,
    board,
    transient,
)
from tasks import names
from tasks.artifacts import RunPage
from tasks.requesters import requester

__all__ = [
    "finish_query",
    "plan_search",
    "preview_search",
    "record_query",
    "search_batch",
    "search_job",
]

_SHOWN_CHILDREN = 25  # a run's graph stays readable up to here; the table has all
_TICK_S = 0.5


def _is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False, _sync=True)  # type: ignore[call-overload]  # added by Prefect's decorator
    return isinstance(error, BaseException) and transient(error)


def _batch_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    batch: Batch = parameters["batch"]
    return f"multiblast-batch-{batch.id}"


def _child_id(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    row: SequenceRow = parameters["row"]
    return f"multiblast-child-{row.job_id}-{row.result_key}"


@task(cache_policy=NO_CACHE, task_run_name="check and record the query")
def record_query(submission: Submission) -> Recorded:
    """Check a submission whole, then record its job, its children and their positions."""
    return services().query_service.record(requester(submission.owner), submission)


@task(cache_policy=NO_CACHE, task_run_name="plan the query")
def preview_search(submission: Submission) -> Plan:
    """Find out what a submission would take."""
    return services().search.preview(submission)


@task(cache_policy=NO_CACHE, task_run_name="plan the search")
def plan_search(job_id: str) -> Plan:
    """Find out what is known, and pack the rest into batches."""
    search = services().search
    plan = search.plan(job_id)
    search.start(plan, str(flow_run.id or ""))
    board.begin(job_id, to_search=plan.unknown, reused=plan.known, letters=plan.letters)
    return plan


@task(
    cache_key_fn=_batch_id,
    persist_result=True,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_is_transient,
    task_run_name=names.batch,
)
def search_batch(batch: Batch) -> Outcome:
    """Search one batch with one BLAST+ process, and store its results as they come."""
    at = services()
    with at.turns.turn(batch.job_id, given_up=lambda: at.search.jobs.query(batch.job_id).cancel_requested):
        return at.search.run(batch, lambda sequences, letters: board.advance(batch.job_id, sequences, letters))


@task(cache_key_fn=_child_id, persist_result=True, task_run_name=names.sequence)
def show_sequence(row: SequenceRow) -> str:
    """Show one child job in the run's graph."""
    return f"{row.status}, {row.hits} hits"


async def search_batches(plan: Plan, page: RunPage) -> None:
    """Run a plan's batches, keep the page up to date meanwhile, and show the children if they are few.

    Raises:
        ProgramError: a batch failed for a reason that is not one of its sequences.
    """
    futures = [search_batch.with_options(refresh_cache=not batch.known).submit(batch) for batch in plan.batches]
    pending = {asyncio.wrap_future(future.wrapped_future) for future in futures}  # type: ignore[attr-defined]  # of the thread runner
    while pending:
        _, pending = await asyncio.wait(pending, timeout=_TICK_S)
        if pending:
            await page.show_progress()
    for future in futures:
        future.result()


@task(cache_policy=NO_CACHE, task_run_name="complete the job")
def finish_query(job_id: str) -> SearchedJob:
    """Wait for what others search, then complete the children and the parent.

    Raises:
        JobFailedError: the job is not complete now.
    """
    search = services().search
    search.finish(job_id, flow_run=str(flow_run.id or ""))
    board.end(job_id)
    job = search.searched_job(job_id)
    if job.status != JobStatus.COMPLETE:
        raise JobFailedError(job.job_id, job.status, job.reason)
    return job


def show_children(job: SearchedJob) -> None:
    """Let each child of a small job stand in the run's graph."""
    if len(job.rows) <= _SHOWN_CHILDREN:
        wait([show_sequence.submit(row) for row in job.rows])


def give_up(job_id: str, error: BaseException) -> None:
    """Note that a job's run ended in an error, or was cancelled; what was found stays."""
    board.end(job_id)
    cancelled = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
    why = "its run was cancelled" if cancelled else str(error) or type(error).__name__
    services().search.fail(job_id, why, cancelled=cancelled, flow_run=str(flow_run.id or ""))


async def search_job(job_id: str) -> SearchedJob:
    """Plan a recorded job, search it and complete it, and show all of that on the run's page.

    A run that is stopped from outside leaves its job in progress: if it was cancelled, the hook
    `tasks.reconciling.cancel_jobs` cancels the job; if not, reconcile-jobs runs it again.
    """
    page = RunPage(job_id)
    try:
        plan = plan_search(job_id)
        await page.show_plan(plan)
        await search_batches(plan, page)
        job = finish_query(job_id)
    except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:
        give_up(job_id, error)
        raise
    show_children(job)
    await page.show_result(job)
    return job
