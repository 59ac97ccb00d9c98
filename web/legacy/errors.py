"""Errors as 1.x's clients read them: their words, always with a message, always on one line."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from multiblast.errors import MultiblastError
from web.errors import describe, write
from web.legacy.words import key_of_1

_KNOWN = {"bad-request", "too-large", "unauthorized", "forbidden", "not-found", "invalid-input", "server-error"}
_WORDS = {"method-not-allowed": "bad-method", "gone": "permanently-expired", "unavailable": "server-error"}
_CODES = {401: "unauthorized", 404: "not-found", 405: "bad-method"}


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to an error."""
    code, body, headers = describe(error)
    word = body["status"]
    answer: dict[str, Any] = {**body, "requestId": request.state.request_id}
    answer["status"] = _WORDS.get(word, word if word in _KNOWN else "bad-request")
    if by_key := body.get("errors", {}).get("byKey"):
        keys = {key_of_1(key): texts for key, texts in by_key.items()}
        answer["errors"] = {"general": body["errors"]["general"], "byKey": keys}
    return write(code, answer, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer all errors in this form."""

    async def answer(request: Request, error: Exception) -> Response:
        return answer_error(request, error)

    async def refuse(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 400
        message = str(getattr(error, "detail", "")) or "a parameter is not as it must be"
        body = {"status": _CODES.get(code, "bad-request"), "message": message, "requestId": request.state.request_id}
        return write(code, body, {})

    app.add_exception_handler(MultiblastError, answer)
    app.add_exception_handler(Exception, answer)
    app.add_exception_handler(RequestValidationError, refuse)
    app.add_exception_handler(HTTPException, refuse)
