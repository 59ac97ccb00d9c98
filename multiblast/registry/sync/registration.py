"""Registering what a configuration brings from elsewhere: namespaces, authors, files and published things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from urllib.parse import unquote, urlsplit

from sqlmodel import Session, select

from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, StoreError
from multiblast.registry.config.schema import AuthorEntry, Config, DataProductEntry, ExternalObjectEntry, NamespaceEntry
from multiblast.registry.local.files import file_checksums, tampered
from multiblast.registry.local.records import (
    author_id,
    content_of,
    find_product,
    name_object,
    namespace_id,
    record_object,
    record_place,
    record_product,
    versions_of,
)
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import shown, split_password
from multiblast.registry.model.names import ProductName, highest, resolve_version, version_word
from multiblast.registry.model.rows import join_place
from multiblast.registry.model.tables import ExternalObject
from multiblast.registry.remotes.connection import Connection, RetryPolicy
from multiblast.registry.sync.summary import ItemResult, Outcome


def register(
    registry: Registry, config: Config, base: Path = Path(), limits: RetryPolicy | None = None
) -> list[Outcome]:
    """Register all that a configuration names, each entry whole or with the reason why not; the same again is the same.

    Relative paths begin in ``base``.
    """
    outcomes: list[Outcome] = []
    for entry in config.register_:
        if isinstance(entry, DataProductEntry):
            outcomes.append(_register_product(registry, config, entry, base, limits))
            continue
        try:
            with registry.writing() as session:
                if isinstance(entry, NamespaceEntry):
                    namespace_id(session, entry.namespace, entry.full_name, entry.website)
                else:
                    author_id(session, entry.name or entry.author, entry.identifier)
        except MultiblastError as error:
            label = f"namespace {entry.namespace}" if isinstance(entry, NamespaceEntry) else f"author {entry.author}"
            outcomes.append(_failure(label, error))
    return outcomes


def _failure(label: str, error: MultiblastError) -> Outcome:
    return Outcome(label, ItemResult.CONFLICT if isinstance(error, ConflictError) else ItemResult.FAILED, str(error))


def plan_registration(registry: Registry, config: Config, base: Path = Path()) -> list[Outcome]:
    """Return what `register` would do with each file; one elsewhere is not fetched, so that only its name is known."""
    return [_plan_product(registry, config, entry, base) for entry in config.registered]


def _plan_product(registry: Registry, config: Config, entry: DataProductEntry, base: Path) -> Outcome:
    namespace, name, text = config.name_of(entry)
    label = f"{namespace}:{name}"
    path = _local_path(entry, base)
    try:
        ProductName(namespace, name, "0.0.1").check()
        if isinstance(entry, ExternalObjectEntry) and entry.no_file:
            with registry.session() as session:
                there = _source_before(session, entry, ProductName(namespace, name, text))
            result, reason = (ItemResult.KNOWN, "") if there else (ItemResult.PLANNED, "to be registered, no file")
            return Outcome(f"{label}@{text}", result, reason)
        if path is None:
            return Outcome(f"{label}@{text}", ItemResult.PLANNED, "to be fetched and registered")
        if not path.is_file():
            raise StoreError(_no_file(path))
        found = file_checksums(path)
        version = _version(registry, namespace, name, text, found.sha1)
        label += f"@{version}"
        with registry.session() as session:
            before = versions_of(session, namespace, name).get(version)
            other = content_of(session, before) if before else ""
        if entry.hash and entry.hash.lower() not in (found.sha1, found.sha256):
            raise tampered(path.name, entry.hash, found.sha1)
        if other not in ("", found.sha1):
            raise ConflictError(f"it exists, with the content {other} and not {found.sha1}: give it a new version")
        result = ItemResult.KNOWN if before else ItemResult.PLANNED
        return Outcome(label, result, "" if before else "to be registered", found.size_bytes)
    except MultiblastError as error:
        return _failure(label, error)


def _no_file(path: Path) -> str:
    return f"there is no file {str(path)!r}; for one elsewhere, begin root with https://"


def _register_product(
    registry: Registry, config: Config, entry: DataProductEntry, base: Path, limits: RetryPolicy | None
) -> Outcome:
    namespace, name, text = config.name_of(entry)
    label = f"{namespace}:{name}"
    try:
        if isinstance(entry, ExternalObjectEntry) and entry.no_file:
            label += f"@{text}"
            return _register_source(registry, config, entry, ProductName(namespace, name, text))
        with _fetched(entry, base, limits) as path:
            version = _version(registry, namespace, name, text, file_checksums(path).sha1)
            label += f"@{version}"
            product = ProductName(namespace, name, version)
            product.check()
            with registry.writing() as session:
                authors = _before(session, config, entry, namespace)
            public = config.run_metadata.public if entry.public is None else entry.public
            recorded = record_product(
                registry,
                product,
                path,
                file_type=entry.file_type,
                description=entry.description,
                public=public,
                authors=authors,
                digest=entry.hash,
            )
            if isinstance(entry, ExternalObjectEntry):
                with registry.writing() as session:
                    _record_external(session, entry, recorded.product_id, version, recorded.sha1)
            return Outcome(label, ItemResult.DONE if recorded.new else ItemResult.KNOWN, "", path.stat().st_size)
    except MultiblastError as error:
        return _failure(label, error)


def _register_source(registry: Registry, config: Config, entry: ExternalObjectEntry, name: ProductName) -> Outcome:
    """Record something published that is no file, as a data product without one."""
    name.check()
    with registry.writing() as session:
        if _source_before(session, entry, name):
            return Outcome(str(name), ItemResult.KNOWN)
        authors = _before(session, config, entry, name.namespace)
        item = record_object(session, location=None, description=entry.description, authors=authors)
        product = name_object(session, name, item.id)
        _record_external(session, entry, cast("int", product.id), name.version)
    return Outcome(str(name), ItemResult.DONE)


def _source_before(session: Session, entry: ExternalObjectEntry, name: ProductName) -> bool:
    """Return whether an entry without a file is recorded.

    Raises:
        ConflictError: its version is something else.
    """
    before = find_product(session, name)
    if before is None:
        return False
    query = select(ExternalObject).where(ExternalObject.data_product_id == before.id)
    source = session.exec(query).first()
    known = source and (source.identifier, source.alternate_identifier, source.title, source.version)
    if content_of(session, before) or known != (
        entry.identifier, entry.unique_name, entry.title, entry.release_version or name.version,
    ):  # fmt: skip
        raise ConflictError(f"{name} exists, with a file or of another source: give it a new version")
    return True


def _before(session: Session, config: Config, entry: DataProductEntry, namespace: str) -> list[int]:
    """Record what a data product needs; return its authors."""
    namespace_id(session, namespace, entry.namespace_full_name, entry.namespace_website)
    return [_author(session, config, author) for author in entry.authors]


def _author(session: Session, config: Config, text: str) -> int:
    """Return the author that an entry names: by what the configuration calls one it registers, by name or by URL."""
    for entry in config.register_:
        if isinstance(entry, AuthorEntry) and text in (entry.author, entry.name, entry.identifier):
            return author_id(session, entry.name or entry.author, entry.identifier)
    return author_id(session, None, text) if "://" in text else author_id(session, text)


def _version(registry: Registry, namespace: str, name: str, text: str, sha1: str) -> str:
    """Return the version for a content: the newest there is while the content is unchanged, else what is meant."""
    with registry.session() as session:
        existing = versions_of(session, namespace, name)
        newest = highest(existing)
        same = bool(newest) and content_of(session, existing[newest]) == sha1
    if version_word(text):
        if same:
            return newest
        if version_word(text) == "LATEST" and newest:
            raise ConflictError(f"the file changed since version {newest}: give it ${{{{PATCH}}}} for a new one")
    return resolve_version(text, existing, writing=True)


@contextmanager
def _fetched(entry: DataProductEntry, base: Path, limits: RetryPolicy | None) -> Iterator[Path]:
    """Give an entry's file: the one on this machine, or a temporary copy of the one elsewhere."""
    local = _local_path(entry, base)
    if local is not None:
        if not local.is_file():
            raise StoreError(_no_file(local))
        yield local
        return
    url = join_place(entry.root, entry.path)
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidInputError(f"{shown(url)!r} cannot be fetched: write an http, https or file address, or a cache")
    root, password = split_password(entry.root)
    try:
        with (
            closing(Connection(root, limits=limits, password=password)) as connection,
            TemporaryDirectory(prefix="multiblast-register-") as directory,
        ):
            target = Path(directory) / "file"
            with connection.stream(join_place(root, entry.path)) as response, target.open("wb") as file:
                file.writelines(connection.download(response))
            yield target
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{shown(url)} cannot be kept: {error.strerror or error}") from error


def _local_path(entry: DataProductEntry, base: Path) -> Path | None:
    if cached := entry.use.cache or entry.cache:
        return base / Path(cached).expanduser()
    if entry.root.startswith("file://"):
        return Path(unquote(urlsplit(entry.root).path)) / entry.path
    return base / Path(entry.root).expanduser() / entry.path if "://" not in entry.root else None


def _record_external(session: Session, entry: ExternalObjectEntry, product: int, version: str, sha1: str = "") -> None:
    if session.exec(select(ExternalObject).where(ExternalObject.data_product_id == product)).first():
        return
    original = None
    if entry.root.startswith(("http://", "https://")):
        original = record_place(session, split_password(entry.root)[0], entry.path, sha1)
    date = entry.release_date
    session.add(
        ExternalObject(
            data_product_id=product,
            identifier=entry.identifier,
            alternate_identifier=entry.unique_name,
            alternate_identifier_type=entry.alternate_identifier_type,
            title=entry.title,
            release_date=date if date.tzinfo else date.replace(tzinfo=UTC),
            primary_not_supplement=entry.primary,
            description=entry.description or None,
            version=entry.release_version or version,
            original_store_id=original,
        )
    )
