"""``multiblast targets``, ``make-target``, ``publish-target``, ``sync-targets``: what can be searched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Fasta, TargetsRoot
from deployments.command_line.session import Session, local_targets
from multiblast.molecules import Molecule
from multiblast.targets.new_target import read_new_target


def targets(
    targets_root: TargetsRoot = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print {site: {target: {naTargets, aaTargets}}}.", callback=display.only_json)
    ] = False,
) -> None:
    """List the databases that can be searched, by the names to give to --target."""
    found = local_targets(targets_root)
    if json:
        display.print_json(found.tree())
        return
    columns = ("target", "molecule", "sequences", "letters", "built", "title")
    rows = [
        (one.display, one.molecule, f"{one.sequences:,}", f"{one.letters:,}", f"{one.date:%Y-%m-%d}", one.title)
        for one in found.databases()
    ]
    display.print_long_table(columns, rows, right={"sequences", "letters"})
    for problem in found.unusable():
        display.console.print(f"[yellow]not usable:[/yellow] {problem}")
    if not found.databases():
        display.console.print(f"no databases under {found.root}: put them there as SITE/TARGET/blast/DATABASE.pin")


def make_target(
    name: Annotated[str, typer.Argument(help="Its name: SITE/TARGET/DATABASE.", show_default=False)],
    fasta: Fasta,
    molecule: Annotated[Molecule, typer.Option(help="What the sequences are.")] = Molecule.PROTEIN,
    title: Annotated[str, typer.Option(help="What reports call it. Default: its name.")] = "",
    taxids: Annotated[Path | None, typer.Option(help="A file of lines: sequence-id taxonomy-id.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of this name.")] = False,
    targets_root: TargetsRoot = None,
) -> None:
    """Build a database from sequences, so that it can be searched."""
    read_new_target(name, fasta, molecule=molecule, taxids=taxids or "")
    running = Session(targets_root)
    with running.connected(display.working(f"Building {name} …")):
        from flows import maintain_targets

        made = running.run(
            lambda: maintain_targets.make_target(name, str(fasta), molecule, title, str(taxids or ""), replace)
        )
    display.console.print(f"made {made}; search it with --target {made}")


_STORAGE = typer.Option(help="The BLAST result storage block that keeps them. Default: where results are kept.")


def publish_target(
    name: Annotated[str, typer.Argument(help="Its name: SITE/TARGET/DATABASE.", show_default=False)],
    storage: Annotated[str, _STORAGE] = "",
    targets_root: TargetsRoot = None,
) -> None:
    """Copy a database to the storage, so that sync-targets can copy it to other machines."""
    running = Session(targets_root)
    with running.connected(display.working(f"Publishing {name} …")):
        from flows import maintain_targets

        running.run(lambda: maintain_targets.publish_target(name, storage))
    display.console.print(f"published {name}; copy it to a machine with multiblast sync-targets {name}")


def sync_targets(
    names: Annotated[
        list[str] | None, typer.Argument(help="SITE/TARGET/DATABASE each. Default: all that were published.")
    ] = None,
    storage: Annotated[str, _STORAGE] = "",
    limit_gb: Annotated[
        float,
        typer.Option(help="How much copies may take; those searched longest ago are removed. 0: all that fits."),
    ] = 0.0,
    targets_root: TargetsRoot = None,
) -> None:
    """Copy published databases to this machine, so that it can search them."""
    running = Session(targets_root)
    with running.connected(display.working("Copying databases …")):
        from flows import maintain_targets

        copied = running.run(lambda: maintain_targets.sync_targets(names or [], storage, limit_gb))
    display.console.print(f"copied {', '.join(copied)}" if copied else "everything is here already")
