"""What can be done next with what a search found: chains of plugins, single ones, and what came of those."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.actions.plugin_chains import Offered
from multiblast.database import JobKind, PluginJob, utc_now
from multiblast.errors import MultiblastError
from multiblast.jobs import OPEN
from multiblast.plugins.chains import Made, following
from multiblast.plugins.forms import localized
from multiblast.plugins.plugin import Plugin
from multiblast.upkeep.reconciliation import Waiting
from web.pages.languages import language_of
from web.pages.page import PageRoute, page, redirect
from web.pages.submission import submitter
from web.pages.visitor import Visitor, VisitorOfRequest, keep_session, sent_fields
from web.parameters import JobId, wait_s
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

IMAGES = frozenset({"image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"})
"""What is shown as a picture, in which no script ever runs."""

_MOST_JOBS = 30
_MOST_PICTURES = 6
_GIVEN_UP = timedelta(minutes=1)  # by then, the process that has run a job of a chain has gone on with it


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a plugin job made."""

    address: str
    name: str
    plugin: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A plugin that takes in what there is, with the address of its form, filled in."""

    title: str
    name: str
    address: str
    language: str


@dataclass(frozen=True, slots=True)
class WhatNext:
    """What can be done next with a job, and what was.

    Attributes:
        offered: Chains of which everything is installed.
        lacking: Chains of which something is missing, for those who can install it.
        jobs: Plugin jobs that were made of it, and of those.
        titles: Of the plugins of these, by name.
        active: Whether one of these goes on, or is to come.
    """

    offered: list[Offered]
    lacking: list[Offered]
    tools: list[Tool]
    jobs: list[PluginJob]
    titles: dict[str, str]
    pictures: list[Picture]
    active: bool


@router.get("/jobs/{job_id}/next")
async def show_next(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show what can be done next, and what goes on, for the page that has all else already."""
    jobs: list[PluginJob] | None = await run_in_threadpool(made_of, service, visitor, job_id)
    open_jobs = [job.id for job in jobs or () if job.status in OPEN]
    has_waited = bool((limit_s := wait_s(request)) and open_jobs)
    if has_waited:
        await service.watch.ended(JobKind.PLUGIN, open_jobs[0], limit_s)
    went_on = [await go_on(service, job) for job in jobs or ()]
    if has_waited or any(went_on):
        jobs = None  # they are others by now
    found = await run_in_threadpool(what_next, request, service, visitor, job_id, jobs)
    return await run_in_threadpool(
        lambda: page(request, visitor, "next.html", next=found, job_id=job_id, place="/jobs", alone=True)
    )


@router.post("/jobs/{job_id}/next")
async def begin_chain(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId
) -> Response:
    """Run a chain of plugins on what a search found; it goes on whether or not anybody looks."""
    fields = await sent_fields(request, visitor)
    names = fields.get("through", "").split()

    def begin() -> str:
        who, token = submitter(service, visitor)
        service.services.accounts.check_submitter(who, has_link=True)
        to = names[-1] if names else ""
        waiting.extend(service.services.plugin_chains.begin(who, f"job:{job_id}", to, names, pictures=True)[1])
        return token

    waiting: list[Waiting] = []
    token = await service.runs.here(begin)
    for one in waiting:
        service.runs.begin(one)
    response = redirect(f"/jobs/{job_id}#next")
    if token:
        keep_session(request, response, token)
    return response


async def go_on(service: Service, job: PluginJob) -> bool:
    """Go on with the chains of a job that ended a while ago, should its runner be gone; return whether that was.

    What comes of it may be there already, and needs no run.
    """
    chains = service.services.plugin_chains
    if not (job.finished_at and utc_now() - job.finished_at > _GIVEN_UP and chains.is_under_way(job)):
        return False
    for waiting in await service.runs.here(lambda: chains.go_on(job.id)):
        service.runs.begin(waiting)
    return True


def made_of(service: Service, visitor: Visitor, job_id: str) -> list[PluginJob]:
    """Return the newest jobs that were made of a job, of those that a visitor may read."""
    return service.services.plugin_chains.descendants(job_id, visitor.who, _MOST_JOBS)


def what_next(
    request: Request, service: Service, visitor: Visitor, job_id: str, jobs: list[PluginJob] | None = None
) -> WhatNext:
    """Return what can be done next with a complete query job, and what was: ``jobs``, if they were looked up."""
    chains, who = service.services.plugin_chains, visitor.who
    try:
        have, besides = chains.jobs.inputs.beginning(who, f"job:{job_id}")
        offered = chains.offered(who, f"job:{job_id}")
    except MultiblastError:  # it is not complete any more
        have, besides, offered = [], [], []
    if jobs is None:
        jobs = made_of(service, visitor, job_id)
    return WhatNext(
        offered=[one for one in offered if not one.missing],
        lacking=[one for one in offered if one.missing] if who.administrator else [],
        tools=tools(request, service, [*have, *besides], f"job:{job_id}"),
        jobs=jobs,
        titles=titles(request, service),
        pictures=[picture for job in jobs for picture in pictures(job)][-_MOST_PICTURES:],
        active=any(job.status in OPEN or chains.is_under_way(job) for job in jobs),
    )


def titles(request: Request, service: Service) -> dict[str, str]:
    """Return what plugins are called in a visitor's language, by name."""
    tables = [one.description for one in service.services.catalogue.newest()]
    return {one.name: localized(one, language_of(request, one)).title for one in tables}


def tools(request: Request, service: Service, made: list[Made], source: str) -> list[Tool]:
    """Return the installed plugins that take in what there is."""
    jobs = service.services.plugin_jobs
    return [
        _tool(request, plugin, source)
        for plugin, _ in following(service.services.catalogue, made)
        if jobs.workshop.is_installed(plugin)
    ]


def pictures(job: PluginJob) -> list[Picture]:
    """Return the pictures that a job made."""
    return [
        Picture(file_address(job.id, one["name"], shown=True), one["name"], job.plugin, job.id)
        for one in job.outputs
        if one["content"] in IMAGES
    ]


def file_address(job_id: str, name: str, *, shown: bool = False) -> str:
    """Return the address of a file that a plugin job made, to be shown or to be saved."""
    return f"/plugins/jobs/{job_id}/files/{quote(name)}{'?show=true' if shown else ''}"


def _tool(request: Request, plugin: Plugin, source: str) -> Tool:
    language = language_of(request, plugin.description)
    title = localized(plugin.description, language).title
    return Tool(title, plugin.name, f"/plugins/{plugin.name}?{urlencode({'source': source})}", language)
