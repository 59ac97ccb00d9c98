"""What a remote has of the local items now: that is asked, by digest, and not remembered.

A remote may be restored from a backup, emptied or changed by others; what was
pushed to it once says nothing about what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

from multiblast.errors import MultiblastError
from multiblast.registry.local.items import Item, names_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import (
    CodeRunRow,
    DataProductRow,
    Endpoint,
    FileLocation,
    Id,
    NamespaceRow,
    ObjectRow,
)
from multiblast.registry.sync.transfer import AT_ONCE, contents_of

Versions = dict[tuple[str, str], dict[str, DataProductRow]]  # by namespace and name, then version


class State(StrEnum):
    """How an item is at a remote."""

    SAME = "synced"
    OTHER = "conflict: other bytes at the remote"
    HIDDEN = "its content is not at the remote"
    ABSENT = "ahead: not at the remote"


@dataclass(slots=True)
class Presence:
    """What a remote has of some items.

    Attributes:
        states: Of each item.
        versions: Of the remote, of every name that one of the items has.
        products: The data products of each object, with their namespaces' names.
    """

    states: dict[Id, State] = field(default_factory=dict)
    versions: Versions = field(default_factory=dict)
    products: dict[str, list[tuple[str, DataProductRow]]] = field(default_factory=dict)


def presence(registry: Registry, remote: Endpoint, items: Sequence[Item]) -> Presence:
    """Ask a remote what it has of some items, with a few requests for many of them."""
    found = Presence()
    objects = [row for row in items if isinstance(row, ObjectRow)]
    runs = [row for row in items if isinstance(row, CodeRunRow)]
    for run, other in zip(runs, remote.find(CodeRunRow, [{"uuid": run.uuid} for run in runs]), strict=True):
        found.states[run.id] = State.SAME if other else State.ABSENT
    products = registry.details(DataProductRow, "object", objects)
    spaces = {row.reference: row.name for row in registry.read(NamespaceRow, {row.namespace for row in products})}
    for product in products:
        found.products.setdefault(product.object, []).append((spaces[product.namespace], product))
    for space, names in names_of(registry, products).items():
        for row in remote.products(space, names):
            found.versions.setdefault((space, row.name), {})[row.version] = row
    _compare_objects(registry, remote, objects, found)
    return found


def _compare_objects(registry: Registry, remote: Endpoint, objects: Sequence[ObjectRow], found: Presence) -> None:
    """Compare contents: of data products by name and version, of other objects by UUID, else wherever they are."""
    ours = contents_of(objects, registry)
    others: dict[str, list[str]] = {}  # what each object is at the remote
    for row in objects:
        for space, product in found.products.get(row.reference, []):
            other = found.versions.get((space, product.name), {}).get(product.version)
            others.setdefault(row.reference, []).append(other.object if other else "")
    nameless = [row for row in objects if row.reference not in others]
    same = remote.find(ObjectRow, [{"uuid": row.uuid} for row in nameless])
    others |= {row.reference: [other.reference if other else ""] for row, other in zip(nameless, same, strict=True)}
    there = remote.read(ObjectRow, {one for some in others.values() for one in some if one})
    theirs = contents_of(there, remote)
    lacking = [row for row in nameless if others[row.reference] == [""] and ours[row.reference]]
    held = remote.holding(ours[row.reference] for row in lacking)  # an object of the same bytes stands for it there
    for row in objects:
        states = {_state(ours[row.reference], one, theirs) for one in others[row.reference]}
        if row in lacking and ours[row.reference] in held:
            states = {State.SAME}
        found.states[row.id] = next(state for state in (State.OTHER, *reversed(State)) if state in states)


def _state(ours: str, other: str, theirs: dict[str, str]) -> State:
    if other not in theirs:
        return State.ABSENT
    if not ours or ours == theirs[other]:
        return State.SAME
    return State.OTHER if theirs[other] else State.HIDDEN


def files_at(registry: Registry, remote: Endpoint, hashes: Iterable[str]) -> set[str]:
    """Return those of some contents of which a remote gives out a file of the right length."""
    kept = registry.files.holding(hashes)
    places = remote.holding(kept)

    def is_there(place: FileLocation) -> bool:
        try:
            return remote.size(place) == kept[place.sha1].size_bytes
        except MultiblastError:
            return False

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {sha1 for sha1, there in zip(places, pool.map(is_there, places.values()), strict=True) if there}
