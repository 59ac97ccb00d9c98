"""Reading an object of S3 as a stream that survives broken connections."""

from __future__ import annotations

import time
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from multiblast.errors import StoreError
from multiblast.stores.base import CHUNK_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from multiblast.stores.s3_errors import S3Place

__all__ = ["ObjectReader"]

_BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_ATTEMPTS = 5  # in a row, without a single byte
_WAIT_S = 0.2  # before the first of them, doubled each time


class ObjectReader(RawIOBase):
    """An object, or a range of it; the request is sent at once.

    Args:
        client: Of the server.
        place: For messages.
        key: For messages.
        name: The object's full name in the bucket.
        start: First byte, 0-based.
        length: How many bytes; None for all the rest.

    Raises:
        ClientError, BotoCoreError: as the client does, here only; later a `StoreError`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a range of an object in a place
        self, client: S3Client, place: S3Place, key: str, name: str, start: int, length: int | None
    ) -> None:
        self._client, self._place, self._key, self._name = client, place, key, name
        self._position, self._failures = start, 0
        request: dict[str, Any] = {}
        if start or length is not None:
            request["Range"] = f"bytes={start}-{start + length - 1 if length is not None else ''}"
        else:
            request["ChecksumMode"] = "ENABLED"  # checked by the client when the end is read
        answer = client.get_object(Bucket=place.bucket, Key=name, **request)
        self._body = answer["Body"]
        self._end, self._etag = start + answer["ContentLength"], answer["ETag"]

    def readable(self) -> bool:
        """Tell that this is for reading."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # the stub's Buffer has no length
        """Read what comes next, at most a buffer full."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Read to the end, in large pieces."""
        return b"".join(iter(lambda: self._read(CHUNK_BYTES), b""))

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()
        super().close()

    def _read(self, size: int) -> bytes:
        while True:
            try:
                data = self._body.read(size)
            except _BROKEN as error:
                self._reopen(error)
            except BotoCoreError as error:
                raise self._place.error("read", self._key, error) from error
            else:
                self._position += len(data)
                if data:
                    self._failures = 0
                return data

    def _reopen(self, error: BotoCoreError) -> None:
        """Ask for the rest, if it is still the same object."""
        self._body.close()
        self._failures += 1
        if self._failures >= _ATTEMPTS:
            raise self._place.error("read", self._key, error) from error
        time.sleep(_WAIT_S * 2 ** (self._failures - 1))
        rest = f"bytes={self._position}-{self._end - 1}"
        try:
            answer = self._client.get_object(Bucket=self._place.bucket, Key=self._name, Range=rest, IfMatch=self._etag)
        except (ClientError, BotoCoreError) as again:
            raise self._place.error("read", self._key, again) from again
        if answer["ETag"] != self._etag:  # not every server knows If-Match
            answer["Body"].close()
            raise StoreError(f"{self._key!r} in {self._place} was replaced while it was read: read it again")
        self._body = answer["Body"]
