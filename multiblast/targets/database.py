"""A registered BLAST+ database and what is known about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from multiblast.molecules import DatabaseKind
from multiblast.targets.content import read_content
from multiblast.targets.fingerprint import fingerprint
from multiblast.targets.volume import PROFILE_FILES


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
    """Return each database once, in the one order in which several are always searched: by ``target:name``."""
    ordered = sorted(databases, key=lambda database: (f"{database.target}:{database.name}", database.molecule))
    return tuple(dict.fromkeys(ordered))


def database_argument(databases: Iterable[BlastDatabase]) -> str:
    """Return what follows ``-db``: the paths in canonical order, quoted as BLAST+ wants it where blanks are in them."""
    paths = [str(database.path) for database in in_canonical_order(databases)]
    return " ".join(f'"{path}"' if " " in path else path for path in paths)
