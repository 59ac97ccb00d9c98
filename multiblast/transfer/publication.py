"""Publishing databases: their files in a store, where other machines copy them from.

The files of a database are objects ``databases/FINGERPRINT/NUMBER``, so that a rebuilt database has others. What they
are together stands in one object a name, ``databases/names/…``, written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from multiblast.errors import ConflictError, InvalidInputError, ObjectMissingError, StoreError
from multiblast.files import hashed, sha256_of
from multiblast.ids import is_id
from multiblast.molecules import DatabaseKind
from multiblast.object_kinds import PUBLISHED, published_files_prefix, published_key
from multiblast.stores import Store
from multiblast.stores.base import chunks
from multiblast.targets import BlastDatabase

_NAMES = f"{PUBLISHED}names/"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a published database; its path is below the directory of the database, its key that in the store."""

    path: str
    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Published:
    """A database in a store; those files by which a database is found come last."""

    site: str
    target: str
    name: str
    molecule: DatabaseKind
    fingerprint: str
    files: tuple[PublishedFile, ...]

    @property
    def display(self) -> str:
        """How it is named to people: ``site/target/name``."""
        return f"{self.site}/{self.target}/{self.name}"

    @property
    def size_bytes(self) -> int:
        """All its files together."""
        return sum(file.size_bytes for file in self.files)

    def to_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Published:
        """Read what `to_json` wrote.

        Raises:
            StoreError: it is something else, or names places where no database belongs.
        """
        try:
            kept = json.loads(text)
            files = tuple(PublishedFile(**file) for file in kept.pop("files"))
            found = cls(**kept | {"molecule": DatabaseKind(kept["molecule"])}, files=files)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"the description of a published database is damaged ({error}): publish it again"
            ) from error
        names = [found.site, found.target, found.name, *(part for file in files for part in file.path.split("/"))]
        if not is_id(found.fingerprint) or not all(map(_is_plain, names)):
            raise StoreError(f"the description of a published database names a bad place: {names!r}; publish it again")
        return found


def publish(
    store: Store, database: BlastDatabase, progress: Callable[[int], None] = lambda _size_bytes: None
) -> Published:
    """Copy a database to a store, but for files that are there already; an older one of its name goes.

    After each file ``progress`` is called with the bytes that are there.

    Raises:
        ConflictError: it was rebuilt meanwhile, or lies in several directories.
        StoreError: writing failed; what is there stays, so that publishing goes on from it.
    """
    fingerprint = database.fingerprint
    files: list[PublishedFile] = []
    for number, path in enumerate(database.files(), start=1):
        files.append(_put(store, f"{published_files_prefix(fingerprint)}{number:04}", path, _below(path, database)))
        progress(sum(file.size_bytes for file in files))
    if database.fingerprint != fingerprint:
        raise ConflictError(f"{database.display} was rebuilt while it was published: publish it again")
    found = Published(database.site, database.target, database.name, database.molecule, fingerprint, tuple(files))
    key = _key(found)
    before = [Published.from_json(store.read(key))] if store.exists(key) else []
    store.put(key, found.to_json().encode())
    in_use = {other.fingerprint for other in published_databases(store)}
    for old in before:
        if old.fingerprint not in in_use:
            store.delete(file.key for file in old.files)
    return found


def published_databases(store: Store) -> list[Published]:
    """Return the databases in a store, in the order of their names."""
    found = (Published.from_json(store.read(item.key)) for item in store.list(_NAMES))
    return sorted(found, key=lambda database: (database.display, database.molecule))


def _put(store: Store, key: str, path: Path, relative: str) -> PublishedFile:
    size = path.stat().st_size
    try:
        if store.stat(key).size_bytes == size:  # of this fingerprint, so of these bytes
            return PublishedFile(relative, key, size, sha256_of(path))
    except ObjectMissingError:
        pass
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        put = store.put_resumably(key, hashed(chunks(stream), hasher))
    return PublishedFile(relative, key, put.size_bytes, hasher.hexdigest())


def _below(path: Path, database: BlastDatabase) -> str:
    try:
        return path.relative_to(database.path.parent).as_posix()
    except ValueError as error:
        problem = f"{database.display} cannot be published, since {str(path)!r} lies outside of its directory"
        raise InvalidInputError(f"{problem}: publish the databases it puts together, each by itself") from error


def _key(database: Published) -> str:
    return published_key(database.site, database.target, database.name, database.molecule)


def _is_plain(name: str) -> bool:
    """Return whether a name is one part of a path that leads nowhere else, and is not hidden."""
    return name.isprintable() and not name.startswith(".") and PurePosixPath(name).parts == (name,)
