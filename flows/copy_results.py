"""Copy results, queries and reports from one storage to another."""

from __future__ import annotations

from prefect import flow

from multiblast.transfer import CopyProgress
from tasks.maintenance import copy_storage


@flow(name="copy-results", flow_run_name="{source} to {target}")
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
