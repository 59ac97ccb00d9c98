"""Cleaning up: what nobody used expires, the packs that held it are compacted, and unused objects are swept."""

from __future__ import annotations

from dataclasses import dataclass

from multiblast.database import Database
from multiblast.results.compaction import Compacted, compact
from multiblast.stores import Store
from multiblast.upkeep.expiry import Expired, Expiry
from multiblast.upkeep.storage import StorageUpkeep, Swept


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What went, or after a dry run would go; what a dry run does not do is None."""

    expired: Expired
    compacted: Compacted | None = None
    swept: Swept | None = None


def clean_up(database: Database, store: Store, keep_days: int, *, dry_run: bool = False) -> CleanedUp:
    """Let go what was not used for ``keep_days`` days, and free its space."""
    expired = Expiry(database, keep_days).run(dry_run=dry_run)
    if dry_run:
        return CleanedUp(expired)
    # In this order: packs lose entries by expiry, and are swept once compaction has discarded them.
    return CleanedUp(expired, compact(database, store), StorageUpkeep(database, store, keep_days).sweep())
