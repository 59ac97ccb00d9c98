"""Talking to a server that may be slow, busy or gone: limits, retries, and errors in plain words."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential_jitter,
)

from multiblast.errors import MultiblastError, NotAllowedError, NotFoundError, StoreError
from multiblast.registry.local.secrets import shown
from multiblast.registry.remotes.answers import parse_json, read_length
from multiblast.registry.remotes.deadlines import SlowAnswerError, bound

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_SKEW_REPORTED_S = 300
_LONGEST_WAIT_S = 30.0
_SHOWN = 300
_REDIRECTS = 5
_LARGEST_ANSWER_BYTES = 64 << 20
_LARGEST_UNANNOUNCED_BYTES = 1 << 30  # of a file whose length the server does not say
_SLOWEST_BYTES_A_S = 1024
_OF_THE_TRANSFER = {"content-encoding", "content-length", "transfer-encoding"}
_PATIENCE = 10  # an answer, or a file beside what its bytes take, may last as many times the time-out


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait for a server, and how often to try again.

    Attributes:
        attempts: How often to try before giving up on what may pass.
        first_wait_s: The first wait between two attempts; each next one is twice as long.
        at_once: Requests and transfers under way at the same time.
    """

    timeout_s: float = 60.0
    attempts: int = 5
    first_wait_s: float = 0.5
    at_once: int = 8


