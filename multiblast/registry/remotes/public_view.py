"""A registry as others may see it: private data stays, and no path of this machine is told.

Of a private object others see that it exists, who made it, which data product
it is and what read or wrote it; not where it is, nor anything said about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.rows import Creation, FileLocation, Row

__all__ = ["SHOWN_ROOT", "PublicView"]

SHOWN_ROOT = "shown"
_SHOWN_OF_PRIVATE = {"object_component", "data_product", "code_run"}


class PublicView:
    """A registry's rows with what is private left out, and its own files under another address.

    Args:
        registry: Whose rows.
        root: The address under which its files are shown; by default its own.
        path_of: The path of a file there.
    """

    shares_objects = False
    secrets: tuple[str, ...] = ()
    requests = 0
    warning = ""

    def __init__(self, registry: Registry, root: str = "", path_of: Callable[[StoredFile], str] | None = None) -> None:
        self.registry = registry
        self._root, self._path_of = root or registry.data_root, path_of or registry.path_of
        self._private: set[str] = set()

    @property
    def name(self) -> str:
        """The registry's."""
        return self.registry.name

    @property
    def data_root(self) -> str:
        """The registry's."""
        return self.registry.data_root

    def read(self, kind: str, references: Iterable[str]) -> list[Row]:
        """Return rows by reference, masked: see `Endpoint.read`."""
        wanted = set(references)
        shown = [Row(kind, SHOWN_ROOT, {"root": self._root, "local": False})] if SHOWN_ROOT in wanted else []
        return shown + self._mask(kind, self.registry.read(kind, wanted - {SHOWN_ROOT}))

    def details(self, kind: str, field_name: str, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that refer to others, masked: see `Endpoint.details`."""
        if kind not in _SHOWN_OF_PRIVATE:
            rows = [row for row in rows if _object_of(row) not in self._private]
        return self._mask(kind, self.registry.details(kind, field_name, rows))

    def is_private(self, object_reference: str) -> bool:
        """Tell whether an object, which was read before, is private."""
        return object_reference in self._private

    def products(self, namespace: str, patterns: Sequence[str]) -> list[Row]:
        """Return the data products that are not private: see `Endpoint.products`."""
        rows = self.registry.products(namespace, patterns)
        self.read("object", {row.fields["object"] for row in rows})
        return [row for row in rows if row.fields["object"] not in self._private]

    def since(self, kind: str, number: int) -> list[Row]:
        """Return newer rows, masked: see `Endpoint.since`."""
        rows = self.registry.since(kind, number)
        if kind not in _SHOWN_OF_PRIVATE:
            owners = self._owners(rows)
            self.read("object", {item for items in owners.values() for item in items})
            rows = [row for row in rows if not owners[row.reference] or owners[row.reference] - self._private]
        return self._mask(kind, rows)

    def _owners(self, rows: Sequence[Row]) -> dict[str, set[str]]:
        """Return the objects that rows are about."""
        about: dict[str, set[str]] = {}
        for row in rows:
            parts: list[Row] = []
            if row.kind == "issue":
                parts = self.registry.read("object_component", row.fields["component_issues"])
            elif row.kind == "external_object":
                parts = self.registry.read("data_product", [row.fields["data_product"]])
            elif row.fields.get("object"):
                parts = [row]
            about[row.reference] = {part.fields["object"] for part in parts}
        return about

    def _mask(self, kind: str, rows: list[Row]) -> list[Row]:
        if kind == "object":
            return self._mask_objects(rows)
        if kind == "storage_location":
            return self._mask_locations(rows)
        if kind == "object_component":
            self.read("object", {row.fields["object"] for row in rows})
            return [_without(row, "description") if row.fields["object"] in self._private else row for row in rows]
        if kind == "external_object":
            shown = self._outside({row.fields["original_store"] for row in rows} - {None})
            return [row if row.fields["original_store"] in shown else _without(row, "original_store") for row in rows]
        return rows

    def _mask_objects(self, rows: list[Row]) -> list[Row]:
        references = {row.fields["storage_location"] for row in rows if row.fields["storage_location"]}
        public = {row.reference: row.fields["public"] for row in self.registry.read("storage_location", references)}
        masked: list[Row] = []
        for row in rows:
            location = row.fields["storage_location"]
            if location and not public[location]:
                self._private.add(row.reference)
            masked.append(_without(row, "storage_location", "description") if row.reference in self._private else row)
        return masked

    def _mask_locations(self, rows: list[Row]) -> list[Row]:
        roots = self.registry.read("storage_root", {row.fields["storage_root"] for row in rows})
        local = {row.reference for row in roots if row.fields["local"]}
        hashes = {row.fields["hash"] for row in rows if row.fields["storage_root"] in local}
        kept = {sha1: file for sha1 in hashes if (file := self.registry.files.get(sha1))}
        return [
            replace(
                row,
                fields=row.fields | {"storage_root": SHOWN_ROOT, "path": self._path_of(kept[row.fields["hash"]])},
            )
            if row.fields["hash"] in kept and row.fields["storage_root"] in local
            else row
            for row in rows
        ]

    def _outside(self, locations: set[Any]) -> set[str]:
        """Return those of some locations that are public and not on this machine."""
        rows = self.registry.read("storage_location", locations)
        roots = self.registry.read("storage_root", {row.fields["storage_root"] for row in rows})
        local = {row.reference for row in roots if row.fields["local"] or row.fields["root"].startswith("file:")}
        return {row.reference for row in rows if row.fields["public"] and row.fields["storage_root"] not in local}

    # What follows is the registry's own.

    def find(self, kind: str, many: Sequence[dict[str, Any]]) -> list[Row | None]:
        """See `Endpoint.find`."""
        return self.registry.find(kind, many)

    def create(self, kind: str, many: Sequence[dict[str, Any]]) -> list[Creation]:
        """See `Endpoint.create`."""
        return self.registry.create(kind, many)

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """See `Endpoint.objects_at`."""
        return self.registry.objects_at(locations)

    def newest(self, kind: str) -> int:
        """See `Endpoint.newest`."""
        return self.registry.newest(kind)

    def transaction(self) -> AbstractContextManager[None]:
        """See `Endpoint.transaction`."""
        return self.registry.transaction()

    def size(self, spot: FileLocation) -> int:
        """See `Endpoint.size`."""
        return self.registry.size(spot)

    def download(self, spot: FileLocation, part: Path) -> None:
        """See `Endpoint.download`."""
        self.registry.download(spot, part)

    def upload(self, kept: StoredFile, content: Callable[[], Iterator[bytes]]) -> bool:
        """See `Endpoint.upload`."""
        return self.registry.upload(kept, content)

    def check_upload(self, sha1: str) -> bool:
        """See `Endpoint.check_upload`."""
        return self.registry.check_upload(sha1)

    def close(self) -> None:
        """See `Endpoint.close`."""
        self.registry.close()

    def path_of(self, kept: StoredFile) -> str:
        """See `Endpoint.path_of`."""
        return self.registry.path_of(kept)


def _object_of(row: Row) -> str:
    return row.reference if row.kind == "object" else str(row.fields["object"])


def _without(row: Row, *names: str) -> Row:
    return replace(row, fields=row.fields | dict.fromkeys(names))
