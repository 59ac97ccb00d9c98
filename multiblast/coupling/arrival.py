"""Files that arrive: written beside their place, checked against what they should be, then renamed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

from multiblast.errors import InvalidInputError, MultiblastError, StoreAwayError, StoreError
from multiblast.files import hashed, replacing
from multiblast.stores.base import CHUNK_BYTES, chunks


def arrive(
    pieces: Iterable[bytes] | BinaryIO | bytes, path: Path, what: str, *, sha256: str = "", size_bytes: int = -1
) -> str:
    """Write a file whole or not at all; return its sha256.

    Args:
        pieces: Its bytes; a stream is read in pieces.
        path: Where it shall be; there is nothing until all is checked.
        what: What it is called in errors.
        sha256: What it must have, unless empty.
        size_bytes: How large it must be, unless negative.

    Raises:
        StoreError: there is no room, or what came is something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hasher, come = hashlib.sha256(), 0
    try:
        with replacing(path) as file:
            for piece in hashed(chunks(pieces), hasher):
                come += file.write(piece)
            _check_arrived(what, come, size_bytes, hasher.hexdigest(), sha256)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _no_room(path.parent, come, what) from error
    return hasher.hexdigest()


def go_on(opened: Callable[[int], BinaryIO], part: Path, what: str, *, sha256: str, size_bytes: int) -> bool:
    """Have a file whole, going on with what an attempt that was killed left of it.

    Args:
        opened: Opens it from a byte on, 0-based.
        part: What is there of it, and where the rest goes.
        what: What it is called in errors.
        sha256: What it must have.
        size_bytes: How large it must be.

    Returns:
        False if another process is at it now, or what was left is of no use; then nothing is left.

    Raises:
        StoreError: there is no room, or what came is something else; what came stays only if the store is away.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    left = 0
    try:
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.seek(0)
            hasher = hashlib.sha256()
            come = left = sum(len(piece) for piece in hashed(chunks(cast("BinaryIO", file)), hasher))
            if come != size_bytes:
                with opened(come) as stream:
                    for piece in hashed(chunks(stream), hasher):
                        come += file.write(piece)
            file.flush()
            _check_arrived(what, come, size_bytes, hasher.hexdigest(), sha256)
    except (BlockingIOError, PermissionError) as error:  # locked; or whole, and about to be moved
        if isinstance(error, MultiblastError):
            raise
        return False
    except OSError as error:
        if isinstance(error, StoreAwayError):
            raise
        part.unlink(missing_ok=True)
        if isinstance(error, StoreError) and left:
            return False
        if isinstance(error, StoreError) or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _no_room(part.parent, size_bytes, what) from error
    return True


def check_room(directory: Path, size_bytes: int, what: str) -> None:
    """Make a directory; raise a `StoreError` if a file does not fit its disk."""
    directory.mkdir(parents=True, exist_ok=True)
    if size_bytes > shutil.disk_usage(directory).free:
        raise _no_room(directory, size_bytes, what)


def _no_room(directory: Path, size_bytes: int, what: str) -> StoreError:
    free = shutil.disk_usage(directory).free
    needed = f"no room for {what} ({size_bytes:,} bytes) in {directory}: {free:,} bytes are free"
    return StoreError(f"{needed}; free some, or fetch it to a larger disk")


def _check_arrived(what: str, come: int, size_bytes: int, found: str, sha256: str) -> None:
    if size_bytes >= 0 and come != size_bytes:
        raise StoreError(f"{come:,} bytes came of {what}, which has {size_bytes:,}: fetch it again")
    if sha256 and found != sha256:
        raise StoreError(f"what came of {what} is not what was sent, by its sha256: fetch it again")


def link_or_copy(source: Path, path: Path, *, executable: bool = False) -> None:
    """Make a file another name of one that is there, or a copy where that cannot be: of another disk, or mode.

    Raises:
        FileNotFoundError: there is no source.
        StoreError: there is no room for a copy.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if executable == bool(source.stat().st_mode & 0o100) and _linked(source, path):
        return
    check_room(path.parent, source.stat().st_size, str(source))
    with source.open("rb") as data, replacing(path) as file:
        shutil.copyfileobj(data, file, CHUNK_BYTES)
        os.fchmod(file.fileno(), 0o755 if executable else 0o644)


def own_copy(source: Path, target: Path) -> Path:
    """Copy a file or directory so that the copy may be changed, as a hard link may not be."""

    def copy(one: str, other: str) -> None:
        shutil.copyfile(one, other)
        if Path(one).stat().st_mode & 0o100:
            Path(other).chmod(Path(other).stat().st_mode | 0o111)

    if source.is_dir():
        return Path(shutil.copytree(source, target, copy_function=copy))
    copy(str(source), str(target))
    return target


def _linked(source: Path, path: Path) -> bool:
    beside = path.with_name(f".{uuid4().hex}.tmp")
    try:
        os.link(source, beside)
        beside.replace(path)
    except OSError:  # another disk, too many links, or no links in this file system
        return False
    finally:
        beside.unlink(missing_ok=True)  # as it stays where path is a name of the same file already
    return True


def plain_files(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Yield what is below a directory, in the order of names: files, and with True empty directories.

    Raises:
        InvalidInputError: there is a link or something else that is neither file nor directory.
    """
    entries = sorted(directory.iterdir())
    if not entries:
        yield directory, True
    for entry in entries:
        if check_plain(entry):
            yield from plain_files(entry)
        else:
            yield entry, False


def check_plain(path: Path) -> bool:
    """Return whether a path is of a directory and not of a file; an `InvalidInputError` if of neither."""
    if path.is_symlink() or not (path.is_dir() or path.is_file()):
        kind = "a link" if path.is_symlink() else "neither a file nor a directory" if path.exists() else "not there"
        raise InvalidInputError(f"{str(path)!r} is {kind}: only files and directories are sent")
    return path.is_dir()
