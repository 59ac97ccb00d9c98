"""Look after the local registry: who works with it, what leaves it, how it is, and what is removed."""

from __future__ import annotations

from typing import Any

from prefect import flow

from multiblast.registry.sync.transfer import Report
from multiblast.registry.views.status import Collected
from tasks.tending import (
    bind_user,
    collect_items,
    commit_items,
    compare_with_remote,
    delete_item,
    show_collected,
    show_report,
    verify_files,
)


@flow(name="config-registry", flow_run_name="bind {user}")
async def config_registry(  # noqa: PLR0913, PLR0917 - the fields of a form
    user: str,
    data_store: str,
    namespace: str = "",
    full_name: str = "",
    identifier: str = "",
    remote: str = "",
) -> dict[str, Any]:
    """Bind a user and a namespace to a data store. Several users may share one; a second time changes what is said.

    Args:
        user: The user's name.
        data_store: The directory for files of runs, on the machine of the worker.
        namespace: The namespace of the user's data products. Empty means the user's name.
        full_name: The user's name as an author. Empty means the user's name.
        identifier: A URL that identifies the user, such as an ORCID.
        remote: The name of the remote registry that the user works with. Empty means the only one.

    Returns:
        What is known of the user.
    """
    more = {"namespace": namespace, "full_name": full_name, "identifier": identifier, "remote": remote}
    return bind_user(user, data_store, **more)


@flow(name="commit-registry", flow_run_name="commit registry")
async def commit_registry(items: list[str], dry_run: bool = False) -> Report:
    """Mark code runs or files, with all their provenance, to be pushed.

    Args:
        items: Each NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.
        dry_run: Only show what would be marked.

    Returns:
        What became of each item.
    """
    report = commit_items(items, dry_run)
    await show_report("commit", report)
    return report


@flow(name="registry-status", flow_run_name="registry status")
async def registry_status(
    items: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    remote: str = "",
    compare: bool = True,
) -> Report:
    """Say what is ahead of a remote registry, behind it, in conflict with it, missing or changed.

    Args:
        items: Each NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file. Empty means everything.
        remote: The name of the remote registry. Empty means the user's, or the only one.
        compare: Ask the remote registry too.

    Returns:
        The state of each item.
    """
    report = compare_with_remote(items, remote, compare)
    await show_report("status", report)
    return report


@flow(name="verify-registry", flow_run_name="verify registry")
async def verify_registry() -> Report:
    """Compute every digest of every file in the local registry again.

    Returns:
        What was found of each file.
    """
    report = verify_files()
    await show_report("verify", report)
    return report


@flow(name="collect-registry", flow_run_name="collect registry")
async def collect_registry(files: bool = False, restricted: bool = False, dry_run: bool = True) -> Collected:
    """Remove what a remote has too, but never what something was made from that no remote has.

    Args:
        files: Remove files too, except those of restricted access.
        restricted: Remove these too.
        dry_run: Only show what would be removed. Turn it off to remove it.

    Returns:
        What was removed, or would be.
    """
    collected = collect_items(files, restricted, dry_run)
    await show_collected(collected, dry_run)
    return collected


@flow(name="delete-registered", flow_run_name="delete {item}")
async def delete_registered(item: str, force: bool = False, dry_run: bool = True) -> Collected:
    """Remove one code run or file from the registry and the store.

    Args:
        item: NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.
        force: Even if no remote has it.
        dry_run: Only show what would be removed. Turn it off to remove it.

    Returns:
        What was removed, or would be.
    """
    collected = delete_item(item, force, dry_run)
    await show_collected(collected, dry_run)
    return collected
