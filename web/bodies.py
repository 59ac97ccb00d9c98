"""The bodies of requests, read whole and refused by their form; what is in them the actions check."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from multiblast.errors import InvalidInputError, Problem
from web.errors import HttpError

_FORM, _JSON = "multipart/form-data", "application/json"
_MOST_PARTS = 100
_IN_MEMORY = 1 << 20


async def read_json(request: Request) -> Any:
    """Return what a request's JSON says.

    Raises:
        HttpError: it is no JSON.
    """
    return parse_json(await request.body())


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        HttpError: it is no JSON.
        InvalidInputError: it is no object.
    """
    return _object(await read_json(request))


def parse_json(text: bytes | str) -> Any:
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
        HttpError: it is no form, or a broken one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_FORM, "application/x-www-form-urlencoded"}:
        raise HttpError("unsupported-content-type", f"send {wanted}; the header Content-Type says which it is")
    limits: Any = {"max_fields": _MOST_PARTS, "max_part_size": body_bytes}  # sequences may come as a field
    try:
        async with aclosing(request.stream()) as stream:
            if kind == _FORM:
                parser = MultiPartParser(request.headers, stream, max_files=_MOST_PARTS, **limits)
                form = await parser.parse()
                _refuse_cut_form(form, parser._files_to_close_on_error)  # noqa: SLF001 - nothing else has all files
            else:
                form = await FormParser(request.headers, stream, **limits).parse()
    except HttpError:
        raise
    except (MultiPartException, ValueError, LookupError) as error:
        raise HttpError("bad-request", f"the form is broken: {str(error)[:200]}") from error
    try:
        yield form
    finally:
        await form.close()


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
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
        yield await read_object(request), b""
        return
    async with read_form(request, body_bytes, f"{_JSON} or {_FORM}") as form:
        configs, queries = form.getlist(part), form.getlist("query")
        if len(configs) != 1 or len(queries) > 1 or len(form.multi_items()) > len(configs) + len(queries):
            raise HttpError("bad-request", f"the form needs one part {part!r}, and has at most one part 'query'")
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
