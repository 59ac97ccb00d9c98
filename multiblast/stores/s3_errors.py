"""Errors of S3, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from multiblast.errors import StoreAwayError, StoreError

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})

_BUSY = "the server is overloaded: try again later, or run fewer workers"
_TROUBLE = "the server is in trouble: look into its log, and try again"
_AWAY = "check that it runs, and the endpoint URL"
_PASSING = frozenset({_BUSY, _TROUBLE, _AWAY})
_EXPIRED = "the credentials have expired: renew them in the bucket's block"
_FULL = "the server has no space left: free some, or enlarge it"
_DAMAGED = "the data arrived damaged: try again, and look for a faulty network or proxy"

# Servers answer with S3's codes, with codes of their own, or only with a status.
_CODES = {
    "create the bucket, or correct its name": ("NoSuchBucket",),
    "check what these credentials may do with this bucket": ("AccessDenied", "403"),
    "the credentials are refused: correct them in the bucket's block": ("InvalidAccessKeyId", "SignatureDoesNotMatch"),
    "correct the region of the credentials": ("AuthorizationHeaderMalformed", "PermanentRedirect"),
    _EXPIRED: ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    "the clocks of this machine and the server differ: set them by a time server": ("RequestTimeTooSkewed",),
    _BUSY: ("SlowDown", "ServiceUnavailable", "TooManyRequests", "429", "503"),
    _TROUBLE: ("InternalError", "500", "502", "504"),
    _FULL: ("507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"),
    _DAMAGED: ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"),
    "it was replaced while it was read: read it again": ("PreconditionFailed",),
}
_REMEDIES = {code: remedy for remedy, codes in _CODES.items() for code in codes}

_BEFORE_AN_ANSWER: tuple[tuple[type[BotoCoreError] | tuple[type[BotoCoreError], ...], str, str], ...] = (
    ((NoCredentialsError, PartialCredentialsError), "there are no credentials", "fill them in in the bucket's block"),
    (FlexibleChecksumError, "wrong checksum", _DAMAGED),
    ((EndpointConnectionError, ConnectTimeoutError), "no server answers", _AWAY),
    (ReadTimeoutError, "the server did not answer in time", _TROUBLE),
    ((IncompleteReadError, ResponseStreamingError), "the connection was cut", _TROUBLE),
    ((ConnectionClosedError, HTTPClientError), "the connection was cut", _TROUBLE),
)


@dataclass(slots=True)
class S3Place:
    """A bucket at a server, as messages name it, and how often that was away."""

    bucket: str
    endpoint: str
    outages: int = 0

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"

    def error(self, action: str, key: str, error: ClientError | BotoCoreError) -> StoreError:
        """Return an error that names what could not be done, where, why, and the remedy."""
        reason, remedy = _reason(error)
        kind = StoreAwayError if remedy in _PASSING else StoreError
        self.outages += kind is StoreAwayError
        return kind(f"cannot {action} {key!r} in {self}: {reason}" + (f"; {remedy}" if remedy else ""))

    @contextmanager
    def explaining(self, action: str, key: str) -> Iterator[None]:
        """Turn what boto3 raises inside the block into a `StoreError`."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self.error(action, key, error) from error


def error_code(error: BaseException) -> str:
    """Return the server's code of an error; empty if it did not come from a server."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _reason(error: ClientError | BotoCoreError) -> tuple[str, str]:
    if isinstance(error, ClientError):
        details, code = error.response.get("Error", {}), error_code(error)
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        reason = f"{details.get('Message') or 'no reason given'} ({code})"
        return reason, _REMEDIES.get(code) or _REMEDIES.get(status, "")
    for kinds, reason, remedy in _BEFORE_AN_ANSWER:
        if isinstance(error, kinds):
            return reason, remedy
    return str(error), ""
