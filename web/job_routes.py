"""The routes that all kinds of jobs have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from multiblast.accounts import Requester
from multiblast.actions.answers import Answer, CreatedPlugin, Errors, Event
from multiblast.actions.requests import read_update
from multiblast.database import JobKind, JobStatus
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError, Problem
from web.bodies import read_json, read_object
from web.errors import HttpError, json_line
from web.files import content_headers
from web.identity import Caller, CallerOfRequest
from web.memory import Remembered
from web.parameters import Download, JobId, Number, errors, json_answer, json_body, wait_s
from web.service import Service, ServiceOfRequest

_EVERYBODY = Requester(administrator=True)


def body_of(schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    """Return what a route's documentation says of the body that it reads itself."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


async def restart(service: Service, kind: JobKind, who: Requester, job_id: str) -> str:
    """Let a job run again; return its id, or that of a plugin job in its place whose inputs are others now.

    Raises:
        HttpError: it cannot, because what it was searched in is not as its recipe needs it.
    """
    door = service.services.door(kind)
    try:
        restarted = await run_in_threadpool(door.restart, who, job_id)
    except InvalidInputError as error:
        raise HttpError("gone", str(error)) from error
    if isinstance(restarted, CreatedPlugin):
        job_id = restarted.plugin_job_id
    service.runs.begin(await run_in_threadpool(door.begin, job_id))
    return job_id


def unlink(service: Service, kind: JobKind, who: Requester, job_id: str) -> None:
    """Take a job out of somebody's list.

    Raises:
        NotFoundError: it is not in it.
    """
    try:
        found = service.services.door(kind).unlink(who, job_id)
    except NotAllowedError:
        found = False
    if not found:
        raise NotFoundError(f"{kind} job in your list", job_id)


def link_guest(caller: Caller, body: dict[str, Any]) -> None:
    """Give all jobs of a guest to the requester.

    Raises:
        HttpError: there is no such guest.
        NotAllowedError: a guest asks, or nobody with a name.
    """
    who, token = caller.member(), body.get("guestID")
    if who.is_guest or not who.owner:
        raise NotAllowedError(f"{who} has no list that jobs could move to: sign in")
    if not isinstance(token, str):
        raise HttpError("bad-request", "guestID is the guest's token, a text")
    try:
        caller.services.accounts.link_guest(token, who.owner)
    except NotAllowedError as error:
        raise HttpError("bad-request", str(error)) from error


def list_page(  # noqa: PLR0913, PLR0917 - a request, and what is kept of it
    request: Request,
    service: Service,
    key: tuple[Hashable, ...],
    read: Callable[[], Sequence[Answer]],
    first: int,
    count: int,
) -> Response:
    """Answer with a page of a list, and with the address of the next one if there may be one.

    Args:
        request: What is answered.
        service: What answers, from memory where nothing was written since.
        key: Whose list, and its filters.
        read: Reads the page.
        first: Where in the list it begins, 1-based.
        count: How many entries it has at most.
    """

    def answer() -> Remembered:
        items = read()
        return Remembered(json_body(items), active=len(items) == count)

    found = service.memory.answer((*key, first, count), answer)
    response = json_answer(request, found.body)
    if found.active:
        following = request.url.include_query_params(first=first + count, count=count)
        following = following.remove_query_params(["access_token", "Auth-Key", "share_token"])
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


async def when_ended(
    request: Request, service: Service, kind: JobKind, job_id: str, read: Callable[[], Remembered]
) -> Response:
    """Answer with a job as ``read`` returns it, which checks rights; `Prefer: wait=N` waits until it has ended."""
    found = await run_in_threadpool(read)
    if (limit_s := wait_s(request)) and found.active:
        await service.watch.ended(kind, job_id, limit_s)
        found = await run_in_threadpool(read)
    return json_answer(request, found.body, active=found.active)


def add_job_routes(router: APIRouter, kind: JobKind) -> None:
    """Add to the routes of a kind of jobs those that all kinds have."""
    _add_changes(router, kind)
    _add_keeping(router, kind)
    _add_reading(router, kind)
    _add_guest_link(router)
    _add_maintenance(router, kind)


