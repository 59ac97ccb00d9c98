"""Objects: fetched whole or in part, listed, pushed if they are small, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import format_datetime
from io import BufferedReader
from typing import Annotated, BinaryIO, cast

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from multiblast.files import PieceReader
from multiblast.gateway import Visit
from multiblast.gateway.gateway import LARGEST_PUT
from multiblast.stores import LocalStore, StoredObject
from web.bodies import read_json
from web.errors import HttpError
from web.files import StreamAnswer, wanted_range
from web.gateway.digests import digest_field, read_digest_field
from web.gateway.visits import GatewayOfRequest, VisitOfRequest, address_of, bearer, in_thread
from web.service import Service, ServiceOfRequest

router = APIRouter(prefix="/gateway", tags=["gateway"])

Key = Annotated[str, Path()]
_BYTES = "application/octet-stream"
_LONGEST_REQUEST = 64 << 10  # of somebody of whom nothing is known yet


@router.get("/health")
async def read_gateway_health() -> dict[str, str]:
    """See that there is a gateway here."""
    return {"gateway": "multiblast", "tus": "1.0.0"}


@router.post("/grants")
async def make_grant(request: Request, gateway: GatewayOfRequest) -> dict[str, object]:
    """Exchange a site's key, sent as `Authorization: Bearer KEY`, and a ticket, `{"ticket"}`, for a grant."""
    said = await read_json(request, _LONGEST_REQUEST)
    ticket = said.get("ticket") if isinstance(said, dict) else None
    if not isinstance(ticket, str):
        raise HttpError("bad-request", 'the body is to be {"ticket": "…"}')
    key, address = bearer(request), address_of(request)
    token, grant = await in_thread(lambda: gateway.open(key, ticket, address))
    return {"grant": token, "expires": grant.expires, "job": grant.job, "reads": grant.reads, "writes": grant.writes}


@router.get("/objects")
async def list_objects(visit: VisitOfRequest, prefix: str = "") -> Response:
    """List the objects of a grant: one line of JSON for each."""
    found = visit.list(prefix)
    first = await in_thread(lambda: next(found, None))

    def lines() -> Iterator[bytes]:
        if first is not None:
            yield _line(first)
            yield from map(_line, found)

    return StreamingResponse(lines(), media_type="application/jsonl")


@router.api_route("/objects/{key:path}", methods=["GET", "HEAD"])
async def fetch_object(request: Request, service: ServiceOfRequest, visit: VisitOfRequest, key: Key) -> Response:
    """Fetch an object, or a range of its bytes; `ETag` and `Repr-Digest` say what it is."""
    return await send_object(request, service, visit, key)


@router.put("/objects/{key:path}")
async def push_object(request: Request, visit: VisitOfRequest, key: Key) -> Response:
    """Push an object of up to 1 MiB, with `Content-Digest`; larger ones are uploaded."""
    sha256 = read_digest_field(request.headers.get("content-digest", ""))
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > LARGEST_PUT:
            raise HttpError("too-large", f"more than {LARGEST_PUT:,} bytes are uploaded: see POST /gateway/uploads")
    is_new = await in_thread(lambda: visit.put(key, bytes(data), sha256))
    return Response(status_code=201 if is_new else 200, headers={"ETag": f'"{sha256}"'})


@router.delete("/objects/{key:path}", status_code=204)
async def remove_object(visit: VisitOfRequest, key: Key) -> Response:
    """Remove an object, where the grant lets replace."""
    await in_thread(lambda: visit.delete(key))
    return Response(status_code=204)


async def send_object(request: Request, service: Service, visit: Visit, key: str) -> Response:
    """Return the answer with an object, or where else to get it, as the policy says."""
    found, sha256 = await in_thread(lambda: visit.stat(key))
    rules, store = service.services.policy.gateway, visit.gateway.store
    headers = {"ETag": _tag(found, sha256), "Accept-Ranges": "bytes", "Content-Type": _BYTES}
    headers["Last-Modified"] = format_datetime(found.modified, usegmt=True)
    if sha256:
        headers["Repr-Digest"] = digest_field(sha256)
    if request.method == "GET" and rules.redirect_s:
        link = await in_thread(lambda: store.presign(key, rules.redirect_s))
        if link:
            await in_thread(lambda: visit.fetched(key, 0, found.size_bytes, "by a signed link"))
            return RedirectResponse(link, headers={"Cache-Control": "no-store"})
    if request.method == "GET" and rules.accelerated and isinstance(store, LocalStore):
        await in_thread(lambda: visit.fetched(key, 0, found.size_bytes, "by the proxy"))
        # The proxy sees to ranges.
        return Response(headers={**headers, "X-Accel-Redirect": f"{rules.accelerated}/{key}"})
    start, length = wanted_range(request, headers["ETag"], found.size_bytes)
    code = 200
    if (start, length) != (0, found.size_bytes):
        code, headers["Content-Range"] = 206, f"bytes {start}-{start + length - 1}/{found.size_bytes}"
    return StreamAnswer(lambda: _Recorded.of(visit, key, start, length), length, code, headers)


def _line(found: StoredObject) -> bytes:
    facts = {"key": found.key, "size": found.size_bytes, "modified": found.modified.isoformat()}
    return json.dumps(facts).encode() + b"\n"


def _tag(found: StoredObject, sha256: str) -> str:
    return f'"{sha256}"' if sha256 else f'"{found.size_bytes:x}-{int(found.modified.timestamp() * 1000):x}"'


class _Recorded(PieceReader):
    """A stream that says at its end how much of it was taken."""

    def __init__(self, stream: BinaryIO, visit: Visit, key: str, start: int) -> None:
        self._stream, self._visit, self._key, self._start, self._size = stream, visit, key, start, 0

    @classmethod
    def of(cls, visit: Visit, key: str, start: int, length: int) -> BinaryIO:
        """Open a range of an object."""
        stream = cls(visit.gateway.store.open(key, start, length), visit, key, start)
        return cast("BinaryIO", BufferedReader(stream, 256 << 10))

    def next_piece(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._size += len(piece)
        return piece

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._visit.fetched(self._key, self._start, self._size)
        super().close()
