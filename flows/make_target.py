"""Make a database that can be searched from a FASTA file."""

from __future__ import annotations

from prefect import flow

from blocks.services import services
from multiblast.molecules import Molecule
from multiblast.targets import new_target
from tasks.maintenance import scan_targets, update_target_choices
from tasks.runs import upload_directory


@flow(name="make-target", flow_run_name="make {name}")
async def make_target(  # noqa: PLR0913, PLR0917 - the fields of a form
    name: str,
    fasta: str,
    molecule: Molecule = Molecule.PROTEIN,
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
    new = new_target.read_new_target(
        name,
        fasta,
        molecule=molecule,
        title=title,
        taxids=taxids,
        replace=replace,
        files_under=upload_directory(),
    )
    program = services().installation.program("makeblastdb")
    made = new_target.make_target(services().targets, new, program=program)
    update_target_choices(scan_targets())
    return made.display
