"""The list of somebody's jobs, and what they do with one of them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.database import JobKind, JobStatus
from web.job_routes import unlink
from web.pages.job_pages import job_details, job_page
from web.pages.page import PageRoute, page, redirect
from web.pages.visitor import VisitorOfRequest, sent_fields
from web.parameters import JobId, Number
from web.service import ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_COUNT = 50
_SHOWN = 1000  # changes of hits


@router.get("/jobs")
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    visitor: VisitorOfRequest,
    find: str = "",
    status: str = "",
    first: Number = 1,
) -> Response:
    """List a visitor's jobs; of an administrator without a name, all."""
    chosen = status if status in list(JobStatus) else ""
    jobs = []
    if visitor.has_account:
        jobs = service.services.queries.found(visitor.who, find[:200], status=chosen, first=first, count=_COUNT + 1)
    return page(
        request,
        visitor,
        "jobs.html",
        jobs=jobs[:_COUNT],
        more=len(jobs) > _COUNT,
        find=find,
        status=chosen,
        statuses=[str(one) for one in JobStatus],
        first=first,
        count=_COUNT,
    )


@router.post("/jobs/{job_id}/notes")
async def note(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Change what a visitor says about a job."""
    fields = await sent_fields(request, visitor)
    words = {name: fields.get(name, "") for name in ("summary", "description")}
    await run_in_threadpool(lambda: service.services.queries.update(visitor.who, job_id, **words))
    return redirect(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/share")
async def share(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show a link by which anybody may read a job."""
    await sent_fields(request, visitor)

    def answer() -> Response:
        token = service.services.queries.share(visitor.who, job_id)
        link = f"{request.base_url}shared/{job_id}/{token}"
        return job_page(request, service, visitor, job_details(service, visitor, job_id), link)

    return await run_in_threadpool(answer)


@router.post("/jobs/{job_id}/unshare")
async def unshare(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Make all links to a job worthless."""
    await sent_fields(request, visitor)
    await run_in_threadpool(service.services.queries.end_shares, visitor.who, job_id)
    return redirect(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/pin")
async def pin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Keep a job's result for good."""
    await sent_fields(request, visitor)
    await run_in_threadpool(service.services.queries.pin, visitor.who, job_id)
    return redirect(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/unpin")
async def unpin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Let a job's result expire again."""
    await sent_fields(request, visitor)
    await run_in_threadpool(lambda: service.services.queries.pin(visitor.who, job_id, pinned=False))
    return redirect(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/remove")
async def remove(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Take a job out of a visitor's list."""
    await sent_fields(request, visitor)
    await run_in_threadpool(unlink, service, JobKind.QUERY, visitor.who, job_id)
    return redirect("/jobs")


@router.get("/jobs/{job_id}/comparison")
def compare(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show what a change of databases did to a job's hits."""
    comparison = service.services.queries.compare(visitor.who, job_id)
    return page(
        request,
        visitor,
        "comparison.html",
        job_id=job_id,
        text=comparison.text,
        changes=comparison.changes[:_SHOWN],
        left=len(comparison.changes) - _SHOWN,
    )
