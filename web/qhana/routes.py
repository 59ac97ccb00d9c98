"""The routes of QHAna's plugin runner: plugins, tasks, their steps and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from multiblast.accounts import Requester
from multiblast.database import PluginJob
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, Problem
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.plugin import Plugin
from web.bodies import read_form, read_object
from web.files import file_answer
from web.identity import Caller, CallerOfRequest
from web.job_routes import body_of
from web.parameters import JobId, errors, json_answer
from web.qhana import answers
from web.qhana.forms import form_page
from web.qhana.links import Links, LinksOfRequest, identifier_of
from web.service import Service, ServiceOfRequest

router = APIRouter(prefix="/qhana", tags=["qhana"])

_MEDIA = "application/x-www-form-urlencoded"
_FORM = {"type": "object", "additionalProperties": {"type": "string"}}
_COMMAND = {
    "type": "object",
    "required": ["command", "webhookHref"],
    "properties": {
        "command": {"enum": ["subscribe", "unsubscribe"]},
        "event": {"enum": ["status", "steps", "details", None]},
        "webhookHref": {"type": "string"},
    },
}
_HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
_JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
_SEE_OTHER: dict[int | str, dict[str, Any]] = {303: {"description": "The task is at the address in Location."}}
_FILE_ID = re.compile(r"([0-9a-f]{32})-([0-9]{1,6})")

Access = Annotated[str, Query(description="What the address of a task that we gave has in it.")]


@router.get("/plugins/", responses=_JSON)
def list_plugins(request: Request, service: ServiceOfRequest, links: LinksOfRequest) -> Response:
    """List all plugins, in all versions."""
    found = [answers.listed(plugin, links) for plugin in service.services.catalogue.all()]
    return json_answer(request, {"plugins": sorted(found, key=lambda one: (one["name"], one["version"]))})


@router.get("/plugins/{name}/", responses={**errors("not-found"), **_JSON, 307: {"description": "Its newest version"}})
def look_up_plugin(request: Request, service: ServiceOfRequest, links: LinksOfRequest, name: str) -> Response:
    """See a plugin, `NAME@1-0-0`; of a plain name, the newest version is at the address in `Location`."""
    found = _plugin(service, name)
    if "@" not in name:
        return RedirectResponse(links.plugin(found), 307)
    return json_answer(request, answers.metadata(found, links))


@router.get("/plugins/{name}/ui/", response_class=Response, responses={**errors("not-found"), **_HTML})
def show_form(request: Request, service: ServiceOfRequest, links: LinksOfRequest, name: str) -> Response:
    """See a plugin's form; what the address has as parameters is filled in."""
    found = _plugin(service, name)
    table, origins = found.description, service.services.policy.http.origins
    action, given = links.plugin(found, "process/"), dict(request.query_params)
    return form_page(table.title, table.description, action, table.inputs, table.parameters, given, origins)


@router.post(
    "/plugins/{name}/process/",
    status_code=303,
    response_class=Response,
    responses={
        **errors("not-found", "forbidden", "conflict", "too-many-requests", "unsupported-content-type"),
        **_SEE_OTHER,
    },
    openapi_extra=body_of(_FORM, _MEDIA),
)
async def start(
    request: Request, service: ServiceOfRequest, caller: CallerOfRequest, links: LinksOfRequest, name: str
) -> Response:
    """Run a plugin: a form with its parameters, and for each input an address, of many one per line."""
    member = await run_in_threadpool(caller.member)
    found = await run_in_threadpool(_plugin, service, name)
    form = await _fields(request, service)
    jobs = service.services.plugin_jobs

    def submit() -> Any:
        who, inputs = _inputs(service, links, member, found, form)
        parameters = {key: value for key, value in form.items() if key in found.description.parameters}
        created = jobs.create(who, {"plugin": found.identifier, "inputs": inputs, "parameters": parameters})
        return created.plugin_job_id, jobs.begin(created.plugin_job_id)

    job_id, waiting = await run_in_threadpool(submit)
    service.runs.begin(waiting)
    return Response(status_code=303, headers={"Location": links.task(job_id)})


