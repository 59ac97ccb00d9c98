"""Commands about what a registry has: commit, status, info, gc, delete and verify."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version
from sqlalchemy import delete as remove
from sqlmodel import col, select

from multiblast.errors import ConflictError, MultiblastError, NotFoundError, ObjectMissingError
from multiblast.registry.local.files import file_checksums
from multiblast.registry.local.records import name_of_product
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.local_tables import RemoteCopy, Staged, StoredFile
from multiblast.registry.model.rows import End, Row
from multiblast.registry.model.tables import RegistryTable, StorageLocation, StorageRoot
from multiblast.registry.sync.closure import Closure, walk
from multiblast.registry.sync.remote_copies import Copies
from multiblast.registry.sync.transfer import Outcome, Report, Result, contents_of, product_name

__all__ = ["Collected", "commit", "delete", "find_item", "gc", "info", "label", "status", "verify"]

_ABANDONED_AFTER_S = 24 * 3600


def find_item(registry: Registry, text: str) -> list[Row]:
    """Return what a person means: a code run, or objects.

    Args:
        registry: The local one.
        text: A UUID, the SHA-1 of a file, ``namespace:name@version``, or the path of a file.

    Raises:
        NotFoundError: there is no such thing here.
    """
    for kind in ("code_run", "object"):
        if (row := registry.find(kind, [{"uuid": text.lower()}])[0]) is not None:
            return [row]
    if ":" in text and "@" in text:
        name = name_of_product(text)
        for row in registry.products(name.namespace, [name.name]):
            if row.fields["version"] == name.version:
                return registry.read("object", [row.fields["object"]])
    sha1 = text.lower() if len(text) == 40 else ""  # noqa: PLR2004 - hexadecimal digits of SHA-1
    if not sha1 and Path(text).is_file():
        sha1 = file_checksums(Path(text)).sha1
    if sha1:
        with registry.session() as session:
            places = session.exec(select(StorageLocation.id).where(StorageLocation.hash == sha1)).all()
        rows = [Row("storage_location", str(place), {}) for place in places]
        if rows and (found := registry.details("object", "storage_location", rows)):
            return found
    raise NotFoundError(
        "item", text, "name it by NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file"
    )


def label(registry: Registry, row: Row) -> str:
    """Return what a person calls a code run or an object."""
    if row.kind == "code_run":
        return f"code run {row.fields['uuid']}"
    products = registry.details("data_product", "object", [row])
    if not products:
        return f"object {row.fields['uuid']}"
    (namespace,) = registry.read("namespace", [products[0].fields["namespace"]])
    return product_name(namespace.fields["name"], products[0].fields["name"], products[0].fields["version"])


def commit(registry: Registry, items: Iterable[str], *, dry_run: bool = False) -> Report:
    """Mark code runs or files to be pushed with all their provenance; a dry run only says which.

    Raises:
        NotFoundError: one of them is not here; none is marked.
    """
    rows = [row for text in items for row in find_item(registry, text)]
    report = Report()
    with registry.writing() as session:
        for row in rows:
            if session.get(Staged, (row.kind, int(row.reference))) is None:
                if not dry_run:
                    session.add(Staged(kind=row.kind, row_id=int(row.reference)))
                report.outcomes.append(Outcome(label(registry, row), Result.PLANNED if dry_run else Result.DONE))
            else:
                report.outcomes.append(Outcome(label(registry, row), Result.KNOWN, "committed before"))
    return report


def status(registry: Registry, remote: End | None = None, items: Sequence[str] = ()) -> Report:
    """Say of items, or of all data products and code runs, how they are.

    Args:
        registry: The local one.
        remote: Compare with it: ahead (not there), behind (newer there), conflict.
        items: What to look at; empty for everything.

    Returns:
        One outcome an item; its reason says: synced, ahead, behind, committed, conflict, missing file, changed file.
    """
    rows = [row for text in items for row in find_item(registry, text)] or _everything(registry)
    report = Report()
    before = remote.requests if remote else 0
    copies = Copies(registry, remote.name) if remote else None
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
        result = Result.CONFLICT if "conflict" in bad else Result.FAILED if bad else Result.KNOWN
        report.outcomes.append(Outcome(label(registry, row), result, ", ".join(said) or "local"))
    if remote is not None:
        report.requests = remote.requests - before
        report.notes += [remote.warning] if remote.warning else []
    return report


def _everything(registry: Registry) -> list[Row]:
    products = registry.since("data_product", 0)
    return registry.read("object", {row.fields["object"] for row in products}) + registry.since("code_run", 0)


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


def _remote_products(registry: Registry, remote: End, rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
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
    registry: Registry, remote: End, copies: Copies, row: Row, theirs: dict[tuple[str, str], dict[str, Row]]
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


def info(registry: Registry, text: str) -> list[dict[str, Any]]:
    """Return what is recorded of an item: its own row, its details, and its provenance by name.

    Raises:
        NotFoundError: it is not here.
    """
    found: list[dict[str, Any]] = []
    for row in find_item(registry, text):
        closure = walk(registry, [row])
        plain: dict[str, Any] = {"item": label(registry, row), "kind": row.kind, **row.fields}
        if row.kind == "object":
            plain |= _object_info(registry, row, closure)
        plain["code_runs"] = [
            {name: run.fields[name] for name in ("uuid", "description", "run_date")} for run in closure.of("code_run")
        ]
        found.append(plain)
    return found


def _object_info(registry: Registry, row: Row, closure: Closure) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if location := closure.rows.get(("storage_location", row.fields["storage_location"] or "")):
        kept = registry.files.get(location.fields["hash"])
        root = closure.rows["storage_root", location.fields["storage_root"]]
        plain["storage_location"] = root.fields["root"] + location.fields["path"]
        plain |= {"sha1": location.fields["hash"], "public": location.fields["public"]}
        plain |= {"sha256": kept.sha256, "size_bytes": kept.size_bytes} if kept else {}
    file_type = closure.rows.get(("file_type", row.fields["file_type"] or ""))
    plain["file_type"] = file_type.fields["extension"] if file_type else None
    authors = [closure.rows["author", reference].fields for reference in row.fields["authors"]]
    plain["authors"] = [author["identifier"] or author["name"] for author in authors]
    for kind, field in (("keyword", "keyphrase"), ("licence", "licence_info")):
        plain[f"{kind}s"] = [one.fields[field] for one in registry.details(kind, "object", [row])]
    values = registry.details("key_value", "object", [row])
    plain["key_values"] = {one.fields["key"]: one.fields["value"] for one in values}
    components = registry.details("object_component", "object", [row])
    plain["components"] = [one.fields["name"] for one in components]
    issues = registry.details("issue", "component_issues", components)
    plain["issues"] = [{"severity": one.fields["severity"], "description": one.fields["description"]} for one in issues]
    return plain


def verify(registry: Registry) -> Report:
    """Compute every digest of every file again."""
    report = Report()
    with registry.session() as session:
        hashes = session.exec(select(StoredFile.sha1).order_by(StoredFile.sha1)).all()
        local = session.exec(
            select(StorageLocation.hash).join(StorageRoot).where(col(StorageRoot.local)).distinct()
        ).all()
    for sha1 in hashes:
        try:
            found = registry.files.verify(sha1)
            report.outcomes.append(Outcome(sha1, Result.DONE, "", found.size_bytes))
        except MultiblastError as error:
            report.outcomes.append(Outcome(sha1, Result.FAILED, str(error)))
    report.outcomes += [
        Outcome(sha1, Result.FAILED, str(ObjectMissingError(sha1))) for sha1 in sorted(set(local) - set(hashes))
    ]
    return report


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection would remove, or did."""

    rows: int
    files: tuple[str, ...]
    size_bytes: int
    items: tuple[str, ...]


