"""Talking to a server that may be slow, busy or gone: limits, retries, and errors in plain words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_SKEW_REPORTED_S = 300
_LONGEST_WAIT_S = 30.0
_SHOWN = 300


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

    def __init__(self, base: str, token: str = "", limits: RetryPolicy | None = None) -> None:
        self.base = base.rstrip("/") + "/"
        self.limits = limits or RetryPolicy()
        self.requests = 0
        self.skew_s = 0.0
        self._token = token
        self._counting = threading.Lock()
        self._client = httpx.Client(
            http2=True,  # where TLS offers it
            timeout=httpx.Timeout(self.limits.timeout_s, connect=min(10.0, self.limits.timeout_s)),
            limits=httpx.Limits(max_connections=2 * self.limits.at_once, max_keepalive_connections=self.limits.at_once),
            headers={"Accept": "application/json"},
        )

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
        try:
            return response.json()
        except ValueError as error:
            raise StoreError(
                f"{response.url} answered with something that is not JSON: is this the address of a FAIR registry?"
            ) from error

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
        response = self._with_retries(lambda: self._send("PUT", url(), content=content(), headers=headers))
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
                response.read()
                self._refuse(response)
            yield response
        finally:
            response.close()

    def _url(self, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return self.base + path
        # The server may name itself by another name or scheme than we do: stay with ours.
        theirs, ours = urlsplit(path), urlsplit(self.base)
        return theirs._replace(scheme=ours.scheme, netloc=ours.netloc).geturl()

    def _send(
        self, method: str, url: str, *, stream: bool = False, follow_redirects: bool = False, **rest: Any
    ) -> httpx.Response:
        with self._counting:
            self.requests += 1
        request = self._client.build_request(method, url, **rest)
        response = self._client.send(request, stream=stream, follow_redirects=follow_redirects)
        with self._counting:
            self.requests += len(response.history)
        first = response.history[0] if response.history else response
        with suppress(ValueError, TypeError):  # no date, or one without a zone: it only serves a warning
            date = parsedate_to_datetime(first.headers.get("date", ""))
            self.skew_s = (datetime.now(UTC) - date).total_seconds()
        return response

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
        message = response.text[:_SHOWN].strip() if not response.is_stream_consumed or response.is_closed else ""
        foreign = host != urlsplit(self.base).netloc
        if code == HTTPStatus.NOT_FOUND:
            raise NotFoundError("file or record", str(response.url.copy_with(query=None)), f"{host} does not have it")
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


def _close(state: RetryCallState) -> None:
    if state.outcome and not state.outcome.failed:
        state.outcome.result().close()
