"""The provenance of jobs, as code runs in the registry."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.services import services
from tasks.registries import local_registry

__all__ = ["note_provenance", "record_job"]


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10], task_run_name="record the provenance of {job:.8}")
def record_job(job: str) -> str:
    """Record a complete job as a code run; return the run's UUID."""
    with local_registry() as registry:
        return services().provenance.record(registry, job)


def note_provenance(job: str) -> None:
    """Record a job that is complete now, if the policy says that every one is."""
    if services().policy.provenance:
        record_job(job)
