"""Syncing databases: copies of published ones on this machine's disk, the least recently used removed for new ones.

What was copied is noted below the targets root, in ``.synced``, and only that is ever removed or replaced. The time of
a note is when its database was last searched: see `multiblast.targets.Targets.note_use`.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem, StoreError
from multiblast.files import sha256_of
from multiblast.stores import Store
from multiblast.targets import Targets
from multiblast.transfer.publication import Published, PublishedFile, published_databases

_INDEX = (".pin", ".nin", ".pal", ".nal")

OnProgress = Callable[[int], None]


@dataclass(slots=True)
class Synced:
    """What a sync did: names of the databases copied, here already, and removed to make room."""

    copied: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    copied_bytes: int = 0


def sync_databases(
    store: Store,
    targets: Targets,
    names: Sequence[str] = (),
    *,
    limit_bytes: int = 0,
    progress: OnProgress = lambda _size_bytes: None,
) -> Synced:
    """Copy published databases to where this machine searches, each checked before it is seen.

    A copy that was interrupted goes on where it stopped. Names are ``SITE/TARGET/DATABASE``; without any, all are
    copied. Copies may take ``limit_bytes``, or with 0 what fits the disk; the least recently searched go first.

    Raises:
        InvalidInputError: the limit is less than nothing.
        NotFoundError: no such database was published.
        ConflictError: another database of the name is here, and was not copied from a store.
        StoreError: there is no room, reading failed, or what came is not what was published.
    """
    if limit_bytes < 0:
        raise InvalidInputError(Problem(f"{limit_bytes / 1e9:g} is no size: give 0 or more", "limit_gb"))
    synced = Synced()
    with _one_sync_at_a_time(targets.root / ".synced") as notes:
        wanted = _wanted(published_databases(store), names)
        for database in wanted:
            if _is_here(database, targets):
                synced.there.append(database.display)
                continue
            synced.removed += _make_room(notes, targets, database, wanted, limit_bytes)
            _copy(store, targets, database, lambda size: progress(synced.copied_bytes + size))
            synced.copied.append(database.display)
            synced.copied_bytes += database.size_bytes
        targets.rescan()
    return synced


@contextmanager
def _one_sync_at_a_time(directory: Path) -> Iterator[Path]:
    """Let one process sync at a time."""
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def _wanted(published: Sequence[Published], names: Sequence[str]) -> list[Published]:
    if not names:
        return list(published)
    there = sorted({database.display for database in published})
    for name in names:
        if name not in there:
            listed = ", ".join(there) or "none: publish one with publish-target"
            raise NotFoundError("published database", name, f"there is {listed}")
    return [database for database in published if database.display in names]


def _is_here(database: Published, targets: Targets) -> bool:
    """Return whether a database of this very content is here under its name."""
    try:
        found = targets.resolve(database.site, database.target, database.name, database.molecule)
    except (NotFoundError, InvalidInputError):
        return False
    if found.fingerprint == database.fingerprint:
        return True
    if not targets.note(found).exists():
        raise ConflictError(
            f"another {database.display} is in {found.path.parent}, and was not copied: remove it first"
        )
    return False


def _make_room(
    notes: Path, targets: Targets, database: Published, wanted: Iterable[Published], limit_bytes: int
) -> list[str]:
    """Remove copies that are not wanted, the least recently searched first, until a database fits."""
    keep = {other.display for other in wanted}
    kept = sorted(notes.glob("*.json"), key=lambda note: note.stat().st_mtime)
    copies = [(note, Published.from_json(note.read_bytes())) for note in kept]
    copies = [copy for copy in copies if (copy[1].display, copy[1].molecule) != (database.display, database.molecule)]
    disposable = [copy for copy in copies if copy[1].display not in keep]
    removed: list[str] = []
    while not _fits(targets, database, sum(copy.size_bytes for _, copy in copies), limit_bytes):
        if not disposable:
            limit = f", of which copies may take {limit_bytes / 1e9:,.1f} GB" if limit_bytes else ""
            free = shutil.disk_usage(targets.root).free
            raise StoreError(
                f"no room for {database.display} ({database.size_bytes / 1e9:,.1f} GB) in {targets.root}: "
                f"{free / 1e9:,.1f} GB are free{limit}; name fewer databases, raise the limit or get a larger disk"
            )
        note, old = disposable.pop(0)
        copies.remove((note, old))
        _remove(targets, old)
        note.unlink()
        removed.append(old.display)
    return removed


def _fits(targets: Targets, database: Published, copied_bytes: int, limit_bytes: int) -> bool:
    begun = _place(targets, database) / _incoming(database)
    come = sum(file.stat().st_size for file in begun.rglob("*") if file.is_file())
    if database.size_bytes - come > shutil.disk_usage(targets.root).free:
        return False
    return not limit_bytes or copied_bytes + database.size_bytes <= limit_bytes


def _copy(store: Store, targets: Targets, database: Published, progress: OnProgress) -> None:
    """Copy a database beside its place, check it there, and move it in."""
    place, come = _place(targets, database), 0
    incoming = place / _incoming(database)
    for file in database.files:
        for size in _fetch(store, file, incoming / file.path):
            progress(come + size)
        come += file.size_bytes
    found = targets.at(incoming / database.name, database.site, database.target, database.molecule)
    if found.fingerprint != database.fingerprint:
        shutil.rmtree(incoming)
        raise StoreError(f"what came of {database.display} is not what was published: sync again, or publish it again")
    note = targets.note(found)
    if note.exists():
        _remove(targets, Published.from_json(note.read_bytes()))
    note.write_text(database.to_json())
    for file in _index_last(database.files):
        (place / file.path).parent.mkdir(parents=True, exist_ok=True)
        (incoming / file.path).rename(place / file.path)
    shutil.rmtree(incoming)


def _fetch(store: Store, file: PublishedFile, path: Path) -> Iterator[int]:
    """Get what is missing of a file and check it; yield now and then how much of it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.stat().st_size if path.exists() else 0
    if begun < file.size_bytes or not path.exists():
        with path.open("ab") as output, store.open(file.key, begun) as stream:
            while chunk := stream.read(1 << 20):
                output.write(chunk)
                yield output.tell()
    if sha256_of(path) != file.sha256:
        path.unlink()
        raise StoreError(f"what came of {file.key} is not what was published: sync again, or publish it again")
    yield file.size_bytes


def _remove(targets: Targets, database: Published) -> None:
    """Remove the files of a copy; those by which it is found go first."""
    place = _place(targets, database)
    for file in reversed(_index_last(database.files)):
        (place / file.path).unlink(missing_ok=True)
    with suppress(OSError):  # others are there
        place.rmdir()


def _index_last(files: Iterable[PublishedFile]) -> list[PublishedFile]:
    return sorted(files, key=lambda file: file.path.endswith(_INDEX))


def _place(targets: Targets, database: Published) -> Path:
    return targets.root / targets.layout.directory(database.site, database.target)


def _incoming(database: Published) -> str:
    return f".incoming-{database.fingerprint}"
