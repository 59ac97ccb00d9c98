"""Files of web servers: read as a stream, from addresses that a caller may check."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from io import BufferedReader
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from multiblast.coupling.reference import WEB
from multiblast.errors import ObjectMissingError, StoreAwayError, StoreError
from multiblast.files import PieceReader
from multiblast.network import CheckedConnection
from multiblast.stores.base import CHUNK_BYTES

_TIMEOUT_S = 30
_SLOWEST_BYTES_PER_S = 1024  # a time-out starts anew with every byte
_LONGEST_HEAD_S = 120.0
_REDIRECTIONS = 5
_GONE = {404, 410}
_TROUBLE = 500

CheckUrl = Callable[[str], Callable[[str], None]]
"""Raises an error unless a URL may be read; returns what does so for the numeric address behind it."""


def open_url(url: str, check: CheckUrl | None = None) -> BinaryIO:
    """Open what a web server has at a URL; redirections are followed, each checked.

    Raises:
        ObjectMissingError: there is nothing at the URL.
        StoreError: the server cannot be reached, or gives something else.
    """
    return BufferedReader(_Download(url, check or _anything), CHUNK_BYTES)


def _anything(_url: str) -> Callable[[str], None]:
    return lambda _address: None


class _Download(PieceReader):
    """What a web server has at a URL: see `open_url`."""

    def __init__(self, url: str, check: CheckUrl) -> None:
        for _ in range(_REDIRECTIONS):
            self._url = url
            self._connection, self._answer = _ask(url, check(url))
            location = self._answer.headers.get("Location", "")
            if not (300 <= self._answer.status < 400 and location):  # noqa: PLR2004 - redirections, in HTTP
                break
            self._connection.close()
            url = urljoin(url, location)
            if urlsplit(url).scheme not in WEB:
                raise StoreError(f"{self._url} leads to {url[:200]!r}, which is no web address")
        self._check_status()

    def next_piece(self, size: int) -> bytes:
        """Return what comes next; a `StoreError` if the connection breaks before the end."""
        try:
            with self._connection.within(_TIMEOUT_S + size / _SLOWEST_BYTES_PER_S):
                piece = self._answer.read(size)
        except (OSError, HTTPException) as error:
            raise StoreAwayError(f"the connection to {self._url} was cut: {error!r}; try again") from error
        if not piece and size and self._answer.length:  # the library reports this only to a read of everything
            raise StoreAwayError(f"the connection to {self._url} was cut: {self._answer.length:,} bytes are missing")
        return piece

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        super().close()

    def _check_status(self) -> None:
        status, reason = self._answer.status, f"{self._url} answered {self._answer.status} {self._answer.reason}"
        if status == 200:  # noqa: PLR2004 - success, in HTTP
            return
        self._connection.close()
        if status in _GONE:
            raise ObjectMissingError(self._url)
        raise (StoreAwayError if status >= _TROUBLE else StoreError)(reason)


def _ask(url: str, check: Callable[[str], None]) -> tuple[CheckedConnection, HTTPResponse]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = CheckedConnection(parts.hostname or "", port, parts.scheme, check, _TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # As it is stored: a compressed file stays one, and has the digest that it should.
        with connection.within(_LONGEST_HEAD_S):
            connection.request("GET", target, headers={"User-Agent": "multiblast", "Accept-Encoding": "identity"})
            return connection, connection.getresponse()
    except (OSError, HTTPException, ValueError) as error:
        connection.close()
        if isinstance(error, StoreError | PermissionError):
            raise
        raise StoreAwayError(f"{parts.netloc} cannot be reached: {error or type(error).__name__}") from error
