"""How items are: synced, ahead, behind, in conflict, missing or changed; and whether files are what they should be."""

from __future__ import annotations

from collections.abc import Sequence

from semver import Version
from sqlmodel import col, select

from multiblast.errors import MultiblastError, ObjectMissingError
from multiblast.registry.local.items import Item, everything, find_items, label, names_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import (
    CodeRunRow,
    DataProductRow,
    Endpoint,
    NamespaceRow,
    ObjectRow,
    StorageLocationRow,
    StorageRootRow,
)
from multiblast.registry.model.tables import Staged, StorageLocation, StorageRoot, StoredFile
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary
from multiblast.registry.sync.transfer import contents_of

Versions = dict[tuple[str, str], dict[str, DataProductRow]]  # by namespace and name, then version


def status(registry: Registry, remote: Endpoint | None = None, items: Sequence[str] = ()) -> TransferSummary:
    """Return how items, or all data products and code runs, are.

    Returns:
        One outcome per item. Its reason has committed, missing file, changed file; and with a remote to compare with
        synced, ahead (not there), behind (newer there), conflict.
    """
    rows = [row for text in items for row in find_items(registry, text)] or everything(registry)
    report = TransferSummary()
    before = remote.requests if remote else 0
    copies = RemoteCopies(registry, remote.name) if remote else None
    theirs = _remote_products(registry, remote, rows) if remote else {}
    with registry.session() as session:
        staged = {(mark.kind, mark.row_id) for mark in session.exec(select(Staged))}
    for row in rows:
        states: list[str] = []
        if (row.kind, int(row.reference)) in staged:
            states.append("committed")
        states += _file_state(registry, row)
        if remote is not None and copies is not None:
            states += _against(registry, remote, copies, row, theirs)
        bad = {"conflict", "missing file", "changed file"} & {word.partition(":")[0] for word in states}
        result = ItemResult.CONFLICT if "conflict" in bad else ItemResult.FAILED if bad else ItemResult.KNOWN
        report.outcomes.append(Outcome(label(registry, row), result, ", ".join(states) or "local"))
    if remote is not None:
        report.requests = remote.requests - before
        report.notes += [remote.warning] if remote.warning else []
    return report


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


def _remote_products(registry: Registry, remote: Endpoint, rows: Sequence[Item]) -> Versions:
    """Return what the remote has of the names of some objects, by namespace and name, then version."""
    products = registry.details(DataProductRow, "object", [row for row in rows if isinstance(row, ObjectRow)])
    found: Versions = {}
    for space, names in names_of(registry, products).items():
        for row in remote.products(space, names):
            found.setdefault((space, row.name), {})[row.version] = row
    return found


def _against(registry: Registry, remote: Endpoint, copies: RemoteCopies, row: Item, theirs: Versions) -> list[str]:
    if isinstance(row, CodeRunRow):
        there = copies.all_there([row.id]) or remote.find(CodeRunRow, [row.fields])[0]
        return ["synced" if there else "ahead: not at the remote"]
    states: list[str] = []
    ours = contents_of([row], registry)[row.reference]
    for product in registry.details(DataProductRow, "object", [row]):
        (space,) = registry.read(NamespaceRow, [product.namespace])
        versions = theirs.get((space.name, product.name), {})
        other = versions.get(product.version)
        if other is None:
            states.append("ahead: not at the remote")
        else:
            others = contents_of(remote.read(ObjectRow, [other.object]), remote)[other.object]
            states.append("conflict: other bytes at the remote" if ours and others and ours != others else "synced")
        newer = [v for v in versions if Version.parse(v) > Version.parse(product.version)]
        if newer:
            states.append(f"behind: {max(newer, key=Version.parse)} is at the remote")
    return states


def verify(registry: Registry) -> TransferSummary:
    """Compute every digest of every file again."""
    report = TransferSummary()
    with registry.session() as session:
        hashes = session.exec(select(StoredFile.sha1).order_by(StoredFile.sha1)).all()
        local = session.exec(
            select(StorageLocation.hash).join(StorageRoot).where(col(StorageRoot.local)).distinct()
        ).all()
    for sha1 in hashes:
        try:
            found = registry.files.verify(sha1)
            report.outcomes.append(Outcome(sha1, ItemResult.DONE, "", found.size_bytes))
        except MultiblastError as error:
            report.outcomes.append(Outcome(sha1, ItemResult.FAILED, str(error)))
    report.outcomes += [
        Outcome(sha1, ItemResult.FAILED, str(ObjectMissingError(sha1))) for sha1 in sorted(set(local) - set(hashes))
    ]
    return report
