"""The actions on jobs that end at once: what is asked of a service, and what is shown of its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.services import services
from multiblast.accounts import LinkedGuest, Requester
from multiblast.actions import Answer
from multiblast.database import JobKind
from tasks.artifacts import show_markdown, show_table
from tasks.requesters import keep_token, read_token
from tasks.streams import export

__all__ = [
    "cancel",
    "describe",
    "export_file",
    "export_query",
    "export_result",
    "link_guest_of",
    "list_files",
    "list_linked",
    "look_up",
    "make_guest",
    "pin",
    "read_errors",
    "restart",
    "share",
    "show_answer",
    "show_rows",
    "show_text",
    "statuses",
    "target_tree",
    "unlink",
]


@task(cache_policy=NO_CACHE, task_run_name="list {kind} jobs")
def list_linked(asks: Requester, kind: JobKind, **filters: Any) -> list[dict[str, Any]]:
    """Return the jobs in a requester's list, as the design writes them."""
    service = services().query_service if kind is JobKind.QUERY else services().report_service
    return [item.to_json() for item in service.list_jobs(asks, **filters)]


@task(cache_policy=NO_CACHE, task_run_name="look up {job:.8}")
def look_up(asks: Requester, job: str, link: bool) -> dict[str, Any]:
    """Return a job with its configuration, and link the requester if wanted."""
    return services().service_of(job).lookup(asks, job, link=link).to_json()


@task(cache_policy=NO_CACHE, task_run_name="restart {job:.8}")
def restart(asks: Requester, job: str) -> JobKind:
    """Let a job run again; return what it makes."""
    service = services().service_of(job)
    service.restart(asks, job)
    return service.kind


@task(cache_policy=NO_CACHE, task_run_name="cancel {job:.8}")
def cancel(asks: Requester, job: str) -> None:
    """Stop a job."""
    services().service_of(job).cancel(asks, job)


@task(cache_policy=NO_CACHE, task_run_name="pin {job:.8}")
def pin(asks: Requester, job: str, pinned: bool) -> None:
    """Keep a job's result from ever expiring, or no longer."""
    services().service_of(job).pin(asks, job, pinned=pinned)


@task(cache_policy=NO_CACHE, task_run_name="describe {job:.8}")
def describe(asks: Requester, job: str, summary: str | None, description: str | None) -> dict[str, Any]:
    """Change what a requester says about a job."""
    meta = services().service_of(job).update(asks, job, summary=summary, description=description)
    return meta.to_json() if meta else {}


@task(cache_policy=NO_CACHE, task_run_name="unlink {job:.8}")
def unlink(asks: Requester, job: str) -> bool:
    """Take a job out of a requester's list."""
    return services().service_of(job).unlink(asks, job)


@task(cache_policy=NO_CACHE, task_run_name="share {job:.8}")
def share(asks: Requester, job: str, days: float, secret: str) -> None:
    """Put a token into a Secret block with which anybody may read a job."""
    lasts = timedelta(days=days) if days else None
    keep_token(services().service_of(job).share(asks, job, lasts=lasts), secret)


@task(cache_policy=NO_CACHE, task_run_name="tell statuses")
def statuses(asks: Requester, jobs: Sequence[str]) -> dict[str, str]:
    """Return the status of those jobs that the requester may read."""
    at = services()
    return at.query_service.statuses(asks, jobs) | at.report_service.statuses(asks, jobs)


@task(cache_policy=NO_CACHE, task_run_name="errors of {job:.8}")
def read_errors(asks: Requester, job: str) -> dict[str, Any]:
    """Return what went wrong with a job."""
    return services().service_of(job).errors(asks, job).to_json()


@task(cache_policy=NO_CACHE, task_run_name="query of {job:.8}")
def export_query(asks: Requester, job: str) -> str:
    """Copy the sequences of a job to a file of their own; return where it is."""
    with services().query_service.query(asks, job) as stream:
        return export(f"{job}.fasta", stream)


@task(cache_policy=NO_CACHE, task_run_name="result of {job:.8}")
def export_result(asks: Requester, job: str) -> str:
    """Write the result of a job as one archive; return where it is."""
    return export(f"{job}.asn1", lambda output: services().query_service.result(asks, job, output))


@task(cache_policy=NO_CACHE, task_run_name="files of {job:.8}")
def list_files(asks: Requester, job: str) -> list[dict[str, Any]]:
    """List the files of a report."""
    return [file.to_json() for file in services().report_service.files(asks, job)]


@task(cache_policy=NO_CACHE, task_run_name="{name} of {job:.8}")
def export_file(asks: Requester, job: str, name: str, byte_range: str, line_range: str) -> str:
    """Copy a file of a report, or a range of it, to a file of its own; return where it is."""
    part = re.sub(r"[^0-9-]", "", f"-{byte_range or line_range}") if byte_range or line_range else ""
    with services().report_service.file(asks, job, name, byte_range=byte_range, line_range=line_range) as stream:
        return export(f"{job}{part}.{name}", stream)


@task(cache_policy=NO_CACHE, task_run_name="list targets")
def target_tree() -> dict[str, Any]:
    """Return what can be searched."""
    return services().query_service.targets()


@task(cache_policy=NO_CACHE, task_run_name="make a guest")
def make_guest(secret: str) -> None:
    """Make a guest, whose token goes into a new Secret block."""
    keep_token(services().accounts.new_guest(), secret)


@task(cache_policy=NO_CACHE, task_run_name="link the guest to {user}")
def link_guest_of(secret: str, user: str) -> LinkedGuest:
    """Give everything of the guest whose token a Secret block holds to a user."""
    return services().accounts.link_guest(read_token(secret.removeprefix("secret:"), "guest"), user)


async def show_answer(key: str, answer: Answer | dict[str, Any], description: str) -> None:
    """Show an answer as JSON."""
    plain = answer.to_json() if isinstance(answer, Answer) else answer
    await show_text(key, f"```json\n{json.dumps(plain, indent=2)}\n```", description)


async def show_text(key: str, text: str, description: str) -> None:
    """Show Markdown."""
    await show_markdown(key, text, description)


async def show_rows(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """Show a table; what is nested in a row is written as JSON."""
    table = [
        {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
        for row in rows
    ]
    await show_table(key, table, description)
