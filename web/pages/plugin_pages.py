"""Which plugins there are, and the form by which one is run."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.accounts import Requester
from multiblast.actions.plugin_sources import NOWHERE
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
    Problem,
    collecting,
)
from multiblast.plugins.description import Description
from multiblast.plugins.forms import localized
from multiblast.plugins.plugin import Plugin
from multiblast.upkeep.reconciliation import Waiting
from web.bodies import text_fields
from web.pages.languages import language_of
from web.pages.page import PageRoute, page, redirect
from web.pages.plugin_forms import (
    Typed,
    input_fields,
    other_problems,
    parameter_fields,
    sent_form,
    typed_inputs,
    typed_parameters,
)
from web.pages.submission import submitter
from web.pages.visitor import Visitor, VisitorOfRequest, keep_session
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_LONGEST_TEXT = 2000  # of an input that the address names


@dataclass(frozen=True, slots=True)
class Row:
    """A plugin in the list.

    Attributes:
        problem: Why it cannot be run here; empty if it can.
    """

    table: Description
    language: str
    problem: str


@router.get("/plugins")
def list_plugins(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, find: str = "") -> Response:
    """List the plugins; administrators see those that cannot be run, too, and why."""
    plugins, broken, _ = service.services.catalogue.look()
    newest = list({one.name: one for one in reversed(plugins)}.values())[::-1]
    rows = [Row(*_read(request, one), _problem(service, one)) for one in newest]
    if not visitor.who.administrator:
        rows, broken = [row for row in rows if not row.problem], []
    rows = [row for row in rows if _holds(row.table, find[:_LONGEST_TEXT])]
    return page(request, visitor, "plugins.html", rows=rows, broken=broken, find=find)


@router.get("/plugins/{name}")
def show_plugin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, name: str) -> Response:
    """Show the form of a plugin.

    The address may fill it in: ``?PORT=TEXT``, ``?parameter.NAME=VALUE``, and ``?source=TEXT`` every input that fits.
    """
    plugin = service.services.catalogue.get(name)
    if plugin.description.search is not None:  # it is a program of the form of searches
        return redirect(f"/?program={plugin.name}")
    return _form(request, service, visitor, plugin, _prefilled(request, service, visitor, plugin.description))


@router.post("/plugins/{name}")
async def run_plugin(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, name: str) -> Response:
    """Run a plugin; somebody who has no account becomes a guest, where there are guests."""
    plugin = await run_in_threadpool(service.services.catalogue.get, name)
    table, jobs = plugin.description, service.services.plugin_jobs
    async with sent_form(request, service, visitor) as form:
        who, token = await run_in_threadpool(submitter, service, visitor)
        service.services.accounts.check_submitter(who, has_link=True)
        typed = Typed(await typed_inputs(form, table, jobs.inputs.sources), typed_parameters(form, table.parameters))
        summary = text_fields(form).get("summary", "").strip()

    def record() -> tuple[str, Waiting | None]:
        try:
            job_id = jobs.submit(
                who, plugin.identifier, typed.inputs, typed.parameters, summary=summary, files_under=NOWHERE
            )
        except (NotFoundError, NotAllowedError, ConflictError) as error:
            raise InvalidInputError(_located(service, who, typed) or Problem(str(error))) from error
        return job_id, jobs.begin(job_id)

    try:
        job_id, waiting = await service.runs.here(record)
    except InvalidInputError as error:
        response = await run_in_threadpool(_form, request, service, visitor, plugin, typed, error)
    else:
        service.runs.begin(waiting)
        response = redirect(f"/plugins/jobs/{job_id}")
    if token:
        keep_session(request, response, token)
    return response


def _form(  # noqa: PLR0913, PLR0917 - what a form shows
    request: Request,
    service: Service,
    visitor: Visitor,
    plugin: Plugin,
    typed: Typed,
    error: InvalidInputError | None = None,
) -> Response:
    table, language = _read(request, plugin)
    inputs = input_fields(table, typed, error)
    parameters = parameter_fields(table.parameters, typed.parameters, error, "parameters")
    return page(
        request,
        visitor,
        "plugin.html",
        code=422 if error else 200,
        table=table,
        language=language,
        inputs=inputs,
        parameters=parameters,
        problems=other_problems(error, [*inputs, *parameters]),
        wrong=[one for one in (*inputs, *parameters) if one.errors],
        problem=_problem(service, plugin),
        source=str(plugin.source) if visitor.who.administrator else "",
        may_submit=visitor.has_account or service.services.policy.http.guests,
    )


def _read(request: Request, plugin: Plugin) -> tuple[Description, str]:
    """Return a plugin's table in a visitor's language, and that language; empty if it is as it was written."""
    language = language_of(request, plugin.description)
    return localized(plugin.description, language), language


def _problem(service: Service, plugin: Plugin) -> str:
    """Return why a plugin cannot be run here, and what to type."""
    try:
        service.services.plugin_jobs.workshop.facts(plugin)
    except MultiblastError as error:
        return str(error)
    return ""


def _holds(table: Description, words: str) -> bool:
    """Return whether what a list says of a plugin holds all of some words."""
    kinds = [one.data for one in table.inputs.values()] + [one.data for one in table.outputs.values()]
    text = " ".join([table.name, table.title, table.description, *table.tags, *kinds]).lower()
    return all(word in text for word in words.lower().split())


def _prefilled(request: Request, service: Service, visitor: Visitor, table: Description) -> Typed:
    """Return what the address of a form fills in."""
    given = request.query_params
    inputs = {name: [text[:_LONGEST_TEXT] for text in given.getlist(name)] for name in table.inputs if name in given}
    if (source := given.get("source", "")[:_LONGEST_TEXT]) and "source" not in table.inputs:
        for name in _fitting(service, visitor.who, table, source) or list(table.inputs)[:1]:
            inputs.setdefault(name, [source])
    return Typed(
        inputs, {name: given[f"parameter.{name}"] for name in table.parameters if f"parameter.{name}" in given}
    )


def _fitting(service: Service, who: Requester, table: Description, source: str) -> list[str]:
    """Return the inputs for which something will do; none if it cannot be had."""
    try:
        offers = service.services.plugin_jobs.inputs.sources.offers(who, source, files_under=NOWHERE)
    except MultiblastError:
        return []
    return [name for name, port in table.inputs.items() if any(one.fits(port) for one in offers)]


def _located(service: Service, who: Requester, typed: Typed) -> list[Problem]:
    """Return what is wrong with the jobs that inputs name, by the fields in which they stand."""
    problems: list[Problem] = []
    for port, texts in typed.inputs.items():
        for text in texts:
            with collecting(problems, f"inputs.{port}"):
                service.services.plugin_jobs.inputs.sources.offers(who, text, f"inputs.{port}", files_under=NOWHERE)
    return problems
