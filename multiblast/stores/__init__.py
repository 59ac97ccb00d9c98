"""Stores: where objects are kept, behind one protocol."""

from multiblast.stores.base import Store, StoredObject
from multiblast.stores.local import LocalStore
from multiblast.stores.memory import MemoryStore

__all__ = ["LocalStore", "MemoryStore", "Store", "StoredObject"]
