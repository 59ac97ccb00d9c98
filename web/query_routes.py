"""The query service of the Multi-Blast design, 2.0, at ``/query``."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from multiblast.accounts import Requester
from multiblast.actions.answers import CreatedQuery, QueryDetails, QueryItem
from multiblast.database import JobKind
from multiblast.jobs import ACTIVE
from multiblast.reports import Formatting
from multiblast.reports.hits import HitOrder
from multiblast.upkeep.reconciliation import Waiting
from web.bodies import job_request
from web.files import StreamAnswer, content_headers, file_answer
from web.identity import CallerOfRequest
from web.job_routes import add_job_routes, body_of, list_page, when_ended
from web.memory import Remembered
from web.parameters import KNOWN, Download, JobId, Number, errors, json_answer, json_body
from web.service import Service, ServiceOfRequest

router = APIRouter(prefix="/query", tags=["query"], dependencies=[KNOWN])

_CREATE = {
    "type": "object",
    "required": ["config"],
    "properties": {
        "config": {
            "type": "object",
            "required": ["jobConfig", "blastConfig"],
            "properties": {
                "jobConfig": {
                    "type": "object",
                    "required": ["site", "targets"],
                    "properties": {
                        "site": {"type": "string"},
                        "targets": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["targetDisplayName", "targetFile"],
                                "properties": {
                                    "targetDisplayName": {"type": "string"},
                                    "targetFile": {"type": "string"},
                                },
                            },
                        },
                        "query": {"type": "string"},
                        "addToUserCollection": {"type": "boolean"},
                    },
                },
                "blastConfig": {"type": "object", "required": ["tool"], "properties": {"tool": {"type": "string"}}},
                "formats": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Reports to make, as `-outfmt` has them, such as `6 std stitle`: they are queued "
                    "until the job is complete, and parts of them made while others are searched. `/report/jobs` lists "
                    "them; to create one finds it.",
                },
                "userMeta": {"type": "object"},
            },
        },
        "query": {"type": "string", "description": "The sequences as FASTA, plain or gzipped; a file or a field."},
    },
}


@router.get("/jobs", response_model=list[QueryItem], responses=errors("invalid-input"))
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    site: str = "",
    status: str = "",
    first: Number = 1,
    count: Number = 1000,
) -> Response:
    """List the jobs in your list, newest first; a header `Link` has the address of the next page."""

    def read() -> list[QueryItem]:
        return service.services.queries.list_jobs(caller.member(), site=site, status=status, first=first, count=count)

    return list_page(request, service, ("list", caller, site, status), read, first, count)


@router.post(
    "/jobs",
    response_model=CreatedQuery,
    responses=errors("invalid-input", "too-many-requests", "unsupported-content-type"),
    openapi_extra=body_of(_CREATE, "multipart/form-data"),
)
async def create_job(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
    """Search sequences. The same request finds the same job; what is known already is complete at once.

    Send a form with a part `config`, which is JSON, and a part `query`, which is a FASTA file; or send the JSON alone,
    with the sequences in `jobConfig.query`.
    """
    body_bytes = service.services.policy.http.body_bytes
    who = await run_in_threadpool(caller.member)  # before anything is read of what may be large
    async with job_request(request, body_bytes, "config") as (config, query):
        created, waiting = await run_in_threadpool(lambda: create(service, who, config, query))
    service.runs.begin_all(waiting)
    return json_answer(request, created)


def create(
    service: Service, who: Requester, config: dict[str, Any], query: bytes | Path
) -> tuple[CreatedQuery, list[Waiting]]:
    """Record a job and the reports that it names; return it, and what runs are to be started for."""
    services = service.services
    created = services.queries.create(who, config, query)
    wanted = map(Formatting.read_outfmt, config.get("formats") or ())
    listed = config["jobConfig"].get("addToUserCollection") is not False
    services.wanted_reports.record(who, created.query_job_id, wanted, listed=listed)
    return created, services.begin_search(created.query_job_id)


@router.get("/jobs/{job_id}", response_model=QueryDetails, responses=errors("not-found", "forbidden", "invalid-input"))
async def look_up_job(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    save_job: Annotated[bool, Query(description="Whether to add the job to your list.")] = True,
    children: Annotated[int, Query(ge=0, le=10**9, description="How many of its sequences to list.")] = 1000,
) -> Response:
    """See a job, and its sequences with their positions. With `Prefer: wait=N` the answer waits until it has ended."""

    def look_up() -> Remembered:
        details = service.services.queries.lookup(caller.reader(), job_id, link=save_job, children=children)
        return Remembered(json_body(details), active=details.status in ACTIVE)

    key = ("queries", caller, job_id, save_job, children)
    return await when_ended(request, service, JobKind.QUERY, job_id, lambda: service.memory.answer(key, look_up))


@router.head("/jobs/{job_id}/query", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/query",
    response_class=PlainTextResponse,
    responses=errors("not-found", "forbidden", "range-not-satisfiable"),
)
def read_query(
    request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, download: Download = True
) -> Response:
    """Download the sequences of a job."""
    return file_answer(request, service.services.queries.query_file(caller.reader(), job_id), download=download)


@router.get(
    "/jobs/{job_id}/result", response_class=PlainTextResponse, responses=errors("not-found", "forbidden", "conflict")
)
def read_result(
    service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, download: Download = True
) -> Response:
    """Download the result of a complete job: one BLAST archive in ASN.1, which `blast_formatter -archive` reads."""
    spool = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by the answer
    try:
        service.services.queries.result(caller.reader(), job_id, spool)
    except BaseException:
        spool.close()
        raise
    length = spool.tell()
    spool.seek(0)
    headers = content_headers("text/plain", download=download, name="report.asn1")
    return StreamAnswer(lambda: spool, length, 200, headers)


@router.get("/jobs/{job_id}/command", response_class=PlainTextResponse, responses=errors("not-found", "forbidden"))
def read_command(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
    """See what BLAST+ was called with, the databases by their names."""
    command = service.services.queries.command(caller.reader(), job_id)
    return PlainTextResponse(shlex.join(command) + "\n")


@router.get(
    "/jobs/{job_id}/comparisons/{name}", response_class=PlainTextResponse, responses=errors("not-found", "forbidden")
)
def read_comparison(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    name: str,
    download: Download = True,
) -> Response:
    """Download a comparison of a job with what it found before, or with another, by the name that it was given."""
    return file_answer(
        request, service.services.queries.comparison_file(caller.reader(), job_id, name), download=download
    )


@router.get("/jobs/{job_id}/hits", responses=errors("not-found", "forbidden", "conflict", "invalid-input"))
async def read_hits(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    caller: CallerOfRequest,
    job_id: JobId,
    evalue_max: float | None = None,
    identity_min: float | None = None,
    coverage_min: float | None = None,
    query: str | None = None,
    subject: str | None = None,
    sort: HitOrder | None = None,
    page: Number = 1,
    page_size: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Response:
    """See the hits of a complete job, a page at a time, filtered and in order; `query` is a position or a name."""
    choice = {
        "evalue_max": evalue_max,
        "identity_min": identity_min,
        "coverage_min": coverage_min,
        "query": int(query) if query and query.isdecimal() and len(query) < 10 else query,  # noqa: PLR2004 - digits
        "subject": subject,
        "sort": sort,
        "page": page,
        "page_size": page_size,
    }
    who = await run_in_threadpool(caller.reader)
    found = await service.runs.here(partial(service.services.reports.hits, who, job_id, **choice))
    return json_answer(request, asdict(found))


@router.get("/targets", response_model=dict[str, dict[str, dict[str, list[str]]]], responses=errors())
def list_targets(request: Request, service: ServiceOfRequest) -> Response:
    """See what can be searched: sites, their targets, and the databases of each for nucleotides and amino acids."""
    return json_answer(request, service.services.queries.targets())


add_job_routes(router, JobKind.QUERY)
