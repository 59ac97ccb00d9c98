"""What a visitor does with a job, of whatever kind: cancel, restart, keep, describe, share, take out of their list."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.database import JobKind
from web.job_routes import restart, unlink
from web.pages.page import redirect
from web.pages.visitor import Visitor, VisitorOfRequest, sent_fields
from web.parameters import JobId
from web.service import Service, ServiceOfRequest

Show = Callable[[Request, Service, Visitor, str, str], Response]
"""Returns the page of a job, by its id, with a link by which it is shared."""


def add_changes(router: APIRouter, kind: JobKind, place: str, show: Show) -> None:
    """Add the forms of the pages of a kind of jobs.

    Args:
        router: Where to.
        kind: Of the jobs.
        place: What the addresses of their pages begin with, such as ``/jobs``.
        show: Shows a job.
    """
    _add_runs(router, kind, place)
    _add_keeping(router, kind, place)
    _add_sharing(router, kind, place, show)


def _add_runs(router: APIRouter, kind: JobKind, place: str) -> None:
    """Add what stops a job, and lets it run again."""

    @router.post(f"{place}/{{job_id}}/cancel")
    async def cancel_job(
        request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId
    ) -> Response:
        """Stop a job."""
        await sent_fields(request, visitor)
        await run_in_threadpool(service.services.door(kind).cancel, visitor.who, job_id)
        return redirect(f"{place}/{job_id}")

    @router.post(f"{place}/{{job_id}}/restart")
    async def restart_job(
        request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId
    ) -> Response:
        """Let a job run again."""
        await sent_fields(request, visitor)
        again = await restart(service, kind, visitor.who, job_id)
        return redirect(f"{place}/{again}")


def _add_keeping(router: APIRouter, kind: JobKind, place: str) -> None:
    """Add what is noted about a job, and whether it expires."""

    @router.post(f"{place}/{{job_id}}/notes")
    async def note(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
        """Change what a visitor says about a job."""
        fields = await sent_fields(request, visitor)
        words = {name: fields.get(name, "") for name in ("summary", "description")}
        await run_in_threadpool(lambda: service.services.door(kind).update(visitor.who, job_id, **words))
        return redirect(f"{place}/{job_id}")

    @router.post(f"{place}/{{job_id}}/pin")
    async def pin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
        """Keep a job's result for good."""
        await sent_fields(request, visitor)
        await run_in_threadpool(service.services.door(kind).pin, visitor.who, job_id)
        return redirect(f"{place}/{job_id}")

    @router.post(f"{place}/{{job_id}}/unpin")
    async def unpin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
        """Let a job's result expire again."""
        await sent_fields(request, visitor)
        await run_in_threadpool(lambda: service.services.door(kind).pin(visitor.who, job_id, pinned=False))
        return redirect(f"{place}/{job_id}")

    @router.post(f"{place}/{{job_id}}/remove")
    async def remove(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
        """Take a job out of a visitor's list."""
        await sent_fields(request, visitor)
        await run_in_threadpool(unlink, service, kind, visitor.who, job_id)
        return redirect(place)


def _add_sharing(router: APIRouter, kind: JobKind, place: str, show: Show) -> None:
    """Add what opens a job to others."""

    @router.post(f"{place}/{{job_id}}/share")
    async def share(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
        """Show a link by which anybody may read a job."""
        await sent_fields(request, visitor)

        def answer() -> Response:
            token = service.services.door(kind).share(visitor.who, job_id)
            return show(request, service, visitor, job_id, f"{request.base_url}shared/{job_id}/{token}")

        return await run_in_threadpool(answer)

    @router.post(f"{place}/{{job_id}}/unshare")
    async def unshare(
        request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId
    ) -> Response:
        """Revoke all links to a job."""
        await sent_fields(request, visitor)
        await run_in_threadpool(service.services.door(kind).end_shares, visitor.who, job_id)
        return redirect(f"{place}/{job_id}")
