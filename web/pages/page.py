"""Pages from templates: everything in them is escaped, and they load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from multiblast.errors import MultiblastError
from multiblast.reports.html import page_markup
from web.errors import describe
from web.pages.visitor import Visitor, keep_forms, read_visitor

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # without it, a browser does not say where a form comes from
    "Cache-Control": "no-store",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STATIC = {
    "pages.css": "text/css",
    "submit.js": "text/javascript",
    "job.js": "text/javascript",
    "overview.js": "text/javascript",
    "report.js": "text/javascript",
}


def page(request: Request, visitor: Visitor, template: str, *, code: int = 200, **facts: Any) -> Response:
    """Return a page for a visitor; the template finds the facts by their names."""
    text = _TEMPLATES.get_template(template).render(visitor=visitor, report_markup=page_markup, **facts)
    response = HTMLResponse(text, code, headers=_HEADERS)
    keep_forms(request, response, visitor)
    return response


def redirect(address: str) -> Response:
    """Return the answer to a form: look at another page."""
    return RedirectResponse(address, 303)


@cache
def static(name: str) -> tuple[str, str] | None:
    """Return the text and the type of a file that pages load; the HTML report's style and script serve here too."""
    if name not in _STATIC:
        return None
    report = files("multiblast.reports.html")
    if name == "report.js":
        return report.joinpath("page.js").read_text("utf-8"), _STATIC[name]
    text = (_HERE / "static" / name).read_text("utf-8")
    return (report.joinpath("page.css").read_text("utf-8") if name == "pages.css" else "") + text, _STATIC[name]


class PageRoute(APIRoute):
    """A route that answers errors with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers requests."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except MultiblastError as error:
                code, body, _ = describe(error)
                try:
                    visitor = await run_in_threadpool(read_visitor, request, request.app.state.service)
                except MultiblastError:
                    raise error from None
                problems = list(map(str, getattr(error, "problems", ()))) or [body["message"]]
                return page(request, visitor, "error.html", code=code, problems=problems, code_of_error=int(code))

        return answer
