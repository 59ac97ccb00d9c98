"""What a run's page shows: the plan, progress, the table of sequences, results, comparisons, and where files are."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import FlowRun, State, StateDetails
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Crashed

from blocks.services import services
from multiblast.accounts import Requester
from multiblast.actions.comparison import Comparison, comparison_key
from multiblast.database import JobKind, JobStatus
from multiblast.errors import (
    ConflictError,
    FailureClass,
    InvalidInputError,
    JobFailedError,
    MultiblastError,
    ProgramError,
)
from multiblast.jobs import address_of
from multiblast.search import Plan, SearchedJob, SequenceRow, board
from multiblast.search.plan import duration_text
from tasks.notices import send_notices
from tasks.runs import best_effort, leave_as, unnamed

_FIRST_S = 0.5  # a search that takes no longer shows its end alone
_PERIOD_S = 2.0
_ROWS_SHOWN = 1000
_ROWS_MEANWHILE = 100  # written every 2 s
_LISTED = 20  # in one cell
_LINK_S = 24 * 3600
_OF_SEARCH = ("progress-", "sequences-")  # how the keys of artifacts begin that change while it goes on


class RunPage:
    """The artifacts of one submission's run: one of each kind, brought up to date at most every 2 s.

    A helper's run leaves it to the run that called it to show progress.
    """

    def __init__(self, job_id: str, *, shown: bool = True) -> None:
        self.job_id = job_id
        self._short = job_id[:8]
        self._shown = shown
        self._progress: UUID | None = None
        self._table: UUID | None = None
        self._due = time.monotonic() + _FIRST_S

    @best_effort()
    async def show_progress(self) -> None:
        """Show how far the search is; does nothing if that was shown less than 2 s ago."""
        if not self._shown or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PERIOD_S
        board.catch_up(self.job_id, *await asyncio.to_thread(services().queries.left_to_search, self.job_id))
        now = board.get(self.job_id)
        left = now.seconds_left
        text = f"{now.searched:,} of {now.to_search:,} sequences searched, {now.reused:,} reused"
        text += f" · {now.letters_per_second:,.0f} letters/s"
        text += f" · about {duration_text(left)} left" if left else ""
        text += f" · {now.doing}" if now.doing else ""
        if self._progress is None:
            created = await acreate_progress_artifact(
                progress=100 * now.fraction, key=f"progress-{self._short}", description=text
            )
            self._progress = UUID(str(created))
        else:
            await aupdate_progress_artifact(self._progress, progress=100 * now.fraction, description=text)
        job = await asyncio.to_thread(services().queries.searched_job, self.job_id, count=_ROWS_MEANWHILE)
        await self._show_rows(job, f"{text}. Sequences{_cut(job)}")

    @best_effort()
    async def show_result(self, job: SearchedJob) -> None:
        """Show the table of sequences and what to do next."""
        if self._progress is not None:
            await aupdate_progress_artifact(self._progress, progress=100.0, description="done")
        job = replace(job, rows=job.rows[:_ROWS_SHOWN])
        await self._show_rows(job, f"Sequences{_cut(job)}")
        await show_markdown(
            f"job-{self._short}", _job_text(job, await run_form("make-report/make-report", {"job": job.job_id})), "Job"
        )

    @best_effort()
    async def show_failure(self) -> None:
        """Say that the search has ended, where its progress and its sequences were shown."""
        ended = ArtifactUpdate(description="ended before all was searched")
        async with get_client() as client:
            for shown in filter(None, (self._progress, self._table)):
                await client.update_artifact(shown, ended)

    async def _show_rows(self, job: SearchedJob, description: str) -> None:
        """Show the table of sequences, in place of what it showed before."""
        named = services().policy.names_in_runs
        rows = [table_row(row, named=named) for row in job.rows]
        if self._table is None:
            created = await acreate_table_artifact(key=f"sequences-{self._short}", table=rows, description=description)
            self._table = UUID(str(created))
        else:
            changed = ArtifactUpdate(data=json.dumps(rows), description=description)
            async with get_client() as client:
                await client.update_artifact(self._table, changed)


async def show_plan(plan: Plan, key: str) -> None:
    """Show what is known, what must run, and what to expect."""
    if not services().policy.names_in_runs:
        plan = replace(plan, warnings=tuple(unnamed(each) if "record " in each else each for each in plan.warnings))
    await show_markdown(key, _plan_text(plan), "Plan")


@asynccontextmanager
async def problems_on_page() -> AsyncIterator[None]:
    """Show why the run fails on its page, where the message of its end is cut; one whose job was cancelled is, too.

    Raises:
        Pause: the run is cancelled.
    """
    try:
        yield
    except MultiblastError as error:
        if _is_cancelled(error) and deployment.id:  # a script has the error itself
            await _end_cancelled(error)
        title, reasons = "It failed", [str(error)]
        if isinstance(error, InvalidInputError):
            title, reasons = "Nothing was done", [str(problem) for problem in error.problems]
        lines = [f"## {title}", "", *(f"- {reason}" for reason in reasons)]
        await show_markdown(f"problems-{flow_run.id:.8}", "\n".join(lines), "What is wrong")
        raise


def _is_cancelled(error: MultiblastError) -> bool:
    if isinstance(error, JobFailedError):
        return error.status == JobStatus.CANCELLED
    return isinstance(error, ProgramError) and error.failure_class is FailureClass.CANCELLED


async def _end_cancelled(error: MultiblastError) -> None:
    """End the run as a cancelled one, and send what is sent at its end: no hook does at one that ends by itself."""
    reason = f"Job {error.job_id} was cancelled: {error.reason}" if isinstance(error, JobFailedError) else str(error)
    kept = "What was found is kept: submit it again, or run restart-job, and only the rest is done."
    try:
        await leave_as(Cancelled(message=f"{reason}. {kept}"))
    finally:
        await asyncio.to_thread(send_notices)


@best_effort()
async def show_markdown(key: str, text: str, description: str) -> None:
    """Show a page of text."""
    await acreate_markdown_artifact(key=key, markdown=text, description=description)


@best_effort()
async def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """Show a table."""
    await acreate_table_artifact(key=key, table=rows, description=description)


async def show_comparison(job: str, comparison: Comparison) -> str:
    """Show a comparison as a table, and keep it as a file; return where that is."""
    queries = services().queries
    name = queries.keep_comparison(job, comparison)
    where = address_of(JobKind.QUERY, job, "comparisons", name) or location_of(comparison_key(job, name))
    rows = [asdict(change) for change in comparison.changes[:_ROWS_SHOWN]]
    if not services().policy.names_in_runs:
        rows = [{name: value for name, value in row.items() if name not in {"sequence", "subject"}} for row in rows]
    await show_table(f"comparison-{job:.8}", rows, f"{comparison.text}. All as a file: {where}")
    return where


async def show_changes(requester: Requester, job: str) -> None:
    """Compare a job that was just restarted with what it found before, if its databases changed, and show that."""
    queries = services().queries
    if not queries.can_compare(job):
        return
    try:
        comparison = queries.compare(requester, job)
    except ConflictError as error:  # the search itself is done: this is no reason to fail
        await show_markdown(f"comparison-{job:.8}", f"Not compared: {error}.", "What changed")
    else:
        await show_comparison(job, comparison)


async def show_facts(key: str, title: str, facts: dict[str, Any]) -> None:
    """Show what was done, one line per fact."""
    cells = {name.replace("_", " "): _cell(value) for name, value in facts.items()}
    await show_markdown(key, _table_text(title, cells), title)


def location_of(key: str, name: str = "") -> str:
    """Return where an object is without the HTTP service: a link to download it by for a day, or its path."""
    store = services().store
    return store.presign(key, _LINK_S, name) or store.locate(key)


def file_link(report_id: str, key: str, name: str) -> str:
    """Return in Markdown where a file of a report is."""
    if address := address_of(JobKind.REPORT, report_id, "files", name):
        return f"[open]({address}?download=false) · [download]({address})"
    location = location_of(key, name)
    return f"[download, for a day]({location})" if location.startswith("http") else f"`{location}`"


class PluginProgress:
    """The progress of a plugin on its run's page."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._artifact: UUID | None = None

    def show(self, percent: float, text: str) -> None:
        """Show how far the plugin is; if the server is away, the log says so."""
        try:
            with get_client(sync_client=True) as client:
                if self._artifact is not None:
                    client.update_artifact(self._artifact, ArtifactUpdate(data=percent, description=text))
                    return
                of_run = UUID(flow_run.id)
                made = ArtifactCreate(
                    key=self._key, type="progress", data=percent, description=text, flow_run_id=of_run
                )
                self._artifact = client.create_artifact(made).id
        except (HTTPError, PrefectException) as error:
            get_run_logger().warning("The progress of the plugin was not shown: %s", error)


