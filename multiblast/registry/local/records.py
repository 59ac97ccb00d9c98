"""Recording files as objects and data products of the local registry, and what was run on them as code runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack, cast
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.registry.local.registry import Registry, number_of
from multiblast.registry.model.local_tables import User, UserAuthor
from multiblast.registry.model.names import WILDCARDS, ProductName, check_namespace
from multiblast.registry.model.tables import (
    Author,
    CodeRun,
    CodeRunInput,
    CodeRunOutput,
    DataProduct,
    ExternalObject,
    FileType,
    KeyValue,
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


@dataclass(frozen=True, slots=True)
class CodeRunFacts:
    """What is recorded of a code run; inputs and outputs are objects."""

    uuid: str
    at: datetime
    description: str
    config: str
    script: str
    script_type: str
    author: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    facts: Mapping[str, str]
    repository: str = ""
    commit: str = ""
    public: bool = True


class Described(TypedDict, total=False):
    """What may be recorded with a file.

    Attributes:
        file_type: Its extension, without the dot.
    """

    file_type: str
    description: str
    authors: Iterable[int]


def namespace_id(session: Session, name: str, full_name: str | None = None, website: str | None = None) -> int:
    """Return a namespace by name, which is made if need be, with its full name and website; one that is here has them.

    Raises:
        InvalidInputError: it is no name of a namespace.
        ConflictError: another namespace has this full name.
    """
    check_namespace(name)
    same = session.exec(select(Namespace).where(Namespace.full_name == full_name)).first() if full_name else None
    if same and same.name != name:
        raise ConflictError(f"{full_name!r} is the full name of namespace {same.name!r}: give {name!r} another one")
    return number_of(session, Namespace(name=name, full_name=full_name, website=website), "name")


def author_id(session: Session, name: str | None, identifier: str | None = None) -> int:
    """Return an author by identifier, or by name if there is none; made if need be.

    Raises:
        InvalidInputError: the name has one of ``[]?*`` in it.
    """
    if WILDCARDS & set(name or ""):
        raise InvalidInputError(Problem(f"{name!a} has one of []?* in it, which names must not have", "author"))
    return number_of(session, Author(name=name, identifier=identifier), "identifier" if identifier else "name")


def user_author_id(session: Session, username: str) -> int:
    """Return the author that a user of this registry is; somebody else is known by name."""
    query = select(UserAuthor.author_id).join(User).where(User.username == username)
    return session.exec(query).first() or author_id(session, username)


def record_object(
    session: Session, *, location: int | None, description: str = "", file_type: str = "", authors: Iterable[int] = ()
) -> Object:
    """Make an object, with the component that is the whole of it."""
    kind = number_of(session, FileType(name=file_type, extension=file_type), "extension") if file_type else None
    item = Object(description=description or None, storage_location_id=location, file_type_id=kind)
    session.add(item)
    session.flush()
    for author in dict.fromkeys(authors):
        session.add(ObjectAuthor(object_id=cast("int", item.id), author_id=author))
    session.flush()
    return item


def record_file(
    registry: Registry, session: Session, sha1: str, *, public: bool = True, **described: Unpack[Described]
) -> Object:
    """Make an object of a content that the registry's files hold; if it is not public, it stays here."""
    return record_object(session, location=registry.local_location(session, sha1, public=public), **described)


def record_place(session: Session, root: str, path: str, sha1: str) -> int:
    """Return a public location elsewhere, such as a code repository's; made if need be."""
    number = number_of(session, StorageRoot(root=root, local=False), "root")
    place = StorageLocation(path=path, hash=sha1, storage_root_id=number)
    return number_of(session, place, "storage_root_id", "hash", "public")


def content_of(session: Session, product: DataProduct) -> str:
    """Return the SHA-1 of a data product's file; empty if it has none."""
    query = select(StorageLocation.hash).join(Object).where(Object.id == product.object_id)
    return session.exec(query).first() or ""


def is_without_file(session: Session, product: DataProduct) -> bool:
    """Return whether a data product is something published that is no file; one whose file is private is not."""
    query = select(ExternalObject.id).join(DataProduct).join(Object)
    none = col(Object.storage_location_id).is_(None), col(ExternalObject.original_store_id).is_(None)
    return session.exec(query.where(DataProduct.id == product.id, *none)).first() is not None


