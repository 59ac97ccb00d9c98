"""Removing what is kept elsewhere too."""

from __future__ import annotations

import time
from collections.abc import Collection, Container, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete as remove
from sqlmodel import Session, col, select

from multiblast.database import among
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError
from multiblast.registry.local.data_store import product_path
from multiblast.registry.local.files import file_checksums
from multiblast.registry.local.items import Item, everything, find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.unfinished import undo_killed_runs
from multiblast.registry.local.users import bound_users
from multiblast.registry.model.kinds import DETAILS, KINDS
from multiblast.registry.model.local_tables import RemoteCopy, Staged, StoredFile
from multiblast.registry.model.names import ProductName, usable_extension
from multiblast.registry.model.rows import (
    ROWS,
    CodeRunRow,
    DataProductRow,
    Endpoint,
    FileTypeRow,
    Id,
    NamespaceRow,
    ObjectComponentRow,
    ObjectRow,
    Row,
    StorageLocationRow,
)
from multiblast.registry.model.tables import RegistryTable, StorageLocation, StorageRoot
from multiblast.registry.sync.presence import State, files_at, presence
from multiblast.registry.sync.row_graph import RowGraph, collect_rows

_ABANDONED_AFTER_S = 24 * 3600
# What other rows may share, and costs nothing, stays.
_COLLECTED = set(KINDS) - {"namespace", "storage_root", "file_type", "author"}


@dataclass(frozen=True, slots=True)
class Removal:
    """What a collection would remove, or did.

    Attributes:
        files: The SHA-1 of each.
        copies: Paths of working copies in data stores.
        notes: What should be known beside.
    """

    rows: int
    files: tuple[str, ...]
    size_bytes: int
    items: tuple[str, ...]
    copies: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def collect(
    registry: Registry, remotes: Sequence[Endpoint], *, files: bool = False, every: bool = False, dry_run: bool = False
) -> Removal:
    """Remove what is synced, unless something unsynced has it in its provenance; and what was left unfinished.

    That is what runs that were killed made, and parts of files that nobody went on with for a day.

    What a remote has, it is asked now, by digest. What no remote shows whole stays.

    Args:
        registry: The local one.
        remotes: Those that count: what one of them has is synced.
        files: Remove files too, also from data stores, except those of restricted access.
        every: Remove these too, if a remote gives them out.
        dry_run: Only return what would be removed.
    """
    notes: list[str] = []
    if killed := undo_killed_runs(registry, dry_run=dry_run):
        notes.append(f"{killed:,} records that killed runs left behind {'would be' if dry_run else 'were'} removed")
    roots = everything(registry)
    synced = _synced(registry, remotes, roots, notes)
    elsewhere: dict[Id, bool] = {}
    while True:
        kept = collect_rows(registry, [row for row in roots if row.id not in synced]).rows.keys()
        dropped = [row for row in roots if row.id not in kept]
        graph = collect_rows(registry, dropped)
        doomed = {row_id for row_id in graph.rows if row_id not in kept and row_id[0] in _COLLECTED}
        objects = [row for row in graph.of(ObjectRow) if row.id in doomed]
        fresh = [row for row in objects if row.id not in elsewhere]
        elsewhere |= _elsewhere(registry, remotes, graph, fresh, files=files)
        unsure = {row.id for row in objects if not elsewhere[row.id]}
        if not unsure:
            break
        # What needs something that only is here stays with it.
        synced -= {row.id for row in dropped if graph.reachable(row.id) & unsure}
    if not dry_run:
        _sweep(registry)
    items = [label(registry, row) for row in dropped]
    orphans = files_at_any(registry, remotes, _orphans(registry)) if files else set()
    return _remove(
        registry, graph, doomed, items, files=files, every=every, dry_run=dry_run, orphans=orphans, notes=notes
    )


def _sweep(registry: Registry) -> None:
    """Remove what transfers left behind that broke off, and were not continued for a day."""
    for part in (registry.directory / "incoming").glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink()
    registry.files.store.sweep()


def _synced(registry: Registry, remotes: Sequence[Endpoint], rows: Sequence[Item], notes: list[str]) -> set[Id]:
    """Return those of some items that one of the remotes has now; what cannot be asked has nothing."""
    found: set[Id] = set()
    for remote in remotes:
        try:
            states = presence(registry, remote, rows).states
        except MultiblastError as error:
            notes.append(f"{remote.name} could not be asked, so that what only it has stays: {error}")
            continue
        found |= {row_id for row_id, state in states.items() if state == State.SAME}
    return found


def _elsewhere(
    registry: Registry, remotes: Sequence[Endpoint], graph: RowGraph, objects: Sequence[ObjectRow], *, files: bool
) -> dict[Id, bool]:
    """Return of each object whether a remote has it, and gives out its file if that is to be removed too."""
    synced = _synced(registry, remotes, objects, []) if objects else set()
    held = registry.files.holding(sha1 for row in objects if (sha1 := graph.sha1(row))) if files else {}
    given_out = files_at_any(registry, remotes, held)
    return {row.id: row.id in synced and graph.sha1(row) not in held.keys() - given_out for row in objects}


