"""Pages for visitors, and what answers errors with a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from multiblast.errors import MultiblastError
from multiblast.reports.html import page_markup
from web.errors import describe
from web.pages.markup import render
from web.pages.visitor import Visitor, keep_forms, read_visitor


def page(request: Request, visitor: Visitor, template: str, *, code: int = 200, **facts: Any) -> Response:
    """Return a page for a visitor; the template finds the facts by their names."""
    response = render(template, code=code, visitor=visitor, report_markup=page_markup, **facts)
    keep_forms(request, response, visitor)
    return response


def redirect(address: str) -> Response:
    """Return the answer to a form: look at another page."""
    return RedirectResponse(address, 303)


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
