"""Removing what is kept elsewhere too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete as remove
from sqlmodel import col, select

from multiblast.database import among
from multiblast.errors import ConflictError
from multiblast.registry.local.items import everything, find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import DETAILS, KINDS
from multiblast.registry.model.rows import ROWS, CodeRunRow, ObjectComponentRow, ObjectRow, Row, StorageLocationRow
from multiblast.registry.model.tables import RegistryTable, RemoteCopy, Staged, StorageLocation, StorageRoot, StoredFile
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.row_graph import RowGraph, collect_rows

_ABANDONED_AFTER_S = 24 * 3600
# What other rows may share, and costs nothing, stays.
_COLLECTED = set(KINDS) - {"namespace", "storage_root", "file_type", "author"}


@dataclass(frozen=True, slots=True)
class Removal:
    """What a collection would remove, or did."""

    rows: int
    files: tuple[str, ...]
    size_bytes: int
    items: tuple[str, ...]


def collect(
    registry: Registry, remote_names: Sequence[str], *, files: bool = False, every: bool = False, dry_run: bool = False
) -> Removal:
    """Remove what is synced, and in the provenance of nothing that is not; and parts of files left for a day.

    Args:
        registry: The local one.
        remote_names: `Endpoint.name` of the remotes that count: what one of them has is synced.
        files: Remove files too, except those of restricted access.
        every: Remove these too.
        dry_run: Only return what would be removed.
    """
    roots = everything(registry)
    unsynced = [row for row in roots if not _is_synced(registry, remote_names, row)]
    kept = collect_rows(registry, unsynced).rows.keys()
    dropped = [row for row in roots if row.id not in kept]
    graph = collect_rows(registry, dropped)
    doomed = {row_id for row_id in graph.rows if row_id not in kept and row_id[0] in _COLLECTED}
    if not dry_run:
        _sweep(registry)
    items = [label(registry, row) for row in dropped]
    return _remove(registry, graph, doomed, items, files=files, every=every, dry_run=dry_run)


def _sweep(registry: Registry) -> None:
    """Remove what transfers left behind that broke off, and were not continued for a day."""
    for part in (registry.directory / "incoming").glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink()
    registry.files.store.sweep()


def _is_synced(registry: Registry, remote_names: Sequence[str], row: Row) -> bool:
    return any(RemoteCopies(registry, name).all_there([row.id]) for name in remote_names)


def delete(
    registry: Registry, text: str, remote_names: Sequence[str], *, force: bool = False, dry_run: bool = False
) -> Removal:
    """Remove one code run or file from the registry and the store.

    Its file is removed too, unless something else is the same file.

    Args:
        registry: The local one.
        text: What, see `find_items`.
        remote_names: As in `collect`.
        force: Even if no remote has it.
        dry_run: Only return what would be removed.

    Raises:
        ConflictError: it is not synced, or something else depends on it.
    """
    rows = find_items(registry, text)
    for row in rows:
        if not force and not _is_synced(registry, remote_names, row):
            raise ConflictError(f"{label(registry, row)} is at no remote: push it first, or delete it with force")
    graph = RowGraph()
    waiting: list[Row] = [*rows]
    while waiting:
        owner = waiting.pop()
        graph.add(owner)
        if owner.kind in ("object", "data_product"):  # the provenance of its components is not its own
            for kind, field in DETAILS[owner.kind]:
                waiting += registry.details(ROWS[kind], field, [owner])
    _refuse_needed(registry, graph)
    wanted = {row.storage_location for row in graph.of(ObjectRow) if row.storage_location}
    for place in registry.read(StorageLocationRow, wanted):
        others = registry.details(ObjectRow, "storage_location", [place])
        if all(other.id in graph.rows for other in others):
            graph.add(place)
    items = [label(registry, row) for row in rows]
    return _remove(registry, graph, set(graph.rows), items, files=True, every=True, dry_run=dry_run)


def _refuse_needed(registry: Registry, graph: RowGraph) -> None:
    """Refuse to remove what a code run that stays has read, written or run."""
    components, objects = graph.of(ObjectComponentRow), graph.of(ObjectRow)
    users: list[CodeRunRow] = []
    for field in ("inputs", "outputs"):
        users += registry.details(CodeRunRow, field, components)
    for field in ("code_repo", "model_config", "submission_script"):
        users += registry.details(CodeRunRow, field, objects)
    for run in users:
        if run.id not in graph.rows:
            raise ConflictError(f"code run {run.uuid} needs it: delete that first")


def _remove(  # noqa: PLR0913 - what, and how much of it
    registry: Registry, graph: RowGraph, doomed: set[tuple[str, str]], items: list[str], *, files: bool, every: bool,
    dry_run: bool,
) -> Removal:  # fmt: skip
    places = [row for row in graph.of(StorageLocationRow) if row.id in doomed]
    hashes = {row.hash for row in places if every or row.public} if files else set()
    kept_elsewhere = _hashes_that_stay(registry, {row.reference for row in places}, hashes)
    gone = {sha1: kept for sha1 in hashes - kept_elsewhere if (kept := registry.files.get(sha1))}
    result = Removal(len(doomed), tuple(sorted(gone)), sum(kept.size_bytes for kept in gone.values()), tuple(items))
    if dry_run:
        return result
    with registry.writing() as session:
        for kind in reversed(KINDS):
            numbers = [int(reference) for name, reference in doomed if name == kind]
            model: Any = KINDS[kind].model
            for table in RegistryTable.metadata.tables.values():
                for column in table.columns:
                    if "id" not in table.columns and column.references(model.__table__.c.id):
                        session.execute(remove(table).where(among(session, column, numbers)))
            session.execute(remove(model).where(among(session, model.id, numbers)))
            for marks in (RemoteCopy, Staged):
                session.execute(remove(marks).where(col(marks.kind) == kind, among(session, marks.row_id, numbers)))
        session.execute(remove(StoredFile).where(among(session, col(StoredFile.sha1), gone)))
    # After the rows: a row without its file would be an error.
    registry.files.store.delete(registry.files.key(kept.sha256) for kept in gone.values())
    return result


def _hashes_that_stay(registry: Registry, doomed: set[str], hashes: set[str]) -> set[str]:
    """Return those of some hashes that a location here has which stays; where else they are does not count."""
    with registry.session() as session:
        query = select(StorageLocation.id, StorageLocation.hash).join(StorageRoot)
        query = query.where(col(StorageRoot.local), among(session, col(StorageLocation.hash), hashes))
        return {sha1 for number, sha1 in session.exec(query) if str(number) not in doomed}