async def run_form(deployed: str, filled_in: Mapping[str, Any]) -> str:
    """Return the address of the form of a deployment, some of it filled in; empty if it is not deployed."""
    async with get_client() as client:
        try:
            found = await client.read_deployment_by_name(deployed)
        except ObjectNotFound:
            return ""
    parameters = quote(json.dumps(filled_in))
    return f"{_ui_path()}/deployments/deployment/{found.id}/run?parameters={parameters}"


def lead_on(client: SyncPrefectClient, dead: UUID, to: FlowRun) -> None:
    """Let the page of a run that died lead to the one that goes on, and say that its progress has ended."""
    ended: State[Any] = Crashed(
        name="Replaced",  # so that it is found dead once
        message=f"It died: flow run {to.name} goes on with its job, at {_ui_url()}/runs/flow-run/{to.id}",
        state_details=StateDetails(child_flow_run_id=to.id),
    )
    client.set_flow_run_state(dead, ended, force=True)
    text = (
        "## This run died\n\n"
        f"**[{to.name}]({_ui_path()}/runs/flow-run/{to.id})** goes on with its job; nothing that was found is lost."
    )
    shown = ArtifactCreate(
        key=f"goes-on-{dead!s:.8}", type="markdown", description="What goes on", data=text, flow_run_id=dead
    )
    client.create_artifact(shown)
    end_search_shown(client, dead, "ended: the run died, and another goes on")


