"""The stages of an exchange with a remote registry, and of a run that is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from multiblast.ids import digest
from multiblast.registry.config.working import resolve
from multiblast.registry.local.users import binding
from multiblast.registry.runs import commands as run_commands
from multiblast.registry.runs.execution import RunSummary
from multiblast.registry.sync import commands as sync_commands
from multiblast.registry.sync.summary import TransferSummary
from tasks.described import FlowQueries
from tasks.registries import local_registry, open_remote

__all__ = [
    "ask_remote",
    "ask_what_to_push",
    "ask_what_to_run",
    "ask_what_to_update",
    "plan_configuration",
    "pull_products",
    "push_products",
    "run_configuration",
    "update_products",
]


@task(cache_policy=NO_CACHE, task_run_name="ask the remote registry")
def ask_remote(config: str, remote: str, user: str) -> TransferSummary:
    """Find out what a configuration needs, and how much of it is not here."""
    with local_registry() as registry, open_remote(registry, remote, user) as end:
        return sync_commands.plan_pull(Path(config), registry, end, binding(registry, user))


@task(cache_policy=NO_CACHE, task_run_name="ask what is to be pushed")
def ask_what_to_push(remote: str) -> TransferSummary:
    """Find out what there is to push, and how much."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.plan_push(registry, end)


@task(cache_policy=NO_CACHE, task_run_name="ask for newer versions")
def ask_what_to_update(remote: str) -> TransferSummary:
    """Find out what the remote has newer versions of."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.update(registry, end, dry_run=True)


@task(cache_policy=NO_CACHE, task_run_name="resolve the configuration")
def ask_what_to_run(config: str, user: str) -> str:
    """Return what tells this run from others: the working configuration and the script."""
    with local_registry() as registry:
        working = resolve(Path(config), registry, binding(registry, user), queries=FlowQueries())
    return digest("run/2", {"config": working.text, "script": working.script or ""})


@task(cache_policy=NO_CACHE, task_run_name="look what would be run")
def plan_configuration(config: str, user: str) -> TransferSummary:
    """Find out what would be run, and whether all that it reads is here."""
    with local_registry() as registry:
        return run_commands.plan_run(Path(config), registry, binding(registry, user), queries=FlowQueries())


def _by_answer(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the key of a transfer: the configuration, and what the registry answered."""
    config = Path(parameters["config"]).read_bytes() if parameters.get("config") else b""
    plan: TransferSummary = parameters["plan"]
    key = digest("transfer/2", {"config": config, "remote": parameters["remote"], "answer": plan.answer})
    return f"multiblast-registry-{key}"


@task(cache_key_fn=_by_answer, persist_result=True, task_run_name="pull")
def pull_products(config: str, remote: str, user: str, plan: TransferSummary) -> TransferSummary:  # noqa: ARG001 - the plan is for the cache key
    """Bring rows and files; shown as Cached if the remote answered what it answered before."""
    with local_registry() as registry, open_remote(registry, remote, user) as end:
        return sync_commands.pull(Path(config), registry, end, binding(registry, user))


@task(cache_key_fn=_by_answer, persist_result=True, task_run_name="push")
def push_products(remote: str, plan: TransferSummary) -> TransferSummary:  # noqa: ARG001 - as above
    """Send rows and files."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.push(registry, end)


@task(cache_key_fn=_by_answer, persist_result=True, task_run_name="update")
def update_products(remote: str, plan: TransferSummary) -> TransferSummary:  # noqa: ARG001 - as above
    """Bring the newest versions."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.update(registry, end)


def _by_run(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"multiblast-run-{parameters['key']}"


@task(cache_key_fn=_by_run, persist_result=True, task_run_name="run")
def run_configuration(config: str, user: str, key: str) -> RunSummary:  # noqa: ARG001 - the key is for the cache
    """Run a script or a search, and record the code run."""
    with local_registry() as registry:
        return run_commands.run(Path(config), registry, binding(registry, user), queries=FlowQueries())
