"""Opening a store by its URL."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from urllib.parse import urlsplit

from multiblast.errors import StoreError
from multiblast.stores.base import Store
from multiblast.stores.filesystems import FsspecStore, fsspec_schemes
from multiblast.stores.local import LocalStore

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


def open_store(url: str) -> Store:
    """Open a store by the path of a directory or by a URL; nothing is read or written yet.

    Its scheme is that of a class of this package: ``file:///DIRECTORY``, ``memory:NAME``,
    ``s3://BUCKET/PREFIX?endpoint=URL&region=NAME``; else of a file system of fsspec's, such as
    ``sftp://HOST/DIRECTORY``. With another, without its driver, or without all it needs: a `StoreError`.
    """
    match = _SCHEME.match(url)
    if match is None:
        return LocalStore(Path(url))
    scheme, classes = match[1], _by_scheme()
    if scheme in classes:
        return classes[scheme].from_url(urlsplit(url))
    known = fsspec_schemes()
    if scheme not in known:
        others = ", ".join(other for other in known if other not in classes)
        raise StoreError(f"no store has URLs that begin with {scheme}: use {', '.join(classes)}, or of fsspec {others}")
    return FsspecStore.from_url(urlsplit(url))


@cache
def _by_scheme() -> dict[str, type[Store]]:
    """Find the stores of this package, so that a new one is a new file and nothing else."""
    here = __name__.rpartition(".")[0]
    modules = [import_module(f"{here}.{found.name}") for found in iter_modules(import_module(here).__path__)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {value.scheme: value for value in classes if issubclass(value, Store) and value.scheme}
