"""The report service of the Multi-Blast design, 2.0, at ``/report``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from multiblast.actions.answers import CreatedReport, ReportDetails, ReportItem, ReportListedFile
from multiblast.database import JobKind
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.jobs import ACTIVE
from web.bodies import read_object
from web.errors import HttpError
from web.files import StreamAnswer, content_headers, file_answer
from web.identity import CallerOfRequest
from web.job_routes import add_job_routes, body_of, list_page, when_ended
from web.memory import Remembered
from web.parameters import KNOWN, Download, JobId, Number, errors, json_answer, json_body
from web.service import ServiceOfRequest
from web.words import named, numbered

router = APIRouter(prefix="/report", tags=["report"], dependencies=[KNOWN])

_CREATE = {
    "type": "object",
    "required": ["queryJobID"],
    "properties": {
        "queryJobID": {"type": "string"},
        "blastConfig": {"type": "object", "properties": {"formatType": {"type": ["string", "integer"]}}},
        "addToUserCollection": {"type": "boolean"},
        "userMeta": {"type": "object"},
    },
}


@router.get("/jobs", response_model=list[ReportItem], responses=errors("invalid-input"))
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    query_job_id: str = "",
    site: str = "",
    status: str = "",
    first: Number = 1,
    count: Number = 1000,
) -> Response:
    """List the reports in your list, newest first; a header `Link` has the address of the next page."""

    def read() -> list[ReportItem]:
        return service.services.reports.list_jobs(
            caller.member(), query_job_id=query_job_id.lower(), site=site, status=status, first=first, count=count
        )

    return list_page(request, service, ("reports", caller, query_job_id, site, status), read, first, count)


@router.post(
    "/jobs",
    response_model=CreatedReport,
    responses=errors("forbidden", "invalid-input", "conflict"),
    openapi_extra=body_of(_CREATE),
)
async def create_job(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """Make a report of a complete query job: `{"queryJobID", "blastConfig"?: {"formatType", …}}`.

    Formats and orders have the design's words, such as `tabular` and `by-bit-score`, or BLAST+'s numbers.
    """
    config = await read_object(request)
    if isinstance(options := config.get("blastConfig"), dict):
        config = {**config, "blastConfig": numbered(options)}
    reports = service.services.reports

    def create() -> Any:
        try:
            created = reports.create(caller.member(), config)
        except NotFoundError as error:
            raise HttpError("bad-request", str(error)) from error
        return created, reports.begin(created.report_job_id)

    created, waiting = await run_in_threadpool(create)
    service.runs.begin(waiting)
    return json_answer(request, created)


@router.get("/jobs/{job_id}", response_model=ReportDetails, responses=errors("not-found", "forbidden", "invalid-input"))
async def look_up_job(
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    save_job: Annotated[bool, Query(description="Whether to add the report to your list.")] = True,
) -> Response:
    """See a report job. With `Prefer: wait=N` the answer waits until it has ended."""

    def look_up() -> Remembered:
        details = service.services.reports.lookup(caller.reader(), job_id, link=save_job)
        details = details.model_copy(update={"blast_config": named(details.blast_config)})
        return Remembered(json_body(details), active=details.status in ACTIVE)

    key = ("reports", caller, job_id, save_job)
    return await when_ended(request, service, JobKind.REPORT, job_id, lambda: service.memory.answer(key, look_up))


@router.get(
    "/jobs/{job_id}/files",
    response_model=list[ReportListedFile],
    responses=errors("not-found", "forbidden", "conflict"),
)
def list_files(request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    """List the files of a complete report, the one to open first before others, and all of them in a zip."""
    return json_answer(request, service.services.reports.files(caller.reader(), job_id))


@router.head("/jobs/{job_id}/files/{name}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/files/{name}",
    response_class=Response,
    responses={
        **errors("not-found", "forbidden", "conflict", "invalid-input", "range-not-satisfiable"),
        307: {
            "description": "It is at the signed link in `Location`, where the policy has files read from the bucket."
        },
    },
)
def read_file(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    name: str,
    download: Download = True,
    lines: Annotated[str, Query(description="Only these lines: FIRST-LAST, from 1; either may be left out.")] = "",
) -> Response:
    """Download a file of a report, or a part of it: header `Range`, or `lines`."""
    reports, who = service.services.reports, caller.reader()
    file = reports.stored_file(who, job_id, name)
    lasts_s = service.services.policy.http.redirect_s
    if lasts_s and download and not lines and request.method == "GET" and (link := file.link(lasts_s)):
        return RedirectResponse(link, 307)  # not what a browser shall show: the bucket puts it into no sandbox
    if not lines:
        return file_answer(request, file, download=download)
    try:
        stream = reports.file(who, job_id, name, line_range=lines)
    except InvalidInputError as error:
        raise InvalidInputError([replace(one, key="lines") for one in error.problems]) from None
    return StreamAnswer(lambda: stream, None, 200, content_headers(file.media_type, download=download, name=name))


add_job_routes(router, JobKind.REPORT)
