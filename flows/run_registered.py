"""Run a configuration's script or query, and record the code run."""

from __future__ import annotations

from prefect import flow

from multiblast.registry.runs.execution import RunSummary
from multiblast.registry.sync.summary import TransferSummary
from tasks.recovery import cancel_jobs
from tasks.registry import plan_run, run_configuration, run_key, show_graph, show_summary


@flow(name="run-registered", flow_run_name="run registered", on_cancellation=[cancel_jobs])
async def run_registered(
    config: str, user: str = "", again: bool = False, dirty: bool = False, dry_run: bool = False
) -> RunSummary | TransferSummary:
    """Resolve a configuration so that nothing is left to look up, run it, and record what came of it.

    Args:
        config: The path of the config.yaml on the machine of the worker.
        user: Who runs it, as bound with `registry config`. Empty means who was bound last.
        again: Run it even if the very same was run before.
        dirty: Run code with uncommitted changes too. Then no commit is recorded, and nothing is taken from the cache.
        dry_run: Only show what would be run, and which of its inputs are here.

    Returns:
        The code run and its outputs; of a dry run, what would be read and written.
    """
    if dry_run:
        plan = plan_run(config, user, dirty)
        await show_summary("run-plan", plan)
        return plan
    key = run_key(config, user)
    done = run_configuration.with_options(refresh_cache=again or dirty)(config, user, key, dirty)
    await show_graph(done.uuid)
    return done
