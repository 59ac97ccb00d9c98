"""Bring jobs and runs in step: a job whose run died is run again."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from multiblast.database import JobKind
from tasks.notices import send_notices
from tasks.page import problems_on_page, show_facts
from tasks.plugins import run_following, run_rounds, show_outcome, wake_who_asked
from tasks.recovery import HOOKS, check_queued, end_cancelled_runs, reconcile, replace_dead_runs, run_again
from tasks.reports import format_report, show_report
from tasks.runs import job_name, tag_run, task_runner
from tasks.search import FlowSearch


@flow(name="reconcile-jobs", flow_run_name="reconcile jobs")
async def reconcile_jobs() -> int:
    """Find jobs in progress whose run died, as when a worker was killed, and run them again.

    A job whose run was cancelled is cancelled. One that loses its third run in a row has failed.
    Another run takes the place of one that died before its job began. One that was cancelled and does not end
    is Cancelled.
    Notices and webhooks that could not be sent then are sent now.

    Returns:
        How many jobs are on their way to be run.
    """
    reconciled = reconcile()
    # First, as all else may take a minute, or fail.
    started = run_again(reconciled.waiting) if reconciled.waiting else []
    replaced, cancelled, notices = replace_dead_runs(), end_cancelled_runs(), send_notices()
    facts = asdict(reconciled) | {"runs started again": replaced, "runs that were to end": cancelled} | asdict(notices)
    await show_facts("reconciled", "Jobs and their runs", facts)
    return len(started)


@flow(name="run-job", flow_run_name=job_name, task_runner=task_runner(), **HOOKS)
async def run_job(job: str) -> str:
    """Run a queued job, as reconcile-jobs does with those whose run died. To run a job that has ended: restart-job.

    Args:
        job: The query, report or plugin job's id.
    """
    async with problems_on_page():
        kind = check_queued(job)
        await tag_run(job)
        if kind is JobKind.REPORT:
            await show_report(format_report(job))
            return job
        if kind is JobKind.PLUGIN:
            await wake_who_asked(job)
            await run_rounds(job)
            await show_outcome(job)
            await run_following(job)
            return job
        await FlowSearch(job).execute()
    return job
