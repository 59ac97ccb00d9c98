"""What there is in a registry, to look through and to search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlmodel import select

from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import (
    CodeRunRow,
    DataProductRow,
    KeywordRow,
    NamespaceRow,
    ObjectRow,
    StorageLocationRow,
    write_time,
)


@dataclass(frozen=True, slots=True)
class ListedItem:
    """A data product or a code run, as people look for it.

    Attributes:
        size_bytes: Of its file; 0 for none that is here.
    """

    item: str
    kind: str
    description: str
    keywords: tuple[str, ...] = ()
    size_bytes: int = 0
    public: bool = True
    committed: bool = False


def list_items(registry: Registry, words: Sequence[str] = ()) -> list[ListedItem]:
    """Return data products by name and then code runs by date: those that have all of some words.

    A word with ``*`` in it is a pattern of the whole name, any other is looked for in name, description and keywords.
    """
    with registry.session() as session:
        staged = {(mark.kind, str(mark.row_id)) for mark in session.exec(select(Staged))}
    found = [*_products(registry, staged), *_runs(registry, staged)]
    return [one for one in found if all(_has(one, word) for word in words)]


def _products(registry: Registry, staged: set[tuple[str, str]]) -> list[ListedItem]:
    products = registry.since(DataProductRow, 0)
    spaces = {row.reference: row.name for row in registry.since(NamespaceRow, 0)}
    objects = {row.reference: row for row in registry.read(ObjectRow, {row.object for row in products})}
    placed = {one.storage_location for one in objects.values() if one.storage_location}
    places = {row.reference: row for row in registry.read(StorageLocationRow, placed)}
    kept = registry.files.holding(row.hash for row in places.values())
    keywords: dict[str, list[str]] = {}
    for row in registry.details(KeywordRow, "object", [*objects.values()]):
        keywords.setdefault(row.object, []).append(row.keyphrase)
    listed: list[ListedItem] = []
    for product in products:
        item = objects[product.object]
        place = places.get(item.storage_location or "")
        file = kept.get(place.hash) if place else None
        name = ProductName(spaces[product.namespace], product.name, product.version)
        listed.append(
            ListedItem(
                str(name),
                "data product",
                item.description or "",
                tuple(keywords.get(item.reference, ())),
                file.size_bytes if file else 0,
                place.public if place else True,
                item.id in staged,
            )
        )
    return sorted(listed, key=lambda one: one.item)


def _runs(registry: Registry, staged: set[tuple[str, str]]) -> list[ListedItem]:
    runs = sorted(registry.since(CodeRunRow, 0), key=lambda run: run.run_date)
    return [
        ListedItem(
            run.uuid, "code run", f"{write_time(run.run_date)[:10]} {run.description}", committed=run.id in staged
        )
        for run in runs
    ]


def _has(one: ListedItem, word: str) -> bool:
    if "*" in word:
        return fnmatchcase(one.item, word) or fnmatchcase(one.item.partition(":")[2].rpartition("@")[0], word)
    return any(word.lower() in text.lower() for text in (one.item, one.description, *one.keywords))
