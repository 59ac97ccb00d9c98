"""Commands about what a registry has: commit, status, info, gc, delete and verify."""

from __future__ import annotations

from collections.abc import Sequence

from semver import Version
from sqlmodel import select

from multiblast.registry.local.items import everything, find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.rows import Endpoint, Row
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary
from multiblast.registry.sync.transfer import contents_of

__all__ = ["status"]


def status(registry: Registry, remote: Endpoint | None = None, items: Sequence[str] = ()) -> TransferSummary:
    """Say of items, or of all data products and code runs, how they are.

    Args:
        registry: The local one.
        remote: Compare with it: ahead (not there), behind (newer there), conflict.
        items: What to look at; empty for everything.

    Returns:
        One outcome an item; its reason says: synced, ahead, behind, committed, conflict, missing file, changed file.
    """
    rows = [row for text in items for row in find_items(registry, text)] or everything(registry)
    report = TransferSummary()
    before = remote.requests if remote else 0
    copies = RemoteCopies(registry, remote.name) if remote else None
    theirs = _remote_products(registry, remote, rows) if remote else {}
    with registry.session() as session:
        staged = {(mark.kind, mark.row_id) for mark in session.exec(select(Staged))}
    for row in rows:
        said: list[str] = []
        if (row.kind, int(row.reference)) in staged:
            said.append("committed")
        said += _file_state(registry, row)
        if remote is not None and copies is not None:
            said += _against(registry, remote, copies, row, theirs)
        bad = {"conflict", "missing file", "changed file"} & {word.partition(":")[0] for word in said}
        result = ItemResult.CONFLICT if "conflict" in bad else ItemResult.FAILED if bad else ItemResult.KNOWN
        report.outcomes.append(Outcome(label(registry, row), result, ", ".join(said) or "local"))
    if remote is not None:
        report.requests = remote.requests - before
        report.notes += [remote.warning] if remote.warning else []
    return report


def _file_state(registry: Registry, row: Row) -> list[str]:
    if row.kind != "object" or not row.fields["storage_location"]:
        return []
    (place,) = registry.read("storage_location", [row.fields["storage_location"]])
    (root,) = registry.read("storage_root", [place.fields["storage_root"]])
    sha1 = place.fields["hash"]
    words = [] if place.fields["public"] else ["private"]
    if not root.fields["local"]:
        return [*words, "file not here"]
    if not registry.files.holds(sha1):
        kept = registry.files.get(sha1)
        changed = kept is not None and registry.files.store.exists(registry.files.key(kept.sha256))
        return [*words, "changed file" if changed else "missing file"]
    return words


def _remote_products(
    registry: Registry, remote: Endpoint, rows: Sequence[Row]
) -> dict[tuple[str, str], dict[str, Row]]:
    """Return what the remote has of the names of some objects, by namespace and name, then version."""
    products = registry.details("data_product", "object", [row for row in rows if row.kind == "object"])
    spaces = {
        row.reference: row.fields["name"]
        for row in registry.read("namespace", {row.fields["namespace"] for row in products})
    }
    names: dict[str, set[str]] = {}
    for row in products:
        names.setdefault(spaces[row.fields["namespace"]], set()).add(row.fields["name"])
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for space, wanted in names.items():
        for row in remote.products(space, sorted(wanted)):
            found.setdefault((space, row.fields["name"]), {})[row.fields["version"]] = row
    return found


def _against(
    registry: Registry, remote: Endpoint, copies: RemoteCopies, row: Row, theirs: dict[tuple[str, str], dict[str, Row]]
) -> list[str]:
    if row.kind == "code_run":
        there = copies.there("code_run", [int(row.reference)]) or remote.find("code_run", [row.fields])[0]
        return ["synced" if there else "ahead: not at the remote"]
    said: list[str] = []
    (ours,) = contents_of([row], registry)
    for product in registry.details("data_product", "object", [row]):
        (space,) = registry.read("namespace", [product.fields["namespace"]])
        versions = theirs.get((space.fields["name"], product.fields["name"]), {})
        other = versions.get(product.fields["version"])
        if other is None:
            said.append("ahead: not at the remote")
        else:
            (others,) = contents_of(remote.read("object", [other.fields["object"]]), remote)
            said.append("conflict: other bytes at the remote" if ours and others and ours != others else "synced")
        newer = [v for v in versions if Version.parse(v) > Version.parse(product.fields["version"])]
        if newer:
            said.append(f"behind: {max(newer, key=Version.parse)} is at the remote")
    return said
