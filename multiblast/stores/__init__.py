"""Stores: where objects are kept, behind one protocol, opened by URL."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.stores.base import Store, StoredObject
    from multiblast.stores.filesystems import FsspecStore
    from multiblast.stores.local import LocalStore
    from multiblast.stores.memory import MemoryStore
    from multiblast.stores.opening import open_store
    from multiblast.stores.s3 import S3Store

__all__ = ["FsspecStore", "LocalStore", "MemoryStore", "S3Store", "Store", "StoredObject", "open_store"]

__getattr__ = lazy_exports(__name__)
