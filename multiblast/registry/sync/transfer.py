"""Bringing rows from one registry to another, each item whole or with the reason why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from multiblast.errors import MultiblastError
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.rows import (
    ROWS,
    Creation,
    DataProductRow,
    Endpoint,
    Fields,
    Id,
    KeyValueRow,
    NamespaceRow,
    ObjectComponentRow,
    ObjectRow,
    Row,
    StorageLocationRow,
    StorageRootRow,
)
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.row_graph import RowGraph
from multiblast.registry.sync.summary import ItemResult, TransferSummary

AT_ONCE = 8
NEW = "new"  # the reference of what a dry run would make
_REFUSED_SHOWN = 5
Make = Callable[[str, Sequence[Fields]], list[Creation]]
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Transfer:
    """What a pull and a push have in common; so many files are sent or fetched at once."""

    def __init__(self, registry: Registry, remote: Endpoint, at_once: int) -> None:
        self._registry, self._remote, self._at_once = registry, remote, at_once
        self._copies = RemoteCopies(registry, remote.name)
        self._started, self._before = time.monotonic(), remote.requests

    def _attempt_all(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT | str]:
        """Do something with files, some at once; return for each what came of it, or why it failed."""

        def attempt(item: ItemT) -> ResultT | str:
            try:
                return work(item)
            except MultiblastError as error:
                return str(error)

        with ThreadPoolExecutor(self._at_once) as pool:
            return list(pool.map(attempt, items))

    def _finish(self, summary: TransferSummary) -> TransferSummary:
        """Add to a summary what should be known of the remote, and what the transfer took."""
        summary.notes += [self._remote.warning] if self._remote.warning else []
        refused = list(self._remote.refused.values())
        summary.notes += [f"left out: {reason}" for reason in refused[:_REFUSED_SHOWN]]
        if len(refused) > _REFUSED_SHOWN:
            summary.notes.append(f"left out: {len(refused) - _REFUSED_SHOWN:,} more rows that are none")
        summary.requests, summary.seconds = self._remote.requests - self._before, time.monotonic() - self._started
        return summary


@dataclass(slots=True)
class TransferState:
    """How far the rows of a graph are.

    Attributes:
        there: What each row is called at its destination.
        made: The rows that are new there.
        fresh: What those rows are at their origin.
        troubles: Why a row is not there.
        shared: The objects for which another one of the same bytes stands.
    """

    there: dict[Id, str]
    made: list[Row] = field(default_factory=list)
    fresh: set[Id] = field(default_factory=set)
    troubles: dict[Id, tuple[ItemResult, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    shared: set[Id] = field(default_factory=set)


def create_rows(  # noqa: PLR0913 - two endpoints, what goes between them, and what is known of it
    graph: RowGraph,
    roots: Sequence[Row],
    destination: Endpoint,
    there: Mapping[Id, str],
    *,
    keep: Callable[[list[tuple[Row, str]]], None],
    broken: Mapping[Id, str],
    before: Callable[[str, list[Row], TransferState], None] = lambda _kind, _waiting, _state: None,
    dry_run: bool = False,
) -> TransferState:
    """Make a graph's rows at a destination, kind by kind in the order of the data model's references.

    Args:
        graph: The rows at their origin.
        roots: The items; one that meets a conflict stays where it is, with all that only it needs.
        destination: Where they go.
        there: Rows known to be at the destination already.
        keep: Called with the rows of every kind that is done, so that an interrupted transfer goes on there.
        broken: Rows that cannot go, with the reason; nor can the items that need them.
        before: Called with the rows of every kind that are about to be made; what it notes as trouble is not.
        dry_run: Only look for the rows, and take those that are not there for made.
    """
    make = _Finding(destination).create if dry_run else destination.create
    state = TransferState(dict(there))
    state.troubles.update({row: (ItemResult.FAILED, reason) for row, reason in broken.items()})
    # Before anything is made, so that an item with a conflict leaves nothing behind.
    _compare_products(graph, destination, state)
    allowed: set[Id] = set()
    for root in roots:
        needed = graph.reachable(root.id)
        if not needed & state.troubles.keys():
            allowed |= needed
    for kind in KINDS:
        all_of_kind = [row for row in graph.of(ROWS[kind]) if row.id in allowed]
        waiting = [row for row in all_of_kind if row.id not in state.there and not _hindered(row, state)]
        before(kind, waiting, state)
        waiting = [row for row in waiting if row.id not in state.troubles and row.id not in state.there]
        if kind == "object" and destination.shares_objects:
            _create_shared([row for row in waiting if isinstance(row, ObjectRow)], destination, make, graph, state)
        else:
            _create(waiting, destination, make, graph, state)
        keep([(row, state.there[row.id]) for row in all_of_kind if row.id in state.there])
    return state


def confirmed(graph: RowGraph, destination: Endpoint, there: Mapping[Id, str]) -> dict[Id, str]:
    """Return those of some remembered rows that are at a destination still, and are the same.

    A few requests per kind: a row is compared by what identifies it, an object by its content.
    """
    found: dict[Id, str] = {}
    for row_type in map(ROWS.__getitem__, KINDS):  # what is referred to comes first
        known = {row.id: there[row.id] for row in graph.of(row_type) if row.id in there}
        if known:
            rows = {row.reference: row for row in destination.read(row_type, set(known.values()))}
            for row_id, reference in known.items():
                other = rows.get(reference)
                if other is not None and _is_same(graph.rows[row_id], other, found):
                    found[row_id] = reference
    return found


def _is_same(row: Row, other: Row, there: Mapping[Id, str]) -> bool:
    """Return whether a row at a destination is what a row here was made into."""
    if isinstance(row, ObjectRow) and isinstance(other, ObjectRow) and row.storage_location:
        return bool(there.get(("storage_location", row.storage_location), "") == other.storage_location)
    kind = KINDS[row.kind]

    def agrees(name: str) -> bool:
        value = row.field(name)
        if name in kind.references and value is not None and value.isdigit():
            return bool(there.get((kind.references[name], value)) == other.field(name))
        return name in kind.references or bool(value == other.field(name))  # what is shown elsewhere has no number here

    whole = set(kind.plain) - {"uuid", "description", "local"}
    return any(all(map(agrees, key)) for key in kind.keys if kind.key_of({n: row.field(n) for n in key})) or (
        bool(whole) and all(map(agrees, [*whole, *kind.references]))
    )


def trouble_of(root: Row, graph: RowGraph, state: TransferState) -> tuple[ItemResult, str] | None:
    """Return why an item did not go; None if it did."""
    met = graph.reachable(root.id) & state.troubles.keys()
    return min((state.troubles[row] for row in met), default=None)


def contents_of(objects: Sequence[ObjectRow], endpoint: Endpoint) -> dict[str, str]:
    """Return the hash of each object's content at its registry, by reference; empty where it has none."""
    references = {row.storage_location for row in objects if row.storage_location}
    hashes = {row.reference: row.hash for row in endpoint.read(StorageLocationRow, references)}
    return {row.reference: hashes.get(row.storage_location or "", "") for row in objects}


