"""The databases as choices in the forms."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse

from blocks.services import chosen, services
from multiblast.options import PROFILE_PROGRAMS, TARGET_MOLECULE
from multiblast.targets import BlastDatabase

__all__ = ["list_databases", "offer_databases"]


@task(cache_policy=NO_CACHE, task_run_name="scan the targets")
def list_databases() -> list[BlastDatabase]:
    """Return the databases that are there now."""
    targets = services().targets
    targets.rescan()
    return list(targets.databases())


def offer_databases(databases: list[BlastDatabase]) -> None:
    """Make the databases the choices of every deployed form that has targets, those that fit its program.

    A command with databases of its own changes no form: the forms are for the server's workers.
    """
    if chosen():
        return
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            schema = _with_choices(deployment, databases)
            if schema is not None:
                client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=schema))


def _with_choices(deployment: DeploymentResponse, databases: list[BlastDatabase]) -> dict[str, Any] | None:
    schema = deepcopy(deployment.parameter_openapi_schema or {})
    targets = schema.get("properties", {}).get("targets")
    if targets is None:
        return None
    program = deployment.name.removeprefix("submit-")
    fitting = [database.display for database in databases if _fits(database, program)]
    targets["items"] = {"type": "string"} | ({"enum": sorted(fitting)} if fitting else {})
    return schema


def _fits(database: BlastDatabase, program: str) -> bool:
    if program in PROFILE_PROGRAMS:
        return database.molecule == "profile"
    return program not in TARGET_MOLECULE or database.molecule == TARGET_MOLECULE[program].value
