"""The stages of upkeep and of comparing databases."""

from __future__ import annotations

from dataclasses import asdict
from io import StringIO
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.services import services
from multiblast.accounts import Requester
from multiblast.actions.comparison import Comparison, write_changes
from multiblast.errors import ConflictError
from multiblast.results.compaction import Compacted, compact
from multiblast.upkeep import Expired, Missing, Swept
from tasks.artifacts import show_markdown, show_table
from tasks.streams import place_of

__all__ = [
    "compact_packs",
    "compare",
    "expire",
    "find_missing",
    "remove_unused",
    "show_comparison",
    "show_upkeep",
    "show_what_changed",
]

_ROWS_SHOWN = 1000


@task(cache_policy=NO_CACHE, task_run_name="expire what was not used")
def expire(dry_run: bool) -> Expired:
    """Let go what nobody used for so long."""
    return services().expiry.run(dry_run=dry_run)


@task(cache_policy=NO_CACHE, task_run_name="compact packs")
def compact_packs() -> Compacted:
    """Write packs anew of which little is left."""
    at = services()
    return compact(at.database, at.store)


@task(cache_policy=NO_CACHE, task_run_name="sweep the store")
def remove_unused() -> Swept:
    """Remove objects that nothing refers to."""
    return services().sweeping.sweep()


@task(cache_policy=NO_CACHE, task_run_name="verify the store")
def find_missing() -> Missing:
    """Find what is referred to and is not there."""
    return services().sweeping.verify()


@task(cache_policy=NO_CACHE, task_run_name="compare {job:.8}")
def compare(asks: Requester, job: str, before: str) -> Comparison:
    """Compare a job with what it found before, or with another one."""
    return services().comparisons.compare(asks, job, before)


async def show_comparison(job: str, comparison: Comparison) -> str:
    """Show a comparison as a table, and keep it as a file; return where that is."""
    key = f"comparisons/{job}.tsv"
    text = StringIO()
    write_changes(comparison.changes, text)
    services().store.put(key, text.getvalue().encode())
    rows = [asdict(change) for change in comparison.changes[:_ROWS_SHOWN]]
    await show_table(f"comparison-{job:.8}", rows, f"{comparison.text}. All as a file: {place_of(key)}")
    return place_of(key)


async def show_what_changed(asks: Requester, job: str) -> None:
    """Compare a job that was just restarted with what it found before, if its databases changed."""
    comparisons = services().comparisons
    if not comparisons.can_compare(job):
        return
    try:
        comparison = comparisons.compare(asks, job)
    except ConflictError as error:  # the search itself is done: this is no reason to fail
        await show_markdown(f"comparison-{job:.8}", f"Not compared: {error}.", "What changed")
    else:
        await show_comparison(job, comparison)


async def show_upkeep(key: str, title: str, told: dict[str, Any]) -> None:
    """Show what was done, one line a fact."""
    lines = [f"## {title}", "", "| | |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {_short(value)} |" for name, value in told.items()]
    await show_markdown(key, "\n".join(lines), title)


def _short(value: Any) -> str:
    if isinstance(value, list):
        listed = ", ".join(map(str, value[:20])) + (" …" if len(value) > 20 else "")  # noqa: PLR2004 - a readable cell
        return f"{len(value):,}{': ' if value else ''}{listed}"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
