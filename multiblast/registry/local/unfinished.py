"""What a script that still runs has recorded, which is removed unless the script ends well, or its run is killed."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, cast

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from multiblast.database import among
from multiblast.files import contained
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.local_tables import RemoteCopy, Staged, StoredFile
from multiblast.registry.model.tables import (
    CodeRunInput,
    CodeRunOutput,
    DataProduct,
    NumberedTable,
    ObjectComponent,
    StorageLocation,
)

_LINES = "unfinished"  # the directory of the lists


@dataclass(slots=True)
class _Made:
    """What a run made so far.

    Attributes:
        rows: Kind and number of each, with the time of its last change: a number may be given out again.
        files: The SHA-1 of those contents that the registry did not have before.
        paths: Files in the registry's directory.
    """

    rows: list[tuple[str, int, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Self:
        made = cls()
        for line in text.splitlines():
            with suppress(ValueError):  # the last one may be half a line
                name, value = json.loads(line)
                getattr(made, name).append(tuple(value) if name == "rows" else value)
        return made


class UnfinishedRun:
    """The list of what a run that is not done has made; it is in a file, which is locked as long as the run lives.

    Args:
        registry: The local one.
        run_id: Of the run.
    """

    def __init__(self, registry: Registry, run_id: str) -> None:
        self._registry = registry
        self._path = registry.directory / _LINES / f"{run_id}.jsonl"
        self._made = _Made()
        self._writing = threading.Lock()
        self._file = _locked_file(self._path)

    def note_row(self, session: Session, kind: str, number: int) -> None:
        """Note a row that was made; while its transaction lasts, so that no row is there that was not noted."""
        row = _row(session, kind, number)
        if row is not None:
            one = (kind, number, row.last_updated.isoformat())
            self._made.rows.append(one)
            self._write("rows", one)

    def note_file(self, sha1: str) -> None:
        """Note a content that is about to be kept, unless it was before."""
        if self._registry.files.get(sha1) is None:
            self._made.files.append(sha1)
            self._write("files", sha1)

    def note_path(self, path: Path) -> None:
        """Note a file in the registry's directory that is about to be written, and stays no longer than the run."""
        inside = str(path.relative_to(self._registry.directory))
        self._made.paths.append(inside)
        self._write("paths", inside)

    def _write(self, name: str, value: Any) -> None:
        with self._writing:  # the API serves several calls at once
            self._file.write(json.dumps([name, value]) + "\n")
            self._file.flush()

    def keep(self) -> None:
        """Let what was made stay."""
        self._end()

    def undo(self) -> None:
        """Remove what was made; what something else needs stays."""
        _undo(self._registry, self._made)
        self._end()

    def _end(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def undo_killed_runs(registry: Registry, *, dry_run: bool = False) -> int:
    """Remove what runs made that were killed; return how many rows that is. A dry run only counts them."""
    count = 0
    for path in sorted((registry.directory / _LINES).glob("*.jsonl")):
        with suppress(FileNotFoundError, PermissionError, BlockingIOError), path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a run that lives has it locked
            made = _Made.read(file.read())
            with registry.session() as session:
                count += len(_present(session, made))
            if not dry_run:
                _undo(registry, made)
                path.unlink(missing_ok=True)
    return count


def _locked_file(path: Path) -> IO[str]:
    """Return a new file that is locked, and was not taken for one of a killed run between the two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("w", encoding="utf-8")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _row(session: Session, kind: str, number: int) -> NumberedTable | None:
    return session.get(cast("type[NumberedTable]", KINDS[kind].model), number)


def _present(session: Session, made: _Made) -> list[tuple[str, int]]:
    """Return the rows that are still there, and are still the same."""
    return [
        (kind, number)
        for kind, number, time in made.rows
        if (row := _row(session, kind, number)) and row.last_updated.isoformat() == time
    ]


def _undo(registry: Registry, made: _Made) -> None:
    with registry.writing() as session:
        rows = _present(session, made)
        if not _is_exchanged(session, rows):
            needed = _needed_objects(session, rows)
            for kind, number in reversed(rows):
                _remove(session, kind, number, needed)
        gone = _unplaced(session, made.files)
        session.execute(delete(StoredFile).where(among(session, col(StoredFile.sha1), gone)))
    registry.files.store.delete(registry.files.key(sha256) for sha256 in gone.values())
    for path in made.paths:
        contained(registry.directory, path).unlink(missing_ok=True)


def _numbers(rows: Sequence[tuple[str, int]], kind: str) -> list[int]:
    return [number for name, number in rows if name == kind]


def _is_exchanged(session: Session, rows: Sequence[tuple[str, int]]) -> bool:
    """Return whether somebody took rows for good: committed them, or exchanged them with another registry."""
    marks = [
        select(table.row_id).where(table.kind == kind, among(session, col(table.row_id), _numbers(rows, kind)))
        for table in (Staged, RemoteCopy)
        for kind in ("object", "code_run", "data_product")
    ]
    return any(session.exec(mark).first() is not None for mark in marks)


def _needed_objects(session: Session, rows: Sequence[tuple[str, int]]) -> set[int]:
    """Return the objects among some rows that code runs read or wrote which are not among them."""
    query = select(ObjectComponent.object_id)
    found: set[int] = set()
    for link in (CodeRunInput, CodeRunOutput):
        foreign = col(link.code_run_id).not_in(_numbers(rows, "code_run"))
        joined = query.join(link, col(link.object_component_id) == ObjectComponent.id).where(
            foreign, among(session, col(ObjectComponent.object_id), _numbers(rows, "object"))
        )
        found |= set(session.exec(joined))
    return found


def _remove(session: Session, kind: str, number: int, needed: set[int]) -> None:
    """Remove a row, unless others refer to it."""
    with suppress(IntegrityError), session.begin_nested():
        row = _row(session, kind, number)
        owner = row.object_id if isinstance(row, DataProduct | ObjectComponent) else number if kind == "object" else 0
        if row is None or owner in needed:
            return
        if kind == "object":
            own = col(ObjectComponent.object_id) == number
            session.execute(delete(ObjectComponent).where(own, col(ObjectComponent.whole_object)))
        session.delete(row)
        session.flush()


def _unplaced(session: Session, hashes: Sequence[str]) -> dict[str, str]:
    """Return those of some contents that no row is about, SHA-1 to SHA-256."""
    placed = set(session.exec(select(StorageLocation.hash).where(among(session, col(StorageLocation.hash), hashes))))
    query = select(StoredFile).where(among(session, col(StoredFile.sha1), set(hashes) - placed))
    return {kept.sha1: kept.sha256 for kept in session.exec(query)}
