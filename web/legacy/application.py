"""The surface 1.x: its routes, over the same actions as all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.accounts import Requester
from multiblast.actions.answers import QueryDetails, ReportDetails
from multiblast.actions.job_door import JobDoor
from multiblast.database import JobKind
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.sequences.fasta import text_blocks
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.upkeep.reconciliation import Waiting
from web import query_routes
from web.bodies import job_request, read_object
from web.errors import HttpError, json_line
from web.files import StreamAnswer, content_headers, file_answer
from web.identity import Caller, CallerOfRequest
from web.job_routes import link_guest, restart
from web.legacy.errors import add_error_handlers
from web.legacy.words import STATUSES, TOOLS, formatting_of_1, formatting_of_2, notes_of, options_of_1, options_of_2
from web.parameters import JobId
from web.service import ServiceOfRequest

_CHILDREN = 100
_RESTARTED = {"expired"}
_PART = re.compile(r"(lines|bytes) (\d{1,18})-(\d{1,18})/\*")
# As its clients look for it, to the letter.
_TOO_LARGE = {"status": "bad-request", "message": "Requested report is larger than the specified max content size."}
_MEDIA_TYPES = {"json": "application/json", "xml": "application/xml", "zip": "application/zip"}


def legacy_application() -> FastAPI:
    """Return the application; its state must get the service."""
    app = FastAPI(title="Multi-Blast", version="1.9", docs_url=None, redoc_url=None)
    add_error_handlers(app)
    for method, path, route in _ROUTES:
        app.add_api_route(path, route, methods=[method])
    return app


def _json(value: Any) -> Response:
    return Response(json_line(value), media_type="application/json")


def _reader(caller: Caller, job_id: str) -> Requester:
    """Return the requester; where ids suffice, somebody with an account may read any job."""
    who = caller.reader()
    return replace(who, shares=who.shares | {job_id}) if _ids_suffice(caller, who) else who


def _ids_suffice(caller: Caller, who: Requester) -> bool:
    return caller.services.policy.http.ids_suffice and bool(who.owner)


def _keep(caller: Caller, who: Requester, door: JobDoor, job_id: str) -> None:
    """Add a job that was read to the list of somebody for whom ids suffice."""
    if _ids_suffice(caller, who):
        door.link(who, job_id)


async def _list_jobs(service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """List all jobs of the user that clients can read."""

    def read() -> list[dict[str, Any]]:
        who, queries = caller.member(), service.services.queries
        listed = [item.query_job_id for item in queries.list_jobs(who, count=0)]
        jobs = [queries.lookup(who, job_id, link=False, children=_CHILDREN) for job_id in listed]
        return [_short(job, queries.notes(who, job.query_job_id)) for job in jobs if job.blast_config["tool"] in TOOLS]

    return _json(await run_in_threadpool(read))


async def _create_job(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """Search sequences."""
    who = await run_in_threadpool(caller.member)  # before anything is read of what may be large
    async with job_request(request, service.services.policy.http.body_bytes, "properties") as (given, file):
        config = _mapping(given.get("config"), "config")
        body = {"jobConfig": _job_config(given), "blastConfig": options_of_2(config)}
        if isinstance(description := given.get("description"), str):
            body["userMeta"] = {"description": description}
        if config.get("tool") not in TOOLS:
            raise InvalidInputError(Problem(f"choose one of {', '.join(TOOLS)}", "config.tool"))
        query = file or str(config.get("query") or "").encode(errors="replace")
        most = given.get("maxSequences")
        if isinstance(most, int) and await run_in_threadpool(_has_more, query, most, service.services.limits):
            raise InvalidInputError(Problem(f"more than {most} sequences", "query"))
        notes = notes_of(given, config)

        def create() -> tuple[str, list[Waiting]]:
            created, waiting = query_routes.create(service, who, body, query)
            service.services.queries.note(who, created.query_job_id, notes)
            return created.query_job_id, waiting

        job_id, waiting = await run_in_threadpool(create)
    service.runs.begin_all(waiting)
    return _json({"jobId": job_id})


def _has_more(query: bytes | Path, most: int, limits: QueryLimits) -> bool:
    """Return whether there are more titles of sequences in a query; one that is too large is refused later."""
    count, size, last = 0, 0, b"\n"
    for block in text_blocks(query):
        count, size = count + (last + block).count(b"\n>"), size + len(block)
        if count > most or size > limits.query_bytes > 0:
            break
        last = block[-1:] or last
    return count > most


def _job_config(given: Mapping[str, Any]) -> dict[str, Any]:
    targets = given.get("targets")
    if not isinstance(targets, list):
        targets = []
    named = [_mapping(target, "targets") for target in targets]
    return {
        "site": given.get("site"),
        "targets": [{"targetDisplayName": one.get("organism"), "targetFile": one.get("target")} for one in named],
    }


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError(Problem("an object is needed here", key))
    return value


async def _look_up_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    """See a job, and add it to one's list."""

    def read() -> dict[str, Any]:
        who, queries = _reader(caller, job_id), service.services.queries
        job = queries.lookup(who, job_id, children=_CHILDREN)
        if job.blast_config["tool"] not in TOOLS:
            raise NotFoundError("job", job_id, "it is one of a program that this version has not")
        _keep(caller, who, queries, job_id)
        notes = queries.notes(who, job_id)
        return {**_short(job, notes), "config": options_of_1(job.blast_config, notes.get("outFormat"))}

    return _json(await run_in_threadpool(read))


