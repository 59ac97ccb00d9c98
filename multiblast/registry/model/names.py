"""Names of data products, and which names there may be."""

from __future__ import annotations

from dataclasses import dataclass

from semver import Version

from multiblast.errors import InvalidInputError, Problem


def product_name(namespace: str, name: str, version: str) -> str:
    """Return how a data product is written everywhere: ``namespace:name@version``."""
    return f"{namespace}:{name}@{version}"


_WILDCARDS = set("[]?*")


@dataclass(frozen=True, slots=True)
class ProductName:
    """Namespace, name and version of a data product."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return product_name(self.namespace, self.name, self.version)

    def check(self) -> None:
        """Make sure that it can be recorded: see `check_name`."""
        check_name(self.namespace, "namespace")
        check_name(self.name, "data_product")


def name_of_product(text: str) -> ProductName:
    """Read ``namespace:name@version``.

    Raises:
        InvalidInputError: it is not of that form.
    """
    namespace, colon, rest = text.partition(":")
    name, at, version = rest.rpartition("@")
    if not (colon and at and namespace and name and Version.is_valid(version)):
        raise InvalidInputError(f"{text!r} is no data product: write NAMESPACE:NAME@VERSION, as in rich:x/y@1.0.0")
    return ProductName(namespace, name, version)


def check_name(name: str, what: str) -> None:
    """Refuse a name that could be mistaken for a pattern, or for a path that leads elsewhere.

    Raises:
        InvalidInputError: it is empty, has one of ``[]?*`` in it, or an empty or dotted part.
    """
    if _WILDCARDS & set(name):
        raise InvalidInputError(Problem(f"{name!r} has one of []?* in it, which names must not have", what))
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name:
        raise InvalidInputError(Problem(f"{name!r} is no name: write words with single slashes between them", what))
