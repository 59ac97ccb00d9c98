"""The bodies of requests, read whole and refused by their form; what is in them the actions check."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from multiblast.errors import InvalidInputError, Problem
from web.errors import HttpError

_FORM, _JSON = "multipart/form-data", "application/json"
_MOST_PARTS = 100
HELD_BYTES = 64 << 20
"""How much of a request's sequences is held in memory, several times over, if they do not come as a file."""

_MOST_JSON = 24 << 20  # of other requests
_PIECE = 64 << 10
_IN_MEMORY = 1 << 20
_TOO_LONG = "exceeded maximum size"  # what the parsers of forms say then


async def read_json(request: Request, most_bytes: int = _MOST_JSON) -> Any:
    """Return what a request's JSON says.

    Raises:
        HttpError: it is no JSON, or longer than may be held in memory.
    """
    body = bytearray()
    async with aclosing(request.stream()) as stream:
        async for piece in stream:
            body += piece
            if len(body) > most_bytes:
                raise _too_large("the JSON of a request", most_bytes)
    return parse_json(body)


async def read_object(request: Request, most_bytes: int = _MOST_JSON) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        HttpError: it is no JSON, or longer than may be held in memory.
        InvalidInputError: it is no object.
    """
    return _object(await read_json(request, most_bytes))


def _too_large(what: str, most_bytes: int) -> HttpError:
    remedy = (
        "send sequences as a file: the part 'query' of a form to /query/jobs"
        if most_bytes == HELD_BYTES
        else "send less"
    )
    return HttpError("too-large", f"{what} has at most {most_bytes:,} bytes: {remedy}", Connection="close")


def parse_json(text: bytes | bytearray | str) -> Any:
    """Return what JSON says.

    Raises:
        HttpError: it is none, or cannot be kept: numbers without end, half characters, NUL.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        kept = json.dumps(value, ensure_ascii=False)
        kept.encode()
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise HttpError("bad-request", f"the body is no JSON: {reason}") from error
    if "\\u0000" in kept:
        raise HttpError("bad-request", "the body has a NUL character")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError(Problem("a JSON object is needed here"))
    return value


@asynccontextmanager
async def read_form(request: Request, body_bytes: int, wanted: str = _FORM) -> AsyncIterator[FormData]:
    """Give the fields and files of a form, whose temporary files go at the end of the block.

    Args:
        request: With a form.
        body_bytes: Largest body.
        wanted: What may be sent, in words.

    Raises:
        HttpError: it is no form, or a broken one, or what is no file in it is longer than may be held in memory.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_FORM, "application/x-www-form-urlencoded"}:
        raise HttpError("unsupported-content-type", f"send {wanted}; the header Content-Type says which it is")
    held = min(body_bytes, HELD_BYTES)  # sequences may come as a field
    limits: Any = {"max_fields": _MOST_PARTS, "max_part_size": held}
    try:
        async with aclosing(request.stream()) as stream:
            if kind == _FORM:
                parser = _PartParser(request.headers, stream, max_files=_MOST_PARTS, **limits)
                form = await parser.parse()
                _refuse_cut_form(form, parser._files_to_close_on_error)  # noqa: SLF001 - nothing else has all files
            else:
                form = await _FieldParser(request.headers, stream, **limits).parse()
    except HttpError:
        raise
    except (MultiPartException, ValueError, LookupError) as error:
        if _TOO_LONG in str(error):
            raise _too_large("what is no file in a form", held) from error
        raise HttpError("bad-request", f"the form is broken: {str(error)[:200]}") from error
    try:
        yield form
    finally:
        await form.close()


class _PartParser(MultiPartParser):
    """Reads parts of which those that are no files are together no longer than one may be."""

    _held = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Keep some of a part."""
        if self._current_part.file is None:
            self._held += end - start
            if self._held > self.max_part_size:
                raise MultiPartException(f"Parts {_TOO_LONG}")
        super().on_part_data(data, start, end)


class _FieldParser(FormParser):
    """Reads fields that are together no longer than one may be.

    It does so without the many small objects that `urllib.parse.unquote_plus` makes of a long one.
    """

    def on_field_start(self) -> None:
        """Begin a field, and count on."""
        size = self._current_field_size
        super().on_field_start()
        self._current_field_size = size

    def on_field_end(self) -> None:
        """Keep a field."""
        value, self._field_value = unquoted(self._field_value), bytearray()
        super().on_field_end()
        self._items[-1] = (self._items[-1][0], value)


def unquoted(text: bytearray) -> str:
    """Return a field of a form without its escapes."""
    found, start = bytearray(), 0
    while start < len(text):
        end = start + _PIECE
        if (escape := text.rfind(b"%", end - 2, end)) >= 0:
            end = escape  # which is whole in the next piece
        found += unquote_to_bytes(bytes(text[start:end]).replace(b"+", b" "))
        start = end
    return found.decode(errors="replace")


def _refuse_cut_form(form: FormData, opened: list[SpooledTemporaryFile[bytes]]) -> None:
    """Refuse a form that ends within a file, which its reader takes for one without it, and leaves open."""
    whole = {id(part.file) for _, part in form.multi_items() if isinstance(part, UploadFile)}
    if any(id(file) not in whole for file in opened):
        for file in opened:
            file.close()
        raise HttpError("bad-request", "the form ends within a file")


@asynccontextmanager
async def job_request(
    request: Request, body_bytes: int, part: str
) -> AsyncIterator[tuple[dict[str, Any], bytes | Path]]:
    """Give the configuration of a job, and its sequences if they came apart from it.

    Args:
        request: With a JSON body, or a form of a JSON part and perhaps a part ``query``.
        body_bytes: Largest body.
        part: What the JSON part is called.
    """
    held = min(body_bytes, HELD_BYTES)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
        yield await read_object(request, held), b""
        return
    async with read_form(request, body_bytes, f"{_JSON} or {_FORM}") as form:
        configs, queries = form.getlist(part), form.getlist("query")
        if len(configs) != 1 or len(queries) > 1 or len(form.multi_items()) > len(configs) + len(queries):
            raise HttpError("bad-request", f"the form needs one part {part!r}, and has at most one part 'query'")
        if isinstance(configs[0], UploadFile) and (configs[0].size or 0) > held:
            raise _too_large("the JSON of a request", held)
        config = _object(parse_json(await _bytes(configs[0])))
        query = queries[0] if queries else b""
        if isinstance(query, UploadFile) and (query.size or 0) > _IN_MEMORY:
            with NamedTemporaryFile(suffix=".fasta") as file:
                await run_in_threadpool(shutil.copyfileobj, query.file, file)
                file.flush()
                yield config, Path(file.name)
        else:
            yield config, await _bytes(query)


async def _bytes(part: UploadFile | str | bytes) -> bytes:
    if isinstance(part, UploadFile):
        return await part.read()
    return part.encode(errors="replace") if isinstance(part, str) else part


def text_fields(form: FormData) -> Mapping[str, str]:
    """Return the fields of a form as text; of several with one name the last counts."""
    return {name: value for name, value in form.items() if isinstance(value, str)}
