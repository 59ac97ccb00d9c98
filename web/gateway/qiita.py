"""The gateway as plugins of Qiita know it: the requests of their `qiita_client`, in its forms of 2025 and 2026."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from multiblast.errors import InvalidInputError
from multiblast.gateway import UnknownGrantError
from multiblast.gateway.qiita import QiitaVisit, check_command, check_type, describe_plugin
from web.bodies import parse_json, read_form, text_fields
from web.errors import CODES, HttpError, describe
from web.files import StreamAnswer
from web.gateway.objects import send_object
from web.gateway.pushes import Push
from web.gateway.visits import address_of, as_http, bearer, gateway_of
from web.service import ServiceOfRequest

PUSH = "/qiita/cloud/push_file_to_central/"
_TIMED_OUT, _NOT_GOOD = "Oauth2 error: token has timed out", "Oauth2 error: invalid token"
_LONGEST_FORM, _LONGEST_JSON = 1 << 20, 64 << 20
# What the client does not try again. It has read its files by then, and would send nothing in their place.
_FINAL = {
    **dict.fromkeys(("bad-request", "invalid-input", "checksum-mismatch", "unauthorized", "too-large"), 400),
    **dict.fromkeys(("forbidden", "conflict"), 403),
    **dict.fromkeys(("not-found", "gone"), 404),
}


class _QiitaRoute(APIRoute):
    """A route whose errors are text, with the codes that the client understands."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except UnknownGrantError as error:
                return _not_authenticated(_TIMED_OUT if error.has_expired else _NOT_GOOD)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client needs one of its codes
                return _refusal(request, error)

        return answer


router = APIRouter(prefix="/qiita", tags=["gateway"], route_class=_QiitaRoute)


def _visit(request: Request) -> QiitaVisit:
    token = bearer(request)
    if not token:
        raise UnknownGrantError("send a grant as Authorization: Bearer GRANT")
    return QiitaVisit(gateway_of(request).visit(token, address_of(request)))


VisitOfPlugin = Annotated[QiitaVisit, Depends(_visit)]


@router.post("/qiita_db/authenticate/")
async def authenticate(request: Request) -> Response:
    """Exchange `client_id`, a ticket or its job, and `client_secret`, its grant, for a token: the grant itself."""
    async with read_form(request, _LONGEST_FORM) as form:
        said = text_fields(form)
    gateway, secret, address = gateway_of(request), said.get("client_secret", ""), address_of(request)
    grant = (await run_in_threadpool(lambda: gateway.visit(secret, address))).grant
    if said.get("client_id") not in {grant.ticket, grant.job} - {""} or said.get("grant_type") != "client":
        return _not_authenticated("Oauth2 error: invalid client information")
    left_s = grant.expires - int(time.time())
    return JSONResponse({"access_token": secret, "token_type": "Bearer", "expires_in": left_s})


@router.get("/cloud/fetch_file_from_central/{path:path}")
async def fetch_from_central(request: Request, service: ServiceOfRequest, visit: VisitOfPlugin, path: str) -> Response:
    """Fetch a file, or a directory as a zip, by its path without its first `/`."""
    key, is_directory = await run_in_threadpool(lambda: visit.find(f"/{path}"))
    if not is_directory:
        return await send_object(request, service, visit.visit, key)
    headers = {"Content-Type": "application/zip", "Is-Qiita-Directory": "yes"}
    return StreamAnswer(lambda: visit.directory(key), None, 200, headers)


@router.post("/cloud/push_file_to_central/")
async def push_to_central(request: Request, visit: VisitOfPlugin) -> Response:
    """Push files: each part named after its target directory; or one chunk of a file as the part `file`."""
    kind, length = request.headers.get("content-type", ""), int(request.headers.get("content-length", "0"))
    push = await run_in_threadpool(lambda: Push(visit, kind, length))
    try:
        async for data in request.stream():
            await run_in_threadpool(push.reader.feed, data)
        paths = await run_in_threadpool(push.finish)
    finally:
        await run_in_threadpool(push.close)
    listed = "".join(f" - {path}\n" for path in paths)
    return PlainTextResponse(f"Stored {len(paths)} files into BASE_DATA_DIR of Qiita:\n{listed}")


@router.get("/cloud/delete_file_from_central/{path:path}")
async def refuse_deletion(path: str) -> Response:  # noqa: ARG001 - whatever it is
    """Refuse: Qiita has this in its own tests only."""
    return PlainTextResponse("nothing is deleted here", 403)


@router.get("/qiita_db/jobs/{job_id}")
async def read_qiita_job(visit: VisitOfPlugin, job_id: str) -> dict[str, Any]:
    """See what a job is to do, and how far it is."""
    job = await run_in_threadpool(lambda: visit.check_job(job_id))
    return {"command": job.command, "parameters": job.parameters, "status": job.status, "msg": job.message}