class Connection:
    """Requests to one server over connections that are kept; safe to use from many threads.

    Attributes:
        requests: How many were sent, the repeated ones included.
        skew_s: How far this machine's clock is ahead of the server's, as last heard.
    """

    def __init__(self, base: str, token: str = "", limits: RetryPolicy | None = None, password: str = "") -> None:
        self.base = base.rstrip("/") + "/"
        self.limits = limits or RetryPolicy()
        self.requests = 0
        self.skew_s = 0.0
        user, _, word = password.partition(":")
        self._token, self._login = token, (user, word) if password else None
        self._counting = threading.Lock()
        self._client = httpx.Client(
            http2=True,  # where TLS offers it
            timeout=httpx.Timeout(self.limits.timeout_s, connect=min(10.0, self.limits.timeout_s)),
            limits=httpx.Limits(max_connections=2 * self.limits.at_once, max_keepalive_connections=self.limits.at_once),
            max_redirects=_REDIRECTS,
            verify=_trusted(),
            headers={"Accept": "application/json"},
        )
        self._deadlines = bound(self._client)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    @property
    def clock_warning(self) -> str:
        """A warning of clocks that differ; empty if they agree."""
        if abs(self.skew_s) < _SKEW_REPORTED_S:
            return ""
        way = "ahead of" if self.skew_s > 0 else "behind"
        host = urlsplit(self.base).netloc
        return f"this machine's clock is {abs(self.skew_s):.0f} s {way} that of {host}: set it, or dates will be wrong"

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON that a path under the base, or a URL, answers with.

        Raises:
            NotFoundError: 404.
            NotAllowedError: 403.
            StoreError: no usable answer, after all attempts.
        """
        # Reads are anonymous, and a wrong token would make them fail.
        response = self._with_retries(lambda: self._send("GET", self._url(path), params=params))
        if response.is_error:
            self._refuse(response)
        return parse_json(response.content, _place(response))

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send JSON with the token; 201, 200, 400 and 409 are answers, anything else is an error."""
        response = self._with_retries(
            lambda: self._send("POST", self._url(path), json=body, headers={"Authorization": f"token {self._token}"})
        )
        if response.status_code not in (200, 201, 400, 409):
            self._refuse(response)
        return response

    def put(self, url: Callable[[], str], content: Callable[[], Iterator[bytes]], size_bytes: int) -> httpx.Response:
        """Upload to a signed URL; each attempt requests a new one, and no token goes with it."""
        headers = {"Content-Length": str(size_bytes)}
        response = self._with_retries(lambda: self._send("PUT", url(), size_bytes, content=content(), headers=headers))
        if response.is_error:
            self._refuse(response)
        return response

    @contextmanager
    def stream(self, url: str, start: int = 0, length: int | None = None) -> Iterator[httpx.Response]:
        """Open a download from a byte on, through redirections.

        Raises:
            NotFoundError: there is no such file.
            StoreError: as `get`.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if start or length is not None:
            end = "" if length is None else str(start + length - 1)
            headers["Range"] = f"bytes={start}-{end}"
        response = self._with_retries(
            lambda: self._send("GET", url, headers=headers, stream=True, follow_redirects=True)
        )
        try:
            if response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and response.is_error:
                self._refuse(self._read_message(response))
            yield response
        finally:
            response.close()

    def _url(self, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return self.base + path
        # The server may name itself by another name or scheme than we do: stay with ours.
        theirs, ours = urlsplit(path), urlsplit(self.base)
        return theirs._replace(scheme=ours.scheme, netloc=ours.netloc).geturl()

    def download(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body of a `stream`, which is no longer than announced, and not endlessly slow.

        Raises:
            StoreError: it is.
        """
        announced = read_length(response.headers.get("content-length", ""))
        largest = _LARGEST_UNANNOUNCED_BYTES if announced is None else announced
        # In pieces as they come: what is late is the piece that is waited for, not one of a size that we want.
        yield from self._bounded(response, response.iter_raw(), largest, self._ends_at(), 1 / _SLOWEST_BYTES_A_S)

    def _ends_at(self, size_bytes: int = 0) -> float:
        """Return until when an answer is waited for; ``size_bytes`` of a file that is sent before it."""
        return time.monotonic() + _PATIENCE * self.limits.timeout_s + size_bytes / _SLOWEST_BYTES_A_S

    def _bounded(
        self, response: httpx.Response, chunks: Iterator[bytes], largest: int, ends_at: float, byte_s: float = 0
    ) -> Iterator[bytes]:
        """Yield a body until a moment, which each byte that came puts off by ``byte_s``."""
        size, place = 0, _place(response)
        while True:
            try:
                with self._deadlines.until(ends_at + size * byte_s):
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                size += len(chunk)
                self._deadlines.check(ends_at + size * byte_s)
            except SlowAnswerError as error:
                reason = f"{place} sends too slowly: {size:,} bytes came; run the same again to go on"
                raise StoreError(reason) from error
            if size > largest:
                raise StoreError(f"{place} sends more than {largest:,} bytes, and than it said: it is not read on")
            yield chunk

    def _send(
        self,
        method: str,
        url: str,
        size_bytes: int = 0,
        *,
        stream: bool = False,
        follow_redirects: bool = False,
        **rest: Any,
    ) -> httpx.Response:
        started, ends_at = time.monotonic(), self._ends_at(size_bytes)
        with self._counting:
            self.requests += 1
        try:
            request = self._client.build_request(method, url, **rest)
            # A site behind a log-in: nobody else gets to know user and password, and a token goes before them.
            ours = self._login if url.startswith(self.base.removesuffix("api/")) else None
            login = ours if "Authorization" not in request.headers else None
            with self._deadlines.until(ends_at):
                response = self._client.send(request, stream=True, follow_redirects=follow_redirects, auth=login)
            if not stream:
                response = self._read(response, ends_at)
        except SlowAnswerError as error:
            limit_s = ends_at - started
            reason = f"{shown(url)[:_SHOWN]} answers too slowly: it is not read on after {limit_s:,.0f} s"
            raise StoreError(f"{reason}; what is done is kept: run the same again to go on") from error
        except httpx.TransportError as error:
            if isinstance(error, httpx.UnsupportedProtocol):
                raise StoreError(f"{shown(url)[:_SHOWN]} leads to no address on the web") from error
            raise
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, UnicodeError) as error:
            raise StoreError(f"{shown(url)[:_SHOWN]} cannot be requested: {error}") from error
        with self._counting:
            self.requests += len(response.history)
        first = response.history[0] if response.history else response
        # No date, or one without a zone or out of range: it only serves a warning.
        with suppress(ValueError, TypeError, OverflowError):
            date = parsedate_to_datetime(first.headers.get("date", ""))
            self.skew_s = (datetime.now(UTC) - date).total_seconds()
        return response

    def _read(self, response: httpx.Response, ends_at: float) -> httpx.Response:
        """Return an answer with its body, which is held in memory."""
        try:
            body = b"".join(self._bounded(response, response.iter_bytes(), _LARGEST_ANSWER_BYTES, ends_at))
        finally:
            response.close()
        headers = [pair for pair in response.headers.multi_items() if pair[0] not in _OF_THE_TRANSFER]
        return httpx.Response(
            response.status_code, headers=headers, content=body, request=response.request, history=response.history
        )

    def _read_message(self, response: httpx.Response) -> httpx.Response:
        """Return an error answer with what it says, or with nothing if that breaks off."""
        try:
            return self._read(response, self._ends_at())
        except (httpx.HTTPError, StoreError):
            return httpx.Response(response.status_code, request=response.request, history=response.history)

    def _with_retries(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        retrying = Retrying(
            retry=retry_if_exception_type(httpx.TransportError)
            | retry_if_result(lambda response: response.status_code in _TRANSIENT),
            stop=stop_after_attempt(self.limits.attempts),
            wait=self._wait_s,
            before_sleep=_close,
            # After the last attempt its answer is what counts, or its error.
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            return retrying(send)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def _wait_s(self, state: RetryCallState) -> float:
        """Return how long to wait: what the server wants, else exponentially longer, at no common moment."""
        if state.outcome and not state.outcome.failed:
            after = state.outcome.result().headers.get("retry-after", "")
            if after.isdigit():
                return min(_LONGEST_WAIT_S, float(after))
        first_s = self.limits.first_wait_s
        return wait_exponential_jitter(multiplier=first_s, max=_LONGEST_WAIT_S, jitter=first_s / 2)(state)

    def unreachable(self, error: httpx.TransportError) -> StoreError:
        """Return the error of a server that does not answer."""
        host = error.request.url.netloc.decode()
        tried = f"{self.limits.attempts} times"
        if isinstance(error, httpx.TimeoutException):
            reason = f"did not answer within {self.limits.timeout_s:g} s, {tried}"
        elif isinstance(error, httpx.ConnectError):
            reason = f"cannot be reached ({error}), tried {tried}: check the address, and that it runs"
        else:
            reason = f"broke the connection {tried} ({error or type(error).__name__})"
        return StoreError(f"{host} {reason}; what is done is kept: run the same again to go on")

    def _refuse(self, response: httpx.Response) -> None:
        """Raise what an error answer means."""
        host, code = response.url.netloc.decode(), response.status_code
        message = printable(response.text[:_SHOWN]).strip()
        foreign = host != urlsplit(self.base).netloc
        if code == HTTPStatus.NOT_FOUND:
            raise NotFoundError("file or record", _place(response), f"{host} does not have it")
        if code in (HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST) and foreign:  # some answer 400 to one that is late
            raise NotAllowedError(
                f"the storage at {host} refused the signed link ({code}): it may have expired, or the clocks of the "
                f"servers differ; {self.clock_warning or 'run the same again'}. It answered: {message}"
            )
        if code in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
            raise NotAllowedError(
                f"{host} refused the token ({code}): get a new one on its web page and set it with "
                "`multiblast registry remote`"
            )
        if code in _TRANSIENT:
            raise StoreError(
                f"{host} failed with {code} {self.limits.attempts} times; what is done is kept: run it again later"
            )
        raise MultiblastError(f"{host} answered {code} to {response.request.method} {response.url.path}: {message}")


@cache
def _trusted() -> ssl.SSLContext:
    """Return what certificates are checked by; to read them all takes longer than many a request."""
    return httpx.create_ssl_context()


def _place(response: httpx.Response) -> str:
    """Return where an answer came from, without what opened it."""
    return shown(str(response.url.copy_with(query=None)))


def printable(text: str) -> str:
    """Return text from elsewhere without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)


def _close(state: RetryCallState) -> None:
    if state.outcome and not state.outcome.failed:
        state.outcome.result().close()
