"""Errors over HTTP: the design's ``{status, message}`` on one line, with the request's id."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from multiblast.actions import error_answer
from multiblast.errors import InvalidInputError, LimitError, MultiblastError, Problem
from multiblast.outages import is_outage

_log = logging.getLogger("multiblast.http")

_RETRY_S = 10
CODES: dict[str, int] = {
    "bad-request": HTTPStatus.BAD_REQUEST,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not-found": HTTPStatus.NOT_FOUND,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "timeout": HTTPStatus.REQUEST_TIMEOUT,
    "conflict": HTTPStatus.CONFLICT,
    "failed": HTTPStatus.CONFLICT,
    "gone": HTTPStatus.GONE,
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported-content-type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "range-not-satisfiable": HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    "invalid-input": HTTPStatus.UNPROCESSABLE_ENTITY,
    "locked": HTTPStatus.LOCKED,
    "checksum-mismatch": 460,  # of the protocol tus; no other has a code for it
    "too-many-requests": HTTPStatus.TOO_MANY_REQUESTS,
    "server-error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "insufficient-storage": HTTPStatus.INSUFFICIENT_STORAGE,
}
_WORDS = {int(code): word for word, code in reversed(CODES.items())}


class HttpError(MultiblastError):
    """A refusal that is about HTTP, not about jobs.

    Attributes:
        word: What the answer has as its ``status``.
        headers: What the answer has besides.
    """

    def __init__(self, word: str, message: str, **headers: str) -> None:
        """Say what is refused, and why."""
        self.word, self.headers = word, {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(message)


class ErrorDetails(BaseModel):
    """What is wrong with an input: in general, and by the field at fault."""

    model_config = ConfigDict(populate_by_name=True)

    general: list[str]
    by_key: dict[str, list[str]] = Field(alias="byKey")


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    status: str = Field(description=f"One of {', '.join(CODES)}.")
    message: str
    request_id: str = Field(alias="requestId", description="What the service's log has about it.")
    errors: ErrorDetails | None = Field(default=None, description="Of `invalid-input`.")
    retry_at: str | None = Field(default=None, alias="retryAt", description="Of `too-many-requests`.")


def describe(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the code, the body and the headers of the answer to an error."""
    if isinstance(error, HttpError):
        return CODES[error.word], {"status": error.word, "message": str(error)}, error.headers
    if is_outage(error) or isinstance(error, PoolTimeoutError):
        message = "a server behind this one is away: try again in a moment"
        return CODES["unavailable"], {"status": "unavailable", "message": message}, {"Retry-After": str(_RETRY_S)}
    body = error_answer(error) if isinstance(error, MultiblastError) else {"status": "server-error"}
    if body["status"] == "server-error":  # its words are for the log: they may name paths
        _log.error("request failed", exc_info=error)
        body["message"] = "something went wrong here: give the administrator this requestId"
    headers = {}
    if isinstance(error, LimitError):
        seconds = (error.retry_at - datetime.now(UTC)).total_seconds()
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    return CODES[body["status"]], body, headers


def error_response(request: Request, error: Exception) -> Response:
    """Return the answer to an error."""
    code, body, headers = describe(error)
    return write(code, {**body, "requestId": request.state.request_id}, headers, request.headers.get("accept", ""))


def write(code: int, body: Mapping[str, Any], headers: Mapping[str, str], accept: str = "") -> Response:
    """Return an error's answer; as problem details (RFC 9457) if these are asked for."""
    media_type = "application/json"
    if "application/problem+json" in accept:
        media_type = "application/problem+json"
        body = {**body, "title": body["status"], "status": int(code), "detail": body.get("message", "")}
    return Response(json_line(body), int(code), dict(headers), media_type)


def json_line(value: Any) -> bytes:
    """Return JSON on one line: a client cuts error bodies out with a pattern that ends at a line's end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def invalid_parameters(error: RequestValidationError) -> InvalidInputError:
    """Return what is wrong with the parameters of a request."""
    return InvalidInputError([Problem(item["msg"], str(item["loc"][-1])) for item in error.errors()])


async def refuse_route(request: Request, error: Exception) -> Response:
    """Return the answer where no route is, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    word = _WORDS.get(error.status_code, "bad-request")
    messages = {"not-found": "there is nothing at this address: see /api", "method-not-allowed": "not this method"}
    body = {"status": word, "message": messages.get(word, error.detail), "requestId": request.state.request_id}
    return write(error.status_code, body, error.headers or {}, request.headers.get("accept", ""))


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer all errors in one form."""

    async def answer(request: Request, error: Exception) -> Response:
        return error_response(request, error)

    async def refuse_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
        return error_response(request, invalid_parameters(error))

    async def leave(request: Request, _error: Exception) -> Response:
        return error_response(request, HttpError("bad-request", "the connection ended within the request's body"))

    app.add_exception_handler(ClientDisconnect, leave)
    app.add_exception_handler(MultiblastError, answer)
    app.add_exception_handler(RequestValidationError, refuse_parameters)
    app.add_exception_handler(HTTPException, refuse_route)
    app.add_exception_handler(Exception, answer)