def _hindered(row: Row, state: TransferState) -> bool:
    for target in row.targets():
        if target not in state.there:
            missing = (ItemResult.FAILED, f"its {target[0]} is missing")
            state.troubles.setdefault(row.id, state.troubles.get(target, missing))
            return True
    return False


class _Finding:
    """Stands for a destination where nothing is made: what is not there is called `NEW`."""

    def __init__(self, destination: Endpoint) -> None:
        self._destination = destination

    def create(self, kind: str, many: Sequence[Fields]) -> list[Creation]:
        """Find rows, or say that they would be made: see `Endpoint.create`."""
        described, row = KINDS[kind], ROWS[kind]
        known = [fields for fields in many if NEW not in {fields.get(name) for name in described.references}]
        found = dict(zip(map(id, known), self._destination.find(row, known), strict=True))
        made = [found.get(id(fields)) for fields in many]
        return [
            Creation(before) if before else Creation(row.own({**fields, "reference": NEW}), new=True)
            for before, fields in zip(made, many, strict=True)
        ]


def _create(waiting: Sequence[Row], destination: Endpoint, make: Make, graph: RowGraph, state: TransferState) -> None:
    if not waiting:
        return
    created = make(waiting[0].kind, [_fields(row, state.there) for row in waiting])
    for row, outcome in zip(waiting, created, strict=True):
        if outcome.row is None:
            state.troubles[row.id] = (ItemResult.FAILED, str(outcome.error))
            continue
        state.there[row.id] = outcome.row.reference
        if outcome.new:
            state.made.append(outcome.row)
            state.fresh.add(row.id)
            _know_whole(row, outcome.row, graph, state)
        else:
            _compare(row, outcome.row, destination, graph, state)


def _know_whole(row: Row, made: Row, graph: RowGraph, state: TransferState) -> None:
    """Note that a new object has its whole already, where its registry lists it; this saves a request per object."""
    wholes = made.details.get("object_component.object", [])
    if len(wholes) == 1:
        for component in graph.of(ObjectComponentRow):
            if component.object == row.reference and component.whole_object:
                state.there[component.id] = wholes[0]


def _compare(row: Row, other: Row, destination: Endpoint, graph: RowGraph, state: TransferState) -> None:
    """Compare a row with the one that was there before: what identifies them is alike, the rest may differ."""
    if isinstance(row, KeyValueRow) and isinstance(other, KeyValueRow) and other.value != row.value:
        state.notes.append(
            f"{row.key!r} stays {other.value!r} at {destination.name}, though it is {row.value!r} at the other end"
        )
    elif isinstance(row, ObjectRow) and isinstance(other, ObjectRow):
        ours, theirs = graph.sha1(row), contents_of([other], destination)[other.reference]
        if ours and theirs and ours != theirs:
            reason = f"object {row.uuid} has the content {theirs} at {destination.name}, and {ours} here"
            state.troubles[row.id] = (ItemResult.CONFLICT, reason)
    elif isinstance(row, DataProductRow) and isinstance(other, DataProductRow):  # which came since `_compare_products`
        hashes = contents_of(destination.read(ObjectRow, [other.object]), destination)
        _compare_contents(row, other, hashes, destination, graph, state)