@router.get("/tasks/{job_id}/", responses={**errors("not-found", "forbidden"), **_JSON})
def look_up_task(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    links: LinksOfRequest,
    job_id: JobId,
    access: Access = "",
) -> Response:
    """See how a task is: its status, log, progress, steps and outputs."""
    who = _reader(caller, links, job_id, access)
    return json_answer(request, _task(service, links, who, job_id, access))


@router.post(
    "/tasks/{job_id}/",
    responses={**errors("not-found", "forbidden"), **_JSON},
    openapi_extra=body_of(_COMMAND),
)
async def change_webhooks(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    links: LinksOfRequest,
    job_id: JobId,
    access: Access = "",
) -> Response:
    """Let an address hear of what changes of a task, or no more: `POST URL?source=TASK&event=E`, signed."""
    body = await read_object(request)

    def change() -> dict[str, Any]:
        who = _reader(caller, links, job_id, access)
        found = _task(service, links, who, job_id, access)
        _check_open(service, links, who, job_id, access)
        command, url, event = body.get("command"), body.get("webhookHref"), body.get("event")
        if not isinstance(url, str) or not (event is None or isinstance(event, str)):
            raise InvalidInputError(Problem("webhookHref is an address, and event a word or null", "webhookHref"))
        if command == "subscribe":
            service.services.webhooks.subscribe(job_id, url, event or "", links.task(job_id))
        elif command == "unsubscribe":
            service.services.webhooks.unsubscribe(job_id, url, (event or "") if "event" in body else None)
        else:
            raise InvalidInputError(Problem("it is subscribe or unsubscribe", "command"))
        return found

    return json_answer(request, await run_in_threadpool(change))


@router.get(
    "/tasks/{job_id}/steps/{step}/ui/",
    response_class=Response,
    responses={**errors("not-found", "forbidden", "conflict"), **_HTML},
)
def show_step(  # noqa: PLR0913, PLR0917 - the parameters of the address
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    links: LinksOfRequest,
    job_id: JobId,
    step: str,
    access: Access = "",
) -> Response:
    """See the form of what a task asks."""
    who = _reader(caller, links, job_id, access)
    _task(service, links, who, job_id, access)
    job = service.services.plugin_jobs.jobs.plugin(job_id)
    asked = next((one for one in job.rounds if one["end"] == "ask" and one["step"] == step), None)
    if asked is None:
        raise NotFoundError("step", step[:60], "the task lists its steps")
    _check_open(service, links, who, job_id, access)
    if asked["answers"] is not None:
        raise ConflictError(f"step {step} of plugin job {job_id} was answered")
    form = {name: Parameter.model_validate(one) for name, one in asked["form"].items()}
    title, origins = asked["title"] or step, service.services.policy.http.origins
    return form_page(title, "", links.task(job_id, "steps", step), {}, form, {}, origins)


@router.post(
    "/tasks/{job_id}/steps/{step}/",
    status_code=303,
    response_class=Response,
    responses={**errors("not-found", "forbidden", "conflict", "unsupported-content-type"), **_SEE_OTHER},
    openapi_extra=body_of(_FORM, _MEDIA),
)
async def answer_step(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    links: LinksOfRequest,
    job_id: JobId,
    step: str,
    access: Access = "",
) -> Response:
    """Answer what a task asks, by a form; it then goes on."""
    opens = await run_in_threadpool(links.opens_task, job_id, access)
    who = Requester(administrator=True) if opens else await run_in_threadpool(caller.member)
    form = await _fields(request, service)
    waiting = await run_in_threadpool(service.services.plugin_jobs.answer, who, job_id, step, form)
    service.runs.begin(waiting)
    return Response(status_code=303, headers={"Location": links.task(job_id)})


