"""Where the known hits of queries are in the new state of the databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from multiblast.archive.summary import ArchivedSubject
from multiblast.errors import InvalidInputError, ProgramError
from multiblast.grown.alias import argument_of
from multiblast.grown.difference import Difference
from multiblast.targets import BlastDatabase
from multiblast.targets.content import read_content
from multiblast.targets.deflines import has_own_ids, ordinal_of

Run = Callable[[Sequence[str], Path], None]
"""Runs a program of BLAST+: its name and arguments, and the file for its standard output; a `ProgramError` if it
fails."""

_ACCESSION = re.compile(r"\w+(\.\d+)?", re.ASCII)
_SOME_MISSING = 1


def strange_id(subjects: Iterable[ArchivedSubject]) -> str:
    """Return the id of a subject that cannot be looked up by it; empty if all can be."""
    named = (one for one in subjects if ordinal_of(one.id) is None)
    return next((one.id for one in named if not (one.is_looked_up and _ACCESSION.fullmatch(one.id))), "")


class KnownHits:
    """Finds the subjects of earlier results in the new state: those without ids of their own by their numbers."""

    def __init__(self, databases: Sequence[BlastDatabase], difference: Difference, directory: Path, run: Run) -> None:
        self._databases = databases
        self._difference = difference
        self._directory = directory
        self._run = run

    def find(self, subjects: Mapping[str, Iterable[str]]) -> dict[str, list[int]]:
        """Return for each query the numbers of its hits, without those that are gone.

        Args:
            subjects: Their ids as `multiblast.archive` reads them from a result, by query.

        Raises:
            InvalidInputError: hits that cannot be looked up.
        """
        numbered = any(ordinal_of(name) is not None for names in subjects.values() for name in names)
        if numbered and has_own_ids(self._databases):
            raise InvalidInputError("hits are called by numbers, which are no places in databases with ids")
        named = {name for names in subjects.values() for name in names if ordinal_of(name) is None}
        places = self._look_up(sorted(named)) if named else {}
        return {
            query: [oid for name in names for oid in self._numbers(name, places)] for query, names in subjects.items()
        }

    def _numbers(self, name: str, places: Mapping[str, list[int]]) -> list[int]:
        ordinal = ordinal_of(name)
        if ordinal is None:
            return places.get(name, [])
        found = self._difference.new_oid(ordinal)
        return [] if found is None else [found]

    def _look_up(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return the numbers of sequences by their ids; one that is missing is gone, or new under another id."""
        batch, found = self._directory / "names", self._directory / "numbers"
        batch.write_text("".join(f"{name}\n" for name in names), "utf-8")
        places: dict[str, list[int]] = {}
        first = 0
        for database in self._databases:  # each by itself: of several, BLAST+ looks into one
            content = read_content(database.path, database.molecule.letter, database.root)
            if len({(volume.path.parent, volume.lookup or volume.path) for volume in content.volumes}) > 1:
                raise InvalidInputError(f"ids of {database.display} cannot be looked up: it consists of several")
            kind = "prot" if database.molecule.letter == "p" else "nucl"
            command = ["blastdbcmd", "-db", argument_of(database.path), "-dbtype", kind]
            try:
                self._run([*command, "-entry_batch", str(batch), "-outfmt", "%o %a %g"], found)
            except ProgramError as error:
                if error.exit_code != _SOME_MISSING:
                    raise
            for line in found.read_text("utf-8").splitlines():
                number, accession, gi = line.split(" ")
                for name in {accession, accession.rpartition(".")[0] or accession, gi}:
                    places.setdefault(name, []).append(first + int(number))
            first += sum(volume.sequences for volume in content.volumes)
        return places
