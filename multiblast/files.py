"""Streams of bytes: made from pieces, hashed on their way, and files written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import uuid4

from multiblast.errors import InvalidInputError, Problem, StoreError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a write fails with where a disk is full, or somebody has had their share of it."""

_SCRATCH = "multiblast-scratch-"
_LONGEST_SHOWN = 200


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...


class PieceReader(RawIOBase):
    """A stream that is read by its `next_piece`."""

    @abstractmethod
    def next_piece(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""

    def readable(self) -> bool:
        """Return that it is for reading."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what comes next, at most a buffer full."""
        piece = self.next_piece(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class FileRange(PieceReader):
    """The next ``length`` bytes of an open file, which is closed with it."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def next_piece(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()


def hashed(data: Iterable[bytes], hasher: _Hasher) -> Iterator[bytes]:
    """Yield data as it is, and hash it."""
    for piece in data:
        hasher.update(piece)
        yield piece


def is_utf8(name: str) -> bool:
    """Whether a name that a file system gave is text; Python keeps bytes that are not UTF-8 as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return sha256_of_rest(file)


def sha256_of_rest(stream: BinaryIO) -> str:
    """Return the SHA-256 of what is left to read of a stream, read in pieces."""
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # a BinaryIO has what it needs


def contained(base: Path, *parts: str) -> Path:
    """Return the path of parts below a directory, with all links resolved.

    Raises:
        InvalidInputError: they lead out of it, or to the directory itself.
    """
    try:
        path, above = base.joinpath(*parts).resolve(), base.resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a zero byte, a name that is too long, links in a circle
        raise InvalidInputError(f"{'/'.join(parts)[:200]!a} is no path: {error}") from error
    if path == above or not path.is_relative_to(above):
        raise InvalidInputError(f"{'/'.join(parts)[:200]!a} leads out of {str(base)!r}: give it another name")
    return path


def named_file(name: str | Path, key: str, under: Path | None = None, *, may_be_pipe: bool = False) -> Path:
    """Return the path of a file that a person has named, which is there.

    Args:
        name: Its path; ``~`` is the home directory.
        key: The field in which it was named.
        under: The only directory that it may be in, and where relative paths begin; None for any.
        may_be_pipe: Whether a named pipe will do.

    Raises:
        InvalidInputError: it is not there, not under the directory, or no path at all, such as a pasted sequence.
    """
    shown = repr(str(name)) if len(str(name)) <= _LONGEST_SHOWN else f"{str(name)[:_LONGEST_SHOWN]!r}…"
    try:
        path = (under or Path()) / Path(name).expanduser()
        leads_out = under is not None and not path.resolve().is_relative_to(under.resolve())
        is_there = path.is_file() or (may_be_pipe and path.is_fifo())
    except (ValueError, OSError, RuntimeError) as error:  # a zero byte, a name that is too long, a user that is not
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInputError(Problem(f"{shown} is not the path of a file that can be read: {why}", key)) from error
    if leads_out:
        raise InvalidInputError(Problem(f"{shown} is not under {under}: put it there", key))
    if not is_there:
        raise InvalidInputError(Problem(f"there is no file {str(path)!r}", key))
    return path


def make_private(directory: Path) -> None:
    """Make a directory that only its owner can look into, or make it so; one of somebody else stays as it is."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid == os.geteuid() and directory.stat().st_mode & 0o077:
        directory.chmod(0o700)


def save(source: BinaryIO, path: Path) -> None:
    """Write what a stream has into a file, whole or not at all, and close the stream."""
    with source, replacing(path) as target:
        shutil.copyfileobj(source, target)


def has_content(path: Path, source: BinaryIO) -> bool:
    """Whether a path is a file that has just what a stream has; this is read, and closed."""
    with source:
        return path.is_file() and sha256_of(path) == sha256_of_rest(source)


def describe_failure(error: OSError) -> str:
    """Return in words which file or directory something is wrong with, and what."""
    place = error.filename2 or error.filename  # of a file that could not take another's place, that place
    return f"{str(place)!r}: {error.strerror}" if place else str(error)


@contextmanager
def working_space() -> Iterator[None]:
    """Report as a `StoreError` that the disk of temporary files is full, if that is what ends the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        place = tempfile.gettempdir()
        raise StoreError(
            f"no space left for temporary files in {place}: free some, or set TMPDIR to a larger disk"
        ) from error


@contextmanager
def own_scratch() -> Iterator[None]:
    """Keep temporary files, of this process and of programs that it starts, in a `scratch_directory`."""
    before, above = os.environ.get("TMPDIR"), tempfile.gettempdir()
    with scratch_directory() as own:
        tempfile.tempdir = os.environ["TMPDIR"] = str(own)
        try:
            yield
        finally:
            tempfile.tempdir = above
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give a directory among temporary files that is removed at the end of the block, or after this process is killed.

    Such directories of processes that were killed are removed when the next one is needed. That one lives, a lock on
    its directory says, which goes with the process; its number may be another's by now.
    """
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{_SCRATCH}*"):
        with suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_ours:
            if is_ours:
                shutil.rmtree(left)
    with ExitStack() as held:
        while True:
            own = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=above))
            held.enter_context(_locked(own, fcntl.LOCK_EX))
            if own.exists():  # else another process found it before it was locked
                break
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[bool]:
    """Lock a directory while the block runs; say whether it belongs to the user of this process."""
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(place, how)
        yield os.fstat(place).st_uid == os.geteuid()
    finally:
        os.close(place)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to that takes the place of ``path`` if the block ends well, and else is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{uuid4().hex}.tmp")  # its own for each writer: several may write one file at a time
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    except OSError as error:
        if error.errno in NO_SPACE and not error.filename:  # a write does not say where
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)
