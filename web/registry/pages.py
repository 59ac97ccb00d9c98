"""Pages of the local registry: what is in it, one item with its provenance, and files to download."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from multiblast.actions.stored_file import StoredFile
from multiblast.errors import MultiblastError, NotAllowedError, NotFoundError
from multiblast.registry.local.items import Item, find_recorded
from multiblast.registry.local.registry import Registry
from multiblast.registry.views.catalogue import catalogue, item_page
from multiblast.registry.views.graph import provenance_svg
from web.errors import describe
from web.files import file_answer
from web.pages.markup import render, static_answer

_COOKIE = "multiblast_registry_{port}"  # a cookie is of a host, whatever the port
_LONGEST_NAME = 300
_NUMBER = re.compile(r"[0-9]{1,18}")


def add_pages(app: Starlette, key: str) -> None:
    """Add the pages to an application, for whoever comes with the key once."""
    places: dict[str, Callable[[Registry, Request], Response]] = {
        "/": _show_catalogue,
        "/item/{item:path}": _show_item,
        "/provenance/{item:path}": _draw_provenance,
        "/files/{sha1}": _send_file,
    }
    app.router.routes += [Route(path, _opened(work, key), methods=["GET"]) for path, work in places.items()]
    app.router.routes.append(Route("/static/{name}", _send_static, methods=["GET"]))


def _opened(work: Callable[[Registry, Request], Response], key: str) -> Any:
    """Return what answers requests that have the key; errors are pages."""

    async def answer(request: Request) -> Response:
        cookie = _COOKIE.format(port=request.url.port)
        try:
            if _is_key(request.query_params.get("key", ""), key):
                response: Response = RedirectResponse("/", 303)
                response.set_cookie(cookie, key, httponly=True, samesite="strict")
                return response
            if not _is_key(request.cookies.get(cookie, ""), key):
                raise NotAllowedError("open the address that `multiblast registry serve` printed: it has a key in it")
            return await run_in_threadpool(work, request.app.state.api.registry, request)
        except MultiblastError as error:
            code, body, _ = describe(error)
            problems = list(map(str, getattr(error, "problems", ()))) or [body["message"]]
            return render("registry/error.html", code=int(code), problems=problems)

    return answer


def _is_key(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(), key.encode())


async def _send_static(request: Request) -> Response:
    try:
        return static_answer(request.path_params["name"])
    except NotFoundError:
        return Response(status_code=404)


def _show_catalogue(registry: Registry, request: Request) -> Response:
    text = request.query_params.get("find", "").strip()[:_LONGEST_NAME]
    before = _NUMBER.fullmatch(request.query_params.get("before", ""))
    found = catalogue(registry, text, int(before[0]) if before else 0)
    return render("registry/catalogue.html", found=found, find=text, address=_address)


def _show_item(registry: Registry, request: Request) -> Response:
    pages = [item_page(registry, row) for row in _items(registry, request)]
    return render("registry/item.html", pages=pages, address=_address)


def _draw_provenance(registry: Registry, request: Request) -> Response:
    policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"}
    row = _items(registry, request)[0]
    return Response(provenance_svg(registry, row.uuid), media_type="image/svg+xml", headers=policy)


def _items(registry: Registry, request: Request) -> list[Item]:
    """Return what an address names; paths of files, which commands take too, are none of a page's business."""
    text: str = request.path_params["item"]
    found = find_recorded(registry, text)
    if not found:
        raise NotFoundError("item", text[:_LONGEST_NAME], "look for it on the first page")
    return found


def _send_file(registry: Registry, request: Request) -> Response:
    sha1 = request.path_params["sha1"]
    kept = registry.files.get(sha1)
    if kept is None:
        raise NotFoundError("file", sha1[:60], "it is not here: `multiblast registry pull` brings it")
    name = request.query_params.get("name", "")[:_LONGEST_NAME].replace("/", "_") or sha1
    file = StoredFile(
        name, kept.size_bytes, "application/octet-stream", sha1, registry.files.store, registry.files.key(kept.sha256)
    )
    return file_answer(request, file, download=True)


def _address(place: str, item: str) -> str:
    """Return the address of a page about an item."""
    return f"/{place}/{quote(item, safe='/:@+')}"
