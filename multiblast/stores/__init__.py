"""Stores: where objects are kept, behind one protocol, opened by URL."""

from multiblast.stores.base import Store, StoredObject
from multiblast.stores.local import LocalStore
from multiblast.stores.memory import MemoryStore
from multiblast.stores.s3 import S3Store
from multiblast.stores.urls import open_store

__all__ = ["LocalStore", "MemoryStore", "S3Store", "Store", "StoredObject", "open_store"]
