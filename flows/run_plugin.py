"""Run a plugin: a tool of somebody else's, on what a job found or on files."""

from __future__ import annotations

from typing import Any

from prefect import flow

from multiblast.plugins.chains import inputs_of
from tasks.page import problems_on_page
from tasks.plugins import PluginOutcome, outcome_of, plan_chain, record_plugin, run_following, run_rounds, show_outcome
from tasks.recovery import HOOKS
from tasks.runs import tag_run


@flow(name="run-plugin", flow_run_name="{plugin:.60}", **HOOKS)
async def run_plugin(  # noqa: PLR0913, PLR0917 - the fields of a form
    plugin: str,
    inputs: dict[str, Any] = {},  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    parameters: dict[str, Any] = {},  # noqa: B006 - as above
    user: str = "",
    summary: str = "",
    notify: str = "",
    coupling: str = "",
) -> PluginOutcome:
    """Run a plugin, unless it was run on the same before: then what it made is found again.

    Args:
        plugin: Its name, such as mafft; NAME@VERSION for a version that is not the newest.
        inputs: By port, each one or several of job:ID, report:ID/FILE, plugin:ID/PORT, product:NAMESPACE:NAME@VERSION,
            store:KEY or a URL.
        parameters: By name. Those left out have their defaults.
        user: Whose list the job is added to. Empty for nobody's.
        summary: One line about the job.
        notify: An https address to notify, by a signed POST, of how it ended. Empty for none.
        coupling: How files reach the plugin: `filesystem`, `https`, `s3`, or the URL of a store. Empty: as configured.

    Returns:
        The plugin job and what it made.
    """
    async with problems_on_page():
        job_id = record_plugin(plugin, inputs, parameters, user, summary, notify)
        await tag_run(job_id)
        await run_rounds(job_id, coupling)
        outcome = await show_outcome(job_id)
        await run_following(job_id)  # where somebody has begun a chain with the same job
    return outcome


@flow(name="run-chain", flow_run_name="{source:.60} to {to:.60}", **HOOKS)
async def run_chain(  # noqa: PLR0913, PLR0917 - the fields of a form
    source: str,
    to: str,
    through: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    parameters: dict[str, dict[str, Any]] = {},  # noqa: B006 - as above
    user: str = "",
    coupling: str = "",
) -> PluginOutcome:
    """Run the plugins that lead from what there is to what is wanted, one after the other.

    Args:
        source: What there is, such as job:ID.
        to: A data type such as tree, or the name of the last plugin.
        through: Names of plugins that must be among them, where there are several ways.
        parameters: By plugin, then by name. Those left out have their defaults.
        user: Whose list the jobs are added to. Empty for nobody's.
        coupling: How files reach the plugins: `filesystem`, `https`, `s3`, or the URL of a store. Empty: as configured.

    Returns:
        The last plugin job and what it made.
    """
    async with problems_on_page():
        jobs: list[str] = []
        for link in plan_chain(source, to, through, parameters, user):
            inputs = inputs_of(link, source, jobs)
            job_id = record_plugin(link.plugin.identifier, inputs, parameters.get(link.plugin.name, {}), user)
            await tag_run(job_id)
            await run_rounds(job_id, coupling)
            await show_outcome(job_id)
            jobs.append(job_id)
    return outcome_of(jobs[-1])
