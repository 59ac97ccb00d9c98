"""Make a database that can be searched from a FASTA file."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from multiblast.targets.new_target import read_new_target
from tasks.making import build
from tasks.offering import list_databases, offer_databases
from tasks.places import query_directory

__all__ = ["make_target"]


@flow(name="make-target", flow_run_name="make {name}")
async def make_target(  # noqa: PLR0913, PLR0917 - the fields of a form
    name: str,
    fasta: str,
    molecule: Literal["protein", "nucleotide"] = "protein",
    title: str = "",
    taxids: str = "",
    replace: bool = False,
) -> str:
    """Build a BLAST+ database from sequences, and offer it in the forms.

    It is built on the machine that runs this, beside a database of the same name, which it replaces at once.

    Args:
        name: What it is called: SITE/TARGET/DATABASE, each of letters, digits and _.+-
        fasta: The path of a FASTA file, plain or gzipped; in the browser under the directory for uploads.
        molecule: What the sequences are.
        title: What reports call it. Empty for its name.
        taxids: The path of a file of lines "sequence-id taxonomy-id", so that searches can be limited to taxa.
        replace: Whether one of this name may be replaced. Its results are then those of an old database.

    Returns:
        The name under which it can be searched.
    """
    new = read_new_target(
        name,
        fasta,
        molecule=molecule,
        title=title,
        taxids=taxids,
        replace=replace,
        files_under=query_directory(),
    )
    made = build(new)
    offer_databases(list_databases())
    return made.display
