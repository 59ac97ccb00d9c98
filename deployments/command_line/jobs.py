"""``multiblast jobs``: every action on query jobs; most answer at once, and none but ``restart`` starts a flow."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from typing import Annotated, BinaryIO

import typer

from deployments.command_line import display, report_jobs, upkeep
from deployments.command_line.asking import Job, Json, Link, User, asks, print_rows
from deployments.command_line.session import local_services, session

__all__ = ["add_to"]

jobs = typer.Typer(name="jobs", no_args_is_help=True, help="Query jobs: your list, and what one can do with them.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file, and those of its neighbours on report jobs and upkeep."""
    app.command("show")(show_rows)
    app.command("status")(status)
    app.command("cancel")(cancel)
    app.add_typer(jobs)
    report_jobs.add_to(app)
    upkeep.add_to(app)


def show_rows(job: Job, user: User = "", json: Json = False) -> None:
    """Show a job: a row a sequence."""
    at = local_services()
    at.queries.lookup(asks(at, user), job, link=False, children=0)
    found = at.queries.searched_job(job)
    if json:
        display.print_json(found)
    else:
        display.searched_job(found)


def status(
    jobs: Annotated[list[str], typer.Argument(help="Ids of query or report jobs.", show_default=False)],
    user: User = "",
) -> None:
    """Print the status of jobs as JSON; ids that are no jobs are left out."""
    at = local_services()
    who = asks(at, user)
    display.print_json(at.queries.statuses(who, jobs) | at.reports.statuses(who, jobs))


@jobs.command("list")
def list_jobs(
    user: User = "",
    site: Annotated[str, typer.Option(help="Only jobs of this site.")] = "",
    status: Annotated[str, typer.Option(help="Only jobs of this status.")] = "",
    first: Annotated[int, typer.Option(help="Where in the list to begin; 1 is the newest.")] = 1,
    count: Annotated[int, typer.Option(help="How many at most; 0 is all.")] = 50,
    json: Json = False,
) -> None:
    """List query jobs, newest first."""
    at = local_services()
    found = at.queries.list_jobs(asks(at, user), site=site, status=status, first=first, count=count)
    rows = [item.to_json() for item in found]
    print_rows(
        [{**row, **row.get("userMeta", {})} for row in rows] if not json else rows,
        json=json,
        columns=("queryJobID", "status", "site", "createdOn", "summary"),
    )


@jobs.command("show")
def show(job: Job, user: User = "", link: Link = False) -> None:
    """Show a job with its configuration and its sequences, as JSON."""
    at = local_services()
    display.print_json(at.queries.lookup(asks(at, user), job, link=link).to_json())


@jobs.command("restart")
def restart(job: Job, user: User = "") -> None:
    """Run an expired, failed or cancelled job again, with the databases as they are now."""
    with session() as running:
        running.wait()
        with display.searching():
            from flows.restart_job import restart_job

            running.run(lambda: restart_job(job=job, user=user))
    display.searched_job(local_services().queries.searched_job(job))


@jobs.command("cancel")
def cancel(job: Job, user: User = "") -> None:
    """Stop a job; what is complete is kept."""
    at = local_services()
    at.job_door(job).cancel(asks(at, user), job)
    display.console.print(f"job {job} is cancelled")


@jobs.command("pin")
def pin(
    job: Job,
    user: User = "",
    pinned: Annotated[bool, typer.Option("--pin/--unpin", help="Keep its result for good, or no longer.")] = True,
) -> None:
    """Keep a query or report job's result from ever expiring."""
    at = local_services()
    at.job_door(job).pin(asks(at, user), job, pinned=pinned)
    display.console.print(f"job {job} is {'pinned' if pinned else 'not pinned any more'}")


@jobs.command("unlink")
def unlink(job: Job, user: User = "") -> None:
    """Take a query or report job out of your list; it stays until it expires."""
    at = local_services()
    was_there = at.job_door(job).unlink(asks(at, user), job)
    display.console.print(f"job {job} {'is not in the list any more' if was_there else 'was not in the list'}")


@jobs.command("update")
def update(
    job: Job,
    user: User = "",
    summary: Annotated[str | None, typer.Option(help='One line about it; "" clears it.')] = None,
    description: Annotated[str | None, typer.Option(help='More about it; "" clears it.')] = None,
) -> None:
    """Change what you say about a query or report job."""
    at = local_services()
    said = at.job_door(job).update(asks(at, user), job, summary=summary, description=description)
    display.print_json(said.to_json() if said else {})


@jobs.command("query")
def query(job: Job, user: User = "") -> None:
    """Print the sequences of a job, as FASTA."""
    at = local_services()
    with at.queries.query(asks(at, user), job) as stream:
        _copy(stream)


@jobs.command("result")
def result(job: Job, user: User = "") -> None:
    """Print the result of a complete job: one BLAST archive in ASN.1, which blast_formatter reads."""
    at = local_services()
    at.queries.result(asks(at, user), job, sys.stdout.buffer)


@jobs.command("errors")
def errors(job: Job, user: User = "") -> None:
    """Tell what went wrong with a query or report job, as JSON."""
    at = local_services()
    display.print_json(at.job_door(job).errors(asks(at, user), job).to_json())


@jobs.command("history")
def history(job: Job, user: User = "", json: Json = False) -> None:
    """Tell what happened to a query or report job, oldest first."""
    at = local_services()
    rows = [event.to_json() for event in at.job_door(job).history(asks(at, user), job)]
    print_rows(rows, json=json, columns=("at", "fromStatus", "toStatus", "why", "flowRun"))


@jobs.command("share")
def share(
    job: Job,
    user: User = "",
    days: Annotated[float, typer.Option(help="For how many days; 0 is for good.")] = 0,
    end: Annotated[bool, typer.Option("--end", help="Make all tokens of the job worthless instead.")] = False,
) -> None:
    """Print a token with which others may read a query or report job: they set it as MULTIBLAST_SHARES."""
    at = local_services()
    service, who = at.job_door(job), asks(at, user)
    if end:
        display.console.print(f"{service.end_shares(who, job)} tokens are worthless now")
        return
    typer.echo(service.share(who, job, lasts=timedelta(days=days) if days else None))


@jobs.command("compare")
def compare(
    job: Job,
    user: User = "",
    before: Annotated[str, typer.Option(help="Another job to compare with, instead of the same before.")] = "",
) -> None:
    """Print which hits a job gained, lost and changed since its databases changed, as a table."""
    from multiblast.actions.comparison import write_changes

    at = local_services()
    found = at.queries.compare(asks(at, user), job, before)
    write_changes(found.changes, sys.stdout)
    typer.echo(found.text, err=True)


def _copy(stream: BinaryIO) -> None:
    shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()
