"""Recovery: what became of runs, what is run again in place of dead ones, and what follows the end of a run."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling, Failed

from blocks.services import services
from multiblast.database import JobKind, JobStatus, in_portions
from multiblast.errors import ConflictError
from multiblast.options import PROGRAMS
from multiblast.upkeep.reconciliation import Reconciled, Reconciliation, RunState, Waiting
from tasks.notices import send_notices
from tasks.page import end_search_shown, lead_on
from tasks.runs import name_of

_RUNS_A_REQUEST = 200
_STARTS = 3
_PATIENCE = timedelta(minutes=5)  # with a run that a worker is starting
_GRACE = timedelta(minutes=1)  # for a run that is being cancelled: a worker kills it after half of that
_AGAIN = re.compile(r"again-(\d+)-")  # how the idempotency key of a run in place of another begins
_REMEMBERED = timedelta(days=1)  # a run that crashed
_REFUSED = "It died before its job began, and its form, which has changed, no longer takes it: start it again."
_SUBMISSIONS = [
    "submit-query",
    *(f"submit-{program}" for program in PROGRAMS),
    "make-report",
    "run-plugin",
    "restart-job",
]


def reconcile() -> Reconciled:
    """Take jobs back from dead runs."""
    return Reconciliation(services().database).run(_states)


def run_again(waiting: list[Waiting]) -> list[UUID]:
    """Start a run of each job, unless it was started before and still waits; return the runs that are on their way."""
    started: list[UUID] = []
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("run-job/run-job")
        for job in waiting:
            for start in range(_STARTS):
                run = client.create_flow_run_from_deployment(
                    deployment.id,
                    name=name_of(job.job_id),  # as it will call itself, so that it may be named now
                    parameters={"job": job.job_id},
                    tags=[job.job_id],
                    idempotency_key=job.key(start),
                )
                if run.state is None or not run.state.is_final():
                    started.append(run.id)
                    _lead_from_dead_runs(client, job.job_id, run)
                    break
            else:
                why = f"it could not be started, {_STARTS} times: see the flow run {run.name!r}"
                Reconciliation(services().database).give_up(job, why)
    return started


def replace_dead_runs(patience: timedelta = _PATIENCE) -> int:
    """Begin another run in place of each of our work pool that died before its job began; return how many.

    These are runs whose worker died while it started them, which Prefect leaves pending for good (one
    that a cluster was asked to find room for is left alone), and submissions that crashed before they had
    recorded or begun their job. It is another run, since a worker that still has the old one in its hands
    ends with an error if it is given the same again.
    """
    now = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        name = client.read_flow_run(UUID(flow_run.id)).work_pool_name
        if name is None:  # called by a script
            return 0
        is_starting = _runs_where(state={"name": {"any_": ["Pending", "Submitting"]}})
        has_crashed = _runs_where(state={"name": {"any_": ["Crashed"]}}, end_time={"after_": now - _REMEMBERED})
        ours = FlowFilter.model_validate({"name": {"any_": _SUBMISSIONS}})
        limits: Any = {"work_pool_filter": _pool_named(name), "limit": _RUNS_A_REQUEST}
        pending = client.read_flow_runs(flow_run_filter=is_starting, **limits)
        crashed = client.read_flow_runs(flow_filter=ours, flow_run_filter=has_crashed, **limits)
        seconds_suffice = client.read_work_pool(name).type == "process"
        begun = Reconciliation(services().database).begun({str(run.id) for run in crashed})
        dead = [run for run in crashed if str(run.id) not in begun] + [
            run
            for run in pending
            if run.state and run.state.timestamp < now - patience and (seconds_suffice or not run.infrastructure_pid)
        ]
        return sum(_replace(client, run) for run in dead)


def end_cancelled_runs(patience: timedelta = _GRACE) -> int:
    """Call those runs of our work pool cancelled that have long been about to be; return how many.

    Prefect leaves so for good what is cancelled while a worker starts it, or when its worker has been killed.
    """
    with get_client(sync_client=True) as client:
        if (name := client.read_flow_run(UUID(flow_run.id)).work_pool_name) is None:  # called by a script
            return 0
        runs = client.read_flow_runs(
            work_pool_filter=_pool_named(name),
            flow_run_filter=_runs_where(state={"type": {"any_": ["CANCELLING"]}}),
            limit=_RUNS_A_REQUEST,
        )
        left = [run for run in runs if run.state and run.state.timestamp < datetime.now(UTC) - patience]
        for run in left:
            client.set_flow_run_state(run.id, Cancelled(message="It was cancelled, and did not end."), force=True)
    for run in left:
        dismiss_helpers(run.id)
    return len(left)


def _lead_from_dead_runs(client: SyncPrefectClient, job_id: str, to: FlowRun) -> None:
    """Let the pages of those runs of a job that died say which run goes on."""
    crashed = _runs_where(tags={"all_": [job_id]}, state={"name": {"any_": ["Crashed"]}})
    with suppress(HTTPError):
        for dead in client.read_flow_runs(flow_run_filter=crashed, limit=_STARTS):
            lead_on(client, dead.id, to)


def _replace(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Begin another run in place of one that died, unless it is the third already, or the server takes it no more."""
    found = _AGAIN.match(run.idempotency_key or "")
    number = int(found[1]) + 1 if found else 1
    if number >= _STARTS or run.deployment_id is None:
        return False
    try:
        another = client.create_flow_run_from_deployment(
            run.deployment_id,
            name=run.name,
            parameters=run.parameters,
            tags=run.tags,
            work_queue_name=run.work_queue_name,
            idempotency_key=f"again-{number}-{run.id}",
        )
    except HTTPStatusError as error:
        if error.response.is_server_error:
            raise
        client.set_flow_run_state(run.id, Failed(message=_REFUSED), force=True)  # not to be looked at again
        return False
    lead_on(client, run.id, another)
    return True


