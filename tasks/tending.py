"""The stages of looking after the local registry, and what is shown of it."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from multiblast.errors import ConflictError
from multiblast.ids import digest
from multiblast.registry import commands
from multiblast.registry.remotes.bindings import bind, binding
from multiblast.registry.sync.transfer import Report, Result
from multiblast.registry.views.export import write_provenance
from multiblast.registry.views.graph import provenance_svg
from multiblast.registry.views.status import Collected, commit, delete, gc, info, status, verify
from tasks.artifacts import show_markdown, show_table
from tasks.described import DescribedQueries
from tasks.registries import local_registry, open_remote, remote_names
from tasks.streams import export

__all__ = [
    "bind_user",
    "collect_items",
    "commit_items",
    "compare_with_remote",
    "delete_item",
    "export_item",
    "generate_working",
    "read_info",
    "show_collected",
    "show_export",
    "show_graph",
    "show_info",
    "show_report",
    "show_working",
    "verify_files",
]

_ROWS_SHOWN = 1000


@task(cache_policy=NO_CACHE, task_run_name="bind {user}")
def bind_user(user: str, data_store: str, **more: str) -> dict[str, Any]:
    """Bind a user and a namespace to a data store."""
    with local_registry() as registry:
        return asdict(bind(registry, user, Path(data_store), **more))


@task(cache_policy=NO_CACHE, task_run_name="commit")
def commit_items(items: list[str], dry_run: bool) -> Report:
    """Mark items to be pushed."""
    with local_registry() as registry:
        return commit(registry, items, dry_run=dry_run)


@task(cache_policy=NO_CACHE, task_run_name="compare with the remote registry")
def compare_with_remote(items: list[str], remote: str, compare: bool) -> Report:
    """Find out how items are."""
    with local_registry() as registry:
        if not compare:
            return status(registry, None, items)
        with open_remote(registry, remote) as end:
            return status(registry, end, items)


@task(cache_policy=NO_CACHE, task_run_name="verify files")
def verify_files() -> Report:
    """Compute all digests again."""
    with local_registry() as registry:
        return verify(registry)


@task(cache_policy=NO_CACHE, task_run_name="generate the working configuration")
def generate_working(config: str, target: str, user: str) -> str:
    """Return the working configuration, which is written too if it is said where."""
    with local_registry() as registry:
        who = binding(registry, user)
        target_path, queries = Path(target), DescribedQueries()
        return commands.generate(Path(config), target_path, registry, who, queries=queries, dry_run=not target).text


@task(cache_policy=NO_CACHE, task_run_name="collect what is synced")
def collect_items(files: bool, restricted: bool, dry_run: bool) -> Collected:
    """Remove what is synced, and in the provenance of nothing that is not."""
    with local_registry() as registry:
        return gc(registry, remote_names(registry), files=files, every=restricted, dry_run=dry_run)


@task(cache_policy=NO_CACHE, task_run_name="delete {item}")
def delete_item(item: str, force: bool, dry_run: bool) -> Collected:
    """Remove one code run or file."""
    with local_registry() as registry:
        return delete(registry, item, remote_names(registry), force=force, dry_run=dry_run)


@task(cache_policy=NO_CACHE, task_run_name="look up {item}")
def read_info(item: str) -> list[dict[str, Any]]:
    """Return what is recorded of an item."""
    with local_registry() as registry:
        return info(registry, item)


@task(cache_policy=NO_CACHE, task_run_name="export {item}")
def export_item(item: str, suffix: str) -> str:
    """Copy the provenance of an item to a file of its own; return where it is."""
    with local_registry() as registry, TemporaryDirectory(prefix="multiblast-") as directory:
        path = Path(directory) / f"{digest('export/1', item)}{suffix}"
        write_provenance(registry, item, path)
        with path.open("rb") as stream:
            return export(path.name, stream)


async def show_report(title: str, report: Report, *, final: bool = True) -> None:
    """Show what became of each item on the run's page.

    Args:
        title: What the report is of.
        report: It.
        final: Whether nothing follows.

    Raises:
        ConflictError: there was a conflict or a failure, so that the run is seen to have failed, if nothing follows.
    """
    rows = [
        {"item": o.item, "result": o.result.value, "bytes": o.size_bytes, "reason": o.reason}
        for o in report.outcomes[:_ROWS_SHOWN]
    ]
    await show_table(title, rows, f"{title}: {len(report.outcomes):,} items")
    told = f"{len(report.outcomes):,} items, {report.size_bytes:,} bytes, {report.requests:,} requests"
    lines = [f"## {title}", "", f"{told}, {report.seconds:.1f} s", "", *(f"- {note}" for note in report.notes)]
    await show_markdown(f"{title}-summary", "\n".join(lines), title)
    if final and report.exit_code:
        bad = [o for o in report.outcomes if o.result in (Result.CONFLICT, Result.FAILED)]
        raise ConflictError("; ".join(f"{o.item}: {o.reason}" for o in bad[:5]))


async def show_graph(item: str) -> str:
    """Show the provenance of an item as a picture on the run's page; return the picture."""
    with local_registry() as registry:
        svg = provenance_svg(registry, item)
    picture = f"![provenance](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
    await show_markdown("provenance", picture, f"Provenance of {item}")
    return svg


async def show_collected(collected: Collected, dry_run: bool) -> None:
    """Show what was removed, or would be."""
    word = "Would be removed" if dry_run else "Removed"
    told = f"{collected.rows:,} records and {len(collected.files):,} files, {collected.size_bytes:,} bytes"
    lines = [f"## {word}", "", told, "", *(f"- {item}" for item in collected.items[:_ROWS_SHOWN])]
    await show_markdown("collected", "\n".join(lines), word)


async def show_export(item: str, place: str) -> None:
    """Say where a copy is."""
    await show_markdown("export", f"The provenance of {item} is in `{place}`.", f"Provenance of {item}")


async def show_info(item: str, told: list[dict[str, Any]]) -> None:
    """Show what is recorded of an item."""
    await show_markdown("info", f"```json\n{json.dumps(told, indent=2)}\n```", f"About {item}")


async def show_working(text: str) -> None:
    """Show a working configuration."""
    await show_markdown("working-configuration", f"```yaml\n{text}```", "The working configuration")
