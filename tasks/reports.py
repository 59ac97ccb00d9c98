"""The stages of a report job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from blocks.services import services
from multiblast.log_lines import set_job
from multiblast.reports import Formatting, MadeReport
from multiblast.reports.early_parts import EarlyParts
from multiblast.search.elsewhere import GivenBackError
from tasks.orders import elsewhere
from tasks.page import file_link, show_markdown
from tasks.registry import record_if_wanted
from tasks.runs import RETRY_IF_TRANSIENT, requester


@task(cache_policy=NO_CACHE, task_run_name="record the report", **RETRY_IF_TRANSIENT)
def record_report(job_id: str, formatting: Formatting, user: str, partial: bool, notify: str = "") -> str:
    """Record a report job, or find it again."""
    return services().reports.submit(requester(user), job_id, formatting, partial=partial, notify=notify)


def format_report(report_id: str, site: str = "", coupling: str = "") -> MadeReport:
    """Make a report, or show it as Cached if it is there, made from the results as they are now.

    With a site, it is formatted there, and here if that gives it back.
    """
    set_job(report_id)
    version, is_made = services().reports.run(report_id).version()
    made = _format_report.with_options(refresh_cache=not is_made)(report_id, version, site, coupling)
    record_if_wanted(report_id)
    return made


def make_reports(job_id: str, early: EarlyParts) -> None:
    """Make the reports that wait for a query job, which is complete now; why one is not made is logged.

    Parts of them may have been made early.
    """
    run_id = str(flow_run.id or "")
    for report, error in services().wanted_reports.make(job_id, early, _make_report, run_id=run_id):
        if error:
            get_run_logger().warning("There is no report in format %s: %s", report.formatting["formatType"], error)
        else:
            record_if_wanted(report.id)


@task(cache_policy=NO_CACHE, task_run_name="format the report")
def _make_report(report_id: str, early: EarlyParts) -> MadeReport:
    return services().reports.run(report_id, run_id=str(flow_run.id or ""), early=early).execute()


def _version(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"multiblast-report-{parameters['report_id']}-{parameters['version']}"


@task(cache_key_fn=_version, persist_result=True, task_run_name="format the report", **RETRY_IF_TRANSIENT)
def _format_report(report_id: str, version: str, site: str = "", coupling: str = "") -> MadeReport:  # noqa: ARG001 - the version is for the cache key
    run = services().reports.run(report_id, run_id=str(flow_run.id or ""))
    if site:
        try:
            return replace(run, at=elsewhere(site, coupling)).execute()
        except GivenBackError as error:
            get_run_logger().warning("It is formatted here: %s", error)
    return run.execute()


async def show_report(report: MadeReport) -> None:
    """Show a report's files on the run's page."""
    lines = [f"## Report `{report.report_id}`", "", "| file | size | where |", "|---|---:|---|"]
    lines += [
        f"| {file.name} | {file.size:,} B | {file_link(report.report_id, file.key, file.name)} |"
        for file in report.files
    ]
    if report.command:
        lines += ["", f"Made with `{' '.join(report.command)}`."]
    await show_markdown(f"report-{report.report_id[:8]}", "\n".join(lines), "Report")
