"""Uploads that go on where they broke off: kept in a directory until they are whole (tus 1.0's server side)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from multiblast.errors import ConflictError, MultiblastError, NotFoundError, StoreError
from multiblast.files import make_private, replacing, sha256_of_rest
from multiblast.ids import digest, is_id

KEPT_S = 24 * 3600
_SPARE_BYTES = 64 << 20
_DATA, _FACTS, _OFFSET = "data", "facts.json", "offset"


class BrokenPieceError(MultiblastError):
    """What arrived is not what was sent: its digest is another one. Nothing of it was kept."""


class BusyError(MultiblastError):
    """Somebody else sends this upload now."""


class NoSpaceError(MultiblastError):
    """There is no room here for what was announced, or no more."""


@contextmanager
def noticing_full_disk() -> Iterator[None]:
    """Report as a `NoSpaceError` that the disk is full, if that is what ends the block."""
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error, StoreError) else error
        if getattr(cause, "errno", None) not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        reason = "the disk of the gateway is full: what is here of it stays; ask the administrator to free some"
        raise NoSpaceError(reason) from error


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write to a file of an upload: it has no buffer, which could not be emptied on a full disk, so may take less."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload on its way.

    Attributes:
        id: The same for the same content to the same key by the same ticket, so that it is found again.
        length: Its size in bytes.
        sha256: Of all of it, as announced.
        offset: How many bytes are here, from the beginning.
    """

    id: str
    ticket: str
    key: str
    length: int
    sha256: str
    offset: int = 0


