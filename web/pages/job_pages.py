"""The page of a job: how it goes, what it found, and what can be done with it."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from multiblast.actions.answers import QueryDetails
from multiblast.actions.job_door import ABANDONED
from multiblast.database import JobKind, JobStatus, QueryJob, utc_now
from multiblast.errors import ConflictError, MultiblastError, NotFoundError
from multiblast.jobs import ACTIVE, Counts
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMATS, formats_of
from multiblast.reports.html import page_data
from multiblast.search.searched_job import RowChoice
from web.bodies import read_form
from web.files import StreamAnswer, file_answer
from web.pages import texts
from web.pages.charts import spread
from web.pages.next_steps import what_next
from web.pages.page import PageRoute, page, redirect
from web.pages.visitor import Visitor, VisitorOfRequest, sent_fields
from web.parameters import JobId, wait_s
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_ROWS = 50
_COUNTED = 1000  # sequences that failed, by class
_FORM_BYTES = 256 << 10
_MOST = 10**9
_REPORT_WAIT_S = 10.0
_COLUMNS = (  # of the overview: title, what it is sorted by, whether the largest comes first
    ("No.", "position", False),
    ("Sequence", "title", False),
    ("Length", "length", True),
    ("Hits", "hits", True),
    ("Best hit", "best_hit", False),
    ("E-value", "evalue", False),
    ("Identity", "identity_percent", True),
    ("Coverage", "coverage_percent", True),
)


@router.get("/jobs/{job_id}")
async def show_job(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show how a job goes and what it found; with `Prefer: wait=N` when it has ended, or then."""
    if await run_in_threadpool(is_plugin_job, service, job_id):  # as where a link leads by which one is shared
        return redirect(f"/plugins/jobs/{job_id}")
    details = await run_in_threadpool(job_details, service, visitor, job_id)
    if (limit_s := wait_s(request)) and details.status in ACTIVE:
        await service.watch.ended(JobKind.QUERY, job_id, limit_s)
        details = await run_in_threadpool(job_details, service, visitor, job_id)
    hindrance = await hindrance_of(service, visitor, job_id, details.status)
    return await run_in_threadpool(lambda: job_page(request, service, visitor, details, hindrance=hindrance))


