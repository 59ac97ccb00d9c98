"""What every request passes first: limits of size and time, its id, the headers of its answer, metrics and the log."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from urllib.parse import quote
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multiblast.network import address_of, host_of, is_literal
from multiblast.settings import HttpRules
from web.errors import HttpError, error_response

_log = logging.getLogger("multiblast.http")

_LONGEST_QUERY = 64 << 10
_UPLOAD_S, _UPLOAD_BYTES_PER_S = 30.0, 10_000  # what a body may take: so long, and more the more of it is there
_DRAIN_S, _DRAIN_BYTES = 5.0, 64 << 20
_SEND_S = 60.0  # what a client may take to read a piece of an answer
_TRACE = re.compile(r"[0-9A-Za-z-]{1,64}")
_SHARED = re.compile(r"(/shared/[^/]*/).+", re.DOTALL)  # a link with a token in it, however it is mistyped or ended
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
}


class HttpMetrics:
    """Counts requests by the template of their route, so that a visitor cannot add series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter("http_total_requests", "Requests.", ["method", "path", "code"], registry=self.registry)
        self._durations = Histogram(
            "http_request_duration", "Seconds a request took.", ["method", "path"], registry=self.registry
        )

    def count(self, method: str, path: str, code: int, seconds: float) -> None:
        """Count one request."""
        method = method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"
        self._requests.labels(method, path, str(code)).inc()
        self._durations.labels(method, path).observe(seconds)


class Guard:
    """Stands before the application.

    Args:
        app: The application.
        rules: What may come, and from where.
        metrics: Where requests are counted.
        names: The host names that requests on loopback may give; None if any.
        unlimited: Paths whose bodies are of any size, since what stands there looks at who sends them first.
        answer: Returns the answer to a request that is refused, or failed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what may come, and what becomes of it
        self,
        app: ASGIApp,
        rules: HttpRules,
        metrics: HttpMetrics,
        names: Collection[str] | None = None,
        unlimited: frozenset[str] = frozenset(),
        answer: Callable[[Request, Exception], Response] = error_response,
    ) -> None:
        self._app, self._rules, self._metrics, self._unlimited = app, rules, metrics, unlimited
        self._names = names
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body_bytes = sys.maxsize if scope["path"] in self._unlimited else self._rules.body_bytes
        passage = _Passage(scope, receive, send, body_bytes, self._answer)
        started = time.perf_counter()
        try:
            if problem := _refusal(scope, self._rules, body_bytes) or _refusal_of_name(scope, self._names):
                await passage.refuse(problem)
            else:
                await self._app(scope, passage.receive, passage.send)
        except TimeoutError:  # the client does not read: no answer can reach it
            passage.code = passage.code or 499
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered once and logged once
            await passage.refuse(error)
        seconds = time.perf_counter() - started
        route = getattr(scope.get("route"), "path_format", "other")
        self._metrics.count(scope["method"], scope.get("root_path", "") + route, passage.code, seconds)
        # Without its query, in which there may be a token.
        path = quote(_SHARED.sub(r"\1…", scope["path"]), safe="/:…")
        facts = (scope["method"], path[:200], passage.code, seconds * 1000, passage.request_id)
        _log.info("%s %s %d in %.0f ms, request %s%s", *facts, passage.trace)


class _Passage:
    """One request on its way."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        body_bytes: int,
        answer: Callable[[Request, Exception], Response],
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._body_bytes, self._answer = body_bytes, answer
        self._started, self._received, self._complete = time.monotonic(), 0, False
        self.request_id, self.code, self._answered = uuid4().hex, 0, False
        trace = Headers(scope=scope).get("traceid", "")
        self.trace = f", trace {trace}" if _TRACE.fullmatch(trace) else ""
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def receive(self) -> Message:
        """Receive a piece of the body, if it comes in time and is not too much."""
        if self._complete:
            return await self._receive()
        left = self._started + _UPLOAD_S + self._received / _UPLOAD_BYTES_PER_S - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                message = await self._receive()
        except TimeoutError:
            raise HttpError("timeout", "the request's body came too slowly", Connection="close") from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._body_bytes:
            raise _too_large(self._body_bytes)
        return message

    async def send(self, message: Message) -> None:
        """Send a piece of the answer, if the client takes it in time."""
        if message["type"] == "http.response.start":
            self.code = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        async with asyncio.timeout(_SEND_S):
            await self._send(message)
        self._answered = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def refuse(self, error: Exception) -> None:
        """Answer with an error, unless that is done; if an answer has begun, the connection breaks, as it must."""
        if self._answered:
            return
        if self.code:
            raise error
        if isinstance(error, HttpError) and error.word == "too-large":
            await self._drain()
        response = self._answer(Request(self._scope), error)
        await response({"type": "http"}, self.receive, self.send)

    async def _drain(self) -> None:
        """Read some more of a body that is refused: most clients read the answer only when they have sent all."""
        drained, more = 0, not self._complete
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while more and drained < _DRAIN_BYTES:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    more = message.get("more_body", False)


def _refusal(scope: Scope, rules: HttpRules, body_bytes: int) -> HttpError | None:
    """Return why a request is refused by its head alone."""
    headers = Headers(scope=scope)
    length, origin = headers.get("content-length", "0"), headers.get("origin", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 20):  # noqa: PLR2004 - more digits than 64 bits
        return HttpError("bad-request", "Content-Length is no number", Connection="close")
    if int(length) > body_bytes:
        return _too_large(body_bytes)
    if len(scope["query_string"]) > _LONGEST_QUERY:
        return HttpError("bad-request", f"the address is longer than {_LONGEST_QUERY} bytes: use POST")
    # Where nobody has to say who they are, any page that its user looks at could submit in their name.
    is_own = not origin or origin.partition("://")[2] == headers.get("host")
    is_known = is_own or bool({origin, "*"}.intersection(rules.origins))
    if not is_known and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
        return HttpError("forbidden", "pages of other sites may not do this: see policy.http.origins")
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return HttpError("bad-request", "the address has a NUL character")
    return None


def _refusal_of_name(scope: Scope, names: Collection[str] | None) -> HttpError | None:
    """Return why a request on loopback is refused by the name it gives this machine.

    A page elsewhere could have its own name stand for this machine, and would be of the same site as all that it asks.
    """
    server = scope.get("server")
    if names is None or not (server and is_literal(server[0]) and address_of(server[0]).is_loopback):
        return None
    name = host_of(f"//{Headers(scope=scope).get('host', '')}")
    if not name or name in names or is_literal(name):
        return None
    remedy = "set MULTIBLAST_HTTP_URL to the address at which people reach it, and start it again"
    return HttpError(
        "forbidden", f"this service trusts people without a name, and is not called {name[:60]!r}: {remedy}"
    )


def _too_large(body_bytes: int) -> HttpError:
    return HttpError("too-large", f"a request has at most {body_bytes:,} bytes", Connection="close")
