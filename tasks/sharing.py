"""Large jobs: they wait behind small ones, and other workers help with them."""

from __future__ import annotations

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import WorkerStatus
from prefect.deployments import arun_deployment
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

from blocks.services import chosen, services
from multiblast.database import JobKind, JobStatus
from multiblast.search import Plan
from multiblast.upkeep.reconciling import Waiting
from tasks.reconciling import run_again

__all__ = ["call_helpers", "wait_behind_small"]

_SHARD = "search-shard/search-shard"
_QUEUE = "large"


def wait_behind_small(plan: Plan) -> bool:
    """Put a large job into the queue of large ones, to be run from there; return whether that was done.

    Only what came through a deployment waits: somebody at a terminal waits already.
    """
    jobs = services().search.jobs
    if not (deployment.id and _is_large(plan)) or jobs.query(plan.job_id).status == JobStatus.IN_PROGRESS:
        return False
    jobs.move_query([plan.job_id], JobStatus.QUEUED, "large: it waits behind small ones", flow_run=str(flow_run.id))
    event = jobs.history(plan.job_id)[-1].number or 0
    return bool(run_again([Waiting(plan.job_id, JobKind.QUERY, event)], _QUEUE))


async def call_helpers(plan: Plan) -> int:
    """Ask other workers to help with a job, if it is large and there are any; return how many were asked.

    Nothing waits for them: see `multiblast.search.Search.plan_part`.
    """
    if not _is_large(plan) or chosen():
        return 0
    wanted = min(services().policy.helpers, int(plan.core_seconds // services().policy.large_job_s))
    async with get_client() as client:
        try:
            wanted = min(wanted, await _others(client))
            for part in range(1, wanted + 1):
                await arun_deployment(
                    _SHARD,
                    client=client,
                    parameters={"job": plan.job_id, "part": part, "of": wanted},
                    timeout=0,
                    tags=[plan.job_id],
                    idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{part}",
                )
        except (PrefectException, OSError) as error:  # no such deployment, or the server is away: then without help
            get_run_logger().warning("No other worker was asked to help: %s", error)
            return 0
    return wanted


def _is_large(plan: Plan) -> bool:
    limit_s = services().policy.large_job_s
    return 0 < limit_s <= plan.core_seconds


async def _others(client: PrefectClient) -> int:
    """Count the workers that may help; of a pool that starts machines as needed, one can be many."""
    found = await client.read_deployment_by_name(_SHARD)
    if found.work_pool_name is None:
        return 0
    pool = await client.read_work_pool(found.work_pool_name)
    if pool.type != "process":
        return services().policy.helpers
    workers = await client.read_workers_for_work_pool(pool.name)
    return sum(worker.status == WorkerStatus.ONLINE for worker in workers) - 1