@router.post("/qiita_db/jobs/{job_id}/heartbeat/")
async def beat(visit: VisitOfPlugin, job_id: str) -> Response:
    """Say that a job runs."""
    await run_in_threadpool(lambda: visit.jobs.running(visit.check_job(job_id).ticket))
    return Response()


@router.post("/qiita_db/jobs/{job_id}/step/")
async def note_step(request: Request, visit: VisitOfPlugin, job_id: str) -> Response:
    """Say what a job does now: `{"step"}`."""
    said = await _json(request)
    await run_in_threadpool(lambda: visit.jobs.step(visit.check_job(job_id).ticket, str(said.get("step", ""))))
    return Response()


@router.post("/qiita_db/jobs/{job_id}/complete/")
async def complete_job(request: Request, visit: VisitOfPlugin, job_id: str) -> Response:
    """Say how a job ended: `{"success", "error", "artifacts"}`; outputs have to be here by then."""
    said = await _json(request)
    await run_in_threadpool(lambda: visit.check_job(job_id))
    await run_in_threadpool(lambda: visit.complete(said))
    return Response()


@router.get("/qiita_db/artifacts/{number}/")
async def read_artifact(visit: VisitOfPlugin, number: str) -> dict[str, Any]:
    """See the files of an artifact."""
    return await run_in_threadpool(lambda: visit.artifact(number))


@router.patch("/qiita_db/artifacts/{number}/")
async def patch_artifact(request: Request, visit: VisitOfPlugin, number: str) -> Response:
    """Say where the summary of an artifact is: `op=add`, `path=/html_summary/`, `value`."""
    async with read_form(request, _LONGEST_FORM) as form:
        said = text_fields(form)
    if (said.get("op"), said.get("path")) != ("add", "/html_summary/") or not said.get("value"):
        raise HttpError("bad-request", "of an artifact only its summary can be set: op=add, path=/html_summary/, value")
    await run_in_threadpool(lambda: visit.summarize(number, said["value"]))
    return Response()


@router.get("/qiita_db/prep_template/{number}/")
async def read_preparation(visit: VisitOfPlugin, number: str) -> dict[str, str]:
    """See the files of a preparation."""
    return await run_in_threadpool(lambda: visit.preparation(number))


@router.get("/qiita_db/plugins/{name}/{version}/")
async def read_plugin(service: ServiceOfRequest, visit: VisitOfPlugin, name: str, version: str) -> dict[str, Any]:
    """See a plugin that the policy names, as one that registers itself."""
    await run_in_threadpool(visit.check_registers)
    return describe_plugin(service.services.policy.gateway, name, version)


@router.post("/qiita_db/plugins/{name}/{version}/commands/")
async def register_command(
    request: Request, service: ServiceOfRequest, visit: VisitOfPlugin, name: str, version: str
) -> Response:
    """Register a command; nothing of it is kept."""
    await run_in_threadpool(visit.check_registers)
    describe_plugin(service.services.policy.gateway, name, version)
    async with read_form(request, _LONGEST_FORM) as form:
        check_command(text_fields(form))
    return Response()


@router.post("/qiita_db/plugins/{name}/{version}/commands/{command:path}/activate/")
async def activate_command(
    service: ServiceOfRequest,
    visit: VisitOfPlugin,
    name: str,
    version: str,
    command: str,  # noqa: ARG001 - whatever a plugin has can be run
) -> Response:
    """Activate a command: all are active."""
    await run_in_threadpool(visit.check_registers)
    describe_plugin(service.services.policy.gateway, name, version)
    return Response()


@router.post("/qiita_db/artifacts/types/")
async def register_type(request: Request, visit: VisitOfPlugin) -> Response:
    """Register a type of artifacts; nothing of it is kept."""
    await run_in_threadpool(visit.check_registers)
    async with read_form(request, _LONGEST_FORM) as form:
        check_type(text_fields(form))
    return Response()


async def _json(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _LONGEST_JSON:
            raise HttpError("too-large", f"this has at most {_LONGEST_JSON:,} bytes")
    said = parse_json(bytes(data))
    if not isinstance(said, dict):
        raise HttpError("bad-request", "a JSON object is needed here")
    return said


def _not_authenticated(description: str) -> Response:
    return JSONResponse({"error": "invalid_request", "error_description": description}, 400)


def _refusal(request: Request, error: Exception) -> Response:
    code, body, headers = describe(as_http(error))
    final = _FINAL.get(body["status"])
    if final is None:
        # What changes nothing may be asked again.
        final = code if request.method == "GET" and code == CODES["unavailable"] else 500
    with suppress(KeyError):
        del headers["Connection"]
    # What is wrong with an input the client looks for in the text.
    text = str(error) if isinstance(error, InvalidInputError) else body["message"]
    return PlainTextResponse(text, final, headers)
