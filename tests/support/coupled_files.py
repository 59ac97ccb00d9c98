"""Files that tests couple, and a store that notes what is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiblast.stores import MemoryStore


class CountingStore(MemoryStore):
    """Notes what is written and read."""

    def __init__(self) -> None:
        super().__init__()
        self.put_keys: list[str] = []
        self.opened: list[str] = []

    def put(self, key: str, data: Any) -> Any:
        self.put_keys.append(key)
        return super().put(key, data)

    def open(self, key: str, start: int = 0, length: int | None = None) -> Any:
        self.opened.append(key)
        return super().open(key, start, length)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
