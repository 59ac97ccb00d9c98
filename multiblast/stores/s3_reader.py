"""Reading an object of S3 as a stream that survives broken connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from multiblast.errors import StoreError
from multiblast.files import PieceReader
from multiblast.stores.base import CHUNK_BYTES

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from multiblast.stores.s3_errors import S3Place

_BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_ATTEMPTS = 5  # in a row, without a single byte
_WAIT_S = 0.2  # before the second of them, doubled each time


class ObjectReader(PieceReader):
    """An object, or ``length`` bytes of it from byte ``start`` (0-based); the request is sent at once.

    Raises:
        ClientError, BotoCoreError: as the client does, here only; later a `StoreError`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a range of an object in a place
        self, client: S3Client, place: S3Place, key: str, name: str, start: int, length: int | None
    ) -> None:
        # None before the first answer and once the connection is broken: `close` needs it also if the request fails.
        self._body: StreamingBody | None = None
        self._client = client
        self._place = place
        self._key = key
        self._name = name
        self._position = start
        self._retrying = Retrying(
            retry=retry_if_exception_type(_BROKEN),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(_WAIT_S),
            reraise=True,
        )
        request: dict[str, Any] = {}
        if start or length is not None:
            request["Range"] = f"bytes={start}-{start + length - 1 if length is not None else ''}"
        else:
            request["ChecksumMode"] = "ENABLED"  # checked by the client when the end is read
        answer = client.get_object(Bucket=place.bucket, Key=name, **request)
        self._body = answer["Body"]
        self._end = start + answer["ContentLength"]
        self._etag = answer["ETag"]

    def next_piece(self, size: int) -> bytes:
        """Return what comes next, of the same object even if the connection breaks."""
        try:
            piece = self._retrying(self._read, size)
        except (ClientError, BotoCoreError) as error:
            raise self._place.error("read", self._key, error) from error
        self._position += len(piece)
        return piece

    def readall(self) -> bytes:
        """Read to the end, in large pieces."""
        return b"".join(iter(lambda: self.next_piece(CHUNK_BYTES), b""))

    def close(self) -> None:
        """Give the connection back."""
        if self._body is not None:
            self._body.close()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._rest()
        try:
            return self._body.read(size)
        except _BROKEN:
            self._body.close()
            self._body = None
            raise

    def _rest(self) -> Any:
        """Ask for what has not been read yet, if it is still the same object."""
        rest = f"bytes={self._position}-{self._end - 1}"
        answer = self._client.get_object(Bucket=self._place.bucket, Key=self._name, Range=rest, IfMatch=self._etag)
        if answer["ETag"] != self._etag:  # not every server knows If-Match
            answer["Body"].close()
            raise StoreError(f"{self._key!r} in {self._place} was replaced while it was read: read it again")
        return answer["Body"]
