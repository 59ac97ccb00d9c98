"""Files as answers: whole, a range of bytes, or a range of lines; streamed, so that memory stays flat."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from multiblast.actions.stored_file import StoredDirectory, StoredFile
from web.errors import HttpError

_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SANDBOX = {  # a report shows titles that strangers wrote
    "Content-Security-Policy": "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:"
}
_INERT = {  # a picture or document whose scripts would run with our pages' rights
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}


class StreamAnswer(Response):
    """A stream as an answer; opened when the answer begins, and closed however it ends.

    Args:
        open_stream: Opens it, in a thread.
        length: Of the stream in bytes; None if that is not known.
        code: Of the answer.
        headers: Of the answer, with the type of its content.
    """

    def __init__(
        self, open_stream: Callable[[], BinaryIO], length: int | None, code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=code, headers=headers)
        del self.headers["content-length"]
        if length is not None:
            self.headers["content-length"] = str(length)
        self._open = open_stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        stream = await run_in_threadpool(self._open)
        left = asyncio.create_task(_disconnected(receive))
        try:
            piece = await run_in_threadpool(stream.read, _CHUNK)  # an object that has gone is found out before
            await send(start)
            while piece and not left.done():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await run_in_threadpool(stream.read, _CHUNK)
        finally:
            left.cancel()
            await run_in_threadpool(stream.close)
        await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def file_answer(request: Request, file: StoredFile | StoredDirectory, *, download: bool, name: str = "") -> Response:
    """Return the answer with a file, or with as much of it as the request wants; with a directory as a zip.

    Args:
        request: May have ``Range``, ``If-Range`` and ``If-None-Match``.
        file: The file or directory.
        download: Whether a browser shall save it, not show it.
        name: What to call it then.

    Raises:
        HttpError: the range lies beyond the file.
    """
    tag = f'"{file.digest}"'
    seen = request.headers.get("if-none-match", "")
    if seen.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in seen.split(",")]:
        return Response(status_code=304, headers={"ETag": tag})
    if isinstance(file, StoredDirectory):
        headers = content_headers("application/zip", download=True, name=f"{name or file.name}.zip")
        return StreamAnswer(file.open, None, 200, {**headers, "ETag": tag})
    headers = {
        **content_headers(file.media_type, download=download, name=name or file.name),
        "ETag": tag,
        "Accept-Ranges": "bytes",
    }
    start, length = wanted_range(request, tag, file.size)
    code = 200
    if (start, length) != (0, file.size):
        code, headers["Content-Range"] = 206, f"bytes {start}-{start + length - 1}/{file.size}"
    return StreamAnswer(lambda: file.open(start, length), length, code, headers)


def wanted_range(request: Request, tag: str, size: int) -> tuple[int, int]:
    """Return where the range begins that a request wants of a file with this tag, and its length; else all.

    Raises:
        HttpError: the range lies beyond the file.
    """
    wanted = request.headers.get("range", "")
    return _range(wanted if request.headers.get("if-range", tag) == tag else "", size)


def content_headers(media_type: str, *, download: bool, name: str) -> dict[str, str]:
    """Return the headers that say what is in an answer, and what to do with it."""
    text = media_type.startswith("text/") or media_type == "application/json"
    return {
        "Content-Type": f"{media_type}; charset=utf-8" if text else media_type,
        **({"Content-Disposition": f'attachment; filename="{quote(name, safe=" ._-")}"'} if download else {}),
        **(_SANDBOX if media_type == "text/html" else _INERT if re.search("html|xml", media_type) else {}),
    }


def _range(wanted: str, size: int) -> tuple[int, int]:
    """Return where a range of bytes begins, and its length; all, if it is not one range of bytes."""
    found = _RANGE.fullmatch(wanted.replace(" ", ""))
    if not found or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        length = min(int(last) if last else size - 1, size - 1) - start + 1
    if last and first and int(last) < start:
        return 0, size
    if length <= 0:
        raise HttpError("range-not-satisfiable", f"the file has {size} bytes", Content_Range=f"bytes */{size}")
    return start, length