def files_at_any(registry: Registry, remotes: Sequence[Endpoint], hashes: Iterable[str]) -> set[str]:
    """Return those of some contents of which one of the remotes gives out a file of the right length."""
    missing, found = set(hashes), set[str]()
    for remote in remotes:
        with suppress(MultiblastError):
            found |= files_at(registry, remote, missing - found)
    return found


def _orphans(registry: Registry) -> set[str]:
    """Return the contents of which no row is left, as an earlier collection without files leaves them."""
    with registry.session() as session:
        kept, placed = (session.exec(select(column)).all() for column in (StoredFile.sha1, StorageLocation.hash))
    return set(kept) - set(placed)


def delete(
    registry: Registry, text: str, remotes: Sequence[Endpoint], *, force: bool = False, dry_run: bool = False
) -> Removal:
    """Remove one code run or file from the registry, the store and the data stores.

    Its file is removed too, unless something else is the same file.

    Args:
        registry: The local one.
        text: What, see `find_items`.
        remotes: As in `collect`.
        force: Even if no remote has it.
        dry_run: Only return what would be removed.

    Raises:
        ConflictError: it is not synced, or something else depends on it.
    """
    rows = find_items(registry, text)
    synced = set() if force else _synced(registry, remotes, rows, [])
    for row in rows:
        if not force and row.id not in synced:
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
    if not force:
        held = registry.files.holding(row.hash for row in graph.of(StorageLocationRow))
        if held.keys() - files_at_any(registry, remotes, held):
            raise ConflictError(f"the file of {text} is given out by no remote: push it again, or delete it with force")
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
    dry_run: bool, orphans: AbstractSet[str] = frozenset(), notes: Sequence[str] = (),
) -> Removal:  # fmt: skip
    places = [row for row in graph.of(StorageLocationRow) if row.id in doomed]
    hashes = {row.hash for row in places if every or row.public} | orphans if files else set()
    kept_elsewhere = _hashes_that_stay(registry, {row.reference for row in places}, hashes)
    gone = {sha1: kept for sha1 in hashes - kept_elsewhere if (kept := registry.files.get(sha1))}
    copies = _working_copies(registry, graph, gone)
    size = sum(kept.size_bytes for kept in gone.values())
    result = Removal(len(doomed), tuple(sorted(gone)), size, tuple(items), tuple(map(str, copies)), tuple(notes))
    if dry_run:
        return result
    with registry.writing() as session:
        for kind in reversed(KINDS):
            _remove_rows(session, kind, [int(reference) for name, reference in doomed if name == kind])
        session.execute(remove(StoredFile).where(among(session, col(StoredFile.sha1), gone)))
    # After the rows: a row without its file would be an error.
    registry.files.store.delete(registry.files.key(kept.sha256) for kept in gone.values())
    for path in copies:
        path.unlink(missing_ok=True)
    return result


def _remove_rows(session: Session, kind: str, numbers: Collection[int]) -> None:
    """Remove rows of a kind, what links them to others, and what is noted about them."""
    model: Any = KINDS[kind].model
    links = [table for table in RegistryTable.metadata.tables.values() if "id" not in table.columns]
    for column in (column for table in links for column in table.columns if column.references(model.__table__.c.id)):
        session.execute(remove(column.table).where(among(session, column, numbers)))
    session.execute(remove(model).where(among(session, model.id, numbers)))
    for marks in (RemoteCopy, Staged):
        session.execute(remove(marks).where(col(marks.kind) == kind, among(session, marks.row_id, numbers)))


def _working_copies(registry: Registry, graph: RowGraph, gone: Container[str]) -> list[Path]:
    """Return the copies in the users' data stores of files that are removed; what was changed there is none."""
    stores = {Path(user.data_store) for user in bound_users(registry)}
    found: list[Path] = []
    for product in graph.of(DataProductRow):
        item = graph.get(ObjectRow, product.object)
        sha1 = graph.sha1(item) if item else ""
        if item is None or sha1 not in gone:
            continue
        (space,) = registry.read(NamespaceRow, [product.namespace])
        types = registry.read(FileTypeRow, [item.file_type]) if item.file_type else []
        for store in stores:
            with suppress(InvalidInputError, OSError):
                name = ProductName(space.name, product.name, product.version)
                path = product_path(store, name, usable_extension(types[0].extension) if types else "")
                if path.is_file() and file_checksums(path).sha1 == sha1:
                    found.append(path)
    return found


def _hashes_that_stay(registry: Registry, doomed: set[str], hashes: set[str]) -> set[str]:
    """Return those of some hashes that a location here has which stays; where else they are does not count."""
    with registry.session() as session:
        query = select(StorageLocation.id, StorageLocation.hash).join(StorageRoot)
        query = query.where(col(StorageRoot.local), among(session, col(StorageLocation.hash), hashes))
        return {sha1 for number, sha1 in session.exec(query) if str(number) not in doomed}
