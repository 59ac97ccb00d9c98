"""Signing in and out, opening a shared job, and the files that pages load."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.errors import NotAllowedError
from web.pages.markup import static_answer
from web.pages.page import PageRoute, page, redirect
from web.pages.visitor import VisitorOfRequest, forget_shares, keep_session, keep_share, sent_fields
from web.parameters import JobId
from web.service import ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/static/{name}")
async def read_static(name: str) -> Response:
    """Send a file that pages load."""
    return static_answer(name)


@router.get("/sign-in")
def show_sign_in(request: Request, visitor: VisitorOfRequest) -> Response:
    """Ask for a token."""
    return page(request, visitor, "sign_in.html", problem="")


@router.post("/sign-in")
async def sign_in(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Keep a token as a session; what was searched as a guest moves along."""
    token = (await sent_fields(request, visitor)).get("token", "").strip()

    def find() -> str:
        accounts = service.services.accounts
        who = accounts.bearer(token)
        if visitor.token and visitor.who.is_guest and not who.is_guest:
            accounts.link_guest(visitor.token, who.owner)
        return who.owner

    try:
        await run_in_threadpool(find)
    except NotAllowedError as error:
        return page(request, visitor, "sign_in.html", code=401, problem=str(error))
    response = redirect("/")
    keep_session(request, response, token)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, visitor: VisitorOfRequest) -> Response:
    """Forget the session, and what was shared with this browser: the next at it may be somebody else.

    A guest, of whom nothing else knows the token, is shown it before.
    """
    fields = await sent_fields(request, visitor)
    if visitor.token and visitor.who.is_guest and "sure" not in fields:
        return page(request, visitor, "sign_out.html")
    response = redirect("/")
    keep_session(request, response, "")
    forget_shares(request, response)
    return response


@router.get("/shared/{job_id}/{token}")
def open_shared(request: Request, service: ServiceOfRequest, job_id: JobId, token: str) -> Response:
    """Let a browser read a job that was shared with it.

    Raises:
        NotAllowedError: the link is of no use, or of none any more.
    """
    if job_id not in service.services.accounts.requester(share_tokens=[token]).shares:
        raise NotAllowedError("this link is of another job: ask for a new one")
    response = redirect(f"/jobs/{job_id}")
    keep_share(request, response, token)
    return response
