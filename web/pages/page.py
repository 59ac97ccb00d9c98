"""Pages for visitors, and what answers errors with a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from multiblast.accounts import Requester
from multiblast.errors import MultiblastError
from multiblast.reports.html import page_markup
from web.errors import HttpError, describe, error_response, invalid_parameters, refuse_route
from web.identity import is_browser
from web.pages import texts
from web.pages.markup import render
from web.pages.visitor import Visitor, keep_forms, read_visitor

_NOBODY = Visitor(Requester(), "", "")
_KEPT = {"Connection", "Retry-After"}  # a browser would ask for a password by itself if it were asked for a token
_NOWHERE = {404: ("not-found", texts.NO_PAGE), 405: ("method-not-allowed", texts.ONLY_FORMS)}


def page(request: Request, visitor: Visitor, template: str, *, code: int = 200, **facts: Any) -> Response:
    """Return a page for a visitor; the template finds the facts by their names."""
    response = render(template, code=code, visitor=visitor, report_markup=page_markup, **facts)
    keep_forms(request, response, visitor)
    return response


def redirect(address: str) -> Response:
    """Return the answer to a form: look at another page."""
    return RedirectResponse(address, 303)


async def error_page(request: Request, error: MultiblastError) -> Response:
    """Return the page that says what went wrong; JSON where a token in a header is invalid: no browser sends one."""
    try:
        visitor = await run_in_threadpool(read_visitor, request, request.app.state.service)
    except MultiblastError:
        return error_response(request, error)
    response = _page_of(request, error, visitor)
    keep_forms(request, response, visitor)
    return response


def _page_of(request: Request, error: Exception, visitor: Visitor) -> Response:
    code, body, headers = describe(error)
    problems = list(map(str, getattr(error, "problems", ()))) or [body["message"]]
    request_id = request.state.request_id if code >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    facts = {"problems": problems, "code_of_error": int(code), "request_id": request_id}
    response = render("error.html", code=code, visitor=visitor, **facts)
    response.headers.update({name: value for name, value in headers.items() if name in _KEPT})
    return response


class PageRoute(APIRoute):
    """A route that answers errors with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers requests."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                if not is_browser(request):
                    raise
                is_address = any(problem["loc"][0] == "path" for problem in error.errors())
                return await error_page(request, _nowhere(404) if is_address else invalid_parameters(error))
            except MultiblastError as error:
                return await error_page(request, error)

        return answer


def add_error_pages(app: FastAPI) -> Callable[[Request, Exception], Response]:
    """Let an application with all its routes answer browsers with a page where there is none; not below its API.

    Returns:
        What answers requests that fail, or are refused before anybody looks who sends them, in the same way.
    """
    others = [one for one in app.routes if isinstance(one, Route | Mount) and not isinstance(one, PageRoute)]
    of_programs = {_first_part(one.path) for one in others}

    def wants_page(request: Request) -> bool:
        return is_browser(request) and _first_part(request.scope["path"]) not in of_programs

    def fail(request: Request, error: Exception) -> Response:
        return _page_of(request, error, _NOBODY) if wants_page(request) else error_response(request, error)

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        if error.status_code not in _NOWHERE or not wants_page(request):
            return await refuse_route(request, error)
        response = await error_page(request, _nowhere(error.status_code))
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(HTTPException, answer)
    app.add_exception_handler(Exception, fail)
    return fail


def _nowhere(code: int) -> HttpError:
    return HttpError(*_NOWHERE[code])


def _first_part(path: str) -> str:
    return path.lstrip("/").partition("/")[0]
