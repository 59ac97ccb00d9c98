"""Reading jobs in the browser: lists, details, status, queries, results, errors, report files, targets."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from multiblast.database import JobKind
from tasks.acting import (
    export_file,
    export_query,
    export_result,
    list_files,
    list_linked,
    look_up,
    read_errors,
    show_answer,
    show_rows,
    show_text,
    statuses,
    target_tree,
)
from tasks.requesters import requester

Status = Literal["", "queued", "in-progress", "complete", "failed", "expired", "cancelled"]


@flow(name="list-jobs", flow_run_name="list jobs")
async def list_jobs(
    user: str = "", site: str = "", status: Status = "", first: int = 1, count: int = 50
) -> list[dict[str, Any]]:
    """List the query jobs in somebody's list, newest first.

    Args:
        user: Whose list: a user's name, or secret:NAME of a guest. Empty for all jobs, where that is allowed.
        site: Only jobs of this site.
        status: Only jobs of this status.
        first: Where in the list to begin; 1 is the newest job.
        count: How many at most; 0 is all.
    """
    rows = list_linked(requester(user), JobKind.QUERY, site=site, status=status, first=first, count=count)
    await show_rows("jobs", rows, "Query jobs")
    return rows


@flow(name="list-reports", flow_run_name="list reports")
async def list_reports(  # noqa: PLR0913, PLR0917 - the fields of a form
    user: str = "", job: str = "", site: str = "", status: Status = "", first: int = 1, count: int = 50
) -> list[dict[str, Any]]:
    """List the reports in somebody's list, newest first.

    Args:
        user: Whose list: a user's name, or secret:NAME of a guest. Empty for all reports, where that is allowed.
        job: Only reports of this query job.
        site: Only reports of query jobs of this site.
        status: Only reports of this status.
        first: Where in the list to begin; 1 is the newest report.
        count: How many at most; 0 is all.
    """
    asks = requester(user)
    rows = list_linked(asks, JobKind.REPORT, query_job_id=job, site=site, status=status, first=first, count=count)
    await show_rows("reports", rows, "Reports")
    return rows


@flow(name="show-job", flow_run_name="show {job:.8}")
async def show_job(job: str, user: str = "", share: str = "", add_to_list: bool = True) -> dict[str, Any]:
    """Show a query or report job: its status, configuration and sequences.

    Args:
        job: The job's id.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.
        add_to_list: Whether the job is added to the user's list.
    """
    answer = look_up(requester(user, share), job, add_to_list)
    await show_answer(f"details-{job:.8}", answer, "Job")
    return answer


@flow(name="check-status", flow_run_name="check status")
async def check_status(jobs: list[str], user: str = "") -> dict[str, str]:
    """Tell the status of many jobs at once; ids that are no jobs are left out.

    Args:
        jobs: Ids of query and report jobs.
        user: Who asks: a user's name, or secret:NAME of a guest.
    """
    found = statuses(requester(user), jobs)
    await show_rows("status", [{"job": job, "status": status} for job, status in found.items()], "Status")
    return found


@flow(name="get-query", flow_run_name="query of {job:.8}")
async def get_query(job: str, user: str = "", share: str = "") -> str:
    """Write the sequences of a job to a file, as they were submitted.

    Args:
        job: The query job's id.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.

    Returns:
        Where the file is. It is removed a day later.
    """
    place = export_query(requester(user, share), job)
    await show_text(f"query-{job:.8}", f"`{place}`", "The sequences")
    return place


@flow(name="get-result", flow_run_name="result of {job:.8}")
async def get_result(job: str, user: str = "", share: str = "") -> str:
    """Write the result of a complete job to a file: one BLAST archive in ASN.1, which blast_formatter reads.

    Args:
        job: The query job's id.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.

    Returns:
        Where the file is. It is removed a day later.
    """
    place = export_result(requester(user, share), job)
    await show_text(f"result-{job:.8}", f"`{place}`", "The result")
    return place


@flow(name="get-errors", flow_run_name="errors of {job:.8}")
async def get_errors(job: str, user: str = "", share: str = "") -> dict[str, Any]:
    """Show what went wrong with a job: what the programs said, and which sequences failed.

    Args:
        job: The query or report job's id.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.
    """
    found = read_errors(requester(user, share), job)
    await show_answer(f"errors-{job:.8}", found, "Errors")
    return found


@flow(name="list-report-files", flow_run_name="files of {job:.8}")
async def list_report_files(job: str, user: str = "", share: str = "") -> list[dict[str, Any]]:
    """List the files of a complete report with their sizes in bytes.

    Args:
        job: The report job's id.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a job that was shared with you: the Secret block with its token.
    """
    files = list_files(requester(user, share), job)
    await show_rows(f"files-{job:.8}", files, "Files")
    return files


@flow(name="get-report-file", flow_run_name="{name} of {job:.8}")
async def get_report_file(  # noqa: PLR0913, PLR0917 - the fields of a form
    job: str, name: str = "report.zip", byte_range: str = "", line_range: str = "", user: str = "", share: str = ""
) -> str:
    """Copy a file of a report, or a part of it.

    Args:
        job: The report job's id.
        name: The file's name, as list-report-files tells it.
        byte_range: FIRST-LAST in bytes counted from 0, such as 0-1023. Empty for the whole file.
        line_range: FIRST-LAST in lines counted from 1, such as 1-100. Empty for the whole file.
        user: Who asks: a user's name, or secret:NAME of a guest.
        share: For a report that was shared with you: the Secret block with its token.

    Returns:
        Where the copy is. It is removed a day later.
    """
    place = export_file(requester(user, share), job, name, byte_range, line_range)
    await show_text(f"file-{job:.8}", f"`{place}`", name)
    return place


@flow(name="list-targets", flow_run_name="list targets")
async def list_targets() -> dict[str, Any]:
    """List what can be searched, by site and target."""
    tree = target_tree()
    await show_answer("targets", tree, "Targets")
    return tree
