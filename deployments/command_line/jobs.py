"""The reading actions on query jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.session import local_services

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("show")(show)
    app.command("status")(status)
    app.command("cancel")(cancel)


def show(
    job: Annotated[str, typer.Argument(help="A query job's id.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show a job: a row a sequence."""
    found = local_services().search.searched_job(job)
    if json:
        display.print_json(found)
    else:
        display.searched_job(found)


def status(jobs: Annotated[list[str], typer.Argument(help="Ids of query or report jobs.", show_default=False)]) -> None:
    """Print the status of jobs as JSON; ids that are no jobs are left out."""
    display.print_json(local_services().search.jobs.statuses(jobs))


def cancel(job: Annotated[str, typer.Argument(help="A query job's id.", show_default=False)]) -> None:
    """Stop a job; what is complete is kept."""
    local_services().search.cancel(job)
    display.console.print(f"job {job} is cancelled")
