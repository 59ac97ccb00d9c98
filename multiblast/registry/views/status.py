"""How items are: synced, ahead, behind, in conflict, missing or changed; and whether files are what they should be."""

from __future__ import annotations

from collections.abc import Sequence

from semver import Version
from sqlmodel import col, select

from multiblast.errors import MultiblastError, ObjectMissingError
from multiblast.registry.local.items import Item, everything, find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import Staged, StoredFile
from multiblast.registry.model.rows import (
    Endpoint,
    ObjectRow,
    StorageLocationRow,
    StorageRootRow,
)
from multiblast.registry.model.tables import StorageLocation, StorageRoot
from multiblast.registry.sync.presence import Presence, State, presence
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary


def status(registry: Registry, remote: Endpoint | None = None, items: Sequence[str] = ()) -> TransferSummary:
    """Return how items, or all data products and code runs, are.

    Returns:
        One outcome per item. Its reason has committed, missing file, changed file; and with a remote to compare with
        synced, ahead (not there), behind (newer there), conflict.
    """
    rows = [row for text in items for row in find_items(registry, text)] or everything(registry)
    summary = TransferSummary()
    before = remote.requests if remote else 0
    there = presence(registry, remote, rows) if remote else None
    with registry.session() as session:
        staged = {(mark.kind, mark.row_id) for mark in session.exec(select(Staged))}
    for row in rows:
        states: list[str] = []
        if (row.kind, int(row.reference)) in staged:
            states.append("committed")
        states += _file_state(registry, row)
        if there is not None:
            states += _against(there, row, is_private="private" in states)
        bad = {"conflict", "missing file", "changed file"} & {word.partition(":")[0] for word in states}
        result = ItemResult.CONFLICT if "conflict" in bad else ItemResult.FAILED if bad else ItemResult.KNOWN
        summary.outcomes.append(Outcome(label(registry, row), result, ", ".join(states) or "local"))
    if remote is not None:
        summary.requests = remote.requests - before
        summary.notes += [remote.warning] if remote.warning else []
    return summary


def _file_state(registry: Registry, row: Item) -> list[str]:
    if not isinstance(row, ObjectRow) or not row.storage_location:
        return []
    (place,) = registry.read(StorageLocationRow, [row.storage_location])
    (root,) = registry.read(StorageRootRow, [place.storage_root])
    sha1 = place.hash
    words = [] if place.public else ["private"]
    if not root.local:
        return [*words, "file not here"]
    if not registry.files.holds(sha1):
        kept = registry.files.get(sha1)
        changed = kept is not None and registry.files.store.exists(registry.files.key(kept.sha256))
        return [*words, "changed file" if changed else "missing file"]
    return words


def _against(there: Presence, row: Item, *, is_private: bool) -> list[str]:
    state = there.states[row.id]
    states = [] if is_private and state in (State.ABSENT, State.HIDDEN) else [state.value]
    for space, product in there.products.get(row.reference, []) if isinstance(row, ObjectRow) else []:
        versions = there.versions.get((space, product.name), {})
        newer = [v for v in versions if Version.parse(v) > Version.parse(product.version)]
        if newer:
            states.append(f"behind: {max(newer, key=Version.parse)} is at the remote")
    return states


def verify(registry: Registry) -> TransferSummary:
    """Compute every digest of every file again."""
    summary = TransferSummary()
    with registry.session() as session:
        hashes = session.exec(select(StoredFile.sha1).order_by(StoredFile.sha1)).all()
        local = session.exec(
            select(StorageLocation.hash).join(StorageRoot).where(col(StorageRoot.local)).distinct()
        ).all()
    for sha1 in hashes:
        try:
            found = registry.files.verify(sha1)
            summary.outcomes.append(Outcome(sha1, ItemResult.DONE, "", found.size_bytes))
        except MultiblastError as error:
            summary.outcomes.append(Outcome(sha1, ItemResult.FAILED, str(error)))
    summary.outcomes += [
        Outcome(sha1, ItemResult.FAILED, str(ObjectMissingError(sha1))) for sha1 in sorted(set(local) - set(hashes))
    ]
    return summary
