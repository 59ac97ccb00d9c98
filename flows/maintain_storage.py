"""Maintain the storage: let go what nobody uses, see that all else is there, and copy it elsewhere."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from blocks.services import services
from multiblast.transfer import CopyProgress
from multiblast.upkeep import Expired, Missing
from tasks.maintenance import copy_storage
from tasks.page import show_facts


@flow(name="expire-results", flow_run_name="expire results")
async def expire_results(dry_run: bool = False) -> Expired:
    """Remove results that have not been used for some time; recipes stay, so that each can be brought back.

    Args:
        dry_run: Only show what would go.
    """
    done = services().clean_up(dry_run=dry_run)
    await show_facts("expired", "What would expire" if dry_run else "Expired", asdict(done.expired))
    if done.compacted and done.swept and done.gateway:
        await show_facts("compacted", "Compacted packs", asdict(done.compacted))
        await show_facts("swept", "Swept objects", asdict(done.swept))
        await show_facts("swept-gateway", "Swept of machines elsewhere", asdict(done.gateway))
    return done.expired


@flow(name="verify-storage", flow_run_name="verify storage")
async def verify_storage(repair: bool = False, contents: bool = False) -> Missing:
    """Find results, queries and report files that are recorded and not in the storage.

    Args:
        repair: Also forget the results that are not there or damaged, so that they are searched again where they are
            needed. Refused if most are missing: then the storage block names another place than before. Without it,
            nothing is changed.
        contents: Also read all results, to find damaged ones; it takes as long as to copy them.
    """
    missing = services().storage_upkeep.verify(repair=repair, contents=contents)
    await show_facts("missing", "Missing from the storage", asdict(missing))
    return missing


@flow(name="copy-results", flow_run_name="{source:.60} to {target:.60}")
async def copy_results(source: str, target: str, prefix: str = "", compare_bytes: bool = True) -> CopyProgress:
    """Copy everything from one storage to another, such as from a directory to an S3 bucket.

    Run it again after an interruption: it goes on where it stopped. Every copy is
    read back and compared; nothing is removed from the source.

    Args:
        source: Name of the BLAST result storage block to copy from.
        target: Name of the BLAST result storage block to copy to.
        prefix: Copy only what begins with this, such as reports/ or packs/. Empty for everything.
        compare_bytes: Read what the target has already and compare it. Off: the right size is enough.

    Returns:
        How many objects and bytes there are, and how many of them had to be copied.
    """
    return await copy_storage(source, target, prefix, compare_bytes=compare_bytes)
