"""Requests to a gateway: with a grant, again where they were interrupted, and errors as stores have them."""

from __future__ import annotations

import json
import ssl
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from multiblast.errors import ConflictError, NotAllowedError, ObjectMissingError, StoreAwayError, StoreError

PATIENCE_S = 5.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_CONNECT_S, _TIMEOUT_S = 10.0, 60.0
_UNAUTHORIZED, _FORBIDDEN, _MISSING, _CONFLICT, _TROUBLE = 401, 403, 404, 409, 500
_NO_SPACE = 507
_INTERRUPTED = {408, 423, 460, 502, 503, 504}  # it stopped, another piece arrives, it was changed; proxies' words

Grant = Callable[[bool], str]
"""Returns a grant; a fresh one, if asked for that."""


class InterruptedTransferError(StoreAwayError):
    """It broke off: it is worth looking how far it came, and going on."""


class Patience:
    """Waits before something that broke off is tried again, each time longer, until too much time has gone by."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._pause_s = seconds, _SHORTEST_PAUSE_S
        self._since: float | None = None

    def wait(self, problem: StoreError) -> None:
        """Wait; where that has gone on for too long, raise the problem.

        What a gateway that is there calls its own trouble is seldom over soon: it is given a few seconds at most.
        """
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        is_away = isinstance(problem, InterruptedTransferError)
        left_s = self._since + (self._seconds if is_away else min(self._seconds, PATIENCE_S)) - now
        if left_s <= 0:
            raise problem
        time.sleep(min(self._pause_s, left_s))
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


class GatewayClient:
    """Sends requests to a gateway.

    Args:
        url: The gateway's address.
        grant: Returns the grant to show.
        ca: A file with the certificates to trust, where the gateway's is of nobody whom this machine knows.
        patience_s: For how long a request is tried again while the gateway is away.
    """

    def __init__(self, url: str, grant: Grant, *, ca: Path | None = None, patience_s: float = PATIENCE_S) -> None:
        self.url, self.patience_s, self._grant = url.rstrip("/"), patience_s, grant
        verify = ssl.create_default_context(cafile=str(ca)) if ca else True
        self._client = httpx.Client(verify=verify, timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S))
        weakref.finalize(self, self._client.close)  # a script that fetches one file closes nothing

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        once: bool = False,
    ) -> httpx.Response:
        """Send a request, and again if it was interrupted: all that a gateway takes may be sent twice.

        Raises:
            ObjectMissingError: there is no object ``key``.
            NotAllowedError: the grant is not for this, or no good any more.
            ConflictError: what is there does not let it be done.
            StoreAwayError: the gateway is away or in trouble.
            StoreError: it refuses for another reason.
        """
        patience = Patience(0 if once else self.patience_s)
        while True:
            try:
                with self.stream(method, path, key=key, headers=headers, content=content) as answer:
                    answer.read()
                    return answer
            except StoreAwayError as error:
                patience.wait(error)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[httpx.Response]:
        """Send a request once, and give its answer during the block; errors as of `ask`."""
        try:
            answer = self._send(method, path, headers or {}, content)
            try:
                if not answer.is_success:
                    answer.read()
                    raise self._problem(key, answer)
                yield answer
            finally:
                answer.close()
        except httpx.TransportError as error:
            raise InterruptedTransferError(
                f"the gateway at {self.url} is away: {error or type(error).__name__}"
            ) from error

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None
    ) -> httpx.Response:
        for afresh in (False, True):
            shown = {**headers, "Authorization": f"Bearer {self._grant(afresh)}"}
            request = self._client.build_request(method, f"{self.url}{path}", headers=shown, content=content)
            answer = self._client.send(request, stream=True)
            if answer.status_code != _UNAUTHORIZED or afresh:
                break
            answer.close()
        if answer.is_redirect:  # to a bucket, which is to see no grant
            place = answer.headers["location"]
            answer.close()
            plain = {name: value for name, value in headers.items() if name in {"Range", "If-Range"}}
            answer = self._client.send(self._client.build_request(method, place, headers=plain), stream=True)
        return answer

    def _problem(self, key: str, answer: httpx.Response) -> Exception:
        """Return what an answer that is no success means."""
        code, said = answer.status_code, f"{self.url}: {_message(key, answer)}"
        if code == _MISSING:
            return ObjectMissingError(key)
        if code in {_UNAUTHORIZED, _FORBIDDEN}:
            return NotAllowedError(said)
        if code == _CONFLICT:
            return ConflictError(said)
        if code in _INTERRUPTED:
            return InterruptedTransferError(said)
        is_trouble = code >= _TROUBLE and code != _NO_SPACE
        return StoreAwayError(said) if is_trouble else StoreError(said)


def site_grants(
    url: str, site_key: str, ticket: str, *, ca: Path | None = None, patience_s: float = PATIENCE_S
) -> Grant:
    """Return what exchanges a site's key and a ticket for grants, each kept as long as it is good."""
    kept: list[str] = []

    def grant(afresh: bool) -> str:
        if afresh or not kept:
            with closing(GatewayClient(url, lambda _afresh: site_key, ca=ca, patience_s=patience_s)) as client:
                answer = client.ask("POST", "/grants", content=json.dumps({"ticket": ticket}).encode())
            kept[:] = [answer.json()["grant"]]
        return kept[0]

    return grant


def _message(key: str, answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):  # to HEAD there is no message
        meaning = {_UNAUTHORIZED: "the grant is not good, or no more", _FORBIDDEN: f"the grant does not name {key!r}"}
        return meaning.get(answer.status_code, f"answer {answer.status_code}")
