"""The registry in flows: it and its remotes are opened, exchanges and runs cached, and their pages written."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException, PrefectHTTPStatusError
from prefect.runtime import flow_run

from blocks.registry import LocalRegistry, RemoteRegistry
from blocks.services import services
from multiblast.errors import ConflictError
from multiblast.ids import digest
from multiblast.registry.config.schema import SearchEntry
from multiblast.registry.config.searches import QueryRequest, SearchRecord
from multiblast.registry.config.working_config import resolve
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import binding, own_remote
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.runs import execution
from multiblast.registry.runs.execution import RunSummary
from multiblast.registry.sync import commands as sync_commands
from multiblast.registry.sync.summary import ItemResult, TransferSummary
from multiblast.registry.views.graph import provenance_svg
from tasks.page import show_markdown, show_table
from web.registry.serving import serving

_ROWS_SHOWN = 1000


def local_registry() -> AbstractContextManager[Registry]:
    """Open the registry of the block named "default", or the embedded one."""
    return closing((_load(LocalRegistry, "default") or LocalRegistry()).registry())


def open_remote(registry: Registry, name: str, user: str = "") -> AbstractContextManager[Endpoint]:
    """Open a remote: that of a block, or one that the registry knows by name.

    Args:
        registry: The local one.
        name: Of the remote; empty for the user's, or the only one.
        user: Whose remote; empty for the user bound last.
    """
    return closing(_remote_block(name).remote(registry, name or own_remote(registry, user)))


@contextmanager
def open_remotes(registry: Registry) -> Iterator[list[Endpoint]]:
    """Open every remote: of blocks, and those that the registry knows by name."""
    documents: list[BlockDocument] = []
    with get_client(sync_client=True) as client, suppress(PrefectHTTPStatusError):  # no such block was ever registered
        documents = client.read_block_documents_by_type(RemoteRegistry.get_block_type_slug())
    with ExitStack() as opened:
        ends = opened.enter_context(Remotes(registry).open_all())
        for document in documents:
            if document.name and (block := _remote_block(document.name)).url:
                ends.append(opened.enter_context(closing(block.remote(registry))))
        yield sorted({end.name: end for end in ends}.values(), key=lambda end: end.name)


def plan_pull(config: str, remote: str, user: str, sizes: bool) -> TransferSummary:
    """Find out what a configuration needs, and how much of it is not here; with sizes it takes a request per file."""
    with local_registry() as registry, open_remote(registry, remote, user) as end:
        return sync_commands.plan_pull(Path(config), registry, end, binding(registry, user), sizes=sizes)


def plan_push(remote: str) -> TransferSummary:
    """Find out what there is to push, and how much."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.plan_push(registry, end)


def plan_update(remote: str) -> TransferSummary:
    """Find out what the remote has newer versions of."""
    with local_registry() as registry, open_remote(registry, remote) as end:
        return sync_commands.update(registry, end, dry_run=True)


def run_key(config: str, user: str) -> str:
    """Return the key of a run: the hash of its working configuration and script."""
    with local_registry() as registry:
        working = resolve(Path(config), registry, binding(registry, user), queries=_FlowQueries())
    return digest("run/2", {"config": working.text, "script": working.script or ""})


def plan_run(config: str, user: str, dirty: bool = False) -> TransferSummary:
    """Find out what would be run, and whether all that it reads is here."""
    with local_registry() as registry:
        who = binding(registry, user)
        return execution.plan_run(Path(config), registry, who, queries=_FlowQueries(), dirty=dirty)


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
def run_configuration(config: str, user: str, key: str, dirty: bool) -> RunSummary:  # noqa: ARG001 - key: for the cache
    """Run a script or a search, and record the code run."""
    with local_registry() as registry:
        who, queries = binding(registry, user), _FlowQueries()
        return execution.run(Path(config), registry, who, queries=queries, server=serving, dirty=dirty)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10], task_run_name="record the provenance of {job:.8}")
def _record_job(job: str) -> None:
    with local_registry() as registry:
        services().provenance.record(registry, job)


def record_if_wanted(job: str) -> None:
    """Record a job that is complete now, if the policy says that every one is."""
    if services().policy.provenance:
        _record_job(job)


async def show_summary(title: str, summary: TransferSummary, *, final: bool = True) -> None:
    """Show what became of each item on the run's page.

    Args:
        title: What was done.
        summary: What became of each item.
        final: Whether nothing follows.

    Raises:
        ConflictError: there was a conflict or a failure, so that the run is seen to have failed, if nothing follows.
    """
    rows = [
        {"item": o.item, "result": o.result.value, "bytes": o.size_bytes, "reason": o.reason}
        for o in summary.outcomes[:_ROWS_SHOWN]
    ]
    await show_table(title, rows, f"{title}: {len(summary.outcomes):,} items")
    total = f"{len(summary.outcomes):,} items, {summary.size_bytes:,} bytes, {summary.requests:,} requests"
    lines = [f"## {title}", "", f"{total}, {summary.seconds:.1f} s", "", *(f"- {note}" for note in summary.notes)]
    await show_markdown(f"{title}-summary", "\n".join(lines), title)
    if final and summary.exit_code:
        bad = [o for o in summary.outcomes if o.result in (ItemResult.CONFLICT, ItemResult.FAILED)]
        raise ConflictError("; ".join(f"{o.item}: {o.reason}" for o in bad[:5]))


async def show_graph(item: str) -> str:
    """Show the provenance of an item as a picture on the run's page; return the picture."""
    with local_registry() as registry:
        svg = provenance_svg(registry, item)
    picture = f"![provenance](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
    await show_markdown("provenance", picture, f"Provenance of {item}")
    return svg


class _FlowQueries:
    """The services' queries, as `multiblast.registry.config.searches.QueryRunner`; opened only if there is one."""

    def settle(self, search: SearchEntry) -> SearchEntry:
        """Return a query with nothing left to look up."""
        return services().registered_queries.settle(search)

    def run(self, request: QueryRequest) -> SearchRecord:
        """Run a query for the registry's user, and write its reports."""
        return services().registered_queries.run(request, run_id=str(flow_run.id or ""))


def _remote_block(name: str) -> RemoteRegistry:
    """Return the block of a remote; an empty one if there is none of its name."""
    return _load(RemoteRegistry, name or "default") or RemoteRegistry()


def _load(block: Any, name: str) -> Any:
    try:
        return block.load(name, _sync=True)
    except (ValueError, PrefectException):  # not registered
        return None
