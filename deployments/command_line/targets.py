"""``multiblast targets``, ``make-target``, ``publish-target``, ``sync-targets``: what can be searched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deployments.command_line import display
from deployments.command_line.session import local_services, session
from multiblast.molecules import Molecule
from multiblast.targets.new_target import read_new_target

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("targets")(targets)
    app.command("make-target")(make)
    app.command("publish-target")(publish)
    app.command("sync-targets")(sync)


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


def make(
    name: Annotated[str, typer.Argument(help="Its name: SITE/TARGET/DATABASE.", show_default=False)],
    fasta: Annotated[Path, typer.Argument(help="A FASTA file, plain or gzipped.", show_default=False)],
    molecule: Annotated[Molecule, typer.Option(help="What the sequences are.")] = Molecule.PROTEIN,
    title: Annotated[str, typer.Option(help="What reports call it. Default: its name.")] = "",
    taxids: Annotated[Path | None, typer.Option(help="A file of lines: sequence-id taxonomy-id.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of this name.")] = False,
    targets_root: Annotated[
        Path | None, typer.Option(help="The directory that holds the databases. Default: as configured.")
    ] = None,
) -> None:
    """Build a database from sequences, so that it can be searched."""
    read_new_target(name, fasta, molecule=molecule, taxids=taxids or "")
    with session(targets_root) as running:
        running.wait()
        with display.working(f"Building {name} …"):
            from flows.make_target import make_target

            made = running.run(
                lambda: make_target(name, str(fasta), molecule, title, str(taxids) if taxids else "", replace)
            )
    display.console.print(f"made {made}; search it with --target {made}")


_STORAGE = typer.Option(help="The BLAST result storage block that keeps them. Default: where results are kept.")


def publish(
    name: Annotated[str, typer.Argument(help="Its name: SITE/TARGET/DATABASE.", show_default=False)],
    storage: Annotated[str, _STORAGE] = "",
) -> None:
    """Copy a database to the storage, so that sync-targets can copy it to other machines."""
    with session() as running:
        running.wait()
        with display.working(f"Publishing {name} …"):
            from flows.copy_targets import publish_target

            running.run(lambda: publish_target(name, storage))
    display.console.print(f"published {name}; copy it to a machine with multiblast sync-targets {name}")


def sync(
    names: Annotated[
        list[str] | None, typer.Argument(help="SITE/TARGET/DATABASE each. Default: all that were published.")
    ] = None,
    storage: Annotated[str, _STORAGE] = "",
    limit_gb: Annotated[
        float, typer.Option(help="How much copies may take; those searched longest ago go. 0: what fits the disk.")
    ] = 0.0,
) -> None:
    """Copy published databases to this machine, so that it can search them."""
    with session() as running:
        running.wait()
        with display.working("Copying databases …"):
            from flows.copy_targets import sync_targets

            copied = running.run(lambda: sync_targets(names or [], storage, limit_gb))
    display.console.print(f"copied {', '.join(copied)}" if copied else "everything is here already")
