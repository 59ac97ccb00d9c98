"""Some sequences of a search of a part are searched whole as well, and compared: a difference switches the way off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from multiblast.errors import ArchiveError
from multiblast.grown import Part
from multiblast.grown.refused_ways import RefusedWays
from multiblast.search.context import SearchContext, SearchedSequence
from multiblast.search.engine import SearchEngine

_DIGITS = 8
_KEYS = 16**_DIGITS


class PartDiffersError(ArchiveError):
    """A part of the databases gave another result than the whole."""


class CheckedPart:
    """A search of a part of the databases, and which of its sequences are checked.

    These are drawn by their keys, a share of all, however few a batch has: of a single sequence, that was searched
    whole whenever it comes, nothing would be gained.

    Attributes:
        database: What follows ``-db``.
        keys: Of all its sequences.
        checked: The keys of those that are checked.
        text: What is recorded of the search.
        way: By which way it is made.
    """

    def __init__(self, engine: SearchEngine, part: Part, way: str, whole: SearchContext) -> None:
        self._engine, self._whole = engine, whole
        self.database = part.database
        self.keys = frozenset(part.keys)
        self.way = way
        share = engine.grown.checked_share
        self.checked = {key for key in part.keys if int(key[:_DIGITS], 16) < share * _KEYS}
        self._digests: dict[str, str] = {}
        known = f"with results of an earlier state; {len(self.checked):,} compared"
        self.text = f"{way}: {len(part.keys):,} sequences in {part.subjects:,} subjects, {known}"

    def to_compare(self, sequences: Sequence[SearchedSequence]) -> list[SearchedSequence]:
        """Return the sequences that are compared, which were searched whole by now; without those that could not be."""
        rows = self._engine.results.known(self.checked)
        self._digests = {key: row.digest for key, row in rows.items()}
        return [one for one in sequences if one.key in self._digests]

    def others(self, sequences: Sequence[SearchedSequence]) -> list[SearchedSequence]:
        """Return the sequences that are searched in the part only."""
        return [one for one in sequences if one.key in self.keys - self.checked]

    def is_checked(self, key: str, archive: bytes) -> bool:
        """Return whether a result was compared with that of the whole search, which is kept; if not, it is to be kept.

        Raises:
            PartDiffersError: it is another one; the way is switched off.
            ConflictError: so it may be, since a database was replaced between the two searches.
        """
        if key not in self._digests:
            return False
        if hashlib.sha256(archive).hexdigest() != self._digests[key]:
            self._engine.resolver.check_unchanged(self._whole)
            job_id = self._whole.job_id
            reason = f"the result {key} of job {job_id} is not that of the whole databases"
            RefusedWays(self._engine.database).refuse(self.way, result_key=key, job_id=job_id, reason=reason)
            raise PartDiffersError(reason)
        return True
