"""Copying everything from one store to another: resumable, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.files import hashed, sha256_of_rest
from multiblast.stores.base import MARK, Store, StoredObject, chunks


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far a copy is: all objects gone through, and those that had to be copied."""

    objects: int = 0
    size_bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0


def copy_results(
    source: Store,
    target: Store,
    prefix: str = "",
    *,
    compare_bytes: bool = True,
    progress: Callable[[CopyProgress], None] = lambda _progress: None,
) -> CopyProgress:
    """Copy all objects whose key starts with ``prefix``, but for those that are there already.

    Run again, it goes on where it stopped. Each copy is read back and compared by its SHA-256; objects that the source
    loses meanwhile are passed over. Of an object that is there already in the right size, here and there all bytes are
    compared, or with ``compare_bytes`` off none. The source's mark is copied once all else is there, so that a part
    of a copy is not taken for the store; a target that has one keeps it.

    Raises:
        StoreError: reading or writing failed, or a copy is not what was read.
    """
    now = CopyProgress()
    for found in source.list(prefix):
        try:
            copied = not _is_there(found, source, target, compare_bytes=compare_bytes)
            if copied:
                _copy(found.key, source, target)
        except ObjectMissingError:
            if source.exists(found.key):
                raise
            continue
        size = found.size_bytes
        now = CopyProgress(
            now.objects + 1, now.size_bytes + size, now.copied + copied, now.copied_bytes + size * copied
        )
        progress(now)
    if not prefix and source.may_be_marked and target.may_be_marked:
        _copy_mark(source, target)
    return now


def _is_there(found: StoredObject, source: Store, target: Store, *, compare_bytes: bool) -> bool:
    try:
        size = target.stat(found.key).size_bytes
    except ObjectMissingError:
        return False
    if size != found.size_bytes:
        return False
    return not compare_bytes or _digest(source, found.key) == _digest(target, found.key)


def _copy(key: str, source: Store, target: Store) -> None:
    hasher = hashlib.sha256()
    with source.open(key) as stream:
        target.put(key, hashed(chunks(stream), hasher))
    if _digest(target, key) != hasher.hexdigest():
        target.delete([key])
        raise StoreError(f"the copy of {key!r} is not what was read: removed it; copy again, and check {target!r}")


def _copy_mark(source: Store, target: Store) -> None:
    if source.exists(MARK) and not target.exists(MARK):
        _copy(MARK, source, target)


def _digest(store: Store, key: str) -> str:
    """Return the SHA-256 of what a store really gives; what it says of it is no proof of a copy."""
    with store.open(key) as stream:
        return sha256_of_rest(stream)
