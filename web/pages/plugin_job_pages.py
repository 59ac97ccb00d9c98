"""The pages of plugin jobs: how one goes, what it asks, what it made, what can be done next; and the list of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.actions.answers import PluginDetails
from multiblast.actions.plugin_chains import Step
from multiblast.database import JobKind, JobStatus, PluginJob
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError
from multiblast.jobs import ACTIVE
from multiblast.plugins.chains import Made
from multiblast.plugins.description import Description
from multiblast.plugins.events import Progress
from multiblast.plugins.forms import localized
from multiblast.plugins.parameters import Parameter
from web.files import file_answer
from web.pages import texts
from web.pages.job_changes import add_changes
from web.pages.job_pages import hindrance_of
from web.pages.languages import language_of
from web.pages.next_steps import go_on, titles, tools
from web.pages.page import PageRoute, page, redirect
from web.pages.plugin_forms import other_problems, parameter_fields, sent_form, typed_parameters
from web.pages.plugin_outputs import shown_outputs
from web.pages.visitor import Visitor, VisitorOfRequest
from web.parameters import JobId, Number, wait_s
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_COUNT = 50
_LONGEST_LOG = 8000  # characters of it that are shown
_PLACE = "/plugins/jobs"


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that a job takes in, with the address of what it came of; empty if that has no page."""

    port: str
    text: str
    name: str
    size: int
    address: str


@router.get(_PLACE)
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    visitor: VisitorOfRequest,
    plugin: str = "",
    status: str = "",
    first: Number = 1,
) -> Response:
    """List a visitor's plugin jobs; of an administrator without a name, all."""
    chosen = status if status in list(JobStatus) else ""
    jobs = []
    if visitor.has_account:
        jobs = service.services.plugin_jobs.list_jobs(
            visitor.who, plugin=plugin[:100], status=chosen, first=first, count=_COUNT + 1
        )
    return page(
        request,
        visitor,
        "plugin_jobs.html",
        jobs=jobs[:_COUNT],
        more=len(jobs) > _COUNT,
        plugin=plugin,
        titles=titles(request, service),
        status=chosen,
        statuses=[str(one) for one in JobStatus],
        first=first,
        count=_COUNT,
    )


