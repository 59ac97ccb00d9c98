"""Maintain the databases that can be searched: make, list, publish and copy them."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from blocks.services import services
from multiblast.molecules import Molecule
from multiblast.targets import new_target
from tasks.maintenance import publish_database, scan_targets, sync_here, update_target_choices
from tasks.page import show_facts, show_table
from tasks.plugin_deployments import offer_plugins
from tasks.runs import upload_directory


@flow(name="make-target", flow_run_name="make {name:.60}")
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


@flow(name="rescan-targets", flow_run_name="rescan the targets")
async def rescan_targets() -> int:
    """List all databases under the targets root, and make them the choices of the submission forms.

    The deployments of plugins, too, are those of the plugins that can be run here now. New databases are read once, so
    that only what is new needs to be searched when they have grown.

    Returns:
        How many databases there are.
    """
    databases = scan_targets()
    update_target_choices(databases)
    services().keep_states()
    await show_facts("plugins-offered", "Plugins with a form of their own", asdict(offer_plugins()))
    rows = [
        {
            "target": database.display,
            "molecule": database.molecule,
            "sequences": database.sequences,
            "letters": database.letters,
            "built": f"{database.date:%Y-%m-%d}",
            "title": database.title,
        }
        for database in databases
    ]
    await show_table("targets", rows, "Databases that can be searched")
    return len(databases)


@flow(name="publish-target", flow_run_name="publish {name:.60}")
async def publish_target(name: str, storage: str = "") -> str:
    """Copy a database of this machine to the storage, so that sync-targets can copy it to others.

    Run it again after an interruption: it goes on where it stopped. An older one of its name goes from there.

    Args:
        name: The database: SITE/TARGET/DATABASE.
        storage: Name of the BLAST result storage block to copy to. Empty for where results are kept.

    Returns:
        The database's fingerprint.
    """
    published = await publish_database(name, storage)
    return published.fingerprint


@flow(name="sync-targets", flow_run_name="sync targets")
async def sync_targets(
    names: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    storage: str = "",
    limit_gb: float = 0.0,
) -> list[str]:
    """Copy published databases to the disk of the machine that runs this, so that it can search them.

    Each is checked by its fingerprint before it is seen. Run it again after an interruption: it goes on where it
    stopped. Databases that were not copied this way are never touched.

    Args:
        names: The databases, each as SITE/TARGET/DATABASE. None for all that were published.
        storage: Name of the BLAST result storage block to copy from. Empty for where results are kept.
        limit_gb: How much copied databases may take; those searched longest ago go first. 0 for what fits the disk.

    Returns:
        The databases that had to be copied.
    """
    synced = await sync_here(names, storage, limit_gb)
    await show_facts("synced", "Databases of this machine", asdict(synced))
    update_target_choices(scan_targets())
    return synced.copied
