"""The routes of the registry's REST API, and its errors in the data-registry's words."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from multiblast.errors import InvalidInputError, MultiblastError, NotAllowedError, NotFoundError
from multiblast.registry.api.local_api import LocalApi
from web.bodies import read_object
from web.errors import describe, json_line

_VERSION = re.compile(r"version=([\d.]+)")
_KNOWN_VERSION = "1.0.0"
_SCHEME = "token "  # and 40 hexadecimal digits
_MOST_REFUSALS = 20
_WRITING = {"POST", "PATCH", "DELETE"}


def api_routes() -> list[Route]:
    """Return the routes; each may end in a slash, as clients differ in that."""
    places = {
        "/api": (_read_root, ["GET"]),
        "/api/{kind:str}": (_answer_kind, ["GET", "POST", "OPTIONS"]),
        "/api/{kind:str}/{number:int}": (_answer_row, ["GET", "PATCH", "DELETE", "OPTIONS"]),
    }
    return [
        Route(path + end, _answering(work), methods=methods)
        for path, (work, methods) in places.items()
        for end in ("/", "")
    ]


def _answering(work: Callable[[LocalApi, Request, dict[str, Any], str], tuple[int, Any]]) -> Any:
    """Return what answers requests with what some work comes to."""

    async def answer(request: Request) -> Response:
        api: LocalApi = request.app.state.api
        if _has_other_version(request):
            return Response(json_line({"detail": f"There is version {_KNOWN_VERSION} only."}), 406)
        try:
            _check_token(api, request)
            body = await read_object(request) if request.method in {"POST", "PATCH"} else {}
            code, found = await run_in_threadpool(work, api, request, body, f"{request.base_url}api/")
        except MultiblastError as error:
            code, found = _refusal(error)
            if request.method in _WRITING and len(api.refusals) < _MOST_REFUSALS:
                api.refusals.append(f"{request.method} {request.url.path}: {code} {found}")
        return Response(b"" if found is None else json_line(found), code, media_type="application/json")

    return answer


def _read_root(api: LocalApi, _request: Request, _body: dict[str, Any], base: str) -> tuple[int, Any]:
    return 200, api.addresses(base)


def _answer_kind(api: LocalApi, request: Request, body: dict[str, Any], base: str) -> tuple[int, Any]:
    kind = request.path_params["kind"]
    if request.method == "OPTIONS":
        return 200, api.describe(kind)
    if request.method == "POST":
        return 201, api.create(kind, body, base)
    return 200, api.rows(kind, request.query_params.multi_items(), base)


def _answer_row(api: LocalApi, request: Request, body: dict[str, Any], base: str) -> tuple[int, Any]:
    kind, number = request.path_params["kind"], request.path_params["number"]
    if number >> 63:
        raise NotFoundError(kind, "", "no row has such a number")
    if request.method == "OPTIONS":
        return 200, api.describe(kind)
    if request.method == "PATCH":
        return 200, api.change(kind, number, body, base)
    if request.method == "DELETE":
        api.remove(kind, number)
        return 204, None
    return 200, api.row(kind, number, base)


def _has_other_version(request: Request) -> bool:
    found = _VERSION.search(request.headers.get("accept", ""))
    return found is not None and found[1] != _KNOWN_VERSION


def _check_token(api: LocalApi, request: Request) -> None:
    """Refuse a wrong token, and changes without one; reading needs none, for the language APIs send none then.

    Raises:
        NotAllowedError: it is such a request.
    """
    sent = request.headers.get("authorization", "")
    if sent[: len(_SCHEME)].lower() == _SCHEME:
        given, token = sent[len(_SCHEME) :].strip(), api.token
        if not token or not hmac.compare_digest(given.encode(), token.encode()):
            raise NotAllowedError("Invalid token.")
    elif request.method in _WRITING:
        raise NotAllowedError("Authentication credentials were not provided.")


def _refusal(error: MultiblastError) -> tuple[int, dict[str, Any]]:
    if isinstance(error, InvalidInputError):
        general = {"non_field_errors": error.general} if error.general else {}
        return 400, {**error.by_key, **general}
    code, body, _ = describe(error)
    return code, {"detail": body["message"]}
