"""Arguments and options that several commands have, each worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

USER = "MULTIBLAST_USER"
GUEST_TOKEN = "MULTIBLAST_GUEST"  # noqa: S105 - the name of a variable
SHARE_TOKENS = "MULTIBLAST_SHARES"

Job = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TargetsRoot = Annotated[
    Path | None,
    typer.Option(
        help="Use the databases under this directory in place of the configured ones. Jobs, results and limits stay "
        "those that are configured.",
        show_default=False,
    ),
]
User = Annotated[
    str,
    typer.Option(
        envvar=USER,
        help=f"Your name: whose list of jobs it is about. A guest sets the token in {GUEST_TOKEN} instead. Without "
        "either, you may do everything or nothing, as the service's policy says.",
        show_default=False,
    ),
]
