"""Look after the local registry: commit, status, provenance, verification."""

from __future__ import annotations

from prefect import flow

from multiblast.registry.transfer import Report
from tasks.registry import commit_items, compare_with_remote, show_graph, show_report, verify_files


@flow(name="commit-registry")
async def commit_registry(items: list[str]) -> Report:
    """Mark code runs or files, with all their provenance, to be pushed.

    Args:
        items: Each NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.

    Returns:
        What became of each item.
    """
    report = commit_items(items)
    await show_report("commit", report)
    return report


@flow(name="registry-status")
async def registry_status(
    items: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    remote: str = "",
    compare: bool = True,
) -> Report:
    """Say what is ahead of a remote registry, behind it, in conflict with it, missing or changed.

    Args:
        items: Each NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file. Empty means everything.
        remote: The name of the remote registry. Empty means the only one.
        compare: Ask the remote registry too.

    Returns:
        The state of each item.
    """
    report = compare_with_remote(items, remote, compare)
    await show_report("status", report)
    return report


@flow(name="verify-registry")
async def verify_registry() -> Report:
    """Compute every digest of every file in the local registry again.

    Returns:
        What was found of each file.
    """
    report = verify_files()
    await show_report("verify", report)
    return report


@flow(name="show-provenance")
async def show_provenance(item: str) -> str:
    """Show how something came to be, as a picture.

    Args:
        item: NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.

    Returns:
        The picture, as SVG.
    """
    return await show_graph(item)
