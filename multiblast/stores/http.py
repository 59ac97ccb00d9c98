"""The objects that a grant names, behind a gateway: read by range, pushed in pieces that go on where they broke off."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import SEEK_END, BufferedReader
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

import httpx

from multiblast.errors import ObjectMissingError, StoreAwayError, StoreError
from multiblast.files import PieceReader
from multiblast.stores.base import CHUNK_BYTES, Store, StoredObject, check_key, chunks
from multiblast.stores.gateway_client import PATIENCE_S, GatewayClient, Grant, InterruptedTransferError, Patience

_SMALL_BYTES = 1 << 20
_PIECE_BYTES = 16 << 20
_SENT_BYTES = 256 << 10  # of one that was given whole, httpx would copy the rest again and again
_TUS = {"Tus-Resumable": "1.0.0"}


class HttpStore(Store):
    """The objects that a grant names.

    Args:
        url: The gateway's address, such as ``https://blast.example.org/gateway``.
        grant: Returns the grant to show: see `Grant`.
        prefix: What the keys there begin with, and ours do not.
        ca: A file with the certificates to trust, where the gateway's is of nobody whom this machine knows.
        patience_s: For how long whatever breaks off is tried again, since anything arrived last.
    """

    may_be_marked = False  # its grant names what it reaches

    def __init__(
        self, url: str, grant: Grant, *, prefix: str = "", ca: Path | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._client, self._prefix = GatewayClient(url, grant, ca=ca, patience_s=patience_s), prefix

    def __repr__(self) -> str:
        return f"HttpStore({self._client.url!r}, prefix={self._prefix!r})"

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Push an object whole; a large one in pieces, of which none is sent twice: see `Store.put`.

        Raises:
            ConflictError: there are other bytes, or this is more than the grant allows.
        """
        path = self._path(key)
        with _readable_twice(data) as (stream, size, sha256):
            if size <= _SMALL_BYTES:
                digest = {"Content-Digest": f"sha-256=:{_base64(bytes.fromhex(sha256))}:"}
                self._client.ask("PUT", path, key=key, content=stream.read(), headers=digest)
            else:
                self._upload(key, stream, size, sha256)
        return self.stat(key)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open an object, or a range of it, to be read as it arrives: see `Store.open`."""
        size = self.stat(key).size_bytes
        end = size if length is None else min(size, start + length)
        return cast("BinaryIO", BufferedReader(_Fetched(self._client, key, self._path(key), start, end), CHUNK_BYTES))

    def stat(self, key: str) -> StoredObject:
        """Describe an object: see `Store.stat`."""
        facts = self._client.ask("HEAD", self._path(key), key=key).headers
        return StoredObject(key, int(facts["content-length"]), parsedate_to_datetime(facts["last-modified"]))

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object, which the gateway knows if it was pushed: see `Store.sha256`."""
        headers = self._client.ask("HEAD", self._path(key), key=key).headers
        known = base64.b64decode(headers.get("repr-digest", "").partition(":")[2].rstrip(":")).hex()
        return known or super().sha256(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """List what the grant names: see `Store.list`."""
        with self._client.stream(
            "GET", f"/objects?prefix={quote(self._prefix + prefix, safe='')}", key=prefix
        ) as answer:
            for line in answer.iter_lines():
                facts = json.loads(line)
                yield StoredObject(
                    facts["key"].removeprefix(self._prefix), facts["size"], datetime.fromisoformat(facts["modified"])
                )

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, where the grant lets replace: see `Store.delete`."""
        for key in keys:
            self._client.ask("DELETE", self._path(key), key=key)

    def greet(self) -> None:
        """Make sure that the gateway is there, and takes the grant; errors as of `GatewayClient.ask`."""
        self._client.ask("GET", "/health")

    def sweep(self) -> int:
        """Leave it to the gateway, which sweeps what was left of uploads itself."""
        return 0

    def locate(self, key: str) -> str:
        """Return the address at which a grant fetches it."""
        return self._client.url + self._path(key)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _path(self, key: str) -> str:
        return f"/objects/{quote(self._prefix + check_key(key))}"

    def _upload(self, key: str, stream: BinaryIO, size: int, sha256: str) -> None:
        metadata = f"key {_base64((self._prefix + key).encode())},sha256 {_base64(sha256.encode())}"
        headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
        place, offset = self._begin(key, headers)
        patience = Patience(self._client.patience_s)
        while offset < size:
            piece = FilePart(stream, offset, min(_PIECE_BYTES, size - offset))
            try:
                offset = self._send_piece(key, place, piece)
                patience = Patience(self._client.patience_s)
            except (StoreAwayError, ObjectMissingError) as error:  # it may have arrived all the same, also as the last
                patience.wait(error)
                place, offset = self._begin(key, headers)

    def _begin(self, key: str, headers: Mapping[str, str]) -> tuple[str, int]:
        """Return where an upload takes its pieces, and how much of it is there; all, if it is kept already."""
        begun = self._client.ask("POST", "/uploads", key=key, headers=headers).headers
        return f"/uploads/{begun['location'].rpartition('/')[2]}", int(begun["upload-offset"])

    def _send_piece(self, key: str, place: str, piece: FilePart) -> int:
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(piece.length),
            "Upload-Offset": str(piece.start),
            "Upload-Checksum": f"sha256 {_base64(piece.sha256())}",
        }
        answer = self._client.ask("PATCH", place, key=key, content=piece, headers=headers, once=True)
        return int(answer.headers["upload-offset"])


class FilePart:
    """A part of a stream, to be read a little at a time, as often as it is wanted."""

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        self.start, self.length = start, length
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        """Yield its bytes."""
        self._stream.seek(self.start)
        left = self.length
        while left and (data := self._stream.read(min(_SENT_BYTES, left))):
            left -= len(data)
            yield data

    def sha256(self) -> bytes:
        """Return its digest."""
        found = hashlib.sha256()
        for data in self:
            found.update(data)
        return found.digest()


class _Fetched(PieceReader):
    """A range of an object; where it breaks off, the rest is asked for."""

    def __init__(self, client: GatewayClient, key: str, path: str, start: int, end: int) -> None:
        self._client, self._key, self._path, self._at, self._end = client, key, path, start, end
        self._held = ExitStack()
        self._pieces: Iterator[bytes] | None = None
        self._rest, self._tag = b"", ""

    def next_piece(self, size: int) -> bytes:
        if not self._rest:
            self._rest = self._next_arriving()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _next_arriving(self) -> bytes:
        if self._at >= self._end:
            return b""
        patience = Patience(self._client.patience_s)
        while True:
            try:
                if piece := self._arriving():
                    self._at += len(piece)
                    return piece
                problem: StoreAwayError = InterruptedTransferError(f"{self._key!r} ended before it was whole")
            except StoreAwayError as error:
                problem = error
            except httpx.TransportError as error:
                problem = InterruptedTransferError(f"fetching {self._key!r} broke off again and again: {error}")
            self._let_go()
            patience.wait(problem)

    def _arriving(self) -> bytes:
        if self._pieces is None:
            wanted = {"Range": f"bytes={self._at}-{self._end - 1}"} | ({"If-Range": self._tag} if self._tag else {})
            answer = self._held.enter_context(self._client.stream("GET", self._path, key=self._key, headers=wanted))
            if self._tag and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise StoreError(f"{self._key!r} was replaced while it was fetched: fetch it again")
            self._tag = answer.headers.get("etag", "")
            self._pieces = answer.iter_raw(CHUNK_BYTES)
        return next(self._pieces, b"")

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        self._held.close()
        self._pieces = None


@contextmanager
def _readable_twice(data: BinaryIO | Iterable[bytes] | bytes) -> Iterator[tuple[BinaryIO, int, str]]:
    """Give data as a stream that was read once, for its size in bytes and its SHA-256; what cannot be is spooled."""
    found = hashlib.sha256()
    if isinstance(data, BufferedReader) and data.seekable() and data.tell() == 0:
        while piece := data.read(CHUNK_BYTES):
            found.update(piece)
        size = data.seek(0, SEEK_END)
        data.seek(0)
        yield cast("BinaryIO", data), size, found.hexdigest()
        return
    with tempfile.TemporaryFile() as spool:
        for piece in chunks(data):
            found.update(piece)
            spool.write(piece)
        size = spool.tell()
        spool.seek(0)
        yield cast("BinaryIO", spool), size, found.hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
