"""Plugins and their jobs, at ``/plugin``, in the manner of the other services."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.actions.answers import CreatedPlugin, PluginDetails, PluginFile, PluginItem
from multiblast.database import JobKind
from multiblast.errors import NotFoundError
from multiblast.jobs import ACTIVE
from multiblast.plugins.forms import facts
from web.bodies import read_object
from web.errors import HttpError, json_line
from web.files import file_answer
from web.identity import CallerOfRequest
from web.job_routes import add_job_routes, body_of, list_page, when_ended
from web.memory import Remembered
from web.parameters import KNOWN, Download, JobId, Number, errors, json_answer, json_body
from web.service import ServiceOfRequest

router = APIRouter(prefix="/plugin", tags=["plugin"], dependencies=[KNOWN])

_TEXTS = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_CREATE = {
    "type": "object",
    "required": ["plugin"],
    "properties": {
        "plugin": {"type": "string"},
        "inputs": {
            "oneOf": [
                {"type": "object", "additionalProperties": _TEXTS},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
        "parameters": {"type": "object"},
        "addToUserCollection": {"type": "boolean"},
        "userMeta": {"type": "object"},
    },
}


@router.get("/plugins")
def list_plugins(
    request: Request,
    service: ServiceOfRequest,
    language: Annotated[str, Query(description="The language of titles and descriptions, such as de.")] = "",
) -> Response:
    """List the plugins, the newest version of each: what they take in, make and can be given."""
    found = service.services.catalogue.newest()
    return json_answer(request, json_line([facts(one.description, language) for one in found]))


@router.get("/plugins/{name}", responses=errors("not-found"))
def look_up_plugin(
    request: Request,
    service: ServiceOfRequest,
    name: str,
    language: Annotated[str, Query(description="The language of titles and descriptions, such as de.")] = "",
) -> Response:
    """See a plugin, by `NAME` (its newest version) or `NAME@VERSION`, with the JSON schema of its form."""
    found = service.services.catalogue.get(name)
    return json_answer(request, facts(found.description, language, form=True))


@router.get("/jobs", response_model=list[PluginItem], responses=errors("invalid-input"))
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    plugin: str = "",
    source: str = "",
    status: str = "",
    first: Number = 1,
    count: Number = 1000,
) -> Response:
    """List the plugin jobs in your list, newest first; a header `Link` has the address of the next page."""

    def read() -> list[PluginItem]:
        return service.services.plugin_jobs.list_jobs(
            caller.member(), plugin=plugin, source=source.lower(), status=status, first=first, count=count
        )

    return list_page(request, service, ("plugins", caller, plugin, source, status), read, first, count)


@router.post(
    "/jobs",
    response_model=CreatedPlugin,
    responses=errors("forbidden", "invalid-input", "conflict", "too-many-requests"),
    openapi_extra=body_of(_CREATE),
)
async def create_job(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """Run a plugin: `{"plugin", "inputs"?: {PORT: TEXT or [TEXT, …]}, "parameters"?}`; the same request, the same job.

    Inputs are `job:ID`, `report:ID/FILE`, `plugin:ID/PORT`, `product:NAMESPACE:NAME@VERSION`, `store:KEY`,
    `data:…` or a URL that the policy allows.
    """
    config = await read_object(request)
    jobs = service.services.plugin_jobs

    def create() -> Any:
        try:
            created = jobs.create(caller.member(), config)
        except NotFoundError as error:
            raise HttpError("bad-request", str(error)) from error
        return created, jobs.begin(created.plugin_job_id)

    created, waiting = await run_in_threadpool(create)
    service.runs.begin(waiting)
    return json_answer(request, created)


@router.get("/jobs/{job_id}", response_model=PluginDetails, responses=errors("not-found", "forbidden", "invalid-input"))
async def look_up_job(
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    save_job: Annotated[bool, Query(description="Whether to add the job to your list.")] = True,
) -> Response:
    """See a plugin job: progress, log, steps, outputs. `Prefer: wait=N` waits until it has ended or asks something."""

    def look_up() -> Remembered:  # each time anew: its progress and log change without its status
        details = service.services.plugin_jobs.lookup(caller.reader(), job_id, link=save_job)
        return Remembered(json_body(details), active=details.status in ACTIVE)

    return await when_ended(request, service, JobKind.PLUGIN, job_id, look_up)


@router.post(
    "/jobs/{job_id}/steps/{step}",
    status_code=204,
    responses=errors("not-found", "forbidden", "conflict", "invalid-input"),
    openapi_extra=body_of({"type": "object"}),
)
async def answer_step(
    request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, step: str
) -> Response:
    """Answer what a paused job asks: the values of the step's form, by name. The job then goes on."""
    answers = await read_object(request)
    jobs = service.services.plugin_jobs
    waiting = await run_in_threadpool(lambda: jobs.answer(caller.member(), job_id, step, answers))
    service.runs.begin(waiting)
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/files", response_model=list[PluginFile], responses=errors("not-found", "forbidden", "conflict")
)
def list_files(request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    """List what a complete job made."""
    return json_answer(request, service.services.plugin_jobs.files(caller.reader(), job_id))


@router.head("/jobs/{job_id}/files/{name}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/files/{name}",
    response_class=Response,
    responses=errors("not-found", "forbidden", "conflict", "invalid-input", "range-not-satisfiable"),
)
def read_file(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    name: str,
    download: Download = True,
) -> Response:
    """Download a file that a job made, or a part of it: header `Range`. Of a directory, get a zip."""
    file = service.services.plugin_jobs.stored_file(caller.reader(), job_id, name)
    return file_answer(request, file, download=download)


add_job_routes(router, JobKind.PLUGIN)
