"""Couplings: how a step gets the files it reads, and hands over those it wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO, Protocol
from uuid import uuid4

from multiblast.coupling.arrival import arrive, check_plain, link_or_copy
from multiblast.coupling.cache import InputCache
from multiblast.coupling.downloads import open_url
from multiblast.coupling.reference import WEB, Reference
from multiblast.coupling.trees import MANIFEST, Tree, TreeFile
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, ObjectMissingError, Problem, StoreError
from multiblast.files import sha256_of
from multiblast.stores import LocalStore, Store, open_store
from multiblast.stores.base import CHUNK_BYTES, check_key
from multiblast.stores.http import HttpStore


class Coupling(Protocol):
    """How files reach a step and leave it; a step knows nothing else of where they are."""

    name: str

    def fetch(self, reference: Reference, into: Path) -> Path:
        """Return a local path of a file or directory, which may be in the directory ``into`` or where it is already.

        What is fetched is checked before it is visible. It is for reading.

        Raises:
            InvalidInputError: there is no such file on this machine.
            ObjectMissingError: there is nothing of that name elsewhere.
            StoreError: it did not arrive, or something else did.
        """

    def push(self, path: Path, key: str) -> Reference:
        """Take a file or directory to a key; the same again changes nothing, and sends nothing.

        Raises:
            InvalidInputError: there is no such file, or there are links in a directory.
            ConflictError: something else is at the key.
            StoreError: it did not arrive.
        """


class StoreCoupling:
    """Over any store: files are copied, and those fetched are kept for the next step that wants them."""

    def __init__(self, store: Store, cache: InputCache | None = None, name: str = "store") -> None:
        self.store = store
        self.name = name
        self._cache = cache or InputCache()
        # A grant names what may be asked for, and ends after a few requests beyond it.
        self._may_look = not isinstance(store, HttpStore)

    def fetch(self, reference: Reference, into: Path) -> Path:
        """Copy it into the directory, unless it is on this machine: see `Coupling.fetch`."""
        path = into / reference.file_name
        if reference.scheme == "file":
            return _there(reference)
        if reference.scheme == "data":
            arrive(reference.data, path, "the data of a URL", sha256=reference.sha256)
        elif reference.scheme in WEB:
            size_bytes, wanted = reference.size_bytes, reference.sha256
            opened = partial(_download, reference.url)
            self._cache.fetch(opened, path, reference.url, sha256=wanted, size_bytes=size_bytes)
        else:
            store, key = self._place(reference)
            self._fetch(store, key, reference, path)
        return path

    def push(self, path: Path, key: str) -> Reference:
        """Copy it to the store: see `Coupling.push`."""
        if not check_plain(path):
            return self._push_file(path, key)
        tree = Tree.of(path)
        manifest = tree.to_json()
        reference = _of_tree(self._url(key), tree, manifest, path.name)
        if _is_there(self.store, f"{key}/{MANIFEST}", reference.sha256, len(manifest)):
            return reference
        if self._may_look and self.store.exists(key):
            raise ConflictError(f"{key!r} is a file already: push the directory to another key")
        for number, file in tree.numbered(key):
            self._put(path / file.path, number)
        self.store.put(f"{key}/{MANIFEST}", manifest)
        return reference

    def _fetch(self, store: Store, key: str, reference: Reference, path: Path) -> None:
        if not reference.is_directory:
            with suppress(ObjectMissingError):
                self._fetch_file(store, key, path, reference.sha256)
                return
        try:
            tree, manifest = Tree.read(store, key)
        except (ObjectMissingError, NotAllowedError) as error:
            if reference.is_directory and isinstance(error, NotAllowedError):
                raise
            raise ObjectMissingError(key) from error
        found = _of_tree(reference.url, tree, manifest, reference.name)
        if reference.sha256 not in {"", found.sha256}:
            raise StoreError(f"the directory {key!r} is not what was sent, by its sha256: push it again")
        _build(tree, path, partial(self._bring, store, key))

    def _fetch_file(self, store: Store, key: str, path: Path, digest: str, size_bytes: int = -1) -> None:
        size_bytes = store.stat(key).size_bytes if size_bytes < 0 else size_bytes
        self._cache.fetch(partial(store.open, key), path, repr(key), sha256=digest, size_bytes=size_bytes)

    def _bring(self, store: Store, key: str, number: int, file: TreeFile, path: Path) -> None:
        if self._cache.take(file.sha256, path, executable=file.is_executable):
            return
        self._fetch_file(store, f"{key}/{number}", path, file.sha256, file.size_bytes)
        if file.is_executable:
            link_or_copy(path, path, executable=True)  # a copy, since what is kept is not to be run

    def _push_file(self, path: Path, key: str) -> Reference:
        size_bytes, digest = path.stat().st_size, sha256_of(path)
        if not _is_there(self.store, key, digest, size_bytes):
            self._refuse_directory(key)
            self._put(path, key)
        return Reference(self._url(key), digest, size_bytes, name=path.name)

    def _refuse_directory(self, key: str) -> None:
        if self._may_look and self.store.exists(f"{key}/{MANIFEST}"):
            raise ConflictError(f"{key!r} is a directory already: push the file to another key")

    def _put(self, path: Path, key: str) -> None:
        with path.open("rb") as file:
            self.store.put_resumably(key, file)

    def _place(self, reference: Reference) -> tuple[Store, str]:
        if reference.scheme == "store":
            return self.store, reference.url.removeprefix("store:")
        url, key = reference.place
        return open_store(url), key

    @staticmethod
    def _url(key: str) -> str:
        return f"store:{check_key(key)}"


class RelayingCoupling(StoreCoupling):
    """Over a store other than that where results are kept: what is fetched goes there first, what is pushed comes back.

    Steps on machines that reach only that store, and those here, then work alike.
    """

    def __init__(self, store: Store, results: Store, cache: InputCache | None = None, name: str = "store") -> None:
        super().__init__(store, cache, name)
        self._results = results

    def fetch(self, reference: Reference, into: Path) -> Path:
        """Copy it to the store unless it is there, then as `Coupling.fetch`."""
        if reference.scheme == "store":
            _copy(self._results, self.store, reference.url.removeprefix("store:"))
        return super().fetch(reference, into)

    def push(self, path: Path, key: str) -> Reference:
        """Take it to the store, and from there to where results are kept: see `Coupling.push`."""
        reference = super().push(path, key)
        _copy(self.store, self._results, key)
        return reference


class FilesystemCoupling(StoreCoupling):
    """Over a store in a directory of this machine: what is fetched is the store's own file, and nothing is copied.

    What is pushed gets a second name in the store, where the file system can do that; so nobody may change it after.
    """

    store: LocalStore

    def __init__(self, store: LocalStore, cache: InputCache | None = None, name: str = "filesystem") -> None:
        super().__init__(store, cache, name)

    def fetch(self, reference: Reference, into: Path) -> Path:
        """Return where the store has it; of a directory, names in ``into`` of the store's files."""
        if reference.scheme == "store" and not reference.is_directory:
            key = reference.url.removeprefix("store:")
            if self.store.exists(key):
                return Path(self.store.locate(key))
        return super().fetch(reference, into)

    def _bring(self, store: Store, key: str, number: int, file: TreeFile, path: Path) -> None:
        if store is self.store:
            link_or_copy(Path(self.store.locate(f"{key}/{number}")), path, executable=file.is_executable)
        else:
            super()._bring(store, key, number, file, path)

    def _push_file(self, path: Path, key: str) -> Reference:
        there = Path(self.store.locate(key))
        if there.exists() and not there.samefile(path):
            return super()._push_file(path, key)
        if not there.exists():
            self._refuse_directory(key)
            self._put(path, key)
        return Reference(self._url(key), size_bytes=path.stat().st_size, name=path.name)

    def _put(self, path: Path, key: str) -> None:
        there = Path(self.store.locate(key))
        try:
            there.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, there)
        except OSError:  # another disk, no links in this file system, or something of an earlier attempt is there
            if not (there.exists() and there.samefile(path)):
                super()._put(path, key)


