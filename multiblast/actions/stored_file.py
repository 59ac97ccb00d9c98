"""A file of a job, that its reader may read as they like: rights were checked when it was looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from multiblast.stores import Store


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a job.

    Attributes:
        name: What to call it.
        size: In bytes.
        media_type: Of its content.
        digest: Another one whenever its content may be another.
    """

    name: str
    size: int
    media_type: str
    digest: str
    _store: Store = field(repr=False)
    _key: str
    _offset: int = 0

    def open(self, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open it for reading, or a range of its bytes; one that reaches beyond its end gives what is there.

        Raises:
            ObjectMissingError: it has gone meanwhile.
        """
        left = max(0, self.size - start)
        return self._store.open(self._key, self._offset + start, left if length is None else min(length, left))

    def link(self, lasts_s: int) -> str:
        """Return a link that anybody may download it by for a time; empty if the store has none."""
        whole = not self._offset and self._store.stat(self._key).size_bytes == self.size
        return self._store.presign(self._key, lasts_s, self.name) if whole else ""
