"""Results of a search as they come: kept as packs every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from multiblast.archive import Summary
from multiblast.outages import patiently
from multiblast.results import PackWriter
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, name_subjects

_FLUSH_S = 5.0  # results are stored at least this often, so that a crash loses little
_FLUSH_BYTES = 64 << 20


class ResultWriter:
    """Takes results one by one and has them kept as packs, a new one every few seconds; best hits get their names.

    While a server is away, ``wait`` is called with seconds to wait; it returns True to give up.
    """

    def __init__(
        self,
        store: Store,
        databases: Sequence[BlastDatabase],
        keep: Callable[[PackWriter, list[Summary]], None],
        wait: Callable[[float], bool],
    ) -> None:
        self._store = store
        self._databases = databases
        self._keep = keep
        self._wait = wait
        self._begin()

    def close(self) -> None:
        """Drop what was not stored."""
        self._pack.close()

    def add(self, key: str, archive: bytes, summary: Summary) -> int:
        """Take one result; return its compressed size in bytes."""
        entry = self._pack.add(key, archive)
        self._summaries.append(summary)
        if self._pack.size_bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_S:
            self.flush()
        return entry.length

    def flush(self) -> None:
        """Store what was taken since the last time; if a server is away for less than a minute, BLAST+ goes on."""
        best = name_subjects(self._databases, [summary.best_hit for summary in self._summaries])
        named = [summary._replace(best_hit=name) for summary, name in zip(self._summaries, best, strict=True)]
        patiently(lambda: self._keep(self._pack, named), self._wait)
        self._pack.close()
        self._begin()

    def _begin(self) -> None:
        self._pack = PackWriter(self._store)
        self._summaries: list[Summary] = []
        self._since = time.monotonic()
