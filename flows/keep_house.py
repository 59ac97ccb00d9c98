"""Upkeep: let go what nobody uses, and see that all else is there."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow

from multiblast.upkeep import Expired, Missing
from tasks.upkeep import compact_packs, expire, find_missing, remove_unused, show_upkeep


@flow(name="expire-results", flow_run_name="expire results")
async def expire_results(dry_run: bool = False) -> Expired:
    """Let results go that nobody used for a time; recipes stay, so that each can be brought back.

    Args:
        dry_run: Only tell what would go.
    """
    expired = expire(dry_run)
    await show_upkeep("expired", "What would expire" if dry_run else "Expired", asdict(expired))
    if not dry_run:
        await show_upkeep("compacted", "Compacted packs", asdict(compact_packs()))
        await show_upkeep("swept", "Swept objects", asdict(remove_unused()))
    return expired


@flow(name="verify-storage", flow_run_name="verify storage")
async def verify_storage() -> Missing:
    """Find results, queries and report files that are recorded and not in the storage. Nothing is changed."""
    missing = find_missing()
    await show_upkeep("missing", "Missing from the storage", asdict(missing))
    return missing