def end_search_shown(client: SyncPrefectClient, run_id: UUID, text: str) -> None:
    """Say of a run that its search has ended, where its progress and its sequences are shown."""
    of_run = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run_id]}})
    for artifact in client.read_artifacts(artifact_filter=of_run):
        if (artifact.key or "").startswith(_OF_SEARCH):
            client.update_artifact(artifact.id, ArtifactUpdate(description=text))


def _ui_path() -> str:
    """Return what addresses of Prefect's pages begin with, below the address by which the reader has reached them."""
    return urlsplit(_ui_url()).path.rstrip("/") or "/v2"


def _ui_url() -> str:
    return (get_current_settings().ui_url or "").rstrip("/")


def _cell(value: Any) -> str:
    if isinstance(value, list):
        listed = ", ".join(map(str, value[:_LISTED])) + (" …" if len(value) > _LISTED else "")
        return f"{len(value):,}{': ' if value else ''}{listed}"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cut(job: SearchedJob) -> str:
    return f" (the first {len(job.rows):,})" if len(job.rows) < job.sequences else ""


def _plan_text(plan: Plan) -> str:
    cells = {
        "sequences": f"{plan.sequences:,} ({plan.distinct:,} distinct)",
        "known already": f"{plan.known:,}",
        "to search": f"{plan.unknown:,} ({plan.letters:,} letters)",
        **({"of these": plan.before} if plan.before else {}),
        "batches": f"{len(plan.to_run)}",
        "estimated time": _estimate(plan),
    }
    if plan.result_bytes:
        cells["estimated size"] = f"{plan.result_bytes / 1e6:,.1f} MB"
    return _table_text("Plan", cells, plan.warnings)


def _table_text(title: str, cells: Mapping[str, str], warnings: Iterable[str] = ()) -> str:
    rows = (f"| {name} | {text} |" for name, text in cells.items())
    lines = [line for warning in warnings for line in (f"**Mind:** {warning}", "")]
    return "\n".join([f"## {title}", "", *lines, "| | |", "|---|---|", *rows])


def _estimate(plan: Plan) -> str:
    if plan.seconds is None:
        return "not known yet: the first search of this kind here"
    return duration_text(plan.seconds) if plan.seconds else "none: everything is known"


def table_row(row: SequenceRow, *, named: bool) -> dict[str, Any]:
    """Return a row of the table of sequences; unless ``named``, without words of the query, databases or BLAST+."""
    cells = {
        "#": row.position,
        "sequence": row.name,
        "length": row.length,
        "status": row.status,
        "origin": row.origin,
        "hits": row.hits,
        "best hit": row.best_hit,
        "E-value": "" if row.evalue is None else f"{row.evalue:.2g}",
        "identity %": "" if row.identity_percent is None else f"{row.identity_percent:.1f}",
        "coverage %": "" if row.coverage_percent is None else f"{row.coverage_percent:.0f}",
        "note": row.note,
    }
    if not named:
        del cells["sequence"], cells["best hit"]
        cells["note"] = row.note.partition(":")[0]  # the class of a failure
    return cells


def _job_text(job: SearchedJob, form: str) -> str:
    failed = f", {job.failed:,} failed." if job.failed else "."
    reason = f"**{job.reason}**\n\n" if job.reason else ""
    by_hand = f"For a report, run **make-report** with job `{job.job_id}` and a format."
    return (
        f"## Job `{job.job_id}` is {job.status}\n\n{reason}"
        f"{job.sequences:,} sequences: {job.searched:,} searched now, {job.reused:,} reused{failed}\n\n"
        f"Searched with `{shlex.join(job.command)}`.\n\n"
        + (f"**[Make a report]({form})** of it, in any format." if form else by_hand)
        + job_links(job.job_id)
    )


def job_links(job_id: str) -> str:
    """Return links to what there is of a job over HTTP; nothing without a service."""
    if not (job := address_of(JobKind.QUERY, job_id)):
        return ""
    return (
        f"\n\n[Query]({job}/query) · [result]({job}/result), one archive for blast_formatter · "
        f"[hits]({job}/hits) · [details]({job})"
    )