def versions_of(session: Session, namespace: str, name: str) -> dict[str, DataProduct]:
    """Return the data products of a name by version."""
    query = select(DataProduct).join(Namespace).where(Namespace.name == namespace, DataProduct.name == name)
    return {product.version: product for product in session.exec(query)}


def find_product(session: Session, name: ProductName) -> DataProduct | None:
    """Return a data product; None if there is none of that name and version."""
    return versions_of(session, name.namespace, name.name).get(name.version)


def name_object(session: Session, name: ProductName, object_id: int | None) -> DataProduct:
    """Make the data product that an object is."""
    space = namespace_id(session, name.namespace)
    product = DataProduct(name=name.name, version=name.version, namespace_id=space, object_id=cast("int", object_id))
    session.add(product)
    session.flush()
    return product


def record_product(
    registry: Registry,
    name: ProductName,
    path: Path,
    *,
    digest: str = "",
    public: bool = True,
    **described: Unpack[Described],
) -> RecordedProduct:
    """Keep a file and record it as a data product; the same again is the same.

    Raises:
        ConflictError: this version exists, with another content.
        StoreError: the file has not this SHA-1 or SHA-256 digest, or cannot be kept.
    """
    name.check()
    return record_content(registry, name, registry.files.add(path, digest).sha1, public=public, **described)


def record_content(
    registry: Registry, name: ProductName, sha1: str, *, public: bool = True, **described: Unpack[Described]
) -> RecordedProduct:
    """Record a content that the registry's files hold as a data product; the same again is the same.

    Raises:
        ConflictError: this version exists, with another content.
    """
    name.check()
    with registry.writing() as session:
        product = find_product(session, name)
        is_new = product is None
        if product is None:
            item = record_file(registry, session, sha1, public=public, **described)
            product = name_object(session, name, item.id)
        elif (other := content_of(session, product)) not in ("", sha1):
            raise ConflictError(f"{name} exists, with the content {other} and not {sha1}: give it a new version")
        return RecordedProduct(cast("int", product.id), product.object_id, sha1, is_new)


def whole_of(session: Session, object_id: int) -> ObjectComponent:
    """Return the component that is the whole of an object."""
    query = select(ObjectComponent).where(ObjectComponent.object_id == object_id, col(ObjectComponent.whole_object))
    return session.exec(query).one()


def record_run(registry: Registry, session: Session, run: CodeRunFacts) -> None:
    """Make a code run with its configuration, script and code."""
    config = _text_object(registry, session, run, run.config, "working configuration", "yaml")
    script = _text_object(registry, session, run, run.script, "submission script", run.script_type)
    for key, value in sorted(run.facts.items()):
        session.add(KeyValue(object_id=cast("int", config.id), key=key, value=value))
    recorded = CodeRun(
        run_date=run.at,
        description=run.description,
        uuid=run.uuid,
        code_repo_id=_repository_object(session, run),
        model_config_id=config.id,
        submission_script_id=cast("int", script.id),
    )
    session.add(recorded)
    session.flush()
    number = cast("int", recorded.id)
    for table, items in ((CodeRunInput, run.inputs), (CodeRunOutput, run.outputs)):
        for item in dict.fromkeys(items):
            session.add(table(code_run_id=number, object_component_id=cast("int", whole_of(session, item).id)))
    session.flush()


def _text_object(  # noqa: PLR0913, PLR0917 - what to keep, and as what
    registry: Registry, session: Session, run: CodeRunFacts, text: str, description: str, file_type: str
) -> Object:
    kept = registry.files.add_bytes(text.encode())
    return record_file(
        registry, session, kept.sha1, description=description, file_type=file_type, public=run.public,
        authors=[run.author],
    )  # fmt: skip


def _repository_object(session: Session, run: CodeRunFacts) -> int | None:
    place = place_of_code(run.repository)
    if place is None or not run.commit:
        return None
    location = record_place(session, *place, run.commit)
    return record_object(session, location=location, description="code repository").id


def place_of_code(address: str) -> tuple[str, str] | None:
    """Return root and path of a code repository's address; None for a path on this machine: nobody else has it."""
    url = urlsplit(address)
    if url.scheme in ("http", "https", "ssh") and url.hostname:
        return f"{url.scheme}://{url.hostname}/", url.path.lstrip("/").removesuffix(".git")
    if match := re.fullmatch(r"(?:[^@/]+@)?([\w.-]+):(?!//)(.+)", address):  # git@host:path
        return f"ssh://{match[1]}/", match[2].removesuffix(".git")
    return None
