"""Who looks at a page: by a session cookie or as for any other request; and which forms come from our pages."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from multiblast.accounts import Requester
from multiblast.errors import NotAllowedError
from web.bodies import read_form, text_fields
from web.errors import HttpError
from web.identity import read_caller
from web.service import Service, ServiceOfRequest

SESSION, _FORMS, _SHARES = "multiblast_session", "multiblast_forms", "multiblast_shares"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
_MOST_SHARES = 20
_LASTS_S = 30 * 24 * 3600
_FORM_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        who: Their rights; nobody's if a cookie's token is no longer valid.
        token: What their session cookie holds; empty without one.
        forms: A secret of their browser, by which a form is known to come from a page of ours.
    """

    who: Requester
    token: str
    forms: str

    @property
    def has_account(self) -> bool:
        """Whether they have a list of jobs, or may see all."""
        return bool(self.who.owner or self.who.administrator)

    @property
    def list_title(self) -> str:
        """What their list of jobs is called."""
        return "All jobs" if self.who.administrator and not self.who.owner else "My jobs"

    @property
    def form_token(self) -> str:
        """What every form of theirs holds."""
        return hmac.new(self.forms.encode(), self.token.encode(), hashlib.sha256).hexdigest()

    def check_form(self, form: FormData, request: Request) -> None:
        """Refuse a form that no page of ours has shown to this browser.

        Raises:
            HttpError: it is such a form.
        """
        given = form.get(FORM_TOKEN)
        is_ours = isinstance(given, str) and hmac.compare_digest(given.encode(), self.form_token.encode())
        if not (request.cookies.get(_FORMS) and is_ours):
            raise HttpError(
                "forbidden", "this form is out of date: go back, load the page again, and send it once more"
            )


async def sent_fields(request: Request, visitor: Visitor) -> dict[str, str]:
    """Return the fields of a form of ours that holds no query."""
    async with read_form(request, _FORM_BYTES) as form:
        visitor.check_form(form, request)
        return dict(text_fields(form))


def read_visitor(request: Request, service: Service) -> Visitor:
    """Return who looks at a page.

    Raises:
        HttpError: a token in a header is invalid.
    """
    token = request.cookies.get(SESSION, "")
    forms = request.cookies.get(_FORMS) or secrets.token_urlsafe(32)
    if token:
        try:
            return Visitor(_with_shares(service.services.accounts.bearer(token), request, service), token, forms)
        except NotAllowedError:  # revoked since
            token = ""
    return Visitor(_with_shares(read_caller(request, service).anybody(), request, service), "", forms)


def _with_shares(who: Requester, request: Request, service: Service) -> Requester:
    """Add the jobs that were shared with a browser, and not taken back."""
    jobs = set(who.shares)
    for token in _shares(request):
        with suppress(NotAllowedError):
            jobs |= service.services.accounts.requester(share_tokens=[token]).shares
    return replace(who, shares=frozenset(jobs))


def _shares(request: Request) -> list[str]:
    return [token for token in request.cookies.get(_SHARES, "").split(".") if token]


def keep_share(request: Request, response: Response, token: str) -> None:
    """Let a browser read a job that is shared with it from now on."""
    shares = [one for one in _shares(request) if one != token][1 - _MOST_SHARES :]
    secure = request.url.scheme == "https"
    value = ".".join([*shares, token])
    response.set_cookie(_SHARES, value, max_age=_LASTS_S, httponly=True, samesite="lax", secure=secure)


def forget_shares(request: Request, response: Response) -> None:
    """Let a browser read no jobs any more that were shared with it."""
    response.delete_cookie(_SHARES, httponly=True, samesite="lax", secure=request.url.scheme == "https")


def keep_session(request: Request, response: Response, token: str) -> None:
    """Let a browser be known by a token from now on; by none if it is empty."""
    secure = request.url.scheme == "https"
    if token:
        response.set_cookie(SESSION, token, max_age=_LASTS_S, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(SESSION, httponly=True, samesite="lax", secure=secure)


def keep_forms(request: Request, response: Response, visitor: Visitor) -> None:
    """Let a browser send the forms of a page."""
    if request.cookies.get(_FORMS) != visitor.forms:
        secure = request.url.scheme == "https"
        response.set_cookie(_FORMS, visitor.forms, httponly=True, samesite="strict", secure=secure)


def _visitor(request: Request, service: ServiceOfRequest) -> Visitor:
    return read_visitor(request, service)


VisitorOfRequest = Annotated[Visitor, Depends(_visitor)]
