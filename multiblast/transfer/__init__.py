"""Transfer: copies of databases and results in other places."""

from multiblast.transfer.publication import Published, PublishedFile, publish, published_databases
from multiblast.transfer.record_copy import copy_records
from multiblast.transfer.store_copy import CopyProgress, copy_results
from multiblast.transfer.sync import Synced, sync_databases

__all__ = [
    "CopyProgress",
    "Published",
    "PublishedFile",
    "Synced",
    "copy_records",
    "copy_results",
    "publish",
    "published_databases",
    "sync_databases",
]
