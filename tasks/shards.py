"""Large jobs: they wait behind small ones, and other workers help with them."""

from __future__ import annotations

import os
import platform
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Worker, WorkerStatus
from prefect.deployments import arun_deployment
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

from blocks.services import chosen, services
from multiblast.database import JobKind, JobStatus
from multiblast.search import Plan
from multiblast.settings import WORKER, own_queue
from multiblast.upkeep.reconciliation import Waiting
from tasks.recovery import run_again

_SHARD = "search-shard/search-shard"
_QUEUE = "large"


def wait_behind_small(plan: Plan) -> UUID | None:
    """Put a job into the queue of large ones; return the flow run that waits there to search it, None if none does.

    That is for large jobs, and for those of a user of whom enough jobs run. Only what came through a deployment
    waits: somebody at a terminal waits already.
    """
    jobs = services().queries.jobs
    if not (deployment.id and plan.unknown) or jobs.query(plan.job_id).status == JobStatus.IN_PROGRESS:
        return None
    if not (_is_large(plan) or services().accounts.usage.at_job_limit(plan.job_id)):
        return None
    jobs.move_query([plan.job_id], JobStatus.QUEUED, "it waits behind other jobs", run_id=str(flow_run.id))
    event = jobs.history(plan.job_id)[-1].number or 0
    return next(iter(run_again([Waiting(plan.job_id, JobKind.QUERY, event)], _QUEUE)), None)


async def call_helpers(plan: Plan) -> int:
    """Ask other workers to help with a job, if it is large and there are any; return how many were asked.

    Nothing waits for them: see `multiblast.search.SearchRun.plan_part`.
    """
    if not _is_large(plan) or chosen():
        return 0
    wanted = min(services().policy.helpers, int(plan.core_seconds // services().policy.large_job_s))
    async with get_client() as client:
        try:
            queues = (await _queues(client))[:wanted]
            for part, queue in enumerate(queues, start=1):
                await arun_deployment(
                    _SHARD,
                    client=client,
                    parameters={"job": plan.job_id, "part": part, "of": len(queues)},
                    timeout=0,
                    tags=[plan.job_id],
                    work_queue_name=queue,
                    idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{part}",
                )
        except (PrefectException, httpx.HTTPError) as error:  # not deployed, or the server is away: then without help
            get_run_logger().warning("No other worker was asked to help: %s", error)
            return 0
    return len(queues)


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
