"""Requests to the gateway: the grant that each shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from multiblast.gateway import BrokenPieceError, BusyError, Gateway, NoSpaceError, UnknownGrantError, Visit
from web.errors import HttpError

ResultT = TypeVar("ResultT")
_WORDS: dict[type[Exception], str] = {
    UnknownGrantError: "unauthorized",
    BrokenPieceError: "checksum-mismatch",
    BusyError: "locked",
    NoSpaceError: "insufficient-storage",
}


def bearer(request: Request) -> str:
    """Return what a request shows to name its sender; empty if it shows nothing."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def address_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else ""


async def in_thread(action: Callable[[], ResultT]) -> ResultT:
    """Do what waits for a disk or a database where nobody waits for it; its errors as HTTP has them.

    Raises:
        HttpError: as `multiblast.gateway` says.
    """
    with raising_http():
        return await run_in_threadpool(action)


@contextmanager
def raising_http() -> Iterator[None]:
    """Turn errors of `multiblast.gateway` in the block into those of HTTP."""
    try:
        yield
    except tuple(_WORDS) as error:
        raise as_http(error) from error


def as_http(error: Exception) -> Exception:
    """Return an error of the gateway as HTTP has it; any other as it is."""
    word = next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "")
    headers = {"WWW_Authenticate": "Bearer"} if word == "unauthorized" else {}
    return HttpError(word, str(error), **headers) if word else error


def gateway_of(request: Request) -> Gateway:
    """Return the gateway."""
    gateway: Gateway = request.app.state.service.gateway
    return gateway


async def _visit(request: Request) -> Visit:
    token = bearer(request)
    if not token:
        raise HttpError("unauthorized", "send a grant as Authorization: Bearer GRANT", WWW_Authenticate="Bearer")
    return await in_thread(lambda: gateway_of(request).visit(token, address_of(request)))


VisitOfRequest = Annotated[Visit, Depends(_visit)]
GatewayOfRequest = Annotated[Gateway, Depends(gateway_of)]
