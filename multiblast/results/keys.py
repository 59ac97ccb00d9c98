"""Result keys: everything that decides the bytes of one sequence's result, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiblast.ids import Canonical, digest, digests

_SCHEMA = 1


class ResultKeys:
    """Makes the result keys of one search.

    Options are those that differ from the program's defaults, in canonical form; databases are fingerprints, in the
    order in which they are searched. ``keeps_case``, lower case in a query has a meaning (lower-case masking).
    """

    def __init__(
        self,
        program: str,
        version: str,
        options: Mapping[str, Canonical],
        databases: Sequence[str],
        *,
        keeps_case: bool = False,
    ) -> None:
        self._keeps_case = keeps_case
        self._begin(
            digest(
                f"search/{_SCHEMA}",
                {"program": program, "version": version, "options": options, "databases": list(databases)},
            )
        )

    def _begin(self, search: str) -> None:
        self.search, self._key = search, digests(f"result/{_SCHEMA}", search)

    @classmethod
    def of_search(cls, search: str, *, keeps_case: bool = False) -> ResultKeys:
        """Return the result keys of a search of which only the digest is known."""
        keys = cls("", "", {}, (), keeps_case=keeps_case)
        keys._begin(search)
        return keys

    def key(self, residues: bytes) -> str:
        """Return the key of one sequence's result; title, order and batch-mates do not matter."""
        return self._key(residues if self._keeps_case else residues.upper())
