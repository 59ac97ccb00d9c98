"""The stages of an exchange with a registry, and of a run that it records."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run

from blocks.registry import LocalRegistry, RemoteRegistry
from blocks.services import services
from multiblast.errors import ConflictError
from multiblast.ids import digest
from multiblast.registry import commands
from multiblast.registry.bindings import Binding, binding
from multiblast.registry.blast_jobs import Searched
from multiblast.registry.graph import provenance_svg
from multiblast.registry.local import Registry
from multiblast.registry.pushing import Push
from multiblast.registry.rows import End
from multiblast.registry.running import Done, QueryRequest
from multiblast.registry.status import commit, status, verify
from multiblast.registry.transfer import Report, Result
from multiblast.registry.working import resolve

__all__ = [
    "ask_remote",
    "ask_what_to_push",
    "ask_what_to_run",
    "commit_items",
    "compare_with_remote",
    "local_registry",
    "pull_products",
    "push_products",
    "run_configuration",
    "search_query",
    "show_graph",
    "show_report",
    "verify_files",
]

_ROWS_SHOWN = 1000


def local_registry() -> Registry:
    """Return the registry of the block named "default", or the embedded one."""
    block = _load(LocalRegistry, "default")
    return (block or LocalRegistry()).registry()


@contextmanager
def remote_registry(registry: Registry, name: str) -> Iterator[End]:
    """Open the remote of a block, or of a name that the registry knows."""
    end = (_load(RemoteRegistry, name or "default") or RemoteRegistry()).remote(registry, name)
    try:
        yield end
    finally:
        end.close()


def _load(block: Any, name: str) -> Any:
    try:
        return block.load(name, _sync=True)
    except (ValueError, PrefectException):  # not registered
        return None


def _user(registry: Registry, name: str) -> Binding:
    return binding(registry, name)


@task(cache_policy=NO_CACHE, task_run_name="ask the remote registry")
def ask_remote(config: str, remote: str, user: str) -> Report:
    """Find out what there is to pull, and how much."""
    registry = local_registry()
    with remote_registry(registry, remote) as end:
        return commands.plan_pull(Path(config), registry, end, _user(registry, user))


@task(cache_policy=NO_CACHE, task_run_name="ask what to push")
def ask_what_to_push(remote: str) -> Report:
    """Find out what there is to push, and how much."""
    registry = local_registry()
    with remote_registry(registry, remote) as end:
        return commands.plan_push(registry, end)


@task(cache_policy=NO_CACHE, task_run_name="resolve the configuration")
def ask_what_to_run(config: str, user: str) -> str:
    """Return what tells this run from others: the working configuration and the script."""
    registry = local_registry()
    working = resolve(Path(config), registry, _user(registry, user))
    return digest("run/1", {"config": working.text, "script": working.script or ""})


def _by_answer(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the key of a transfer: the configuration, and what the registry answered."""
    config = Path(parameters["config"]).read_bytes() if parameters.get("config") else b""
    plan: Report = parameters["plan"]
    key = digest("transfer/1", {"config": config, "remote": parameters["remote"], "answer": plan.answer})
    return f"multiblast-registry-{key}"


@task(cache_key_fn=_by_answer, persist_result=True, task_run_name="pull")
def pull_products(config: str, remote: str, user: str, plan: Report) -> Report:  # noqa: ARG001 - the plan is for the cache key
    """Bring rows and files; shown as Cached if the remote answered what it answered before."""
    registry = local_registry()
    with remote_registry(registry, remote) as end:
        return commands.pull(Path(config), registry, end, _user(registry, user))


@task(cache_key_fn=_by_answer, persist_result=True, task_run_name="push")
def push_products(remote: str, plan: Report) -> Report:  # noqa: ARG001 - as above
    """Send rows and files."""
    registry = local_registry()
    block = _load(RemoteRegistry, remote or "default") or RemoteRegistry()
    with remote_registry(registry, remote) as end:
        return Push(registry, end, secrets=block.secrets(registry)).run()


@task(cache_policy=NO_CACHE, task_run_name="commit")
def commit_items(items: list[str]) -> Report:
    """Mark items to be pushed."""
    return commit(local_registry(), items)


@task(cache_policy=NO_CACHE, task_run_name="compare with the remote registry")
def compare_with_remote(items: list[str], remote: str, compare: bool) -> Report:
    """Find out how items are."""
    registry = local_registry()
    if not compare:
        return status(registry, None, items)
    with remote_registry(registry, remote) as end:
        return status(registry, end, items)


@task(cache_policy=NO_CACHE, task_run_name="verify files")
def verify_files() -> Report:
    """Compute all digests again."""
    return verify(local_registry())


def _by_run(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"multiblast-run-{parameters['key']}"


@task(cache_key_fn=_by_run, persist_result=True, task_run_name="run")
def run_configuration(config: str, user: str, key: str) -> Done:  # noqa: ARG001 - the key is for the cache
    """Run a script or a search, and record the code run."""
    registry = local_registry()
    return commands.run(Path(config), registry, _user(registry, user), run_query=search_query)


def search_query(request: QueryRequest) -> Searched:
    """Run a query that a configuration describes, for the registry's user, and write its reports."""
    return services().registered_queries.run(request, flow_run=str(flow_run.id or ""))


async def show_report(title: str, report: Report) -> None:
    """Show what became of each item on the run's page.

    Raises:
        ConflictError: there was a conflict or a failure, so that the run is seen to have failed.
    """
    rows = [
        {"item": o.item, "result": o.result.value, "bytes": o.size_bytes, "reason": o.reason}
        for o in report.outcomes[:_ROWS_SHOWN]
    ]
    await acreate_table_artifact(key=title, table=rows, description=f"{title}: {len(report.outcomes):,} items")
    told = f"{len(report.outcomes):,} items, {report.size_bytes:,} bytes, {report.requests:,} requests"
    lines = [f"## {title}", "", f"{told}, {report.seconds:.1f} s"]
    lines += ["", *(f"- {note}" for note in report.notes)]
    await acreate_markdown_artifact(key=f"{title}-summary", markdown="\n".join(lines), description=title)
    if report.exit_code:
        bad = [o for o in report.outcomes if o.result in (Result.CONFLICT, Result.FAILED)]
        raise ConflictError("; ".join(f"{o.item}: {o.reason}" for o in bad[:5]))


async def show_graph(item: str) -> str:
    """Show the provenance of an item as a picture on the run's page; return the picture."""
    svg = provenance_svg(local_registry(), item)
    picture = f"![provenance](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
    await acreate_markdown_artifact(key="provenance", markdown=picture, description=f"Provenance of {item}")
    return svg