def _pool_named(name: str) -> WorkPoolFilter:
    return WorkPoolFilter.model_validate({"name": {"any_": [name]}})


def _runs_where(**conditions: Any) -> FlowRunFilter:
    return FlowRunFilter.model_validate(conditions)


def check_queued(job: str) -> JobKind:
    """Return what a queued job makes, or raise an error if there is none."""
    jobs = services().queries.jobs
    kind = jobs.kind(job)
    status = jobs.status(kind, job)
    if status != JobStatus.QUEUED:
        raise ConflictError(f"job {job} is {status}: only a queued job can be run; restart-job runs others again")
    return kind


def cancel_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Cancel the jobs of a run that was cancelled, and its helpers: a hook for ``on_cancellation``."""
    Reconciliation(services().database).cancelled(str(flow_run.id), _states)
    _end_shown(flow_run.id)
    dismiss_helpers(flow_run.id)


def cancel_at_once(run_id: str) -> None:
    """Cancel the jobs of a run that was asked to stop, if it is cancelled.

    The hook above comes when the run has ended, and it ends when its BLAST+ processes do: these are stopped now.
    """
    with suppress(HTTPError):
        if _states({run_id}).get(run_id) is RunState.CANCELLED:
            Reconciliation(services().database).cancelled(run_id, _states)


def dismiss_helpers(run_id: UUID, *, at_once: bool = True) -> None:
    """End the runs that help a run with its job, those at work too or only those that have not begun."""
    called = _runs_where(parent_flow_run_id={"any_": [run_id]})
    with suppress(HTTPError), get_client(sync_client=True) as client:  # without a server they end when nothing is left
        for run in client.read_flow_runs(flow_run_filter=called):
            waits = run.state is not None and run.state.is_scheduled()
            if run.deployment_id and run.state and (waits or (at_once and not run.state.is_final())):
                state = Cancelled if waits else Cancelling
                client.set_flow_run_state(run.id, state(message="Its job needs no help any more."))


def _end_shown(run_id: UUID) -> None:
    """Let the page of a run that was cancelled say no more how long it will take."""
    with suppress(HTTPError), get_client(sync_client=True) as client:
        end_search_shown(client, run_id, "ended: the run was cancelled")


def notify(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Send notices of ended jobs: a hook, so that the run itself has ended before."""
    send_notices()


HOOKS: dict[str, Any] = {"on_completion": [notify], "on_failure": [notify], "on_cancellation": [cancel_jobs, notify]}


def _states(run_ids: set[str]) -> dict[str, RunState]:
    """Return what became of flow runs, those that this server knows."""
    found: dict[str, RunState] = {}
    with get_client(sync_client=True) as client:
        for some in in_portions(sorted(run_ids), _RUNS_A_REQUEST):
            runs = client.read_flow_runs(flow_run_filter=_runs_where(id={"any_": some}), limit=_RUNS_A_REQUEST)
            found.update((str(run.id), _state(run)) for run in runs)
    return found


def _state(run: FlowRun) -> RunState:
    if run.state is None or not (run.state.is_final() or run.state.is_cancelling()):
        return RunState.RUNNING
    return RunState.CANCELLED if run.state.is_cancelled() or run.state.is_cancelling() else RunState.ENDED
