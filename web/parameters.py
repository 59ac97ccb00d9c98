"""What routes have in common: parameters, headers, and how answers are written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from multiblast.actions.answers import Answer
from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.ids import is_id
from web.errors import CODES, ErrorAnswer, json_line

_LONGEST_WAIT_S = 30
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")
_RETRY_S = 2
_EVERYWHERE = frozenset({"access_token", "Auth-Key", "share_token", "_"})  # the last is jQuery's, against caches

Number = Annotated[int, Query(ge=1, le=10**9)]
Download = Annotated[bool, Query(description="Whether a browser shall save the file, not show it.")]


async def _job_id(job_id: Annotated[str, Path(description="32 hexadecimal digits.")]) -> str:
    """Return an id as it is kept.

    Raises:
        NotFoundError: there can be no job of this id.
    """
    if not is_id(job_id.lower()):
        raise NotFoundError("job", job_id[:60], "an id has 32 hexadecimal digits")
    return job_id.lower()


JobId = Annotated[str, Depends(_job_id)]


async def _known_parameters(request: Request) -> None:
    """Refuse a parameter that the address does not have: a filter that is misspelt would let everything through.

    Raises:
        InvalidInputError: with every such parameter.
    """
    if given := request.query_params.keys() - _EVERYWHERE:
        names = [one.alias for one in request.scope["route"].dependant.query_params]
        reason = f"there is no such parameter; there is {', '.join(names) or 'none'}"
        if problems := [Problem(reason, name) for name in sorted(given.difference(names))]:
            raise InvalidInputError(problems)


KNOWN = Depends(_known_parameters)
"""Of routers whose addresses take no parameters but those that they declare."""


def errors(*words: str) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a route, for its documentation, beside those that every route has."""
    always = ("bad-request", "unauthorized", "invalid-input", "timeout", "too-large", "server-error", "unavailable")
    codes = sorted({int(CODES[word]) for word in (*always, *words)})
    names = {code: ", ".join(word for word in CODES if CODES[word] == code) for code in codes}
    written = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}  # of files too
    return {code: {"model": ErrorAnswer, "description": names[code], "content": written} for code in codes}


def wait_s(request: Request) -> float:
    """Return for how long a request likes to wait for an answer that says more: ``Prefer: wait=N``."""
    found = _PREFER_WAIT.search(request.headers.get("prefer", ""))
    return min(float(found[1]), _LONGEST_WAIT_S) if found else 0.0


def json_body(answer: Answer | Sequence[Answer] | dict[str, Any]) -> bytes:
    """Return an answer as JSON."""
    if isinstance(answer, Answer):
        return answer.model_dump_json(by_alias=True, exclude_none=True).encode()
    if isinstance(answer, dict):
        return json_line(answer)
    return b"[%s]" % b",".join(item.model_dump_json(by_alias=True, exclude_none=True).encode() for item in answer)


def json_answer(
    request: Request, answer: Answer | Sequence[Answer] | dict[str, Any] | bytes, *, active: bool = False
) -> Response:
    """Return an answer as JSON, or that it has not changed since the client last got it.

    Args:
        request: May have ``If-None-Match``.
        answer: What to say, or the JSON that says it.
        active: Whether it will be another one soon.
    """
    body = answer if isinstance(answer, bytes) else json_body(answer)
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, **({"Retry-After": str(_RETRY_S)} if active else {})}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
