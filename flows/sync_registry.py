"""Exchange data products with a remote registry: pull, push, update."""

from __future__ import annotations

from prefect import Task, flow

from multiblast.registry.sync.summary import TransferSummary
from tasks.registry import (
    plan_pull,
    plan_push,
    plan_update,
    pull_products,
    push_products,
    show_summary,
    update_products,
)


@flow(name="pull-registry", flow_run_name="pull registry")
async def pull_registry(config: str, remote: str = "", user: str = "", dry_run: bool = False) -> TransferSummary:
    """Bring everything that a configuration needs into the local registry, with its provenance.

    Args:
        config: The path of the config.yaml on the machine of the worker.
        remote: The name of the remote registry. Empty means the user's, or the only one.
        user: Who it is for, as bound with `registry config`. Empty means who was bound last.
        dry_run: Only show what would be brought.

    Returns:
        What became of each item.
    """
    plan = plan_pull(config, remote, user, dry_run)
    return await _transfer("pull", plan, dry_run, pull_products, config, remote, user)


@flow(name="push-registry", flow_run_name="push registry")
async def push_registry(remote: str = "", dry_run: bool = False) -> TransferSummary:
    """Send what was committed to a remote registry, with its provenance and its public files.

    Args:
        remote: The name of the remote registry. Empty means the user's, or the only one.
        dry_run: Only show what would be sent.

    Returns:
        What became of each item.
    """
    return await _transfer("push", plan_push(remote), dry_run, push_products, remote)


@flow(name="update-registry", flow_run_name="update registry")
async def update_registry(remote: str = "", dry_run: bool = False) -> TransferSummary:
    """Pull the newest version of every data product that is here.

    Args:
        remote: The name of the remote registry. Empty means the user's, or the only one.
        dry_run: Only show what would be brought.

    Returns:
        What became of each item.
    """
    return await _transfer("update", plan_update(remote), dry_run, update_products, remote)


async def _transfer(
    name: str, plan: TransferSummary, dry_run: bool, products: Task[..., TransferSummary], *given: str
) -> TransferSummary:
    """Show the plan and, unless that is all, do what it says and show what came of it."""
    await show_summary(f"{name}-plan", plan, final=dry_run)
    if dry_run:
        return plan
    # What there is to do is done; only a run with nothing to do is shown as Cached.
    summary = products.with_options(refresh_cache=plan.has_work)(*given, plan)
    await show_summary(name, summary)
    return summary
