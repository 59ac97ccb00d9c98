"""Large jobs: they wait behind small ones, and other workers help with them."""

from __future__ import annotations

import os
import platform

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Worker, WorkerStatus
from prefect.deployments import arun_deployment
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Scheduled

from blocks.services import chosen, services
from multiblast.database import JobStatus
from multiblast.environment import WORKER
from multiblast.search import Plan
from multiblast.settings import QUEUED, own_queue
from tasks.runs import leave_as

_SHARD = "search-shard/search-shard"


async def wait_for_turn(plan: Plan) -> None:
    """Let the run go back to being scheduled, and end here, if its job has to wait until smaller ones are done.

    That is for large jobs, and for those of a user of whom enough jobs run. Only what came through a deployment
    waits: somebody at a terminal waits already. The run begins anew when it is its turn, in the queue `LARGE_QUEUE` if
    the server is ours (`deployments.prefect_server`), else in the one where it was.

    Raises:
        Pause: the run waits.
    """
    jobs = services().queries.jobs
    if not (deployment.id and plan.unknown) or jobs.has_waited(plan.job_id, str(flow_run.id)):
        return
    if not (_is_large(plan) or services().accounts.usage.at_job_limit(plan.job_id)):
        return
    if jobs.wait(plan.job_id, str(flow_run.id)):
        why = "It is large, or as many jobs of its user run as may at a time."
        message = f"Job {plan.job_id} waits behind other jobs; this run searches it when its turn comes. {why}"
        await leave_as(Scheduled(name=QUEUED, message=message))


async def job_waited_for() -> str:
    """Return the job whose turn this run has waited for; empty if it has not.

    Raises:
        Pause: the job was cancelled meanwhile, and so is the run now.
    """
    if flow_run.run_count == 1:
        return ""
    jobs = services().queries.jobs
    job_id = next((tag for tag in flow_run.tags if jobs.has_waited(tag, str(flow_run.id))), "")
    if job_id and jobs.query(job_id).status == JobStatus.CANCELLED:
        await leave_as(Cancelled(message=f"Job {job_id} was cancelled while it waited for its turn."))
    return job_id


async def call_helpers(plan: Plan) -> int:
    """Ask other workers to help with a job, if it is large and there are any; return how many were asked.

    Nothing waits for them: see `multiblast.search.SearchRun.plan_part`.
    """
    if not _is_large(plan) or chosen():
        return 0
    wanted = min(services().policy.helpers, int(plan.core_seconds // services().policy.large_job_s))
    sites = services().policy.gateway.sites
    async with get_client() as client:
        try:
            helpers = [(queue, "") for queue in (await _queues(client))[:wanted]]
            helpers += [(None, site) for site in sites]
            for part, (queue, site) in enumerate(helpers, start=1):
                await arun_deployment(
                    _SHARD,
                    client=client,
                    parameters={"job": plan.job_id, "part": part, "of": len(helpers), "site": site},
                    timeout=0,
                    tags=[plan.job_id],
                    work_queue_name=queue,
                    idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{part}",
                )
        except (PrefectException, httpx.HTTPError) as error:  # not deployed, or the server is away: then without help
            get_run_logger().warning("No other worker was asked to help: %s", error)
            return 0
    return len(helpers)


def _is_large(plan: Plan) -> bool:
    limit_s = services().policy.large_job_s
    return 0 < limit_s <= plan.core_seconds


async def _queues(client: PrefectClient) -> list[str | None]:
    """Return the queue of each worker that may help; None is that of the deployment.

    A process is to run on a machine that does not work at the job yet, so each worker has a queue of its own; a
    worker that starts machines as they are needed helps as often as it is asked.
    """
    found = await client.read_deployment_by_name(_SHARD)
    if found.work_pool_name is None:
        return []
    pool = await client.read_work_pool(found.work_pool_name)
    if pool.type != "process":
        return [None] * services().policy.helpers
    workers = await client.read_workers_for_work_pool(pool.name)
    return [own_queue(worker.name) for worker in workers if worker.status == WorkerStatus.ONLINE and _is_other(worker)]


def _is_other(worker: Worker) -> bool:
    own = os.environ.get(WORKER, "")
    return worker.name != own if own else worker.name.rpartition("-")[0] != platform.node()
