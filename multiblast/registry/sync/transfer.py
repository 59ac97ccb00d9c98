"""Bringing rows and files from one registry to another, each item whole or with the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.rows import Endpoint, Row
from multiblast.registry.sync.row_graph import RowGraph
from multiblast.registry.sync.summary import ItemResult

__all__ = ["TransferState", "content", "contents_of", "create_rows", "trouble_of"]

Id = tuple[str, str]


@dataclass(slots=True)
class TransferState:
    """How far the rows of a closure are.

    Attributes:
        there: What each row is called at its destination.
        made: The rows that are new there.
        fresh: What those rows are at their origin.
        troubles: Why a row is not there.
        notes: What was found beside.
    """

    there: dict[Id, str]
    made: list[Row] = field(default_factory=list)
    fresh: set[Id] = field(default_factory=set)
    troubles: dict[Id, tuple[ItemResult, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def create_rows(  # noqa: PLR0913 - two ends, what goes between them, and what is known of it
    closure: RowGraph,
    roots: Sequence[Row],
    destination: Endpoint,
    there: Mapping[Id, str],
    *,
    keep: Callable[[list[tuple[Row, str]]], None],
    broken: Mapping[Id, str],
    before: Callable[[str, list[Row], TransferState], None] = lambda _kind, _waiting, _rows: None,
) -> TransferState:
    """Make a closure's rows at a destination, kind by kind in the order of the data model's references.

    Args:
        closure: The rows at their origin.
        roots: The items; one that meets a conflict stays where it is, with all that only it needs.
        destination: Where they go.
        there: Rows known to be at the destination already.
        keep: Told of the rows of every kind that is done, so that an interrupted transfer goes on there.
        broken: Rows that cannot go, with the reason; nor can the items that need them.
        before: Told of the rows of every kind that are about to be made; what it notes as trouble is not.
    """
    rows = TransferState(dict(there))
    rows.troubles.update({row: (ItemResult.FAILED, reason) for row, reason in broken.items()})
    _compare_products(closure, destination, rows)
    allowed: set[Id] = set()
    for root in roots:
        needed = closure.reachable(root.id)
        if not needed & rows.troubles.keys():
            allowed |= needed
    for kind in KINDS:
        all_of_kind = [row for row in closure.of(kind) if row.id in allowed]
        waiting = [row for row in all_of_kind if row.id not in rows.there and not _hindered(row, rows)]
        before(kind, waiting, rows)
        waiting = [row for row in waiting if row.id not in rows.troubles and row.id not in rows.there]
        if kind == "object" and destination.shares_objects:
            _create_shared(waiting, destination, closure, rows)
        else:
            _create(waiting, destination, closure, rows)
        keep([(row, rows.there[row.id]) for row in all_of_kind if row.id in rows.there])
    return rows


def trouble_of(root: Row, closure: RowGraph, rows: TransferState) -> tuple[ItemResult, str] | None:
    """Return why an item did not go; None if it did."""
    met = closure.reachable(root.id) & rows.troubles.keys()
    return min((rows.troubles[row] for row in met), default=None)


def content(closure: RowGraph, item: Row) -> str:
    """Return the hash of an object's content; empty if it has none, or none that is told."""
    location = closure.rows.get(("storage_location", item.fields["storage_location"] or ""))
    return str(location.fields["hash"]) if location else ""


def _root(closure: RowGraph, item: Row) -> str:
    location = closure.rows.get(("storage_location", item.fields["storage_location"] or ""))
    root = closure.rows.get(("storage_root", location.fields["storage_root"])) if location else None
    return str(root.fields["root"]) if root else ""


def _hindered(row: Row, rows: TransferState) -> bool:
    for target in row.targets():
        if target not in rows.there:
            rows.troubles.setdefault(
                row.id, rows.troubles.get(target, (ItemResult.FAILED, f"its {target[0]} is missing"))
            )
            return True
    return False


def _create(waiting: Sequence[Row], destination: Endpoint, closure: RowGraph, rows: TransferState) -> None:
    if not waiting:
        return
    created = destination.create(waiting[0].kind, [_fields(row, rows.there) for row in waiting])
    for row, outcome in zip(waiting, created, strict=True):
        if outcome.row is None:
            rows.troubles[row.id] = (ItemResult.FAILED, str(outcome.error))
            continue
        rows.there[row.id] = outcome.row.reference
        if outcome.new:
            rows.made.append(outcome.row)
            rows.fresh.add(row.id)
            _know_whole(row, outcome.row, closure, rows)
        elif row.kind == "key_value":
            _compare_values(row, outcome.row, destination, rows)
        elif row.kind == "object":
            _compare_contents(row, outcome.row, destination, closure, rows)


def _know_whole(row: Row, made: Row, closure: RowGraph, rows: TransferState) -> None:
    """Note that a new object has its whole already, where its registry says so."""
    wholes = made.details.get("object_component.object", [])
    if len(wholes) == 1:
        for component in closure.of("object_component"):
            if component.fields["object"] == row.reference and component.fields["whole_object"]:
                rows.there[component.id] = wholes[0]