@router.head("/files/{name}/", include_in_schema=False)
@router.get(
    "/files/{name}/",
    response_class=Response,
    responses=errors("not-found", "conflict", "range-not-satisfiable"),
)
def read_file(
    request: Request,
    service: ServiceOfRequest,
    links: LinksOfRequest,
    name: str,
    file_id: Annotated[str, Query(alias="file-id", description="What shows that we gave this address.")] = "",
) -> Response:
    """Download an output of a task: whoever has its address may, for a day."""
    named = _FILE_ID.fullmatch(name)
    if named is None:
        raise _no_file(name)
    job, number = _output(service, links, named[1], int(named[2]), file_id)
    output = job.outputs[number - 1]
    who = Requester(shares=frozenset({job.id}))
    stored = service.services.plugin_jobs.stored_file(who, job.id, output["name"])
    response = file_answer(request, stored, download=True)
    response.headers["X-Data-Type"] = output["data"]
    return response


def _plugin(service: Service, name: str) -> Plugin:
    """Return a plugin, by its name or QHAna's identifier.

    Raises:
        NotFoundError: there is none.
    """
    catalogue = service.services.catalogue
    if "@" not in name:
        return catalogue.get(name)
    for plugin in catalogue.all():
        if name in {identifier_of(plugin), plugin.identifier}:
            return plugin
    raise NotFoundError("plugin", name[:120], "see /qhana/plugins/")


async def _fields(request: Request, service: Service) -> dict[str, str]:
    """Return the fields of a form; of several with one name the last counts."""
    async with read_form(request, service.services.policy.http.body_bytes) as form:
        if files := [name for name, value in form.multi_items() if isinstance(value, UploadFile)]:
            raise InvalidInputError(Problem("give the address of a file, not the file", files[0]))
        return {name: str(value) for name, value in form.multi_items()}


def _inputs(
    service: Service, links: Links, who: Requester, plugin: Plugin, form: Mapping[str, str]
) -> tuple[Requester, dict[str, list[str]]]:
    """Return the inputs in a form, and who may read them: addresses that we gave are open to whoever has them."""
    found: dict[str, list[str]] = {}
    for port in plugin.description.inputs:
        lines = [line.strip() for line in form.get(port, "").splitlines() if line.strip()]
        for place, line in enumerate(lines):
            if (own := links.own_file(line)) is not None:
                job, number = _output(service, links, *own)
                who = replace(who, shares=who.shares | {job.id})
                output = job.outputs[number - 1]
                lines[place] = f"plugin:{job.id}/{output['port']}/{output['name']}"
        if lines:
            found[port] = lines
    return who, found


def _output(service: Service, links: Links, job_id: str, number: int, file_id: str) -> tuple[PluginJob, int]:
    """Return the job of a file that we gave the address of.

    Raises:
        NotFoundError: there is none, or the address is not as we gave it.
    """
    try:
        job = service.services.plugin_jobs.jobs.plugin(job_id)
    except NotFoundError:
        raise _no_file(job_id) from None
    if not links.opens_file(job, number, file_id):
        raise _no_file(f"{job_id}-{number}")
    return job, number


def _no_file(name: str) -> NotFoundError:
    return NotFoundError("file", name[:60], "ask for its task: addresses of files are good for a day")


def _reader(caller: Caller, links: Links, job_id: str, access: str) -> Requester:
    """Return who may read a task, if they have its address or an account.

    Raises:
        HttpError: it is nobody.
    """
    if links.opens_task(job_id, access):
        return Requester(shares=frozenset({job_id}))
    return caller.reader()


def _task(service: Service, links: Links, who: Requester, job_id: str, access: str) -> dict[str, Any]:
    jobs = service.services.plugin_jobs
    details = jobs.lookup(who, job_id, link=False)
    return answers.task(jobs.jobs.plugin(job_id), details, links, is_open=_is_open(service, links, who, job_id, access))


def _is_open(service: Service, links: Links, who: Requester, job_id: str, access: str) -> bool:
    """Return whether somebody may have the address of a task, with which they may answer it, not only read it."""
    return links.opens_task(job_id, access) or service.services.plugin_jobs.may_change(who, job_id)


def _check_open(service: Service, links: Links, who: Requester, job_id: str, access: str) -> None:
    if not _is_open(service, links, who, job_id, access):
        raise NotAllowedError(
            f"{who} may only read plugin job {job_id}: ask somebody who has it for the task's address"
        )
