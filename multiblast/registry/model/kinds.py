"""What kinds of rows registries exchange, in the order in which they depend on one another.

Everything here is read from the tables: a kind's plain fields, its references,
its lists, and the sets of fields that identify a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from sqlalchemy import Table, UniqueConstraint
from sqlmodel import SQLModel

from multiblast.registry.model import tables
from multiblast.registry.model.tables import RegistryTable

_NOT_EXCHANGED = {"id", "last_updated"}


@dataclass(frozen=True, slots=True)
class ListField:
    """A list of references: a many-to-many table seen from one side."""

    name: str
    kind: str
    table: Table
    own_column: str
    other_column: str
    followed: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row.

    Attributes:
        name: Of the table, and of the type in the REST API.
        plain: Fields with values.
        references: Fields that refer to one row, with the kind they refer to.
        lists: Fields that refer to many rows.
        keys: Sets of fields that no two rows have alike, the one to look rows up by first.
    """

    name: str
    model: type[SQLModel]
    plain: tuple[str, ...]
    references: dict[str, str]
    lists: dict[str, ListField]
    keys: tuple[tuple[str, ...], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that registries exchange."""
        return (*self.plain, *self.references, *self.lists)

    def key_of(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields to look a row up by: the first key that is there whole; empty if none is."""
        return next((key for key in self.keys if all(fields.get(name) is not None for name in key)), ())


def _field(column: str) -> str:
    return column.removesuffix("_id")


def _keys(table: Table) -> tuple[tuple[str, ...], ...]:
    found = {
        tuple(_field(column.name) for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    optional = {_field(column.name) for column in table.columns if column.nullable}
    if all(optional & set(key) for key in found):  # a licence: nothing but the whole identifies it
        found.add(tuple(_field(c.name) for c in table.columns if c.name not in _NOT_EXCHANGED and not c.nullable))
    # A UUID is the surest, then what is never empty, then the fewest words.
    return tuple(sorted(found, key=lambda key: (key != ("uuid",), bool(optional & set(key)), len(key), key)))


def _kind(table: Table, model: type[SQLModel], links: list[Table]) -> Kind:
    references = {
        _field(column.name): next(iter(column.foreign_keys)).column.table.name
        for column in table.columns
        if column.foreign_keys
    }
    lists: dict[str, ListField] = {}
    for link in links:
        own, other = link.columns
        if own.references(table.c.id):
            name: str = own.info["list"]
            target = next(iter(other.foreign_keys)).column.table.name
            lists[name] = ListField(name, target, link, own.name, other.name, own.info["followed"])
    plain = tuple(c.name for c in table.columns if not c.foreign_keys and c.name not in _NOT_EXCHANGED)
    return Kind(str(table.name), model, plain, references, lists, _keys(table))


def _kinds() -> dict[str, Kind]:
    exchanged = [table for table in RegistryTable.metadata.tables.values() if not table.info.get("local")]
    links = [table for table in exchanged if "id" not in table.columns]
    models = {model.__tablename__: model for model in vars(tables).values() if hasattr(model, "__tablename__")}
    kinds = {table.name: _kind(table, models[table.name], links) for table in exchanged if "id" in table.columns}
    needs = {
        kind.name: {*kind.references.values(), *(field.kind for field in kind.lists.values())}
        for kind in kinds.values()
    }
    return {name: kinds[name] for name in TopologicalSorter(needs).static_order()}


KINDS: dict[str, Kind] = _kinds()

# A row of the first kind is a detail of the row that its field refers to: it goes along with it.
DETAILS: dict[str, tuple[tuple[str, str], ...]] = {
    owner: tuple((kind.name, owner) for kind in KINDS.values() if kind.references.get(owner) == owner)
    for owner in ("object", "data_product")
}
# The provenance of a component is the runs that wrote it; those that read it are its future.
DETAILS["object_component"] = (("code_run", "outputs"), ("issue", "component_issues"))

# What a row's own answer in the REST API lists of the rows that refer to it, each as ``kind.field``.
BACK_REFERENCES: dict[str, dict[str, str]] = {
    "object": {
        "components": "object_component.object",
        "data_products": "data_product.object",
        "code_repo_release": "code_repo_release.object",
        "quality_control": "quality_controlled.object",
        "licences": "licence.object",
        "keywords": "keyword.object",
    },
    "data_product": {"external_object": "external_object.data_product"},
    "object_component": {
        "inputs_of": "code_run.inputs",
        "outputs_of": "code_run.outputs",
        "issues": "issue.component_issues",
    },
}
