"""Recording files as objects and data products of the local registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack, cast

from sqlmodel import Session, col, select

from multiblast.errors import ConflictError
from multiblast.registry.local.registry import Registry, number_of
from multiblast.registry.model.local_tables import User, UserAuthor
from multiblast.registry.model.names import ProductName, check_name
from multiblast.registry.model.tables import (
    Author,
    DataProduct,
    FileType,
    Namespace,
    Object,
    ObjectAuthor,
    ObjectComponent,
    StorageLocation,
    StorageRoot,
)


@dataclass(frozen=True, slots=True)
class RecordedProduct:
    """A data product as it was recorded: its row, its object's, and its content."""

    product_id: int
    object_id: int
    sha1: str
    new: bool


def namespace_id(session: Session, name: str, full_name: str | None = None, website: str | None = None) -> int:
    """Return a namespace by name, which is made if need be."""
    check_name(name, "namespace")
    return number_of(session, Namespace(name=name, full_name=full_name, website=website), "name")


def author_id(session: Session, name: str | None, identifier: str | None = None) -> int:
    """Return an author by identifier, or by name if there is none; made if need be."""
    return number_of(session, Author(name=name, identifier=identifier), "identifier" if identifier else "name")


def user_author_id(session: Session, username: str) -> int:
    """Return the author that a user of this registry is; somebody else is known by name."""
    query = select(UserAuthor.author_id).join(User).where(User.username == username)
    return session.exec(query).first() or author_id(session, username)


def file_type_id(session: Session, extension: str, name: str = "") -> int:
    """Return a file type by extension, which is made if need be."""
    return number_of(session, FileType(name=name or extension, extension=extension), "extension")


def record_object(
    session: Session,
    *,
    location: int | None,
    description: str = "",
    file_type: str = "",
    authors: Iterable[int] = (),
) -> Object:
    """Make an object, with the component that is the whole of it."""
    item = Object(
        description=description or None,
        storage_location_id=location,
        file_type_id=file_type_id(session, file_type) if file_type else None,
    )
    session.add(item)
    session.flush()
    for author in dict.fromkeys(authors):
        session.add(ObjectAuthor(object_id=cast("int", item.id), author_id=author))
    session.flush()
    return item


class Described(TypedDict, total=False):
    """What may be said of a file that is recorded.

    Attributes:
        file_type: Its extension, without the dot.
        description: What it is.
        public: Whether it may leave this registry; it may by default.
        authors: Who made it.
    """

    file_type: str
    description: str
    public: bool
    authors: Iterable[int]


def record_file(registry: Registry, session: Session, sha1: str, **described: Unpack[Described]) -> Object:
    """Make an object of a content that the registry's files hold."""
    return record_object(
        session,
        location=registry.local_location(session, sha1, public=described.get("public", True)),
        description=described.get("description", ""),
        file_type=described.get("file_type", ""),
        authors=described.get("authors", ()),
    )


def record_place(session: Session, root: str, path: str, sha1: str, *, public: bool = True) -> int:
    """Return a location elsewhere, such as a code repository's; made if need be."""
    number = number_of(session, StorageRoot(root=root, local=False), "root")
    place = StorageLocation(path=path, hash=sha1, public=public, storage_root_id=number)
    return number_of(session, place, "storage_root_id", "hash", "public")


def content_of(session: Session, product: DataProduct) -> str:
    """Return the SHA-1 of a data product's file; empty if it has none."""
    query = select(StorageLocation.hash).join(Object).where(Object.id == product.object_id)
    return session.exec(query).first() or ""


def find_product(session: Session, name: ProductName) -> DataProduct | None:
    """Return a data product; None if there is none of that name and version."""
    query = select(DataProduct).join(Namespace)
    return session.exec(
        query.where(
            Namespace.name == name.namespace, DataProduct.name == name.name, DataProduct.version == name.version
        )
    ).first()


def record_product(
    registry: Registry, name: ProductName, path: Path, *, digest: str = "", **described: Unpack[Described]
) -> RecordedProduct:
    """Keep a file and record it as a data product; the same again is the same.

    Args:
        registry: Where.
        name: What it is called.
        path: The file.
        digest: The SHA-1 or SHA-256 it must have; empty for any.
        described: See `Described`.

    Raises:
        ConflictError: this version exists, with another content.
        StoreError: the file has another digest, or cannot be kept.
    """
    name.check()
    return record_content(registry, name, registry.files.add(path, digest).sha1, **described)


def record_content(registry: Registry, name: ProductName, sha1: str, **described: Unpack[Described]) -> RecordedProduct:
    """Record a content that the registry's files hold as a data product; the same again is the same.

    Raises:
        ConflictError: this version exists, with another content.
    """
    name.check()
    with registry.writing() as session:
        before = find_product(session, name)
        if before is not None:
            if (other := content_of(session, before)) not in ("", sha1):
                raise ConflictError(f"{name} exists, with the content {other} and not {sha1}: give it a new version")
            return RecordedProduct(cast("int", before.id), before.object_id, sha1, new=False)
        item = record_file(registry, session, sha1, **described)
        space = namespace_id(session, name.namespace)
        product = DataProduct(name=name.name, version=name.version, namespace_id=space, object_id=cast("int", item.id))
        session.add(product)
        session.flush()
        return RecordedProduct(cast("int", product.id), product.object_id, sha1, new=True)


def versions_of(session: Session, namespace: str, name: str) -> dict[str, DataProduct]:
    """Return the data products of a name by version."""
    query = select(DataProduct).join(Namespace).where(Namespace.name == namespace, DataProduct.name == name)
    return {product.version: product for product in session.exec(query)}


def whole_of(session: Session, object_id: int) -> ObjectComponent:
    """Return the component that is the whole of an object."""
    query = select(ObjectComponent).where(ObjectComponent.object_id == object_id, col(ObjectComponent.whole_object))
    return session.exec(query).one()
