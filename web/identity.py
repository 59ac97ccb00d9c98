"""The requester: what a request says about them, and what the accounts make of it."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from multiblast.accounts import Requester
from multiblast.environment import PROXY_SECRET
from multiblast.errors import NotAllowedError
from multiblast.services import Services
from web.errors import HttpError
from web.service import Service, ServiceOfRequest

_PROXY_SECRET_HEADER = "x-proxy-secret"  # noqa: S105 - the name of a header


@dataclass(frozen=True, slots=True)
class Caller:
    """A requester, before they are looked up.

    Attributes:
        token: A user's or a guest's; empty if none was given.
        user: Whom a trusted proxy has authenticated; empty if none did.
        shares: Tokens of shared jobs.
        challenge: How a client that gave no token is asked for one.
    """

    services: Services = field(compare=False, repr=False)
    token: str = field(default="", repr=False)
    user: str = ""
    shares: tuple[str, ...] = ()
    challenge: str = "Bearer"

    def anybody(self) -> Requester:
        """Return the requester, who may be nobody.

        Raises:
            HttpError: a token is invalid.
        """
        accounts = self.services.accounts
        try:
            if self.token:
                return accounts.bearer(self.token, share_tokens=self.shares)
            return accounts.requester(self.user, share_tokens=self.shares)
        except NotAllowedError as error:
            raise self._unauthorized(str(error)) from error

    def reader(self) -> Requester:
        """Return the requester: somebody with an account, or with a share of a job.

        Raises:
            HttpError: it is nobody.
        """
        who = self.anybody()
        if not (who.owner or who.administrator or who.shares):
            raise self._unauthorized("this needs an account: send a token, as in Authorization: Bearer TOKEN")
        return who

    def member(self) -> Requester:
        """Return the requester: somebody with an account.

        Raises:
            HttpError: it is nobody.
        """
        who = self.reader()
        if not (who.owner or who.administrator):
            raise self._unauthorized("a share lets you read a job: for this, send a token of your own")
        return who

    def administrator(self) -> Requester:
        """Return the requester: an administrator.

        Raises:
            HttpError: it is nobody.
            NotAllowedError: it is somebody else.
        """
        who = self.member()
        if not who.administrator:
            raise NotAllowedError(f"{who} is no administrator")
        return who

    def _unauthorized(self, message: str) -> HttpError:
        return HttpError("unauthorized", message, WWW_Authenticate=f'{self.challenge} realm="multiblast"')


def is_browser(request: Request) -> bool:
    """Whether a person is to read the answer, as a browser says, rather than a program."""
    return "text/html" in request.headers.get("accept", "")


def read_caller(request: Request, service: Service, *, challenge: str = "Bearer") -> Caller:
    """Read from a request who says to send it; nothing is looked up yet.

    Raises:
        HttpError: it says two different things.
    """
    given = set(filter(None, _tokens(request)))
    if len(given) > 1:
        raise HttpError("bad-request", "the request has two different tokens: send one")
    shares = [*request.headers.getlist("share-token"), *request.query_params.getlist("share_token")]
    user = "" if given else _proxied_user(request, service.services.policy.http.user_header)
    if is_browser(request):  # a person who opened a link, whom only Basic lets log in
        challenge = "Basic"
    return Caller(service.services, "".join(given), user, tuple(dict.fromkeys(filter(None, shares))), challenge)


def _tokens(request: Request) -> Iterator[str]:
    """Yield a token from each of the places where clients put it."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "bearer":
            yield value.strip()
        case "basic":
            yield _password(value)
        case "":
            pass
        case _:
            raise HttpError("bad-request", "Authorization is neither Bearer nor Basic")
    yield request.headers.get("auth-key", "")
    yield request.headers.get("admin-token", "")
    yield request.query_params.get("Auth-Key", "")
    yield request.query_params.get("access_token", "")
    yield request.cookies.get("Authorization", "")


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise HttpError("bad-request", "Authorization: Basic is not well formed") from None


def _proxied_user(request: Request, header: str) -> str:
    """Return whom a proxy has authenticated, if it shows that it is the one we trust."""
    secret = os.environ.get(PROXY_SECRET, "")
    shown = request.headers.get(_PROXY_SECRET_HEADER, "")
    if not (header and secret and hmac.compare_digest(shown.encode(), secret.encode())):
        return ""
    return request.headers.get(header, "")


async def _caller(request: Request, service: ServiceOfRequest) -> Caller:
    return read_caller(request, service)


CallerOfRequest = Annotated[Caller, Depends(_caller)]
