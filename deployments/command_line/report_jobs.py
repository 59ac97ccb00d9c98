"""``multiblast reports``: every action on report jobs that is not the same as on query jobs."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.asking import Job, Json, Link, User, asks, print_rows
from deployments.command_line.session import local_services

__all__ = ["add_to"]

reports = typer.Typer(
    name="reports",
    no_args_is_help=True,
    help="Report jobs: your list, and their files. `multiblast report` makes one; "
    "`multiblast jobs` restarts, cancels, pins, updates, unlinks and shares them too.",
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(reports)


@reports.command("list")
def list_reports(
    user: User = "",
    job: Annotated[str, typer.Option(help="Only reports of this query job.")] = "",
    status: Annotated[str, typer.Option(help="Only reports of this status.")] = "",
    first: Annotated[int, typer.Option(help="Where in the list to begin; 1 is the newest.")] = 1,
    count: Annotated[int, typer.Option(help="How many at most; 0 is all.")] = 50,
    json: Json = False,
) -> None:
    """List reports, newest first."""
    at = local_services()
    found = at.reports.list_jobs(asks(at, user), query_job_id=job, status=status, first=first, count=count)
    rows = [item.to_json() for item in found]
    print_rows(rows, json=json, columns=("reportJobID", "queryJobID", "status"))


@reports.command("show")
def show(job: Job, user: User = "", link: Link = False) -> None:
    """Show a report job, as JSON."""
    at = local_services()
    display.print_json(at.reports.lookup(asks(at, user), job, link=link).to_json())


@reports.command("files")
def files(job: Job, user: User = "", json: Json = False) -> None:
    """List the files of a complete report with their sizes in bytes."""
    at = local_services()
    rows = [file.to_json() for file in at.reports.files(asks(at, user), job)]
    print_rows(rows, json=json, columns=("name", "size"))


@reports.command("get")
def get(
    job: Job,
    name: Annotated[str, typer.Argument(help="The file's name.", show_default=False)],
    user: User = "",
    byte_range: Annotated[str, typer.Option("--bytes", help="FIRST-LAST in bytes, counted from 0.")] = "",
    line_range: Annotated[str, typer.Option("--lines", help="FIRST-LAST in lines, counted from 1.")] = "",
) -> None:
    """Print a file of a complete report, or a part of it."""
    at = local_services()
    who = asks(at, user)
    with at.reports.file(who, job, name, byte_range=byte_range, line_range=line_range) as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()
