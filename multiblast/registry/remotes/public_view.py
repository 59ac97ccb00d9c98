"""A registry as others may see it: private data stays, and no path of this machine is shown.

Of a private object others see that it exists, who made it, which data product
it is and what read or wrote it; not where it is, nor any description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import ValidationError

from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.rows import (
    DataProductRow,
    ExternalObjectRow,
    Id,
    IssueRow,
    ObjectComponentRow,
    ObjectRow,
    Row,
    RowT,
    StorageLocationRow,
    StorageRootRow,
)

SHOWN_ROOT = "shown"
_SHOWN_OF_PRIVATE = {"object_component", "data_product", "code_run"}


class PublicView(Registry):
    """A registry whose rows are read with what is private left out, and its own files under another address.

    Args:
        registry: Whose rows; everything else, such as taking rows and files, is its own.
        root: The address under which its files are shown; by default its own.
        path_of: Returns the path of a file there.
        foreign: Whether it is somebody else's registry, whose rows are checked.

    Attributes:
        private: The objects that were read so far and are private.
    """

    def __init__(
        self,
        registry: Registry,
        root: str = "",
        path_of: Callable[[StoredFile], str] | None = None,
        *,
        foreign: bool = False,
    ) -> None:
        vars(self).update(vars(registry))  # the same database, files and transactions
        self.registry = registry
        self._root, self._path_of = root or registry.data_root, path_of or registry.path_of
        self._foreign = foreign
        self.private: set[str] = set()
        self._refused: dict[Id, str] = {}

    @property
    def refused(self) -> Mapping[Id, str]:
        """What was read of a foreign registry and is no row: see `Endpoint.refused`."""
        return self._refused

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by reference, masked: see `Endpoint.read`."""
        wanted = set(references)
        shown = [kind.model_validate({"reference": SHOWN_ROOT, "root": self._root})] if SHOWN_ROOT in wanted else []
        rows = self.registry.read_present(kind, map(int, wanted - {SHOWN_ROOT}))
        for reference in wanted - {SHOWN_ROOT} - {row.reference for row in rows}:
            self._refused[kind.kind, reference] = f"{self.name} has no {kind.kind} {reference}: it was deleted"
        return shown + self._mask(kind, rows)

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows that refer to others, masked: see `Endpoint.details`."""
        if kind.kind not in _SHOWN_OF_PRIVATE:
            rows = [row for row in rows if getattr(row, "object", row.reference) not in self.private]
        return self._mask(kind, self.registry.details(kind, field_name, rows))

    def products(self, namespace: str, patterns: Sequence[str]) -> list[DataProductRow]:
        """Return the data products that are not private: see `Endpoint.products`."""
        rows = self.registry.products(namespace, patterns)
        self.read(ObjectRow, {row.object for row in rows})
        return [row for row in rows if row.object not in self.private]

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return newer rows, masked: see `Endpoint.since`."""
        rows = self.registry.since(kind, number)
        if kind.kind not in _SHOWN_OF_PRIVATE:
            owners = {row.reference: self._owners(row) for row in rows}
            self.read(ObjectRow, {item for items in owners.values() for item in items})
            rows = [row for row in rows if not owners[row.reference] or owners[row.reference] - self.private]
        return self._mask(kind, rows)

    def _owners(self, row: Row) -> set[str]:
        """Return the objects that a row is about."""
        if isinstance(row, IssueRow):
            return {part.object for part in self.registry.read(ObjectComponentRow, row.component_issues)}
        if isinstance(row, ExternalObjectRow):
            return {product.object for product in self.registry.read(DataProductRow, [row.data_product])}
        owner: str | None = getattr(row, "object", None)
        return {owner} if owner else set()

    def _mask(self, kind: type[RowT], rows: list[RowT]) -> list[RowT]:
        masks: dict[type[Row], Callable[[Any], Sequence[Row]]] = {
            ObjectRow: self._mask_objects,
            StorageLocationRow: self._mask_locations,
            ObjectComponentRow: self._mask_components,
            ExternalObjectRow: self._mask_externals,
        }
        masked = cast("list[RowT]", masks[kind](rows)) if kind in masks else rows
        return [row for row in masked if self._is_right(row)] if self._foreign else masked

    def _is_right(self, row: Row) -> bool:
        try:
            row.check()
        except ValidationError as error:
            wrong = error.errors()[0]
            self._refused[row.id] = f"{self.name} has a {row.kind} that is none: {wrong['loc']} {wrong['msg']}"
            return False
        return True

    def _mask_objects(self, rows: list[ObjectRow]) -> list[ObjectRow]:
        places = self.registry.read(StorageLocationRow, {row.storage_location for row in rows if row.storage_location})
        private = {place.reference for place in places if not place.public}
        self.private |= {row.reference for row in rows if row.storage_location in private}
        return [
            _without(row, "storage_location", "description") if row.reference in self.private else row for row in rows
        ]

    def _mask_components(self, rows: list[ObjectComponentRow]) -> list[ObjectComponentRow]:
        self.read(ObjectRow, {row.object for row in rows})  # finds out which are private
        return [_without(row, "description") if row.object in self.private else row for row in rows]

    def _mask_externals(self, rows: list[ExternalObjectRow]) -> list[ExternalObjectRow]:
        """Leave out where an object was found, if that is private, on this machine, or on the site of the files.

        A FAIR registry finds none of its files once it has a second root on its own site.
        """
        places = self.registry.read(StorageLocationRow, {row.original_store for row in rows if row.original_store})
        roots = self.registry.read(StorageRootRow, {place.storage_root for place in places})
        site = urlsplit(self._root).netloc
        local = {
            root.reference
            for root in roots
            if root.local or root.root.startswith("file:") or (site and urlsplit(root.root).netloc == site)
        }
        shown = {place.reference for place in places if place.public and place.storage_root not in local}
        return [row if row.original_store in shown else _without(row, "original_store") for row in rows]

    def _mask_locations(self, rows: list[StorageLocationRow]) -> list[StorageLocationRow]:
        roots = self.registry.read(StorageRootRow, {row.storage_root for row in rows})
        local = {root.reference for root in roots if root.local}
        masked: list[StorageLocationRow] = []
        for row in rows:
            kept = self.registry.files.get(row.hash) if row.storage_root in local else None
            shown = {"storage_root": SHOWN_ROOT, "path": self._path_of(kept)} if kept else {}
            masked.append(row.model_copy(update=shown))
        return masked


def _without(row: RowT, *names: str) -> RowT:
    return row.model_copy(update=dict.fromkeys(names))
