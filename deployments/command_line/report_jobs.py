"""``multiblast reports``: apart from ``multiblast jobs``, which does without what reports need."""

from __future__ import annotations

import typer

from deployments.command_line.actions import add_actions
from deployments.command_line.jobs import Actions, restart

reports = typer.Typer(cls=Actions, no_args_is_help=True)
add_actions(reports, "reports")
reports.command("restart")(restart)
