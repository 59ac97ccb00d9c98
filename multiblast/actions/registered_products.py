"""Files of data products of the registry, as inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO

from sqlmodel import col, select

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.registry.local.records import content_of, versions_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import resolve_version
from multiblast.registry.model.tables import StorageLocation


@contextmanager
def product_file(
    open_registry: Callable[[], Registry], name: str, key: str, *, only_public: bool
) -> Iterator[tuple[BinaryIO, str]]:
    """Give the file of a data product, ``NAMESPACE:NAME@VERSION``, and what it is called.

    Args:
        open_registry: Opens the registry.
        name: Of the product.
        key: The field at fault.
        only_public: Whether a private file is not to be read.

    Raises:
        InvalidInputError: it is no such name, or no such version.
        NotFoundError: there is no such product, or it has no file that may be read.
    """
    namespace, _, rest = name.partition(":")
    product, _, version = rest.rpartition("@")
    if not (namespace and product and version):
        raise InvalidInputError(Problem(f"{name!r} is no data product: write product:NAMESPACE:NAME@VERSION", key))
    with closing(open_registry()) as registry, registry.session() as session:
        versions = versions_of(session, namespace, product)
        if not versions:
            raise NotFoundError("data product", f"{namespace}:{product}", "pull it first")
        sha1 = content_of(session, versions[resolve_version(version, versions, writing=False)])
        public = select(StorageLocation.public).where(StorageLocation.hash == sha1, col(StorageLocation.public))
        if not sha1 or (only_public and session.exec(public).first() is None):
            raise NotFoundError("file of data product", name, "pull it with its file, if it has one that is public")
        with registry.files.open(sha1) as stream:
            yield stream, product.rpartition("/")[2]
