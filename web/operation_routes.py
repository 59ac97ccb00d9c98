"""Health, metrics and documentation; guests; and what only an administrator may do."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from multiblast.errors import InvalidInputError, NotAllowedError, Problem
from multiblast.upkeep.metrics import text_of
from web.bodies import read_object
from web.documentation import documentation
from web.identity import CallerOfRequest
from web.job_routes import body_of
from web.parameters import errors, json_answer
from web.service import ServiceOfRequest

router = APIRouter()

_HEALTH_S = 5.0  # for which an answer is given again: everybody may ask
_PAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


@router.get("/health", tags=["operation"], responses={503: {"description": "One of them is not reachable."}})
async def read_health(request: Request, service: ServiceOfRequest) -> Response:
    """See whether everything is reachable that the service depends on."""
    at, checks = getattr(request.app.state, "health", (0.0, []))
    if time.monotonic() - at > _HEALTH_S:
        checks = [
            {name: getattr(check, name) for name in ("name", "reachable", "latency_ms")}  # the details have paths
            for check in [*await run_in_threadpool(service.services.health), *await service.runs.health()]
        ]
        request.app.state.health = time.monotonic(), checks
    response = json_answer(request, {"checks": checks})
    response.status_code = 200 if all(check["reachable"] for check in checks) else 503
    return response


@router.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
def read_metrics(service: ServiceOfRequest) -> Response:
    """Read the metrics, in the text format of Prometheus."""
    is_open = service.services.policy.gateway.enabled
    gateway = generate_latest(service.gateway.metrics.registry).decode() if is_open else ""
    text = text_of(service.metrics.registry) + gateway + service.services.metrics()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api", include_in_schema=False)
async def read_documentation(request: Request) -> Response:
    """Read how to use the service."""
    return HTMLResponse(documentation(request.app.openapi(), str(request.base_url)), headers=_PAGE)


@router.post("/guests", tags=["accounts"], responses=errors("forbidden"))
def become_guest(request: Request, service: ServiceOfRequest) -> Response:
    """Become a guest: the answer is a token, shown once, by which your jobs are yours until you have an account."""
    if not service.services.policy.http.guests:
        raise NotAllowedError("this service has no guests: ask its administrator for an account")
    return json_answer(request, {"guestID": service.services.accounts.new_guest()})


@router.get("/admin/tokens", tags=["administration"], responses=errors("forbidden"))
def list_tokens(request: Request, service: ServiceOfRequest, caller: CallerOfRequest, user: str = "") -> Response:
    """List the tokens of a user, or of everybody; the tokens themselves are kept nowhere."""
    caller.administrator()
    return json_answer(request, {"tokens": [token.facts() for token in service.services.accounts.tokens.list(user)]})


@router.post(
    "/admin/tokens",
    tags=["administration"],
    responses=errors("forbidden", "invalid-input"),
    openapi_extra=body_of(
        {
            "type": "object",
            "required": ["user", "name"],
            "properties": {"user": {"type": "string"}, "name": {"type": "string"}, "days": {"type": "number"}},
        }
    ),
)
async def make_token(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """Make a token for a user, shown once: `{"user", "name", "days"?}`; without `days` it lasts until it is revoked."""
    body = await read_object(request)

    def make() -> str:
        caller.administrator()
        user, name, days = _token_request(body)
        return service.services.accounts.tokens.make(user, name, lasts=days)

    return json_answer(request, {"token": await run_in_threadpool(make)})


@router.delete(
    "/admin/tokens/{user}/{name}", tags=["administration"], status_code=204, responses=errors("forbidden", "not-found")
)
def revoke_token(
    service: ServiceOfRequest, caller: CallerOfRequest, user: Annotated[str, Path()], name: Annotated[str, Path()]
) -> Response:
    """Revoke a token of a user at once."""
    caller.administrator()
    service.services.accounts.tokens.revoke(user, name)
    return Response(status_code=204)


def _token_request(body: dict[str, Any]) -> tuple[str, str, timedelta | None]:
    user, name, days = body.get("user"), body.get("name"), body.get("days")
    problems = [
        Problem("a text is needed here", key)
        for key, text in (("user", user), ("name", name))
        if not isinstance(text, str)
    ]
    if days is not None and not (isinstance(days, int | float) and 0 < days <= 36_500):  # noqa: PLR2004 - a century
        problems.append(Problem("a number of days is needed here", "days"))
    if problems:
        raise InvalidInputError(problems)
    return str(user), str(name), timedelta(days=days) if days is not None else None
