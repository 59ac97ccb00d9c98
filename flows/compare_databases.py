"""Compare what was found before and after a database changed."""

from __future__ import annotations

from prefect import flow

from blocks.services import services
from tasks.page import show_comparison
from tasks.runs import requester


@flow(name="compare-databases", flow_run_name="compare {job:.8}")
async def compare_databases(job: str, before: str = "", user: str = "", share: str = "") -> str:
    """Show which hits a job gained, lost and changed since its databases changed.

    Args:
        job: The query job's id.
        before: Another query job to compare with, sequence by sequence. Empty compares with what this job found
            before it was restarted.
        user: Whose request it is: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.

    Returns:
        Where the file with all changes is.
    """
    return await show_comparison(job, services().queries.compare(requester(user, share), job, before))