def gc(registry: Registry, remote_names: Sequence[str], *, files: bool = False, every: bool = False,
       dry_run: bool = False) -> Collected:  # fmt: skip
    """Remove what is synced, and in the provenance of nothing that is not; and parts of files left for a day.

    Args:
        registry: The local one.
        remote_names: `End.name` of the remotes that count: what one of them has is synced.
        files: Remove files too, except those of restricted access.
        every: Remove these too.
        dry_run: Only say what would be removed.
    """
    roots = _everything(registry)
    unsynced = [row for row in roots if not _is_synced(registry, remote_names, row)]
    kept = walk(registry, unsynced).rows.keys()
    dropped = [row for row in roots if row.id not in kept]
    closure = walk(registry, dropped)
    doomed = {row_id for row_id in closure.rows if row_id not in kept and row_id[0] in _COLLECTED}
    if not dry_run:
        _sweep(registry)
    return _remove(registry, closure, doomed, [label(registry, row) for row in dropped], files=files, every=every,
                   dry_run=dry_run)  # fmt: skip


def _sweep(registry: Registry) -> None:
    """Remove what transfers left behind that broke off, and were not gone on with for a day."""
    for part in (registry.directory / "incoming").glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink()
    registry.files.store.sweep()


# What other rows may share, and costs nothing, stays.
_COLLECTED = set(KINDS) - {"namespace", "storage_root", "file_type", "author"}


