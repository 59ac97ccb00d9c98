"""Control a job: run it again from its recipe, or stop it."""

from __future__ import annotations

from prefect import flow

from blocks.services import services
from multiblast.actions.answers import CreatedPlugin
from multiblast.database import JobKind
from tasks.page import problems_on_page, show_changes
from tasks.plugins import run_following, run_rounds, show_outcome
from tasks.recovery import HOOKS
from tasks.reports import format_report, show_report
from tasks.runs import requester
from tasks.search import FlowSearch


@flow(name="restart-job", flow_run_name="restart {job:.8}", **HOOKS)
async def restart_job(job: str, user: str = "") -> str:
    """Run an expired, failed or cancelled job again, from its recipe and with the databases as they are now.

    A complete job is run again if a database changed since; then it is compared with what it found before.

    Args:
        job: The query, report or plugin job's id.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    async with problems_on_page():
        who, service = requester(user), services().job_door(job)
        created = service.restart(who, job)
        if isinstance(created, CreatedPlugin):  # another job, where what it takes in is another now
            job = created.plugin_job_id
        if service.kind is JobKind.REPORT:
            await show_report(format_report(job))
            return job
        if service.kind is JobKind.PLUGIN:
            await run_rounds(job)
            await show_outcome(job)
            await run_following(job)
            return job
        await FlowSearch(job).execute()
        await show_changes(who, job)
    return job


@flow(name="cancel-job", flow_run_name="cancel {job:.8}")
async def cancel_job(job: str, user: str = "") -> None:
    """Stop a job that waits or runs. What it found so far is kept.

    Args:
        job: The query, report or plugin job's id.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    async with problems_on_page():
        services().job_door(job).cancel(requester(user), job)