def _create_shared(
    waiting: Sequence[ObjectRow], destination: Endpoint, make: Make, graph: RowGraph, state: TransferState
) -> None:
    """Make objects, but none for a content that has one: data products are of that object then, which is reported."""
    made = {row.reference for row in state.made}
    place = {
        row.id: state.there["storage_location", row.storage_location]
        for row in waiting
        if row.storage_location and _root(graph, row) == destination.data_root
    }
    # A location that was made in this very transfer cannot have an object yet.
    taken = destination.objects_at(set(place.values()) - made - {NEW})
    first: dict[str, Row] = {}
    for row in waiting:
        if place.get(row.id) and place[row.id] not in taken:
            first.setdefault(graph.sha1(row), row)
    _create(
        [row for row in waiting if row.id not in place or first.get(graph.sha1(row)) is row],
        destination, make, graph, state,
    )  # fmt: skip
    for row in waiting:
        if row.id in place and row.id not in state.there and row.id not in state.troubles:
            location = place[row.id]
            other = first.get(graph.sha1(row))
            if location in taken:
                state.there[row.id] = taken[location]
            elif other is not None and other.id in state.there:
                state.there[row.id] = state.there[other.id]
            elif other is not None:
                state.troubles[row.id] = state.troubles[other.id]
            state.shared.add(row.id)


def _root(graph: RowGraph, item: ObjectRow) -> str:
    location = graph.get(StorageLocationRow, item.storage_location)
    root = graph.get(StorageRootRow, location.storage_root) if location else None
    return root.root if root else ""


def _compare_products(graph: RowGraph, destination: Endpoint, state: TransferState) -> None:
    """Find the data products that are at the destination, and those that are there with another content."""
    waiting = [row for row in graph.of(DataProductRow) if row.id not in state.there]
    _find_namespaces(waiting, graph, destination, state)
    waiting = [row for row in waiting if ("namespace", row.namespace) in state.there]
    wanted = [
        {"namespace": state.there["namespace", row.namespace], "name": row.name, "version": row.version}
        for row in waiting
    ]
    found = [
        (row, other) for row, other in zip(waiting, destination.find(DataProductRow, wanted), strict=True) if other
    ]
    hashes = contents_of(destination.read(ObjectRow, {other.object for _, other in found}), destination)
    for row, other in found:
        _compare_contents(row, other, hashes, destination, graph, state)
        if row.id not in state.troubles:
            state.there[row.id] = other.reference
            if (item := graph.get(ObjectRow, row.object)) is not None:
                state.there.setdefault(item.id, other.object)


def _compare_contents(  # noqa: PLR0913, PLR0917 - a row here and there, and how to find out
    row: DataProductRow, other: DataProductRow, hashes: Mapping[str, str], destination: Endpoint, graph: RowGraph,
    state: TransferState,
) -> None:  # fmt: skip
    """Note as trouble that a data product is there with another content; ``hashes`` are those of objects there."""
    item = graph.get(ObjectRow, row.object)
    if other.object not in hashes:
        state.troubles[row.id] = (ItemResult.FAILED, f"{destination.name} does not say what {row.name} is there")
        return
    ours, others = (graph.sha1(item) if item else ""), hashes[other.object]
    if ours and others and ours != others:
        reason = conflict(row.version, row.name, others, destination.name, ours)
        state.troubles[row.id] = (ItemResult.CONFLICT, reason)


def conflict(version: str, name: str, content: str, registry: str, other: str) -> str:  # noqa: D103 - it says it itself
    reason = f"version {version} of {name} is {content} at {registry} and {other} at the other end"
    return f"{reason}; nothing was overwritten: give one of them a new version"


def _find_namespaces(
    products: Sequence[DataProductRow], graph: RowGraph, destination: Endpoint, state: TransferState
) -> None:
    spaces = [space for name in {row.namespace for row in products} if (space := graph.get(NamespaceRow, name))]
    spaces = [space for space in spaces if space.id not in state.there]
    for row, other in zip(spaces, destination.find(NamespaceRow, [row.fields for row in spaces]), strict=True):
        if other is not None:
            state.there[row.id] = other.reference


def _fields(row: Row, there: Mapping[Id, str]) -> dict[str, Any]:
    """Return a row's fields with its references as they are at the destination."""
    kind, fields = KINDS[row.kind], row.fields
    for name, target in kind.references.items():
        fields[name] = there[target, fields[name]] if fields[name] else None
    for name, listed in kind.lists.items():
        targets = [(listed.kind, reference) for reference in fields[name]]
        fields[name] = [there[target] for target in targets if listed.followed or target in there]
    return fields