def _compare_values(row: Row, other: Row, destination: Endpoint, rows: TransferState) -> None:
    if other.fields["value"] != row.fields["value"]:
        key, value, theirs = row.fields["key"], row.fields["value"], other.fields["value"]
        rows.notes.append(f"{key!r} stays {theirs!r} at {destination.name}, though it is {value!r} at the other end")


def _compare_contents(row: Row, other: Row, destination: Endpoint, closure: RowGraph, rows: TransferState) -> None:
    ours, theirs = content(closure, row), contents_of([other], destination)[0]
    if ours and theirs and ours != theirs:
        reason = f"object {row.fields['uuid']} has the content {theirs} at {destination.name}, and {ours} here"
        rows.troubles[row.id] = (ItemResult.CONFLICT, reason)


def _create_shared(waiting: Sequence[Row], destination: Endpoint, closure: RowGraph, rows: TransferState) -> None:
    """Make objects, but none for a content that has one: its data products then are of that object."""
    made = {row.reference for row in rows.made}
    place = {
        row.id: rows.there["storage_location", row.fields["storage_location"]]
        for row in waiting
        if _root(closure, row) == destination.data_root
    }
    taken = destination.objects_at(set(place.values()) - made)
    first: dict[str, Row] = {}
    for row in waiting:
        if (location := place.get(row.id)) and location not in taken:
            first.setdefault(location, row)
    _create(
        [row for row in waiting if row.id not in place or first.get(place[row.id]) is row], destination, closure, rows
    )
    for row in waiting:
        if row.id in place and row.id not in rows.there and row.id not in rows.troubles:
            location = place[row.id]
            other = first.get(location)
            if location in taken:
                rows.there[row.id] = taken[location]
            elif other is not None and other.id in rows.there:
                rows.there[row.id] = rows.there[other.id]
            elif other is not None:
                rows.troubles[row.id] = rows.troubles[other.id]


def contents_of(objects: Sequence[Row], end: Endpoint) -> list[str]:
    """Return the hash of each object's content at its registry; empty where it has none."""
    references = {row.fields["storage_location"] for row in objects if row.fields["storage_location"]}
    hashes = {row.reference: str(row.fields["hash"]) for row in end.read("storage_location", references)}
    return [hashes.get(row.fields["storage_location"] or "", "") for row in objects]


def _compare_products(closure: RowGraph, destination: Endpoint, rows: TransferState) -> None:
    """Find the data products that are at the destination, and those that are there with another content."""
    waiting = [row for row in closure.of("data_product") if row.id not in rows.there]
    _find_namespaces(waiting, closure, destination, rows)
    waiting = [row for row in waiting if ("namespace", row.fields["namespace"]) in rows.there]
    looked_up = [
        {
            "namespace": rows.there["namespace", row.fields["namespace"]],
            "name": row.fields["name"],
            "version": row.fields["version"],
        }
        for row in waiting
    ]
    found = [pair for pair in zip(waiting, destination.find("data_product", looked_up), strict=True) if pair[1]]
    theirs = {
        row.reference: row
        for row in destination.read("object", {other.fields["object"] for _, other in found if other})
    }
    hashes = dict(zip(theirs, contents_of(list(theirs.values()), destination), strict=True))
    for row, other in found:
        if other is None:
            continue
        item = closure.rows.get(("object", row.fields["object"]))
        ours, others = (content(closure, item) if item else ""), hashes[other.fields["object"]]
        if ours and others and ours != others:
            reason = f"version {row.fields['version']} of {row.fields['name']} is {others} at {destination.name} "
            reason += f"and {ours} at the other end; nothing was overwritten: give one of them a new version"
            rows.troubles[row.id] = (ItemResult.CONFLICT, reason)
            continue
        rows.there[row.id] = other.reference
        if item is not None:
            rows.there.setdefault(item.id, other.fields["object"])


def _find_namespaces(products: Sequence[Row], closure: RowGraph, destination: Endpoint, rows: TransferState) -> None:
    ids = {("namespace", row.fields["namespace"]) for row in products}
    spaces = [closure.rows[row] for row in ids if row not in rows.there and row in closure.rows]
    for row, other in zip(spaces, destination.find("namespace", [row.fields for row in spaces]), strict=True):
        if other is not None:
            rows.there[row.id] = other.reference


def _fields(row: Row, there: Mapping[Id, str]) -> dict[str, Any]:
    """Return a row's fields with its references as they are at the destination."""
    kind = KINDS[row.kind]
    fields = {name: row.fields[name] for name in kind.plain}
    for name, target in kind.references.items():
        reference = row.fields[name]
        fields[name] = there[target, reference] if reference else None
    for name, listed in kind.lists.items():
        targets = [(listed.kind, reference) for reference in row.fields[name]]
        fields[name] = [there[target] for target in targets if listed.followed or target in there]
    return fields
