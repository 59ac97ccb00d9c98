"""Inputs that were fetched, kept by their sha256, so that the next step on this machine need not fetch them again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from multiblast.coupling.arrival import arrive, check_room, go_on, link_or_copy
from multiblast.environment import COUPLING_BYTES
from multiblast.errors import InvalidInputError, Problem
from multiblast.settings import home

_LIMIT_BYTES = 20_000_000_000
_ABANDONED_AFTER_S = 24 * 3600


class InputCache:
    """Files in ``HH/SHA256`` below a directory, read-only; the least recently used go when the limit is reached."""

    def __init__(self, root: Path | None = None, limit_bytes: int | None = None) -> None:
        self.root = home() / "coupling" if root is None else root
        self._limit_bytes = _configured_limit() if limit_bytes is None else limit_bytes
        self._allowance = 0  # bytes that may be added before it is looked again at what is kept

    def take(self, sha256: str, path: Path, *, executable: bool = False) -> bool:
        """Make a kept file appear at ``path``; return False if none is kept."""
        kept = self._path(sha256)
        try:
            link_or_copy(kept, path, executable=executable)
            os.utime(kept, ns=(time.time_ns(), kept.stat().st_mtime_ns))  # when it was last used, and was written
        except FileNotFoundError:  # also when another process has just removed it
            return False
        return True

    def fetch(self, opened: Callable[[int], BinaryIO], path: Path, what: str, *, sha256: str, size_bytes: int) -> str:
        """Get a file, from what is kept or else from a stream, and keep it; return its sha256.

        Arguments are those of `arrive`; ``opened`` opens the file from a byte on. Without a sha256 the stream is read
        whole; with one, it goes on where an attempt ended that was killed. Files larger than the limit are not kept.
        """
        if sha256 and self.take(sha256, path):
            return sha256
        check_room(path.parent, size_bytes, what)
        if size_bytes > self._limit_bytes:
            with opened(0) as stream:
                return arrive(stream, path, what, sha256=sha256, size_bytes=size_bytes)
        self._make_room(size_bytes)
        check_room(self.root, size_bytes, what)
        beside = self.root / ".incoming" / (sha256 or uuid4().hex)
        if sha256 and go_on(opened, beside, what, sha256=sha256, size_bytes=size_bytes):
            return self._keep(beside, path, sha256)
        beside = beside.with_name(uuid4().hex)
        with opened(0) as stream:
            sha256 = arrive(stream, beside, what, sha256=sha256, size_bytes=size_bytes)
        return self._keep(beside, path, sha256)

    def _keep(self, beside: Path, path: Path, sha256: str) -> str:
        try:
            beside.chmod(0o444)  # a step that wrote to it would change what others get
            kept = self._path(sha256)
            kept.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(beside, path)
            beside.replace(kept)
        finally:
            beside.unlink(missing_ok=True)
        return sha256

    def _make_room(self, size_bytes: int) -> None:
        """Remove what was used longest ago until the limit holds, with a margin, and the file fits the disk."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._allowance -= size_bytes
        if self._allowance >= 0 and size_bytes <= shutil.disk_usage(self.root).free:
            return
        self._sweep()
        kept = sorted(self._kept())
        total, margin = sum(size for _, size, _ in kept) + size_bytes, self._limit_bytes // 10
        is_over = total > self._limit_bytes
        for _, size, path in kept:
            if total <= self._limit_bytes - margin * is_over and size_bytes <= shutil.disk_usage(self.root).free:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._allowance = min(self._limit_bytes - total, margin)  # not all, since other processes add to it too

    def _sweep(self) -> None:
        """Remove what was left a day ago by steps that were killed."""
        for path in self.root.glob(".incoming/*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                    path.unlink()

    def _kept(self) -> list[tuple[int, int, Path]]:
        """Return when each kept file was last used, its size and its path."""
        found: list[tuple[int, int, Path]] = []
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_atime_ns, status.st_size, path))
        return found

    def _path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256


def _configured_limit() -> int:
    text = os.environ.get(COUPLING_BYTES, "")
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidInputError(
            Problem(f"{text!r} is no number of bytes: write for example 20000000000", COUPLING_BYTES)
        )
    return int(text or _LIMIT_BYTES)
