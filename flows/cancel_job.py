"""Stop a job that waits or runs."""

from __future__ import annotations

from prefect import flow

from blocks.services import services
from tasks.runs import requester


@flow(name="cancel-job", flow_run_name="cancel {job:.8}")
async def cancel_job(job: str, user: str = "") -> None:
    """Stop a job that waits or runs. What it found so far is kept.

    Args:
        job: The query or report job's id.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    services().job_door(job).cancel(requester(user), job)
