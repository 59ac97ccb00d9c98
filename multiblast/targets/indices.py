"""MegaBLAST indices beside a database, as ``makembindex`` makes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from multiblast import ids
from multiblast.errors import InvalidInputError, Problem
from multiblast.targets.database import BlastDatabase
from multiblast.targets.fingerprint import file_digest

_BUDGET_BYTES = 256 << 20


def index_path(databases: Iterable[BlastDatabase], name: str) -> Path:
    """Return what follows ``-index_name``, an old-style index beside the one database, or raise `InvalidInputError`."""
    found = list(databases)
    if len(found) != 1:
        raise InvalidInputError(Problem("an index has one database: search one, or leave this out", "index_name"))
    path = found[0].path.parent / name
    if path.parent != found[0].path.parent or not _files(path):  # a name must not lead elsewhere
        remedy = "make it with makembindex -old_style_index true"
        problem = Problem(f"there is no index {name!r} beside {found[0].display}: {remedy}", "index_name")
        raise InvalidInputError(problem)
    return path


def index_files(databases: Iterable[BlastDatabase], name: str = "") -> list[Path]:
    """Return the files of the index with which databases are searched, of this name, or each its own; or raise."""
    found = list(databases)
    if name:
        return _files(index_path(found, name))
    volumes = [volume for database in found for volume in sorted({database.path, *database.volumes})]
    files = [file for volume in volumes for file in _files(volume)]
    if not files:
        names = ", ".join(database.display for database in found)
        remedy = "make one with makembindex -iformat blastdb, or leave use_index out"
        raise InvalidInputError(Problem(f"{names} has no MegaBLAST index: {remedy}", "use_index"))
    return files


def index_fingerprint(files: Iterable[Path]) -> str:
    """Return the id of an index by its content, in blocks if it is large."""
    return ids.digest("index/1", [file_digest(file, _BUDGET_BYTES) for file in files])


def _files(path: Path) -> list[Path]:
    """Return the volumes of an index, and the file that says which sequences each holds."""
    own = re.compile(rf"{re.escape(path.name)}\.([^.]*\.)?(idx|shd)")
    return sorted(file for file in path.parent.iterdir() if own.fullmatch(file.name))
