"""Uploads that go on where they broke off: tus 1.0, with the extensions creation, checksum, expiration, termination."""

from __future__ import annotations

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from multiblast.gateway import Upload, Visit
from multiblast.gateway.uploads import KEPT_S
from web.errors import HttpError
from web.gateway.digests import read_checksum, read_metadata
from web.gateway.visits import VisitOfRequest, in_thread, raising_http

router = APIRouter(prefix="/gateway/uploads", tags=["gateway"])

_TUS = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}
_NONE = "whole"  # the id of an upload of which nothing is left to send
_MOST_DIGITS = 15
SILENT_S = 30.0  # how long a piece may stop arriving


@router.options("")
async def describe_uploads() -> Response:
    """Say which protocol this is."""
    able = {"Tus-Version": "1.0.0", "Tus-Extension": "creation,checksum,expiration,termination"}
    return Response(status_code=204, headers={**_TUS, **able, "Tus-Checksum-Algorithm": "sha256"})


@router.post("", status_code=201)
async def begin_upload(request: Request, visit: VisitOfRequest) -> Response:
    """Begin an upload of `Upload-Length` bytes; `Upload-Metadata` gives `key` and `sha256`, each in base 64.

    The same again finds what is here already; where all of it is, `Upload-Offset` is its length.
    """
    said = read_metadata(request.headers.get("upload-metadata", ""))
    length = _number(request, "upload-length")
    upload = await in_thread(lambda: visit.begin(said["key"], length, said["sha256"]))
    place = str(request.url_for("begin_upload")) + f"/{upload.id or _NONE}"
    return Response(status_code=201, headers={**_state(upload), "Location": place})


@router.head("/{upload_id}")
async def look_at_upload(visit: VisitOfRequest, upload_id: str) -> Response:
    """See how much of an upload is here."""
    return Response(headers=_state(await in_thread(lambda: visit.upload(upload_id))))


@router.patch("/{upload_id}", status_code=204)
async def go_on_with_upload(request: Request, visit: VisitOfRequest, upload_id: str) -> Response:
    """Send the next bytes of an upload; with `Upload-Checksum` they are checked. With the last, all of it is kept."""
    if request.headers.get("content-type") != "application/offset+octet-stream":
        raise HttpError("unsupported-content-type", "Content-Type is to be application/offset+octet-stream")
    offset, checksum = _number(request, "upload-offset"), read_checksum(request.headers.get("upload-checksum", ""))
    upload = await in_thread(lambda: visit.upload(upload_id))
    with raising_http(), ExitStack() as held:  # a full disk is noticed with its end
        piece = await in_thread(lambda: held.enter_context(visit.gateway.uploads.piece(upload, offset)))
        arriving = aiter(request.stream())
        while data := await _next(arriving):
            await in_thread(lambda data=data: piece.write(data))  # type: ignore[misc]  # bound here
        reached = await in_thread(lambda: piece.keep(checksum))
    await in_thread(lambda: _took(visit, upload, offset, reached))
    return Response(status_code=204, headers={**_TUS, "Upload-Offset": str(reached)})


@router.delete("/{upload_id}", status_code=204)
async def give_up_upload(visit: VisitOfRequest, upload_id: str) -> Response:
    """Forget an upload."""
    upload = await in_thread(lambda: visit.upload(upload_id))
    await in_thread(lambda: visit.gateway.uploads.remove(upload))
    return Response(status_code=204, headers=_TUS)


async def _next(arriving: AsyncIterator[bytes]) -> bytes:
    """Return what comes next; nothing at the end.

    Raises:
        HttpError: nothing comes: the sender has gone without a word, and others shall not wait for it.
    """
    try:
        async with timeout(SILENT_S):
            return await anext(arriving, b"")
    except TimeoutError:
        raise HttpError("timeout", f"no byte came for {SILENT_S:.0f} s: send this piece again") from None


def _took(visit: Visit, upload: Upload, offset: int, reached: int) -> None:
    visit.took(upload, offset, reached - offset)
    if reached == upload.length:
        visit.finish(upload)


def _state(upload: Upload) -> dict[str, str]:
    ends = datetime.now(UTC) + timedelta(seconds=KEPT_S)
    said = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length)}
    return {**_TUS, **said, "Upload-Expires": format_datetime(ends, usegmt=True)}


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise HttpError("bad-request", f"the header {name.title()} is to be a number of bytes")
    return int(text)
