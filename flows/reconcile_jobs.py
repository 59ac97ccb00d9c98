"""Bring jobs and runs in step: a job whose run died is run again."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from multiblast.database import JobKind
from tasks.notifying import HOOKS, send_notices
from tasks.reconciling import check_queued, reconcile, run_again, start_again
from tasks.reporting import format_report, show_report
from tasks.runners import task_runner
from tasks.searching import search_job
from tasks.upkeep import show_upkeep


@flow(name="reconcile-jobs", flow_run_name="reconcile jobs")
async def reconcile_jobs() -> int:
    """Find jobs in progress whose run died, as when a worker was killed, and run them again.

    A job whose run was cancelled is cancelled. One that loses its third run in a row has failed.
    Another run takes the place of one that died before its job began.
    Whoever asked to be told how a job ended, and could not be told then, is told now.

    Returns:
        How many jobs are on their way to be run.
    """
    reconciled = reconcile()
    done = asdict(reconciled) | {"runs started again": start_again()} | asdict(send_notices())
    await show_upkeep("reconciled", "Jobs and their runs", done)
    return len(run_again(reconciled.waiting)) if reconciled.waiting else 0


@flow(name="run-job", flow_run_name="run {job:.8}", task_runner=task_runner(), **HOOKS)
async def run_job(job: str) -> str:
    """Run a queued job, as reconcile-jobs does with those whose run died. To run a job that has ended: restart-job.

    Args:
        job: The query or report job's id.
    """
    if check_queued(job) is JobKind.REPORT:
        await show_report(format_report(job))
        return job
    await search_job(job)
    return job