async def _restart_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: str) -> Response:
    """Run an expired job again; for any other nothing happens."""
    await _restart(service, caller, JobKind.QUERY, job_id.lower())
    return Response(status_code=204)


async def _restart(service: ServiceOfRequest, caller: Caller, kind: JobKind, job_id: str) -> None:
    door = service.services.queries if kind is JobKind.QUERY else service.services.reports
    who = await run_in_threadpool(caller.member)
    found = await run_in_threadpool(door.statuses, who, [job_id])
    if found.get(job_id) in _RESTARTED:
        try:
            await restart(service, kind, who, job_id)
        except HttpError as error:
            raise HttpError("bad-request", str(error)) from error


def _read_query(
    request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, download: bool = False
) -> Response:
    file = service.services.queries.query_file(_reader(caller, job_id), job_id)
    return file_answer(request, file, download=download, name=f"{job_id}-query.txt")


def _read_error(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, download: bool = False) -> Response:
    text = service.services.queries.errors(_reader(caller, job_id), job_id).stderr
    if not text:
        return Response(status_code=404)
    return Response(text, headers=content_headers("text/plain", download=download, name=f"{job_id}-error.txt"))


async def _list_reports(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    def read() -> list[dict[str, Any]]:
        who, reports = caller.member(), service.services.reports
        of_job = request.query_params.get("job-id", "").lower()
        listed = [item.report_job_id for item in reports.list_jobs(who, query_job_id=of_job, count=0)]
        return [_report(reports.lookup(who, report_id, link=False)) for report_id in listed]

    return _json(await run_in_threadpool(read))


async def _create_report(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    given = await read_object(request)
    body: dict[str, Any] = {"queryJobID": given.get("jobID"), "blastConfig": formatting_of_2(given)}
    if isinstance(description := given.get("description"), str):
        body["userMeta"] = {"description": description}
    reports = service.services.reports

    def create() -> Any:
        try:
            made = reports.create(caller.member(), body).report_job_id
        except ConflictError as error:
            raise HttpError("bad-request", str(error)) from error
        return reports.begin(made), _report(reports.lookup(caller.member(), made))

    waiting, report = await run_in_threadpool(create)
    service.runs.begin(waiting)
    return _json(report)


async def _look_up_report(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    return _json(await run_in_threadpool(_whole_report, service.services, caller, job_id))


def _whole_report(services: Services, caller: Caller, report_id: str) -> dict[str, Any]:
    who = _reader(caller, report_id)
    report = services.reports.lookup(who, report_id)
    _keep(caller, who, services.reports, report_id)
    answer = _report(report)
    if report.status == "complete":
        answer["files"] = [file.name for file in services.reports.files(who, report_id)]
    return answer


async def _restart_report(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    await _restart(service, caller, JobKind.REPORT, job_id)
    return _json(await run_in_threadpool(_whole_report, service.services, caller, job_id))


def _read_file(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    name: str,
    download: bool = True,
    lines: str = "",
) -> Response:
    """Download a file of a report, or the part of it that ``lines`` or the header ``Content-Range`` names."""
    reports, who = service.services.reports, _reader(caller, job_id)
    file = reports.stored_file(who, job_id, name)
    file = replace(file, media_type=_MEDIA_TYPES.get(name.rpartition(".")[2], "text/plain"))
    most = request.headers.get("content-max-length", "")
    if most.isdecimal() and len(most) < 20 and file.size > int(most):  # noqa: PLR2004 - more digits than 64 bits
        return Response(json_line(_TOO_LARGE), 400, media_type="application/json")
    if "headers" in request.query_params:
        raise HttpError("bad-request", "headers are for DIAMOND, which is not here")
    byte_range, line_range = _part(request.headers.get("content-range", ""), lines)
    if not byte_range and not line_range:
        return file_answer(request, file, download=download)

    def open_part() -> BinaryIO:
        return stream

    try:
        stream = reports.file(who, job_id, name, byte_range=byte_range, line_range=line_range)
    except InvalidInputError as error:
        raise HttpError("bad-request", str(error)) from error
    return StreamAnswer(open_part, None, 200, content_headers(file.media_type, download=download, name=name))


def _part(content_range: str, lines: str) -> tuple[str, str]:
    """Return the range of bytes and the range of lines that are asked for."""
    if not content_range:
        return "", lines if not lines or "-" in lines else f"{lines}-{lines}"
    found = _PART.fullmatch(content_range.strip())
    if not found or lines:
        raise HttpError("bad-request", "write Content-Range: bytes FIRST-LAST/* or lines FIRST-LAST/*, or lines alone")
    unit, first, last = found.groups()
    return (f"{first}-{last}", "") if unit == "bytes" else ("", f"{first}-{last}")


def _list_queued_jobs(service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """List the ids of the user's jobs that wait; others' are nobody's business where an id suffices to read a job."""
    waiting = service.services.queries.list_jobs(caller.member(), status="queued", count=0)
    return _json([item.query_job_id for item in waiting])


def _list_queued_reports(service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    waiting = service.services.reports.list_jobs(caller.member(), status="queued", count=0)
    return _json([item.report_job_id for item in waiting])


async def _link_guest(request: Request, caller: CallerOfRequest) -> Response:
    body = await read_object(request)
    if isinstance(number := body.get("guestID"), int):
        body["guestID"] = str(number)
    await run_in_threadpool(link_guest, caller, body)
    return Response(status_code=204)


def _short(job: QueryDetails, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as lists have it: nothing that is not known, since a null is refused.

    One that was not submitted here, but looked up as a sequence of another, is secondary.
    """
    meta = job.user_meta
    description = (meta.description or meta.summary) if meta else None
    if job.status in {"failed", "cancelled"}:
        description = description or job.reason or "it failed"
    children = [{"id": child.query_job_id, "index": child.position} for child in job.children or ()]
    answer = {
        "id": job.query_job_id,
        "status": STATUSES[job.status],
        "created": f"{job.created_on:%Y-%m-%dT%H:%M:%SZ}",
        "site": job.site,
        "maxResultSize": notes.get("maxResultSize", 0),
        "isPrimary": notes.get("isPrimary", not job.parents),
        "isRerunnable": True,
        "description": description,
        "targets": [
            {"organism": target.target_display_name, "target": target.target_file} for target in job.job_config.targets
        ],
        "childJobs": children or None,
        "parentJobs": [{"id": parent, "index": 1} for parent in job.parents or ()] or None,
    }
    return {name: value for name, value in answer.items() if value is not None}


def _report(report: ReportDetails) -> dict[str, Any]:
    meta = report.user_meta
    answer = {
        "jobID": report.query_job_id,
        "reportID": report.report_job_id,
        "config": {"jobID": report.query_job_id, **formatting_of_1(report.blast_config)},
        "status": STATUSES[report.status],
        "description": (meta.description or meta.summary) if meta else None,
    }
    return {name: value for name, value in answer.items() if value is not None}


_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/jobs", _list_jobs),
    ("POST", "/jobs", _create_job),
    ("GET", "/jobs/{job_id}", _look_up_job),
    ("POST", "/jobs/{job_id}", _restart_job),
    ("GET", "/jobs/{job_id}/query", _read_query),
    ("GET", "/jobs/{job_id}/error", _read_error),
    ("GET", "/reports", _list_reports),
    ("POST", "/reports", _create_report),
    ("GET", "/reports/{job_id}", _look_up_report),
    ("POST", "/reports/{job_id}", _restart_report),
    ("GET", "/reports/{job_id}/files/{name}", _read_file),
    ("POST", "/link-guest", _link_guest),
    ("GET", "/queues/blast", _list_queued_jobs),
    ("GET", "/queues/reports", _list_queued_reports),
]
