"""NCBI's Common URL API: one address, and what to do as a parameter."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from multiblast.accounts import Requester
from multiblast.database import JobKind, JobStatus
from multiblast.errors import InvalidInputError, LimitError, NotFoundError
from multiblast.jobs import ACTIVE
from multiblast.search.searched_job import RowChoice
from multiblast.upkeep.reconciliation import Waiting
from web import query_routes
from web.bodies import read_form, text_fields
from web.errors import describe
from web.identity import Caller, read_caller
from web.ncbi import pages
from web.ncbi.formats import read_wanted
from web.ncbi.names import in_words
from web.ncbi.results import result
from web.ncbi.searches import read_search
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False)

_log = logging.getLogger("multiblast.http")
_PATHS = ("/Blast.cgi", "/blast/Blast.cgi", "/cgi-bin/blast.cgi", "/blast/blast.cgi")
_HOLD_S = 25.0  # clients ask every 20 s or more: a search that is over sooner is answered at once
_SECONDS_TO_COME = 3
_WORDS = {
    **dict.fromkeys(ACTIVE, "WAITING"),
    JobStatus.COMPLETE: "READY",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELLED: "FAILED",
    JobStatus.EXPIRED: "UNKNOWN",
}
_CODES = {"WAITING": 200, "FAILED": 500, "UNKNOWN": 404}  # with 200, Biopython would wait for ever

Parameters = Mapping[str, str]


async def answer(request: Request, service: ServiceOfRequest) -> Response:
    """Do what the parameter ``CMD`` says; parameters come in the address, a form or both, names in any case."""
    given = {name.upper(): value for name, value in request.query_params.items()}
    if request.headers.get("content-type", "").strip() and _has_body(request):
        async with read_form(request, service.services.policy.http.body_bytes) as form:
            given |= {name.upper(): value for name, value in text_fields(form).items()}
    if any("\0" in value for value in given.values()):
        return HTMLResponse(pages.refused(["a parameter has a NUL character"]))
    command = _COMMANDS.get(given.get("CMD", "").strip().lower())
    if command is None:
        return HTMLResponse(pages.refused([f"CMD is none of {', '.join(_COMMANDS)}: see /api"]))
    if command in {_put, _delete} and _is_of_another_site(request, service.services.policy.http.origins):
        refusal = "pages of other sites may not do this: see policy.http.origins"
        return HTMLResponse(pages.refused([refusal]), HTTPStatus.FORBIDDEN)
    return await command(read_caller(request, service, challenge="Basic"), service, given)


def _has_body(request: Request) -> bool:
    """Whether something is sent: sessions of clients name a type with each request, also where they send nothing."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _is_of_another_site(request: Request, origins: Collection[str]) -> bool:
    """Whether a browser asks because a page of another site made it, as by a picture whose address is a search.

    Such a GET has no ``Origin``, by which the guard knows others, and who looks at the page may be trusted here without
    a name. Programs, and people who type the address, say nothing of the kind.
    """
    if request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return False
    page = urlsplit(request.headers.get("origin") or request.headers.get("referer", ""))
    return not {"*", f"{page.scheme}://{page.netloc}"}.intersection(origins)


async def _put(caller: Caller, service: Service, given: Parameters) -> Response:
    services = service.services

    def submit() -> tuple[str, list[Waiting]]:
        who = caller.member()
        config, query = read_search(given, services.queries.targets(), services.policy.http.databases)
        created, waiting = query_routes.create(service, who, config, query)
        return services.accounts.request_ids.new(created.query_job_id, who.owner), waiting

    _log.info("search of tool %.60r, email %.60r", given.get("TOOL", ""), given.get("EMAIL", ""))
    try:
        request_id, waiting = await run_in_threadpool(submit)
    except InvalidInputError as error:
        return HTMLResponse(pages.refused(in_words(error, given)))
    except LimitError as error:
        return HTMLResponse(pages.refused([str(error)]), 429, describe(error)[2])
    service.runs.begin_all(waiting)
    return HTMLResponse(pages.accepted(request_id, _SECONDS_TO_COME if waiting else 1))


