"""What lies in the directories below a root, remembered for as long as none of their files is touched.

With thousands of databases, to read them all takes most of a command's time, and to look at their directories little.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from multiblast import ids
from multiblast.errors import InvalidInputError
from multiblast.files import replacing
from multiblast.molecules import DatabaseKind
from multiblast.targets.content import Content, read_alias, read_content

_TAG = "directories/2"
_WORTH_A_FILE = 50  # fewer are read as soon
_ALIASES = (".pal", ".nal")


class Found(NamedTuple):
    """A database in a directory, or why it cannot be used.

    Attributes:
        date: As ISO 8601 writes it; see `multiblast.targets.database.BlastDatabase`.
        volumes: Their paths without extensions, from the directory on.
        problem: Empty if it can be used; else nothing but the name is known.
    """

    name: str
    title: str = ""
    molecule: str = ""
    sequences: int = 0
    letters: int = 0
    date: str = ""
    volumes: tuple[str, ...] = ()
    problem: str = ""

    @classmethod
    def read(cls, directory: Path, name: str, kind: str, root: Path) -> Found:
        """Return what is there now."""
        try:
            return cls._of(directory, name, read_content(directory / name, kind, root))
        except (InvalidInputError, OSError) as error:
            return cls(name, problem=str(error))

    @classmethod
    def _of(cls, directory: Path, name: str, content: Content) -> Found:
        volumes = content.volumes
        alias = content.aliases[0].fields if content.aliases else {}
        kind = DatabaseKind.PROTEIN if volumes[0].kind == "p" else DatabaseKind.NUCLEOTIDE
        return cls(
            name,
            alias.get("TITLE", volumes[0].title),
            DatabaseKind.PROFILE if all(volume.is_profile for volume in volumes) else kind,
            _number(alias, "NSEQ", sum(volume.sequences for volume in volumes)),
            _number(alias, "LENGTH", sum(volume.letters for volume in volumes)),
            max(volume.date for volume in volumes).isoformat(),
            tuple(volume.path.name if volume.path.parent == directory else str(volume.path) for volume in volumes),
        )


class Directories:
    """What was found in the directories below ``root``; ``file`` is where it is remembered for other processes."""

    def __init__(self, root: Path, file: Path) -> None:
        self._root = root
        self._file = file
        self._known: dict[str, tuple[str, tuple[Found, ...]]] | None = None

    def look(
        self, directories: Iterable[Path], names: Callable[[Path], Iterator[tuple[str, str]]]
    ) -> dict[Path, tuple[Found, ...]]:
        """Return what is in each directory; only where a file was touched, it is read.

        Args:
            directories: Below the root.
            names: Gives the name and kind of each database in a directory.
        """
        before = self._load() if self._known is None else self._known
        known, found = {}, {}
        plain = {str(self._root): True}
        for directory in directories:
            path = str(directory)
            signature = _signature(path) if _is_plain(path, plain) else ""  # as it was before it is read
            if signature and path in before and before[path][0] == signature:
                found[directory] = before[path][1]
                known[path] = before[path]
                continue
            here = tuple(Found.read(directory, name, kind, self._root) for name, kind in names(directory))
            found[directory] = here
            if signature:
                known[path] = (signature, here)
        if known != before and sum(len(here) for _, here in known.values()) >= _WORTH_A_FILE:
            self._save(known)
        self._known = known
        return found

    def _load(self) -> dict[str, tuple[str, tuple[Found, ...]]]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {
                path: (signature, tuple(Found._make((*fields[:6], tuple(fields[6]), fields[7])) for fields in here))
                for path, (signature, here) in kept.items()
            }
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}

    def _save(self, known: dict[str, tuple[str, tuple[Found, ...]]]) -> None:
        with suppress(OSError), replacing(self._file) as file:  # one that cannot be written is done without
            file.write(json.dumps(known).encode())


def _is_plain(directory: str, known: dict[str, bool]) -> bool:
    """Whether neither this directory nor one above it, below the root, is a link, which could lead elsewhere later."""
    if directory not in known:
        known[directory] = not os.path.islink(directory) and _is_plain(os.path.dirname(directory), known)  # noqa: PTH114, PTH120 - of thousands
    return known[directory]


def _signature(directory: str) -> str:
    """Return a digest of what changes when any file of a directory is touched; empty if other places matter too."""
    facts = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_symlink() or (entry.name.endswith(_ALIASES) and _leads_elsewhere(entry.path)):
                    return ""
                stat = entry.stat()
                facts.append((entry.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError:
        return ""  # not ours to read, or gone meanwhile
    return ids.digest(_TAG, repr(sorted(facts)))


def _leads_elsewhere(alias_file: str) -> bool:
    try:
        alias = read_alias(Path(alias_file))
    except (InvalidInputError, OSError):
        return True
    return any(path.parent != alias.path.parent for path in (*alias.members, *alias.lists))


def _number(fields: dict[str, str], key: str, default: int) -> int:
    return int(fields[key]) if fields.get(key, "").isdecimal() else default
