"""The items that people name: code runs and objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlmodel import select

from multiblast.errors import NotFoundError
from multiblast.registry.local.files import file_checksums
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName, name_of_product
from multiblast.registry.model.rows import CodeRunRow, DataProductRow, NamespaceRow, ObjectRow, StorageLocationRow
from multiblast.registry.model.tables import StorageLocation

Item = ObjectRow | CodeRunRow


def find_items(registry: Registry, text: str) -> list[Item]:
    """Return the code run or the objects of a UUID, a file's SHA-1, ``namespace:name@version``, or a file's path.

    Raises:
        NotFoundError: there is no such thing here.
    """
    if found := find_recorded(registry, text):
        return found
    if Path(text).is_file() and (found := find_recorded(registry, file_checksums(Path(text)).sha1)):
        return found
    raise NotFoundError(
        "item", text, "name it by NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file"
    )


def find_recorded(registry: Registry, text: str) -> list[Item]:
    """Return what `find_items` does, without looking at any file: nothing for what is no name of the registry's."""
    uuid = [{"uuid": text.lower()}]
    if known := registry.find(CodeRunRow, uuid)[0] or registry.find(ObjectRow, uuid)[0]:
        return [known]
    if ":" in text and "@" in text:
        name = name_of_product(text)
        for row in registry.products(name.namespace, [name.name]):
            if row.version == name.version:
                return [*registry.read(ObjectRow, [row.object])]
    if len(text) != 40:  # noqa: PLR2004 - hexadecimal digits of SHA-1
        return []
    with registry.session() as session:
        places = session.exec(select(StorageLocation.id).where(StorageLocation.hash == text.lower())).all()
    rows = registry.read(StorageLocationRow, map(str, places))
    return [*registry.details(ObjectRow, "storage_location", rows)]


def label(registry: Registry, row: Item) -> str:
    """Return what a person calls a code run or an object."""
    if isinstance(row, CodeRunRow):
        return f"code run {row.uuid}"
    products = registry.details(DataProductRow, "object", [row])
    if not products:
        return f"object {row.uuid}"
    (namespace,) = registry.read(NamespaceRow, [products[0].namespace])
    return str(ProductName(namespace.name, products[0].name, products[0].version))


def names_of(registry: Registry, products: Sequence[DataProductRow]) -> dict[str, list[str]]:
    """Return the names of data products by namespace, both in order."""
    spaces = {row.reference: row.name for row in registry.read(NamespaceRow, {row.namespace for row in products})}
    names: dict[str, set[str]] = {}
    for row in products:
        names.setdefault(spaces[row.namespace], set()).add(row.name)
    return {space: sorted(some) for space, some in sorted(names.items())}


def everything(registry: Registry) -> list[Item]:
    """Return all objects that are data products, and all code runs."""
    products = registry.since(DataProductRow, 0)
    return [*registry.read(ObjectRow, {row.object for row in products}), *registry.since(CodeRunRow, 0)]
