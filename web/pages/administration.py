"""The administrator's page: users, databases, the queue, space and failures."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from multiblast.accounts import Requester
from multiblast.errors import InvalidInputError, MultiblastError, NotAllowedError, Problem
from multiblast.molecules import Molecule
from multiblast.stores import LocalStore
from multiblast.targets.new_target import make_target, read_new_target, retire_target
from web.bodies import read_form, text_fields
from web.pages.page import PageRoute, page, redirect
from web.pages.visitor import Visitor, VisitorOfRequest, sent_fields
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_EVERYTHING = Requester(administrator=True)
_MOST_JOBS = 50
_LONGEST_DAYS = 36_500


@router.get("/administration")
def show(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Show how everything is."""
    _check(visitor)
    return _page(request, service, visitor)


@router.post("/administration/tokens")
async def make_token(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Make a token for a user, and show it once."""
    fields = await sent_fields(request, visitor)
    _check(visitor)

    def answer() -> Response:
        try:
            lasts = _days(fields.get("days", "").strip())
            user = fields.get("user", "").strip()
            token = service.services.accounts.tokens.make(user, fields.get("name", "").strip(), lasts=lasts)
        except InvalidInputError as error:
            return _page(request, service, visitor, error=error)
        return _page(request, service, visitor, token=token, user=user)

    return await run_in_threadpool(answer)


@router.post("/administration/tokens/revoke")
async def revoke_token(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Revoke a token at once."""
    fields = await sent_fields(request, visitor)
    _check(visitor)
    user, name = fields.get("user", ""), fields.get("name", "")
    await run_in_threadpool(service.services.accounts.tokens.revoke, user, name)
    return redirect("/administration")


@router.post("/administration/databases")
async def add_database(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Build a database from FASTA."""
    _check(visitor)
    async with read_form(request, service.services.policy.http.body_bytes) as form:
        visitor.check_form(form, request)
        fields, file = text_fields(form), form.get("fasta")
        with NamedTemporaryFile(suffix=".fasta") as copy:
            if isinstance(file, UploadFile):
                await run_in_threadpool(shutil.copyfileobj, file.file, copy)
                copy.flush()

            def build() -> MultiblastError | None:
                try:
                    molecule = (
                        Molecule(fields.get("molecule", "")) if fields.get("molecule") in list(Molecule) else None
                    )
                    if molecule is None:
                        raise InvalidInputError(Problem("choose proteins or nucleotides", "molecule"))
                    new = read_new_target(
                        fields.get("name", ""),
                        Path(copy.name),
                        molecule=molecule,
                        title=fields.get("title", "").strip(),
                        replace="replace" in fields,
                    )
                    program = service.services.installation.program("makeblastdb")
                    make_target(service.services.targets, new, program=program)
                except MultiblastError as error:
                    return error
                return None

            error = await service.runs.here(build)
    if error is not None:
        return await run_in_threadpool(lambda: _page(request, service, visitor, error=error))
    return redirect("/administration#databases-heading")


@router.post("/administration/rescan")
async def rescan(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Look for databases again."""
    await sent_fields(request, visitor)
    _check(visitor)
    await run_in_threadpool(service.services.targets.rescan)
    return redirect("/administration#databases-heading")


@router.post("/administration/retire")
async def retire_database(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Let a database be found no more."""
    fields = await sent_fields(request, visitor)
    _check(visitor)

    def retire() -> None:
        targets = service.services.targets
        for one in targets.databases():
            if (one.display, one.molecule) == (fields.get("name"), fields.get("molecule")):
                retire_target(targets, one)

    await run_in_threadpool(retire)
    return redirect("/administration#databases-heading")


def _check(visitor: Visitor) -> None:
    """Refuse everybody but administrators.

    Raises:
        NotAllowedError: it is somebody else.
    """
    if not visitor.who.administrator:
        raise NotAllowedError(f"{visitor.who} is no administrator")


def _days(text: str) -> timedelta | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) <= _LONGEST_DAYS):  # noqa: PLR2004 - digits
        raise InvalidInputError(Problem("a whole number of days is needed here", "days"))
    return timedelta(days=int(text))


def _page(  # noqa: PLR0913 - who sees it, and what has just happened
    request: Request,
    service: Service,
    visitor: Visitor,
    *,
    token: str = "",
    user: str = "",
    error: MultiblastError | None = None,
) -> Response:
    services = service.services
    waiting = [
        (job, text)
        for text in ("in-progress", "queued")
        for job, _ in services.queries.found(_EVERYTHING, status=text, count=_MOST_JOBS)
    ]
    place = services.store.root if isinstance(services.store, LocalStore) else None
    disk = shutil.disk_usage(place) if place and place.exists() else None  # it is made when it is first needed
    return page(
        request,
        visitor,
        "administration.html",
        code=422 if error else 200,
        problems=str(error).splitlines() if error else [],
        token=token,
        user=user,
        tokens=[one for one in services.accounts.tokens.list() if not one.revoked_at],
        databases=services.targets.databases(),
        refused=services.targets.unusable(),
        molecules=[str(one) for one in Molecule],
        jobs=waiting,
        disk=disk,
        failures=services.queries.results.failures(),
    )
