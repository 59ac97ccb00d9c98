"""Plan a query without searching: what is known, what must run, how long it takes."""

from __future__ import annotations

from typing import Any

from prefect import flow

from multiblast.search import Plan, read_submission
from tasks.page import problems_on_page, show_plan
from tasks.runs import submission_name, upload_directory
from tasks.search import preview_search


@flow(name="plan-query", flow_run_name=submission_name)
async def plan_query(  # noqa: PLR0913, PLR0917 - the fields of a form
    query: str = "",
    query_file: str = "",
    program: str = "blastp",
    site: str = "",
    targets: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    options: dict[str, Any] = {},  # noqa: B006 - as above
) -> Plan:
    """Estimate what a query would take; nothing is recorded or searched.

    Args:
        query: Needed, unless a file is named instead: the sequences, as FASTA text, up to 400 KB. Everybody who may
            open Prefect can read what is typed here; the page to search in, of the HTTP service, keeps it private.
        query_file: Instead of text, a FASTA file: its path, store:KEY if it is in the result storage, or a URL of a
            place that the policy lists.
        program: A program of BLAST+, or a search plugin such as diamond-blastp.
        site: The site whose databases are searched. May stay empty if the targets name it.
        targets: The databases to search, each as TARGET/DATABASE or SITE/TARGET/DATABASE.
        options: The program's options by their names, such as evalue or word_size. Left alone, its defaults hold.

    Returns:
        Sequences known and unknown, batches, estimated time and size, and warnings.
    """
    async with problems_on_page():
        submission = read_submission(
            query=query,
            query_file=query_file,
            program=program,
            site=site,
            targets=targets,
            options=options,
            files_under=upload_directory(),
        )
        plan = preview_search(submission)
    await show_plan(plan, "plan")
    return plan