def _copy(source: Store, target: Store, key: str) -> None:
    """Copy a file or directory from store to store, but for what is there."""
    keys = [key]
    with suppress(ObjectMissingError):
        tree, _ = Tree.read(source, key)
        keys = [*(number for number, _ in tree.numbered(key)), f"{key}/{MANIFEST}"]
    for one in keys:
        size_bytes = source.stat(one).size_bytes
        if (
            target.exists(one)
            and target.stat(one).size_bytes == size_bytes
            and target.sha256(one) == source.sha256(one)
        ):
            continue
        with source.open(one) as stream:
            target.put_resumably(one, stream)


def _there(reference: Reference) -> Path:
    if not reference.path.exists():
        raise InvalidInputError(Problem(f"there is no file {str(reference.path)!r}", "reference"))
    return reference.path


def _is_there(store: Store, key: str, sha256: str, size_bytes: int) -> bool:
    """Return whether these very bytes are at a key; a `ConflictError` if others are."""
    try:
        found = store.stat(key)
    except ObjectMissingError:
        return False
    # Not every store knows the sha256 without reading.
    if found.size_bytes != size_bytes or store.sha256(key) != sha256:
        raise ConflictError(f"something else is at {key!r} in the store: push to another key")
    return True


def _of_tree(url: str, tree: Tree, manifest: bytes, name: str) -> Reference:
    return Reference(url, sha256(manifest).hexdigest(), tree.size_bytes, is_directory=True, name=name)


def _build(tree: Tree, path: Path, bring: Callable[[int, TreeFile, Path], None]) -> None:
    """Make a directory beside its place, then rename it."""
    if path.exists():
        raise ConflictError(f"{str(path)!r} is there already: fetch to another directory")
    beside = path.with_name(f".{uuid4().hex}.tmp")
    try:
        beside.mkdir(parents=True)
        tree.build(beside, bring)
        beside.rename(path)
    finally:
        rmtree(beside, ignore_errors=True)


def _download(url: str, start: int) -> BinaryIO:
    """Open what is at an address from a byte on; what comes before is read, for not every server leaves it out."""
    stream = open_url(url)
    while start and (piece := stream.read(min(start, CHUNK_BYTES))):
        start -= len(piece)
    return stream
