"""``multiblast search``: submit a query and wait for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Json, TargetsRoot, User
from deployments.command_line.reports import write_reports
from deployments.command_line.session import Session
from multiblast.options import ProgramName
from multiblast.reports.formats import FORMAT_NAMES
from multiblast.search import SearchedJob, read_submission


def search(
    query: Annotated[Path, typer.Argument(help="A FASTA file, plain or gzipped.", show_default=False)],
    target: Annotated[
        list[str], typer.Option(help="A database as SITE/TARGET/DATABASE; may be repeated.", show_default=False)
    ],
    program: Annotated[ProgramName, typer.Option(help="The BLAST+ program.")] = "blastp",
    option: Annotated[
        list[str] | None, typer.Option(help="A BLAST+ option as NAME=VALUE, e.g. evalue=1e-5; may be repeated.")
    ] = None,
    targets_root: TargetsRoot = None,
    format: Annotated[  # noqa: A002 - BLAST+'s own word for it
        list[str] | None,
        typer.Option(help=f"Write a report in this format ({FORMAT_NAMES}); may be repeated."),
    ] = None,
    fields: Annotated[str, typer.Option(help='The columns of tables and SAM, e.g. "std stitle".')] = "",
    out: Annotated[
        Path, typer.Option(help="Where reports are written; with several formats, one directory each below it.")
    ] = Path("results"),
    user: User = "",
    summary: Annotated[str, typer.Option(help="One line that says what this is for.")] = "",
    json: Json = False,
) -> None:
    """Search the sequences of a FASTA file, each distinct one once.

    Example: multiblast search proteins.fasta --target demo/examples/proteins --option evalue=1e-5 --format 5
    """
    running = Session(targets_root, user)
    job = run_search(
        running, query_file=str(query), program=program, targets=target, options=option or [], summary=summary
    )
    reports = write_reports(running, job.job_id, out, format or [], fields)
    if json:
        display.print_json({"job": asdict(job), "files": [str(file) for file in reports]})
        return
    display.searched_job(job)
    for file in reports:
        display.console.print(f"wrote {file}")


def run_search(
    running: Session,
    *,
    query_file: str,
    program: ProgramName,
    targets: list[str],
    options: list[str],
    summary: str = "",
) -> SearchedJob:
    """Check a submission at once, then run its flow with live progress."""
    submission = read_submission(
        query_file=query_file, program=program, targets=targets, options=options, user=running.user, summary=summary
    )
    running.services.queries.check(submission)
    with running.connected(display.searching()):
        from flows.submit_query import submit_query

        return running.run(
            lambda: submit_query(
                query_file=query_file,
                program=program,
                targets=targets,
                options=dict(submission.options.changed()),
                user=running.user,
                summary=summary,
            )
        )
