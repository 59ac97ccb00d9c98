"""Copy databases to the storage, and from there to the machines that search them."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from tasks.maintenance import publish_database, scan_targets, sync_here, update_target_choices
from tasks.page import show_facts


@flow(name="publish-target", flow_run_name="publish {name}")
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
