"""Changing jobs in the browser: restart, cancel, pin, describe, unlink, share; guests."""

from __future__ import annotations

from typing import Any

from prefect import flow

from multiblast.accounts import LinkedGuest
from multiblast.database import JobKind
from tasks.acting import cancel, describe, link_guest_of, make_guest, pin, restart, share, show_answer, unlink
from tasks.notifying import HOOKS
from tasks.reporting import format_report, show_report
from tasks.requesters import requester
from tasks.searching import search_job
from tasks.upkeep import show_what_changed


@flow(name="restart-job", flow_run_name="restart {job:.8}", **HOOKS)
async def restart_job(job: str, user: str = "") -> str:
    """Run an expired, failed or cancelled job again, from its recipe and with the databases as they are now.

    A complete job is run again if a database changed since; then it is compared with what it found before.

    Args:
        job: The query or report job's id.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    asks = requester(user)
    if restart(asks, job) is JobKind.REPORT:
        await show_report(format_report(job))
        return job
    await search_job(job)
    await show_what_changed(asks, job)
    return job


@flow(name="cancel-job", flow_run_name="cancel {job:.8}")
async def cancel_job(job: str, user: str = "") -> None:
    """Stop a job that waits or runs. What it found so far is kept.

    Args:
        job: The query or report job's id.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    cancel(requester(user), job)


@flow(name="pin-job", flow_run_name="pin {job:.8}")
async def pin_job(job: str, pinned: bool = True, user: str = "") -> None:
    """Keep a job's result from ever expiring, or no longer.

    Args:
        job: The query or report job's id.
        pinned: Whether to keep it for good.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    pin(requester(user), job, pinned)


@flow(name="update-job", flow_run_name="update {job:.8}")
async def update_job(
    job: str, summary: str = "", description: str = "", clear: bool = False, user: str = ""
) -> dict[str, Any]:
    """Change what is said about a job in somebody's list.

    Args:
        job: The query or report job's id.
        summary: One line, at most 512 characters. Empty leaves it as it is.
        description: More about it. Empty leaves it as it is.
        clear: Whether what is left empty above is cleared instead.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    kept = "" if clear else None
    said = describe(requester(user), job, summary or kept, description or kept)
    await show_answer(f"meta-{job:.8}", said, "What is said about the job")
    return said


@flow(name="unlink-job", flow_run_name="unlink {job:.8}")
async def unlink_job(job: str, user: str = "") -> bool:
    """Take a job out of somebody's list. The job itself stays until it expires.

    Args:
        job: The query or report job's id.
        user: Whose list: a user's name, or secret:NAME of a guest.
    """
    return unlink(requester(user), job)


@flow(name="share-job", flow_run_name="share {job:.8}")
async def share_job(job: str, secret: str, days: float = 0, user: str = "") -> None:
    """Let others read a job: whoever has the token that is put into a new Secret block.

    Args:
        job: The query or report job's id.
        secret: The name of the Secret block to make: small letters, digits and dashes.
        days: For how many days; 0 is for good.
        user: Whose list has the job: a user's name, or secret:NAME of a guest.
    """
    share(requester(user), job, days, secret)


@flow(name="new-guest", flow_run_name="new guest {secret}")
async def new_guest(secret: str) -> None:
    """Make a guest: somebody without a name, whose token is put into a new Secret block.

    Args:
        secret: The name of the Secret block to make: small letters, digits and dashes. The guest is then the
            user secret:NAME in all forms.
    """
    make_guest(secret)


@flow(name="link-guest", flow_run_name="link guest to {user}")
async def link_guest(guest: str, user: str) -> LinkedGuest:
    """Give everything of a guest to a user, also what the user has already; may be repeated.

    Args:
        guest: The Secret block with the guest's token.
        user: The user's name.
    """
    return link_guest_of(guest, user)
