"""Who asks at a terminal, and how rows of answers are printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from deployments.command_line import display
from multiblast.accounts import Requester
from multiblast.services import Services

__all__ = ["GUEST_TOKEN", "Job", "Json", "Link", "User", "asks", "print_rows"]

GUEST_TOKEN = "MULTIBLAST_GUEST"  # noqa: S105 - the name of a variable
_SHARE_TOKENS = "MULTIBLAST_SHARES"

Job = Annotated[str, typer.Argument(help="A job's id.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Link = Annotated[bool, typer.Option(help="Add the job to the user's list.")]
User = Annotated[
    str,
    typer.Option(
        envvar="MULTIBLAST_USER",
        help="Who asks. Without a name: whoever may use this machine's jobs, or nobody, as the policy says.",
    ),
]


def asks(services: Services, user: str) -> Requester:
    """Return who asks; tokens come from the environment, since what is typed is seen by others."""
    guest = "" if user else os.environ.get(GUEST_TOKEN, "")
    return services.accounts.requester(user, guest_token=guest, share_tokens=os.environ.get(_SHARE_TOKENS, "").split())


def print_rows(rows: Sequence[dict[str, Any]], *, json: bool, columns: Sequence[str]) -> None:
    """Print answers as JSON or as a table of some of their fields."""
    if json:
        display.print_json(list(rows))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(row.get(column, ""))) for column in columns))
    display.console.print(table)