def _add_changes(router: APIRouter, kind: JobKind) -> None:
    """Add what changes a job: restart, update, unlink, cancel."""

    @router.post(
        "/jobs/{job_id}",
        status_code=204,
        responses=errors("not-found", "forbidden", "conflict", "gone", "too-many-requests"),
    )
    async def restart_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Run an expired, failed or cancelled job again."""
        again = await restart(service, kind, await run_in_threadpool(caller.member), job_id)
        return Response(status_code=204, headers={} if again == job_id else {"Location": f"/{kind}/jobs/{again}"})

    @router.patch(
        "/jobs/{job_id}",
        status_code=204,
        responses=errors("not-found", "forbidden", "invalid-input"),
        openapi_extra=body_of(
            {
                "type": "object",
                "properties": {
                    "userMeta": {
                        "type": "object",
                        "properties": {"summary": {"type": "string"}, "description": {"type": "string"}},
                    }
                },
            }
        ),
    )
    async def update_job(
        request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId
    ) -> Response:
        """Change what you say about a job in your list: `{"userMeta": {"summary"?, "description"?}}`."""
        body = await read_object(request)

        def change() -> None:
            who = caller.member()
            summary, description = read_update(body)
            service.services.door(kind).update(who, job_id, summary=summary, description=description)

        await run_in_threadpool(change)
        return Response(status_code=204)

    @router.delete("/jobs/{job_id}", status_code=204, responses=errors("not-found"))
    def unlink_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Take a job out of your list; the job itself stays until it expires."""
        unlink(service, kind, caller.member(), job_id)
        return Response(status_code=204)

    @router.post("/jobs/{job_id}/cancel", status_code=204, responses=errors("not-found", "forbidden", "conflict"))
    def cancel_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Stop a job that waits or runs; what it found is kept."""
        service.services.door(kind).cancel(caller.member(), job_id)
        return Response(status_code=204)


def _add_keeping(router: APIRouter, kind: JobKind) -> None:
    """Add what keeps a job, and opens it to others: pins and shares."""
    known = errors("not-found", "forbidden")

    @router.put("/jobs/{job_id}/pin", status_code=204, responses=known)
    def pin_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Keep a job's result for good."""
        service.services.door(kind).pin(caller.member(), job_id)
        return Response(status_code=204)

    @router.delete("/jobs/{job_id}/pin", status_code=204, responses=known)
    def unpin_job(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Let a job's result expire when nobody uses it."""
        service.services.door(kind).pin(caller.member(), job_id, pinned=False)
        return Response(status_code=204)

    @router.post("/jobs/{job_id}/shares", responses=errors("not-found", "forbidden", "invalid-input"))
    def share_job(
        request: Request,
        service: ServiceOfRequest,
        caller: CallerOfRequest,
        job_id: JobId,
        days: Annotated[float, Query(ge=0, le=36_500, description="For how long; 0 is for good.")] = 0,
    ) -> Response:
        """Get a token with which anybody may read a job: header `Share-Token`, or `share_token` in the address."""
        lasts = timedelta(days=days) if days else None
        token = service.services.door(kind).share(caller.member(), job_id, lasts=lasts)
        return json_answer(request, {"shareToken": token})

    @router.delete("/jobs/{job_id}/shares", status_code=204, responses=known)
    def end_shares(service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """Revoke all share tokens of a job."""
        service.services.door(kind).end_shares(caller.member(), job_id)
        return Response(status_code=204)


def _add_reading(router: APIRouter, kind: JobKind) -> None:
    """Add what describes a job: history, errors, standard error, statuses."""
    known = errors("not-found", "forbidden")

    @router.get("/jobs/{job_id}/history", response_model=list[Event], responses=known)
    def job_history(request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """See what happened to a job, oldest first."""
        return json_answer(request, service.services.door(kind).history(caller.reader(), job_id))

    @router.get("/jobs/{job_id}/errors", response_model=Errors, responses=known)
    def job_errors(request: Request, service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId) -> Response:
        """See what went wrong with a job, by program and by sequence."""
        return json_answer(request, service.services.door(kind).errors(caller.reader(), job_id))

    @router.get("/jobs/{job_id}/stderr", response_class=PlainTextResponse, responses=known)
    def job_stderr(
        service: ServiceOfRequest, caller: CallerOfRequest, job_id: JobId, download: Download = True
    ) -> Response:
        """Read what a job's programs wrote to standard error; often nothing."""
        text = service.services.door(kind).errors(caller.reader(), job_id).stderr
        return Response(text, headers=content_headers("text/plain", download=download, name=f"{job_id}-stderr.txt"))

    @router.post(
        "/statuses",
        response_model=dict[str, str],
        responses=errors("invalid-input"),
        openapi_extra=body_of({"type": "array", "items": {"type": "string"}}),
    )
    async def job_statuses(request: Request, service: ServiceOfRequest, caller: CallerOfRequest) -> Response:
        """Get the status of many jobs; ids that are unknown or not yours to see are left out."""
        ids = await read_json(request)
        if not isinstance(ids, list):
            raise InvalidInputError(Problem("a JSON array of ids is needed here"))
        wanted = tuple(one.lower() for one in ids if isinstance(one, str))

        def read() -> Remembered:
            return Remembered(json_line(service.services.door(kind).statuses(caller.anybody(), wanted)))

        found = await run_in_threadpool(service.memory.answer, ("statuses", kind, caller, wanted), read)
        return json_answer(request, found.body)


def _add_guest_link(router: APIRouter) -> None:
    """Add the way from a guest's list to a user's."""

    @router.post(
        "/link-guest",
        status_code=204,
        responses=errors("forbidden", "invalid-input"),
        openapi_extra=body_of(
            {"type": "object", "required": ["guestID"], "properties": {"guestID": {"type": "string"}}}
        ),
    )
    async def link_a_guest(request: Request, caller: CallerOfRequest) -> Response:
        """Move everything of a guest, jobs of all kinds, into your list: `{"guestID": the guest's token}`."""
        body = await read_object(request)
        await run_in_threadpool(link_guest, caller, body)
        return Response(status_code=204)


def _add_maintenance(router: APIRouter, kind: JobKind) -> None:
    """Add what an administrator looks at."""

    @router.get("/maintenance/broken-jobs", response_model=list[dict[str, Any]], responses=errors("forbidden"))
    def broken_jobs(
        request: Request, service: ServiceOfRequest, caller: CallerOfRequest, first: Number = 1, count: Number = 100
    ) -> Response:
        """List everybody's failed jobs with their configuration, newest first. For administrators."""
        caller.administrator()
        door: Any = service.services.door(kind)
        failed = door.list_jobs(_EVERYBODY, status=JobStatus.FAILED, first=first, count=count)
        return json_answer(request, json_line([_broken_job(door, kind, item.to_json()) for item in failed]))


def _broken_job(door: Any, kind: JobKind, item: Mapping[str, Any]) -> dict[str, Any]:
    name = f"{kind}JobID"
    job = door.lookup(_EVERYBODY, item[name], link=False).to_json()
    return {
        name: job[name],
        "rawConfig": {
            part: job[part] for part in ("jobConfig", "blastConfig", "plugin", "inputs", "parameters") if part in job
        },
        "createdOn": job["createdOn"],
        "failedOn": door.history(_EVERYBODY, job[name])[-1].to_json()["at"],
        "reason": job.get("reason", ""),
    }