async def _get(caller: Caller, service: Service, given: Parameters) -> Response:
    if given.get("FORMAT_OBJECT", "").strip().lower() == "searchinfo":
        return await _info(caller, service, given)
    try:
        wanted = read_wanted(given)
    except InvalidInputError as error:
        return _no_report(error, given)
    who, job_id, word, why = await _status(caller, service, given)
    if word != "READY":
        return HTMLResponse(pages.status(word, problem=why), _CODES[word])
    reports = service.services.reports
    try:
        report_id = await run_in_threadpool(
            lambda: reports.submit(who, job_id, wanted.formatting, add_to_collection=False)
        )
    except InvalidInputError as error:
        return _no_report(error, given)
    service.runs.begin(await run_in_threadpool(reports.begin, report_id))
    await service.watch.ended(JobKind.REPORT, report_id, _HOLD_S)
    details = await run_in_threadpool(lambda: reports.lookup(who, report_id, link=False))
    if details.status != JobStatus.COMPLETE:
        word = _WORDS[JobStatus(details.status)]
        return HTMLResponse(pages.status(word, problem=details.reason or ""), _CODES[word])
    return await run_in_threadpool(result, reports, who, report_id, _request_id(given), wanted)


def _no_report(error: InvalidInputError, given: Parameters) -> Response:
    """Return the answer to a wish for a report that there cannot be; a page with 200 is waited upon by Biopython."""
    return HTMLResponse(pages.refused(in_words(error, given)), HTTPStatus.BAD_REQUEST)


async def _info(caller: Caller, service: Service, given: Parameters) -> Response:
    who, job_id, word, _ = await _status(caller, service, given)
    hits = None
    if word == "READY":
        choice = RowChoice(only="hits", count=1)
        rows, _ = await run_in_threadpool(service.services.queries.rows, who, job_id, choice)
        hits = any(row.hits for row in rows)
    return HTMLResponse(pages.status(word, hits=hits))


def _request_id(given: Parameters) -> str:
    return given.get("RID", "").strip().upper()


async def _delete(caller: Caller, service: Service, given: Parameters) -> Response:
    def forget() -> None:
        who = caller.member()
        service.services.accounts.request_ids.forget(_request_id(given), who.owner)

    await run_in_threadpool(forget)
    return HTMLResponse(pages.status("UNKNOWN"))


async def _list(caller: Caller, service: Service, given: Parameters) -> Response:
    del given
    rows = await run_in_threadpool(lambda: service.services.accounts.request_ids.of(caller.member().owner))
    return HTMLResponse(pages.listed((row.id, f"{row.created_at:%Y-%m-%d %H:%M} UTC") for row in rows))


async def _status(caller: Caller, service: Service, given: Parameters) -> tuple[Requester, str, str, str]:
    """Return who may read a search, its job, how it is, and why; it is held until that is settled, for a time."""
    queries = service.services.queries

    def look_up() -> tuple[Requester, str]:
        job_id = service.services.accounts.request_ids.job(_request_id(given))
        who = caller.anybody()
        return replace(who, shares=who.shares | {job_id}), job_id

    try:
        who, job_id = await run_in_threadpool(look_up)
        await service.watch.ended(JobKind.QUERY, job_id, _HOLD_S)
        details = await run_in_threadpool(lambda: queries.lookup(who, job_id, link=False, children=0))
    except NotFoundError as error:
        return Requester(), "", "UNKNOWN", str(error)
    word = _WORDS[JobStatus(details.status)]
    gone = "its result has expired: submit the search again" if word == "UNKNOWN" else ""
    return who, job_id, word, details.reason or gone


_COMMANDS: dict[str, Callable[[Caller, Service, Parameters], Awaitable[Response]]] = {
    "put": _put,
    "get": _get,
    "info": _info,
    "delete": _delete,
    "displayrids": _list,
}

for _path in _PATHS:
    router.add_api_route(_path, answer, methods=["GET", "POST", "PUT"])
