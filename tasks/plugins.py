"""Plugin jobs as tasks: one per round, shown while it goes on, asked people's answers, and their outputs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from math import inf
from threading import Thread
from typing import Any
from urllib.parse import quote
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import TaskRunContext
from prefect.exceptions import TerminationSignal
from prefect.flow_runs import resume_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

from blocks.services import services
from multiblast.accounts import Requester
from multiblast.database import JobKind, JobStatus, PluginJob
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, Problem
from multiblast.jobs import address_of
from multiblast.log_lines import set_job
from multiblast.plugins.chains import Chain, shown
from multiblast.plugins.forms import answer_model
from multiblast.plugins.rounds import Progress
from multiblast.plugins.run import PluginRun, Stop
from tasks.notices import signing_secret
from tasks.page import PluginProgress, location_of, run_form, show_markdown, show_table
from tasks.recovery import cancel_at_once
from tasks.registry import record_if_wanted
from tasks.runs import RETRY_IF_TRANSIENT, best_effort, requester, upload_directory

_PERIOD_S = 2.0
_ANYBODY = Requester(administrator=True)  # who reaches the run's page may answer there


@dataclass(frozen=True, slots=True)
class PluginOutput:
    """What a plugin job made at one port, and where it is."""

    port: str
    name: str
    size: int
    data: str
    content: str
    where: str


@dataclass(frozen=True, slots=True)
class PluginOutcome:
    """A plugin job that is complete."""

    job_id: str
    plugin: str
    outputs: tuple[PluginOutput, ...]


@task(cache_policy=NO_CACHE, task_run_name="check and record the job", **RETRY_IF_TRANSIENT)
def record_plugin(  # noqa: PLR0913, PLR0917 - the fields of a form
    plugin: str,
    inputs: Mapping[str, Any] | Sequence[str],
    parameters: Mapping[str, Any],
    user: str,
    summary: str = "",
    notify: str = "",
) -> str:
    """Record a plugin job, or find it again, and let it wait for this run."""
    given: Mapping[str, list[str]] | list[str] = (
        {port: _texts(value) for port, value in inputs.items()} if isinstance(inputs, Mapping) else _texts(inputs)
    )
    jobs = services().plugin_jobs
    job_id = jobs.submit(
        requester(user), plugin, given, parameters, summary=summary, notify=notify, files_under=upload_directory()
    )
    jobs.begin(job_id)
    return job_id


def _texts(value: Any) -> list[str]:
    """Return what a field of a form holds as texts: one, several lines of one, or a list."""
    if value is None:
        return []
    lines = [str(one) for one in value] if isinstance(value, list | tuple) else str(value).splitlines()
    return [line.strip() for line in lines if line.strip()]


async def run_rounds(job_id: str, coupling: str = "") -> PluginJob:
    """Do a plugin job, round by round, and those that it calls for; rounds that were done are shown as Cached.

    Raises:
        JobFailedError: it was cancelled, or has failed.
        PluginError: the plugin failed.
        Pause: a person is asked, on this run's page; it goes on once they have answered.
    """
    set_job(job_id)
    jobs = services().plugin_jobs
    run = jobs.run(job_id, run_id=str(flow_run.id or ""), coupling=coupling)
    try:
        await _do_rounds(run)
        record_if_wanted(job_id)
    except TerminationSignal:
        cancel_at_once(str(flow_run.id))
        raise
    except Exception as error:
        await asyncio.to_thread(run.fail, error)
        ended = jobs.jobs.plugin(job_id)
        if ended.status == JobStatus.CANCELLED:
            raise JobFailedError(job_id, ended.status, ended.reason) from error
        raise
    finally:
        run.close()
    return run.ended()


async def _do_rounds(run: PluginRun) -> None:
    job_id, coupling = run.job_id, run.coupling
    plugin = services().plugin_jobs.jobs.plugin(job_id).plugin
    number = 1
    while await _begun(run, number):
        await asyncio.to_thread(send_webhooks)
        is_over = await asyncio.to_thread(run.is_over, number)
        stop = _run_round.with_options(refresh_cache=not is_over)(job_id, number, plugin, coupling)
        if stop.end == "done":
            return
        if run.stopped_at() == stop:  # rounds before were answered
            await _answer(run, stop)
        number += 1


async def _begun(run: PluginRun, number: int) -> bool:
    """Return whether there is a round of this number to do or to show, once the job runs."""
    if await asyncio.to_thread(run.is_over, number):
        return True
    return await asyncio.to_thread(run.begin)


async def _answer(run: PluginRun, stop: Stop) -> None:
    """Run the plugin that a round calls for, or ask a person."""
    if stop.end == "ask":
        await _ask(run.job_id, stop)
        return
    child = await asyncio.to_thread(services().plugin_jobs.called, run.job_id, stop)
    await run_rounds(child, run.coupling)
    await asyncio.to_thread(run.answer, stop.number, {}, child=child)


def _round_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"multiblast-plugin-{parameters['job_id']}-{parameters['number']}"


@task(cache_key_fn=_round_key, persist_result=True, task_run_name="{plugin}, round {number}", **RETRY_IF_TRANSIENT)
def _run_round(job_id: str, number: int, plugin: str, coupling: str) -> Stop:  # noqa: ARG001 - the name is shown
    context = copy_context()  # what a plugin reports comes in a thread that knows neither the run nor its server
    shown = _Shown(job_id)
    run = services().plugin_jobs.run(job_id, run_id=str(flow_run.id or ""), coupling=coupling)
    run.note = lambda what: context.copy().run(shown.show, what)
    return run.round(number)


async def _ask(job_id: str, stop: Stop) -> None:
    """Ask a person on this run's page; the run ends, and is started again when they have answered there.

    Raises:
        ConflictError: this run has no page to ask on: `multiblast plugins answer` does.
    """
    if not deployment.id:
        raise ConflictError(f"plugin job {job_id} asks: {stop.title}. Answer it: multiblast plugins answer {job_id:.8}")
    address = address_of(JobKind.PLUGIN, job_id)
    await asyncio.to_thread(send_webhooks)
    lines = [f"## {stop.title}", "", "Press *Resume* above and fill in the form."]
    await show_markdown(
        f"asks-{job_id:.8}", "\n".join(lines + ([f"Or answer [here]({address})."] if address else [])), "A question"
    )
    model = answer_model(stop.form, RunInput)
    answered = await suspend_flow_run(
        wait_for_input=model.with_initial_data(description=f"## {stop.title}"), key=f"round-{stop.number}"
    )  # type: ignore[misc]
    jobs = services().plugin_jobs
    if jobs.jobs.plugin(job_id).status == JobStatus.PAUSED and answered is not None:
        given = answered.model_dump(exclude={"description"})
        await asyncio.to_thread(jobs.answer, _ANYBODY, job_id, stop.step, given)


async def run_following(job_id: str) -> None:
    """Run what comes after a complete job, in the chains that it is a step of.

    Raises:
        JobFailedError, PluginError, Pause: as `run_rounds`, of a job after it.
    """
    for waiting in await asyncio.to_thread(services().plugin_chains.go_on, job_id):
        await run_rounds(waiting.job_id)
        await show_outcome(waiting.job_id)
        await run_following(waiting.job_id)


async def wake_who_asked(job_id: str) -> None:
    """Let the run go on that asked what was answered elsewhere: it finds the answer, and shows how its job ends."""
    jobs = services().plugin_jobs.jobs
    asked = [event.flow_run for event in jobs.history(job_id) if event.to_status == JobStatus.PAUSED and event.flow_run]
    rounds = [one for one in jobs.plugin(job_id).rounds if one["end"] == "ask" and one["answers"] is not None]
    if not asked or not rounds or asked[-1] == str(flow_run.id):
        return
    async with best_effort("resumed"), get_client() as client:
        other = await client.read_flow_run(UUID(asked[-1]))
        if other.state is not None and other.state.is_paused():
            await resume_flow_run(other.id, run_input=rounds[-1]["answers"])  # type: ignore[misc]


def plan_chain(source: str, to: str, through: Sequence[str], parameters: Mapping[str, Any], user: str) -> Chain:
    """Return the chain of plugins that is meant.

    Raises:
        InvalidInputError: there are several, or a parameter is for a plugin that is not in it.
        NotFoundError: there is none.
    """
    chain = services().plugin_chains.chain(requester(user), source, to, through)
    names = [link.plugin.name for link in chain]
    if strange := [name for name in parameters if name not in names]:
        raise InvalidInputError(
            [Problem(f"it is not in the chain {shown(chain)}", f"parameters.{one}") for one in strange]
        )
    return chain


def outcome_of(job_id: str) -> PluginOutcome:
    """Return what a job made."""
    job = services().plugin_jobs.jobs.plugin(job_id)
    outputs = tuple(
        PluginOutput(one["port"], one["name"], one["size"], one["data"], one["content"], _where(job_id, one))
        for one in job.outputs
    )
    return PluginOutcome(job_id, f"{job.plugin}@{job.version}", outputs)


async def show_outcome(job_id: str) -> PluginOutcome:
    """Show what a job made, its pictures and pages, and what could be done with it next."""
    outcome = outcome_of(job_id)
    outputs = outcome.outputs
    rows = [
        {"output": one.port, "file": one.name, "size": f"{one.size:,} B", "type": one.data, "where": one.where}
        for one in outputs
    ]
    await show_table(f"outputs-{job_id:.8}", rows, f"What {outcome.plugin} made")
    lines = [f"## `{outcome.plugin}`, job `{job_id}`", ""]
    lines += [
        f"![{one.name}]({one.where})" for one in outputs if one.content.startswith("image/") and "://" in one.where
    ]
    lines += [f"[open {one.name}]({one.where})" for one in outputs if one.content == "text/html" and "://" in one.where]
    following = services().plugin_chains.following(job_id)
    if following:
        forms = [
            (one, await run_form(f"run-plugin/{one.name}", {"inputs": {port: f"plugin:{job_id}"}}))
            for one, port in following
        ]
        links = [f"[{one.description.title}]({form})" if form else f"`{one.name}`" for one, form in forms]
        lines += ["", f"Next: {' · '.join(links)}"]
    await show_markdown(f"plugin-{job_id:.8}", "\n".join(lines), "Outcome")
    return outcome


def _where(job_id: str, output: Mapping[str, Any]) -> str:
    if output["directory"]:
        return f"plugin:{job_id}/{output['port']}"
    return address_of(JobKind.PLUGIN, job_id, "files", quote(output["name"])) or location_of(
        output["key"], output["name"]
    )


class _Shown:
    """What a plugin reports: lines of the log, and a progress that is brought up to date at most every 2 s."""

    def __init__(self, job_id: str) -> None:
        self._progress, self._at = PluginProgress(f"progress-{job_id:.8}"), -inf
        self._sending: Thread | None = None

    def show(self, what: Progress | str) -> None:
        """Show a line or a progress; if the server is away, the log alone does."""
        if isinstance(what, str):
            get_run_logger().info("%s", what)
            return
        length = what.target - what.start
        share = 100 * min(1.0, max(0.0, (what.value - what.start) / length)) if length else 100.0
        if share < 100 and time.monotonic() - self._at < _PERIOD_S:  # noqa: PLR2004 - percent
            return
        self._at = time.monotonic()
        self._send_webhooks()
        self._progress.show(share, what.text)

    def _send_webhooks(self) -> None:
        """Send what has changed, in a thread: the receiver may be slow, and the plugin is watched here."""
        if self._sending is None or not self._sending.is_alive():
            self._sending = Thread(target=copy_context().run, args=[send_webhooks], name="webhooks", daemon=True)
            self._sending.start()


def send_webhooks() -> None:
    """Send what has changed of plugin jobs to those who asked for it; what fails is sent later."""
    try:
        services().webhooks.send(signing_secret)
    except Exception as error:  # noqa: BLE001 - never at a job's cost
        logging.getLogger("multiblast.webhooks").warning("webhooks were not sent: %s", error)