@router.get(f"{_PLACE}/{{job_id}}")
async def show_job(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show how a plugin job goes; with `Prefer: wait=N` when it has ended, or then."""
    details = await run_in_threadpool(_details, service, visitor, job_id)
    if limit_s := wait_s(request):
        chains = await run_in_threadpool(service.services.plugin_chains.steps, job_id)
        others = [step.job.id for chain in chains for step in chain if step.job and step.job.status in ACTIVE]
        if others or details.status in ACTIVE:
            await service.watch.ended(JobKind.PLUGIN, job_id if details.status in ACTIVE else others[0], limit_s)
    job = await run_in_threadpool(service.services.plugin_jobs.jobs.plugin, job_id)
    await go_on(service, job)
    hindrance = await hindrance_of(service, visitor, job_id, job.status)
    return await run_in_threadpool(lambda: _job_page(request, service, visitor, job_id, hindrance=hindrance))


@router.post(f"{_PLACE}/{{job_id}}/answer")
async def answer(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Answer what a job asks, so that it goes on."""
    jobs = service.services.plugin_jobs
    details = await run_in_threadpool(_details, service, visitor, job_id)
    question = _question(details)
    async with sent_form(request, service, visitor) as form:
        step = form.get("step")
        if question is None or step != question.step_id:
            raise ConflictError("this question was answered already: load the page of the job again")
        given = typed_parameters(form, _asked(question.form))

    def record() -> Any:
        return jobs.answer(visitor.who, job_id, question.step_id, given)

    try:
        waiting = await run_in_threadpool(record)
    except InvalidInputError as error:
        shown = partial(_job_page, request, service, visitor, job_id, error=error, answers=given)
        return await run_in_threadpool(shown)
    service.runs.begin(waiting)
    return redirect(f"{_PLACE}/{job_id}")


@router.get(f"{_PLACE}/{{job_id}}/files/{{name}}")
def read_file(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request,
    service: ServiceOfRequest,
    visitor: VisitorOfRequest,
    job_id: JobId,
    name: str,
    show: Annotated[bool, Query()] = False,
) -> Response:
    """Download a file that a job made, or show it: pages and pictures in a sandbox. Of a directory, get a zip."""
    file = service.services.plugin_jobs.stored_file(visitor.who, job_id, name)
    return file_answer(request, file, download=not show, name=f"{job_id[:8]}-{name}")


def _details(service: Service, visitor: Visitor, job_id: str) -> PluginDetails:
    return service.services.plugin_jobs.lookup(visitor.who, job_id, link=False)


def _job_page(  # noqa: PLR0913 - what a page shows, and what is wrong with an answer
    request: Request,
    service: Service,
    visitor: Visitor,
    job_id: str,
    *,
    share_link: str = "",
    hindrance: str = "",
    error: InvalidInputError | None = None,
    answers: dict[str, Any] | None = None,
) -> Response:
    jobs, who = service.services.plugin_jobs, visitor.who
    details, row = _details(service, visitor, job_id), jobs.jobs.plugin(job_id)
    table, language = _table(request, service, details.plugin)
    question = _question(details)
    fields = parameter_fields(_asked(question.form), answers or {}, error, "answers") if question else []
    steps = _readable(service, visitor, service.services.plugin_chains.steps(job_id))
    labels = {name: port.label for name, port in table.outputs.items()} if table else {}
    made = [Made(one["data"], one["content"]) for one in row.outputs]
    complete = details.status == JobStatus.COMPLETE
    return page(
        request,
        visitor,
        "plugin_job.html",
        code=422 if error else 200,
        job=details,
        place=_PLACE,
        here=f"{_PLACE}/{job_id}",
        title=table.title if table else details.plugin,
        language=language,
        labels={name: port.label or name for name, port in table.parameters.items()} if table else {},
        status=texts.PLUGIN_STATUSES[details.status],
        active=details.status in ACTIVE or any(_is_open(step) for chain in steps for step in chain),
        running=details.status in ACTIVE,
        hindrance=hindrance,
        progress=_progress(details),
        log=details.log[-_LONGEST_LOG:],
        stderr=jobs.errors(who, job_id).stderr if details.status != JobStatus.COMPLETE else "",
        taken=[_taken(one) for one in row.inputs],
        question=question,
        fields=fields,
        problems=other_problems(error, fields),
        outputs=shown_outputs(jobs, who, job_id, labels) if complete else [],
        tools=tools(request, service, made, f"plugin:{job_id}") if complete else [],
        steps=steps,
        following=_made_of(service, visitor, job_id),
        titles=titles(request, service),
        again=_again(details),
        command=_command(details),
        may_change=jobs.may_change(who, job_id),
        share_link=share_link,
        runs_url=service.services.policy.http.runs_url.rstrip("/"),
        history=jobs.history(who, job_id) if who.administrator else [],
        base=str(request.base_url),
    )


def _is_open(step: Step) -> bool:
    """Return whether a step of a chain goes on or is to come."""
    return step.job.status in ACTIVE if step.job else not step.problem


def _question(details: PluginDetails) -> Any:
    """Return the step at which a job waits for a person's answer; None if it does not."""
    if details.status != JobStatus.PAUSED or not details.steps:
        return None
    return details.steps[-1] if not details.steps[-1].cleared else None


def _asked(form: dict[str, Any] | None) -> dict[str, Parameter]:
    return {name: Parameter.model_validate(one) for name, one in (form or {}).items()}


def _table(request: Request, service: Service, plugin: str) -> tuple[Description | None, str]:
    """Return the table of a job's plugin in a visitor's language, and that; None if it is not here any more."""
    try:
        table = service.services.catalogue.get(plugin).description
    except NotFoundError:
        return None, ""
    language = language_of(request, table)
    return localized(table, language), language


def _progress(details: PluginDetails) -> dict[str, Any] | None:
    """Return how far a job is, as an element ``progress`` and a text have it."""
    if details.progress is None:
        return None
    progress = Progress(**details.progress)
    length, done = progress.target - progress.start, progress.value - progress.start
    if length < 0:  # it counts down
        length, done = -length, -done
    return {"max": f"{length or 1:g}", "value": f"{min(max(0.0, done), length or 1):g}", "text": progress.text}


def _again(details: PluginDetails) -> str:
    """Return the address of the form filled in as a job was."""
    fields = [(port, text) for port, texts in details.inputs.items() for text in texts]
    fields += [(f"parameter.{name}", _written(value)) for name, value in details.parameters.items() if value != "…"]
    return f"/plugins/{details.plugin.partition('@')[0]}?{urlencode(fields)}"


def _command(details: PluginDetails) -> str:
    """Return what to type to run the same."""
    words = ["multiblast", "plugins", "run", details.plugin]
    words += [w for port, texts in details.inputs.items() for text in texts for w in ("--input", f"{port}={text}")]
    words += [w for name, value in details.parameters.items() for w in ("--set", f"{name}={_written(value)}")]
    return shlex.join(words)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _taken(row: dict[str, Any]) -> Taken:
    kind = str(row["text"]).partition(":")[0]
    places = {"job": "/jobs/", "plugin": f"{_PLACE}/"}
    address = f"{places[kind]}{row['job']}" if row["job"] and kind in places else ""
    return Taken(row["port"], row["text"], row["name"], row["size"], address)


def _made_of(service: Service, visitor: Visitor, job_id: str) -> list[PluginJob]:
    """Return the jobs that take in what a job made, of those that a visitor may read."""
    jobs = service.services.plugin_jobs
    found = jobs.jobs.made_of(job_id)
    seen = jobs.statuses(visitor.who, [one.id for one in found])
    return [one for one in found if one.id in seen]


def _readable(service: Service, visitor: Visitor, chains: list[list[Step]]) -> list[list[Step]]:
    """Return those chains all of whose jobs a visitor may read; equal ones once."""
    found: dict[tuple[str, ...], list[Step]] = {}
    for chain in chains:
        ids = [step.job.id for step in chain if step.job]
        seen = service.services.plugin_jobs.statuses(visitor.who, ids)
        if all(one in seen for one in ids):
            found[tuple(step.plugin for step in chain)] = chain
    return list(found.values())


def _shared(request: Request, service: Service, visitor: Visitor, job_id: str, share_link: str) -> Response:
    return _job_page(request, service, visitor, job_id, share_link=share_link)


add_changes(router, JobKind.PLUGIN, _PLACE, _shared)
