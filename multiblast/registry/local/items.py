"""The items that people name: code runs and objects."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import select

from multiblast.errors import NotFoundError
from multiblast.registry.local.files import file_checksums
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import name_of_product, product_name
from multiblast.registry.model.rows import Row
from multiblast.registry.model.tables import StorageLocation

__all__ = ["everything", "find_items", "label"]


def find_items(registry: Registry, text: str) -> list[Row]:
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


def everything(registry: Registry) -> list[Row]:
    """Return all objects that are data products, and all code runs."""
    products = registry.since("data_product", 0)
    return registry.read("object", {row.fields["object"] for row in products}) + registry.since("code_run", 0)
