"""``multiblast targets``: what can be searched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deployments.command_line import display
from deployments.command_line.session import local_services

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("targets")(targets)


def targets(
    targets_root: Annotated[
        Path | None, typer.Option(help="The directory that holds the databases. Default: as configured.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print {site: {target: {naTargets, aaTargets}}}.")] = False,
) -> None:
    """List the databases that can be searched, by the names to give to --target."""
    found = local_services(targets_root).targets
    if json:
        display.print_json(found.tree())
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("target", "molecule", "sequences", "letters", "built", "title"):
        table.add_column(name, justify="right" if name in {"sequences", "letters"} else "left")
    for database in found.databases():
        date = f"{database.date:%Y-%m-%d}"
        table.add_row(
            database.display,
            database.molecule,
            f"{database.sequences:,}",
            f"{database.letters:,}",
            date,
            database.title,
        )
    display.console.print(table)
    for problem in found.problems():
        display.console.print(f"[yellow]not usable:[/yellow] {problem}")
    if not found.databases():
        display.console.print(f"no databases under {found.root}: put them there as SITE/TARGET/blast/DATABASE.pin")
