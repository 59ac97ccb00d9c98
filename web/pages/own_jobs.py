"""The list of somebody's jobs, and what they do with one of them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from multiblast.database import JobKind, JobStatus
from web.pages.job_changes import add_changes
from web.pages.job_pages import job_details, job_page
from web.pages.page import PageRoute, page
from web.pages.visitor import Visitor, VisitorOfRequest
from web.parameters import JobId, Number
from web.service import Service, ServiceOfRequest

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
        abandoned=service.services.queries.abandoned([job.id for job, _ in jobs]),
        more=len(jobs) > _COUNT,
        find=find,
        status=chosen,
        statuses=[str(one) for one in JobStatus],
        first=first,
        count=_COUNT,
    )


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


def _shown(request: Request, service: Service, visitor: Visitor, job_id: str, share_link: str) -> Response:
    return job_page(request, service, visitor, job_details(service, visitor, job_id), share_link=share_link)


add_changes(router, JobKind.QUERY, "/jobs", _shown)
