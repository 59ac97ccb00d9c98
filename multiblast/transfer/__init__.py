"""Transfer: getting databases to where they are searched."""

from __future__ import annotations

from multiblast.transfer.publishing import Published, PublishedFile, publish, published_databases
from multiblast.transfer.syncing import Synced, sync_databases

__all__ = ["Published", "PublishedFile", "Synced", "publish", "published_databases", "sync_databases"]