@router.get("/jobs/{job_id}/sequences")
def show_sequences(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Show a part of the table of a job's sequences, for the page that has it already."""
    return page(request, visitor, "overview.html", **_overview(request, service, visitor, job_id))


@router.get("/jobs/{job_id}/sequences/{position}")
async def show_sequence(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId, position: int
) -> Response:
    """Show the hits of one sequence of a job."""
    details = await run_in_threadpool(job_details, service, visitor, job_id)
    view = await service.runs.here(lambda: _view(service, visitor, job_id, position))
    facts = {"job": details, "name": _name(service, details), "position": position, "links": _links(service), **view}
    return await run_in_threadpool(lambda: page(request, visitor, "sequence.html", **facts))


@router.post("/jobs/{job_id}/sequences/{position}/subjects")
async def download_subjects(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId, position: int
) -> Response:
    """Download the sequences of those hits that were chosen, whole or the parts that are aligned."""
    async with read_form(request, _FORM_BYTES) as form:
        visitor.check_form(form, request)
        chosen, aligned = form.getlist("hit"), form.get("part") != "whole"
    ranks = {int(one) for one in chosen if isinstance(one, str) and one.isascii() and one.isdecimal() and len(one) < 9}  # noqa: PLR2004 - digits
    reports = service.services.reports
    stream = await service.runs.here(lambda: reports.subjects(visitor.who, job_id, position, ranks, aligned=aligned))
    name = f"{job_id[:8]}-{position}-{'aligned' if aligned else 'subjects'}.fasta"
    headers = {"Content-Type": "text/x-fasta", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamAnswer(lambda: stream, None, 200, headers | {"X-Content-Type-Options": "nosniff"})


@router.post("/jobs/{job_id}/report")
async def make_report(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId
) -> Response:
    """Make a report; a small one is downloaded at once."""
    fields = await sent_fields(request, visitor)
    config = {"formatType": fields.get("format", "0")}
    if (chosen := fields.get("fields", "").strip()) and (row := FORMATS.get(config["formatType"])) and row.fields:
        config["formatFields"] = chosen
    reports = service.services.reports

    def create() -> Any:
        sent = {"queryJobID": job_id, "blastConfig": config, "addToUserCollection": bool(visitor.who.owner)}
        created = reports.create(visitor.who, sent).report_job_id
        return created, reports.begin(created)

    report_id, waiting = await run_in_threadpool(create)
    service.runs.begin(waiting)
    if waiting is not None:
        await service.watch.ended(JobKind.REPORT, report_id, _REPORT_WAIT_S)
    return redirect(f"/jobs/{job_id}/reports/{report_id}")


@router.get("/jobs/{job_id}/reports/{report_id}")
async def show_report(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId, report_id: str
) -> Response:
    """Show a report's files; a single one is downloaded."""
    reports = service.services.reports
    details = await run_in_threadpool(lambda: reports.lookup(visitor.who, report_id, link=False))
    is_complete = details.status == "complete"
    files = await run_in_threadpool(reports.files, visitor.who, report_id) if is_complete else []
    singles = [file for file in files if not file.name.endswith(".zip")]
    if len(singles) == 1:
        return redirect(f"/jobs/{job_id}/reports/{report_id}/{singles[0].name}")
    facts: dict[str, Any] = {
        "active": details.status in ACTIVE and not details.reason,
        "hindrance": await hindrance_of(service, visitor, report_id, details.status),
    }
    return page(request, visitor, "report.html", report=details, files=files, job_id=job_id, **facts)


@router.get("/jobs/{job_id}/reports/{report_id}/{name}")
def download_report(  # noqa: PLR0913, PLR0917 - the parameters of the address
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId, report_id: str, name: str
) -> Response:
    """Download a file of a report."""
    file = service.services.reports.stored_file(visitor.who, report_id, name)
    return file_answer(request, file, download=True, name=f"{job_id[:8]}-{name}")


@router.get("/jobs/{job_id}/query")
def download_query(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job_id: JobId) -> Response:
    """Download the sequences of a job."""
    file = service.services.queries.query_file(visitor.who, job_id)
    return file_answer(request, file, download=True, name=f"{job_id[:8]}-query.fasta")


def is_plugin_job(service: Service, job_id: str) -> bool:
    """Return whether a job is that of a plugin; of one that there is not, nothing is said."""
    with suppress(NotFoundError):
        return service.services.job_door(job_id).kind is JobKind.PLUGIN
    return False


def job_details(service: Service, visitor: Visitor, job_id: str) -> QueryDetails:
    """Return a job; its visitor's list stays as it is."""
    return service.services.queries.lookup(visitor.who, job_id, link=False, children=0)


async def hindrance_of(service: Service, visitor: Visitor, job_id: str, status: str) -> str:
    """Return why a job is not begun for now; what is to be done about it, only an administrator is told."""
    if status != JobStatus.QUEUED or not (found := await service.runs.hindrance(job_id)):
        return ""
    return f"It cannot be begun: {found}" if visitor.who.administrator else texts.CANNOT_BEGIN


def _name(service: Service, details: QueryDetails) -> str:
    meta = details.user_meta
    if meta and meta.summary:
        return meta.summary
    if details.sequences > 1:
        return f"{details.sequences:,} sequences"
    return service.services.queries.jobs.query(details.query_job_id).title or "An untitled sequence"


def _view(service: Service, visitor: Visitor, job_id: str, position: int) -> dict[str, Any]:
    """Return what the report's script shows of one sequence, and the same without JavaScript."""
    result = service.services.reports.view(visitor.who, job_id, position)
    overview, data = page_data(result)
    charts = []
    if len(result.subjects) > 1:
        charts.append(spread("Bit score", [subject.hsps[0].bit_score for subject in result.subjects]))
        charts.append(spread("Length of the subject", [subject.length for subject in result.subjects]))
    action = f"/jobs/{job_id}/sequences/{position}/subjects"
    shown = {"overview_data": overview.decode(), "query_data": data.decode(), "charts": charts, "action": action}
    return {"result": result, **shown}


def _links(service: Service) -> list[tuple[str, str]]:
    """Return where names of hits lead; no other than web addresses."""
    links = service.services.policy.http.links.items()
    return [(pattern, address) for pattern, address in links if address.startswith(("https://", "http://"))]


def _choice(request: Request) -> RowChoice:
    """Return what the address says about the table of sequences; nonsense is left out."""
    given = request.query_params
    first = given.get("first", "1")
    sorts = {sort for _, sort, _ in _COLUMNS}
    return RowChoice(
        find=given.get("find", "")[:200],
        only=given.get("only", ""),
        sort=sort if (sort := given.get("sort", "position")) in sorts else "position",
        descending=given.get("order") == "down",
        first=min(max(int(first), 1), _MOST) if first.isascii() and first.isdecimal() and len(first) < 11 else 1,  # noqa: PLR2004 - digits
        count=_ROWS,
    )


def _overview(request: Request, service: Service, visitor: Visitor, job_id: str) -> dict[str, Any]:
    """Return the facts of the table of a job's sequences."""
    choice = _choice(request)
    rows, total = service.services.queries.rows(visitor.who, job_id, choice)
    headers = [_header(title, sort, choice, largest=largest) for title, sort, largest in _COLUMNS]
    ways = _ways(choice, total)
    return {"job_id": job_id, "rows": rows, "total": total, "choice": choice, "headers": headers, "ways": ways}


def job_page(  # noqa: PLR0913 - what a page shows
    request: Request,
    service: Service,
    visitor: Visitor,
    details: QueryDetails,
    *,
    share_link: str = "",
    hindrance: str = "",
) -> Response:
    """Return the page of a job; with a link by which it is shared, if that was just made, and why it is not begun."""
    job_id, queries = details.query_job_id, service.services.queries
    job = queries.jobs.query(job_id)
    counts = queries.jobs.counts(job)
    is_complete = details.status == "complete"
    problem, view = _only_view(service, visitor, job_id) if is_complete and details.sequences == 1 else ("", {})
    reports = [
        (
            report,
            Formatting.recorded(report.formatting).title,
            texts.REPORT_STATUSES[report.status],
            service.services.reports.reason(report),
        )
        for report in service.services.reports.found(visitor.who, job_id)
    ]
    return page(
        request,
        visitor,
        "job.html",
        job=details,
        name=_name(service, details),
        status=_status(details, counts),
        active=details.status in ACTIVE,
        abandoned=details.reason == ABANDONED,
        reports=reports,
        making=any(report.status in ACTIVE for report, *_ in reports),
        counts=counts,
        hindrance=hindrance,
        failures=_failures(service, visitor, job_id) if counts.failed else [],
        warnings=job.notes,
        may_change=queries.may_change(visitor.who, job_id),
        **_overview(request, service, visitor, job_id),
        problem=problem,
        view=view,
        formats=formats_of(str(details.blast_config["tool"])),
        command=_command(service, visitor, job_id),
        base=str(request.base_url),
        share_link=share_link,
        links=_links(service),
        runs_url=service.services.policy.http.runs_url.rstrip("/"),
        can_compare=is_complete and queries.can_compare(job_id),
        time_left=_time_left(job, counts) if details.status in ACTIVE else "",
        history=queries.history(visitor.who, job_id) if visitor.who.administrator else [],
        next=what_next(request, service, visitor, job_id) if is_complete else None,
    )


def _status(details: QueryDetails, counts: Counts) -> texts.StatusText:
    if details.reason == ABANDONED:
        return texts.ABANDONED
    return texts.PARTLY if details.status == "complete" and counts.failed else texts.STATUSES[details.status]


def _only_view(service: Service, visitor: Visitor, job_id: str) -> tuple[str, dict[str, Any]]:
    """Return why a complete job of one sequence cannot be shown, and what is shown of it."""
    try:
        return "", _view(service, visitor, job_id, 1)
    except (ConflictError, NotFoundError) as error:
        return str(error), {}


def _command(service: Service, visitor: Visitor, job_id: str) -> str:
    """Return what the program was called with; empty if the job has not run."""
    try:
        return shlex.join(service.services.queries.command(visitor.who, job_id))
    except MultiblastError:
        return ""


def _failures(service: Service, visitor: Visitor, job_id: str) -> list[tuple[int, str]]:
    """Return how many sequences could not be searched, by the reason."""
    failed, _ = service.services.queries.rows(visitor.who, job_id, RowChoice(only="failed", count=_COUNTED))
    classes = Counter(row.note.partition(":")[0] for row in failed)
    return [(count, texts.FAILURES.get(name, name)) for name, count in classes.items()]


def _time_left(job: QueryJob, counts: Counts) -> str:
    """Return how long a job will take yet, if it goes on as it went; empty if that is not known."""
    if not job.started_at or not counts.done:
        return ""
    seconds = (utc_now() - job.started_at).total_seconds() * (counts.sequences - counts.done) / counts.done
    minutes = math.ceil(seconds / 60)
    return "less than a minute left" if minutes <= 1 else f"about {minutes:,} minutes left"


def _header(title: str, sort: str, choice: RowChoice, *, largest: bool) -> dict[str, str]:
    """Return a header of the overview: its title, where it leads, and how the table is sorted by it now."""
    is_now = choice.sort == sort
    down = not choice.descending if is_now else largest
    now = ("descending" if choice.descending else "ascending") if is_now else ""
    return {"title": title, "address": _address(choice, sort=sort, order="down" if down else "up"), "now": now}


def _ways(choice: RowChoice, total: int) -> dict[str, str]:
    """Return the addresses of the pages before and after this one, if there are."""
    ways = {}
    order = "down" if choice.descending else "up"
    if choice.first > 1:
        ways["Previous"] = _address(choice, sort=choice.sort, order=order, first=max(1, choice.first - choice.count))
    if choice.first + choice.count <= total:
        ways["Next"] = _address(choice, sort=choice.sort, order=order, first=choice.first + choice.count)
    return ways


def _address(choice: RowChoice, *, sort: str, order: str, first: int = 1) -> str:
    given = {
        "find": choice.find,
        "only": choice.only,
        "sort": sort,
        "order": order,
        "first": first if first > 1 else "",
    }
    return "?" + urlencode({name: value for name, value in given.items() if value}) + "#sequences-heading"
