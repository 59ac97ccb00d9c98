"""The data store of a user: a directory where runs find what they read and leave what they write."""

from __future__ import annotations

from pathlib import Path

from multiblast.files import contained
from multiblast.registry.model.names import ProductName, check_extension


def product_path(store: Path, name: ProductName, file_type: str) -> Path:
    """Return where in a data store a data product's file is: in a directory of its own, below its namespace's.

    Raises:
        InvalidInputError: it would be elsewhere, whatever links there are.
    """
    name.check()
    check_extension(file_type)
    file = f"{name.version}.{file_type}" if file_type else name.version
    contained(store / name.namespace, name.name)
    contained(store / name.namespace / name.name, file)
    return store / name.namespace / name.name / file
