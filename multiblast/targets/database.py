"""A registered BLAST+ database and what is known about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from multiblast.molecules import DatabaseKind
from multiblast.targets.content import read_content
from multiblast.targets.fingerprint import fingerprint
from multiblast.targets.volume import PROFILE_FILES, place_of


@dataclass(frozen=True, slots=True)
class BlastDatabase:
    """A database found under a targets root.

    Attributes:
        date: When it was built, to the minute, in the local time of that machine.
        path: What BLAST+ knows it by: its path without extension, as those of its volumes.
        root: The directory that all its files lie in.
        cache: Where its fingerprint is remembered.
    """

    site: str
    target: str
    name: str
    title: str
    molecule: DatabaseKind
    sequences: int
    letters: int
    date: datetime
    path: Path
    volumes: tuple[Path, ...] = field(repr=False)
    root: Path = field(repr=False, compare=False)
    cache: Path = field(repr=False, compare=False)

    @property
    def display(self) -> str:
        """How it is named to people: ``site/target/name``."""
        return f"{self.site}/{self.target}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """The id of its content as it is at this moment, 32 hexadecimal digits; an error if it is gone or damaged.

        Quick unless its files were touched since it was last taken.
        """
        return fingerprint(read_content(self.path, self.molecule.letter, self.root), self.cache)

    def files(self) -> list[Path]:
        """Return every file that belongs to it, in the order of their paths; for one that BLAST+ can open elsewhere."""
        kind = self.molecule.letter
        content = read_content(self.path, kind, self.root)
        parts = {self.path, *(volume.path for volume in content.volumes)}
        parts |= {alias.path.with_suffix("") for alias in content.aliases}
        found = set(content.files())
        for part in parts:
            own = re.compile(rf"{re.escape(part.name)}\.({kind}\w\w|{'|'.join(PROFILE_FILES)})")
            found.update(path for path in part.parent.iterdir() if own.fullmatch(path.name))
        return sorted(found)


def in_canonical_order(databases: Iterable[BlastDatabase]) -> tuple[BlastDatabase, ...]:
    """Return each database once, in the one order in which several are always searched: by their volumes, as BLAST+."""

    def order(one: BlastDatabase) -> tuple[object, ...]:
        return sorted(map(place_of, one.volumes)), one.target, one.name, one.molecule

    return tuple(dict.fromkeys(sorted(databases, key=order)))


def mixture(databases: Sequence[BlastDatabase]) -> list[str]:
    """Return of which database in canonical order each volume is, as BLAST+ searches them; none if one after the other.

    A volume that two of them have is searched once.
    """
    owners: dict[tuple[str, str], int] = {}
    for number, database in enumerate(databases):
        owners |= {place: number for place in map(place_of, database.volumes) if place not in owners}
    searched = [owners[place] for place in sorted(owners)]
    apart = [number for number, database in enumerate(databases) for _ in database.volumes]
    return [] if searched == apart else list(map(str, searched))


def database_argument(databases: Iterable[BlastDatabase]) -> str:
    """Return what follows ``-db``: the paths in canonical order, quoted as BLAST+ wants it where blanks are in them."""
    paths = [str(database.path) for database in in_canonical_order(databases)]
    return " ".join(f'"{path}"' if " " in path else path for path in paths)
