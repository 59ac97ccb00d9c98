"""What is in the local registry, for people to look through: names with their versions, code runs, and single items."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, or_
from sqlmodel import col, select

from multiblast.database import among
from multiblast.registry.local.items import Item, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName, highest, usable_extension
from multiblast.registry.model.rows import (
    CodeRunRow,
    DataProductRow,
    FileTypeRow,
    NamespaceRow,
    ObjectRow,
    StorageLocationRow,
    write_time,
)
from multiblast.registry.model.tables import CodeRun, DataProduct, Namespace
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.views.info import info

_MOST = 100


@dataclass(frozen=True, slots=True)
class Reference:
    """Something to go on to: how it is addressed, and what it is called."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class NamedVersions:
    """The versions of a data product, the highest first."""

    namespace: str
    name: str
    versions: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A part of what there is, the newest first.

    Attributes:
        before: Leads to the next part of the products; 0 if there is none.
    """

    products: list[NamedVersions]
    runs: list[CodeRunRow]
    before: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """What is shown of an object or a code run.

    Attributes:
        facts: What is one line each.
        read: What a code run read.
        written: What it wrote.
        runs: The code runs of its provenance.
        versions: Of the data product, itself included.
        file: The SHA-1 and the name of a file that is here; None without one.
    """

    title: str
    uuid: str
    facts: dict[str, str]
    issues: list[dict[str, Any]]
    read: list[Reference] = field(default_factory=list)
    written: list[Reference] = field(default_factory=list)
    runs: list[Reference] = field(default_factory=list)
    versions: tuple[Reference, ...] = ()
    file: Reference | None = None


def catalogue(registry: Registry, text: str = "", before: int = 0) -> Catalogue:
    """Return data products and code runs that have a text in their namespace, name or description.

    Args:
        registry: The local one.
        text: What to look for; empty for everything.
        before: Where an earlier part ended.
    """
    newest = func.max(DataProduct.id)
    query = select(Namespace.name, DataProduct.name, newest).join(Namespace)
    query = query.group_by(Namespace.name, DataProduct.name).order_by(newest.desc()).limit(_MOST + 1)
    runs = select(CodeRun.id).order_by(col(CodeRun.id).desc()).limit(_MOST)
    if text:
        columns = (col(Namespace.name), col(DataProduct.name))
        query = query.where(or_(*(one.icontains(text, autoescape=True) for one in columns)))
        runs = runs.where(col(CodeRun.description).icontains(text, autoescape=True))
    if before:
        query = query.having(newest < before)
    with registry.session() as session:
        found = session.exec(query).all()
        numbers = [] if before else session.exec(runs).all()
        names = {name for _, name, _ in found[:_MOST]}
        every = select(Namespace.name, DataProduct.name, DataProduct.version).join(Namespace)
        versions: dict[tuple[str, str], set[str]] = {}
        for space, name, version in session.exec(every.where(among(session, col(DataProduct.name), names))):
            versions.setdefault((space, name), set()).add(version)
    return Catalogue(
        [NamedVersions(space, name, _ordered(space, name, versions[space, name])) for space, name, _ in found[:_MOST]],
        registry.read(CodeRunRow, map(str, numbers))[::-1],
        (found[_MOST - 1][2] or 0) if len(found) > _MOST else 0,
    )


def _ordered(namespace: str, name: str, versions: set[str]) -> tuple[Reference, ...]:
    """Return the versions of a name, the highest first."""
    left, ordered = set(versions), list[Reference]()
    while left:
        version = highest(left)
        left.remove(version)
        ordered.append(Reference(str(ProductName(namespace, name, version)), version))
    return tuple(ordered)


def item_page(registry: Registry, row: Item) -> ItemPage:
    """Return what is shown of an object or a code run."""
    (plain,) = info(registry, row.uuid)
    graph = collect_rows(registry, [row])
    shown = {"description", "run_date", "file_type", "sha1", "sha256", "size_bytes", "public", "authors", "keywords",
             "licences", "components", "storage_location"}  # fmt: skip
    stated = {name: value for name, value in plain.items() if name in shown and value not in (None, [])}
    facts = {name.replace("_", " "): _line(value) for name, value in stated.items()}
    facts |= {str(key): str(value) for key, value in plain.get("key_values", {}).items()}
    if published := plain.get("published"):
        facts["published"] = "; ".join(_line([*one.values()]) for one in published)
    runs = [run for run in graph.of(CodeRunRow) if run.uuid != row.uuid]
    page = ItemPage(
        label(registry, row),
        row.uuid,
        facts,
        plain.get("issues", []),
        runs=[Reference(run.uuid, f"{run.description}, {write_time(run.run_date)}") for run in runs],
    )
    if isinstance(row, CodeRunRow):
        read, written = (_references(registry, graph.objects(side)) for side in (row.inputs, row.outputs))
        return replace(page, read=read, written=written)
    return replace(page, versions=_own_versions(registry, row), file=_file(registry, row, graph))


def _line(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _references(registry: Registry, rows: list[ObjectRow]) -> list[Reference]:
    return [Reference(row.uuid, label(registry, row)) for row in rows]


def _own_versions(registry: Registry, row: ObjectRow) -> tuple[Reference, ...]:
    products = registry.details(DataProductRow, "object", [row])
    if not products:
        return ()
    (space,) = registry.read(NamespaceRow, [products[0].namespace])
    name = products[0].name
    versions = {row.version for row in registry.products(space.name, [name]) if row.name == name}
    return _ordered(space.name, name, versions)


def _file(registry: Registry, row: ObjectRow, graph: RowGraph) -> Reference | None:
    """Return the file of an object, with the name to save it by, if it is here."""
    location = graph.get(StorageLocationRow, row.storage_location)
    if location is None or not registry.files.holds(location.hash):
        return None
    file_type = graph.get(FileTypeRow, row.file_type)
    name = label(registry, row).rpartition(":")[2].replace("/", "-").replace("@", "-")
    extension = usable_extension(file_type.extension) if file_type else ""
    return Reference(location.hash, f"{name}.{extension}" if extension else name)