class Piece:
    """A piece of an upload while it arrives; nothing of it counts before it is `kept`."""

    def __init__(self, upload: Upload, file: BinaryIO, directory: Path) -> None:
        self.size = 0
        self._upload, self._file, self._directory = upload, file, directory
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take some more of it.

        Raises:
            ConflictError: it is more than was announced.
        """
        self.size += len(data)
        if self._upload.offset + self.size > self._upload.length:
            raise ConflictError(f"the upload was announced with {self._upload.length:,} bytes, and this is more")
        self._hash.update(data)
        write_all(self._file, data)

    def keep(self, sha256: str = "") -> int:
        """Count it; return how many bytes are here now.

        Raises:
            BrokenPieceError: its SHA-256 is another one than that which was sent with it.
        """
        if sha256 and self._hash.hexdigest() != sha256:
            raise BrokenPieceError("the bytes that arrived are not those that were sent: send this piece again")
        offset = self._upload.offset + self.size
        with replacing(self._directory / _OFFSET) as file:
            file.write(b"%d" % offset)
        return offset


class Uploads:
    """All uploads on their way, in one directory.

    Args:
        directory: Where they are kept.
        lands: The directory that they are copied to when they are whole, if it is on this machine.
    """

    def __init__(self, directory: Path, lands: Path | None = None) -> None:
        self._directory, self._lands = directory, lands

    def begin(self, ticket: str, key: str, length: int, sha256: str) -> tuple[Upload, bool]:
        """Return an upload, begun or found again, and whether it is a new one.

        Raises:
            NoSpaceError: there is less free disk than it needs; nothing was begun.
        """
        upload_id = digest("upload/1", [ticket, key, length, sha256])
        place = self._directory / upload_id
        with suppress(NotFoundError):
            return self.get(upload_id, ticket), False
        upload = Upload(upload_id, ticket, key, length, sha256)
        with noticing_full_disk():
            make_private(self._directory)
            self.sweep()
            self._check_room(length)
            place.mkdir(mode=0o700, exist_ok=True)
            (place / _DATA).touch()
            with replacing(place / _FACTS) as file:
                file.write(json.dumps(asdict(upload)).encode())
        return upload, True

    def forget(self, ticket: str, key: str, length: int, sha256: str) -> None:
        """Remove what is here of an upload that turned out not to be needed."""
        with suppress(NotFoundError, BusyError):
            self.remove(self.get(digest("upload/1", [ticket, key, length, sha256]), ticket))

    def get(self, upload_id: str, ticket: str) -> Upload:
        """Return an upload of a ticket, with as much of it as is here.

        Raises:
            NotFoundError: the ticket has none of this id.
        """
        place = self._directory / upload_id
        try:
            facts = json.loads((place / _FACTS).read_bytes()) if is_id(upload_id) else {}
        except FileNotFoundError:
            facts = {}
        if facts.get("ticket") != ticket:
            raise NotFoundError("upload", upload_id[:40], "begin it again")
        with suppress(FileNotFoundError):
            # After a loss of power the note of what is here may have survived what it is about.
            facts["offset"] = min(int((place / _OFFSET).read_bytes()), (place / _DATA).stat().st_size)
        return Upload(**facts)

    @contextmanager
    def piece(self, upload: Upload, offset: int) -> Iterator[Piece]:
        """Take a piece that begins at ``offset`` during the block; what is not kept at its end is forgotten.

        Raises:
            BusyError: another one arrives now.
            ConflictError: it begins elsewhere than where the last one ended.
        """
        place = self._directory / upload.id
        with self._locked(place) as file, noticing_full_disk():
            upload = self.get(upload.id, upload.ticket)
            if offset != upload.offset:
                raise ConflictError(f"{upload.offset:,} bytes are here: go on from there")
            file.truncate(offset)  # of a piece whose end was the end of this process
            file.seek(offset)
            try:
                yield Piece(upload, file, place)
            finally:
                file.truncate(self.get(upload.id, upload.ticket).offset)

    @contextmanager
    def whole(self, upload: Upload) -> Iterator[BinaryIO]:
        """Give all of a complete upload to read, checked, during the block; it is removed when that ends well.

        Raises:
            BusyError: somebody else does this now.
            BrokenPieceError: it is not what was announced; the upload is removed.
        """
        place = self._directory / upload.id
        with self._locked(place) as file:
            found = sha256_of_rest(file)
            if found != upload.sha256:
                shutil.rmtree(place)
                raise BrokenPieceError("the whole is not what was announced: its SHA-256 is another one; send it again")
            file.seek(0)
            yield file
            shutil.rmtree(place)

    def remove(self, upload: Upload) -> None:
        """Forget an upload."""
        with self._locked(self._directory / upload.id):
            shutil.rmtree(self._directory / upload.id)

    def sweep(self) -> int:
        """Remove the uploads of which nothing arrived for a day; return how many."""
        removed = 0
        for place in self._directory.glob("*/"):
            with suppress(FileNotFoundError, BusyError, NotFoundError):  # just removed, or still arriving
                data = place / _DATA  # not there, if who began or removed it was killed
                if time.time() - (data if data.exists() else place).stat().st_mtime > KEPT_S:
                    data.touch()
                    with self._locked(place):
                        shutil.rmtree(place)
                    removed += 1
        return removed

    def _check_room(self, length: int) -> None:
        """Raise a `NoSpaceError` where an upload, or at its end the second copy of it, would fill a disk."""
        places = [self._directory, *([self._lands] if self._lands and self._lands.exists() else [])]
        devices = [place.stat().st_dev for place in places]
        for place in places:
            needed = length * devices.count(place.stat().st_dev) + _SPARE_BYTES
            if shutil.disk_usage(place).free < needed:
                raise NoSpaceError(f"there is no room for {length:,} bytes: ask the administrator to free some")

    @contextmanager
    def _locked(self, place: Path) -> Iterator[BinaryIO]:
        try:
            file = (place / _DATA).open("r+b", buffering=0)
        except FileNotFoundError:
            raise NotFoundError("upload", place.name, "begin it again") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError("another piece of this upload arrives now: wait until it has ended") from None
            if not (place / _DATA).exists():  # removed by who held it before
                raise NotFoundError("upload", place.name, "begin it again")
            yield file