def _is_synced(registry: Registry, remote_names: Sequence[str], row: Row) -> bool:
    number = int(row.reference)
    return any(Copies(registry, name).there(row.kind, [number]) for name in remote_names)


def delete(  # noqa: PLR0913 - one a switch
    registry: Registry, text: str, remote_names: Sequence[str], *, force: bool = False, files: bool = True,
    dry_run: bool = False,
) -> Collected:  # fmt: skip
    """Remove one code run or file from the registry and the store.

    Args:
        registry: The local one.
        text: What, see `find_item`.
        remote_names: As in `gc`.
        force: Even if no remote has it.
        files: Remove its file too, unless something else is the same file.
        dry_run: Only say what would be removed.

    Raises:
        ConflictError: it is not synced, or something else depends on it.
    """
    rows = find_item(registry, text)
    for row in rows:
        if not force and not _is_synced(registry, remote_names, row):
            raise ConflictError(f"{label(registry, row)} is at no remote: push it first, or delete it with force")
    closure = Closure()
    for row in rows:
        closure.add(row)
        for kind, field in _OWN.get(row.kind, ()):
            for detail in registry.details(kind, field, [row]):
                closure.add(detail)
                if kind == "data_product":
                    for external in registry.details("external_object", "data_product", [detail]):
                        closure.add(external)
    _refuse_needed(registry, closure)
    objects = [row for row in closure.of("object") if row.fields["storage_location"]]
    for place in registry.read("storage_location", {row.fields["storage_location"] for row in objects}):
        others = registry.details("object", "storage_location", [place])
        if all(other.id in closure.rows for other in others):
            closure.add(place)
    return _remove(registry, closure, set(closure.rows), [label(registry, row) for row in rows], files=files,
                   every=True, dry_run=dry_run)  # fmt: skip


_OWN = {
    "object": [(kind.name, "object") for kind in KINDS.values() if kind.references.get("object") == "object"],
}


def _refuse_needed(registry: Registry, closure: Closure) -> None:
    """Refuse to remove what a code run that stays has read, written or run."""
    components, objects = closure.of("object_component"), closure.of("object")
    users: list[Row] = []
    for field in ("inputs", "outputs"):
        users += registry.details("code_run", field, components)
    for field in ("code_repo", "model_config", "submission_script"):
        users += registry.details("code_run", field, objects)
    for run in users:
        if run.id not in closure.rows:
            raise ConflictError(f"code run {run.fields['uuid']} needs it: delete that first")


def _remove(  # noqa: PLR0913 - what, and how much of it
    registry: Registry, closure: Closure, doomed: set[tuple[str, str]], items: list[str], *, files: bool, every: bool,
    dry_run: bool,
) -> Collected:  # fmt: skip
    places = [row for row in closure.of("storage_location") if row.id in doomed]
    hashes = {row.fields["hash"] for row in places if every or row.fields["public"]} if files else set()
    kept_elsewhere = _hashes_that_stay(registry, {row.reference for row in places}, hashes)
    gone = {sha1: kept for sha1 in hashes - kept_elsewhere if (kept := registry.files.get(sha1))}
    result = Collected(len(doomed), tuple(sorted(gone)), sum(kept.size_bytes for kept in gone.values()), tuple(items))
    if dry_run:
        return result
    keys: list[str] = []
    with registry.writing() as session:
        for kind in reversed(KINDS):
            numbers = [int(reference) for name, reference in doomed if name == kind]
            for start in range(0, len(numbers), 400):
                part = numbers[start : start + 400]
                model: Any = KINDS[kind].model
                for table in RegistryTable.metadata.tables.values():
                    for column in table.columns:
                        if "id" not in table.columns and column.references(model.__table__.c.id):
                            session.execute(remove(table).where(column.in_(part)))
                session.execute(remove(model).where(model.id.in_(part)))
                for marks in (RemoteCopy, Staged):
                    session.execute(remove(marks).where(col(marks.kind) == kind, col(marks.row_id).in_(part)))
        keys = [key for sha1 in gone if (key := registry.files.forget(session, sha1))]
    registry.files.store.delete(keys)  # after the rows: a row without its file would be an error
    return result


def _hashes_that_stay(registry: Registry, doomed: set[str], hashes: set[str]) -> set[str]:
    """Return those of some hashes that a location here has which stays; where else they are does not count."""
    with registry.session() as session:
        query = select(StorageLocation.id, StorageLocation.hash).join(StorageRoot).where(col(StorageRoot.local))
        query = query.where(col(StorageLocation.hash).in_(hashes))
        return {sha1 for number, sha1 in session.exec(query) if str(number) not in doomed}
