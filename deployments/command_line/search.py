"""``multiblast search``: submit a query and wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Fasta, Json, TargetsRoot, User
from deployments.command_line.reports import listed, print_files, read_formats, write_reports
from deployments.command_line.session import Session
from multiblast.errors import InvalidInputError, MultiblastError, Problem, collecting
from multiblast.options import ProgramName
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMAT_NAMES
from multiblast.search import SearchedJob, read_submission


def search(
    query: Fasta,
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
    wanted = read_formats(format or [], fields, out)
    running = Session(targets_root, user)
    failures: list[str] = []
    try:
        job = run_search(
            running,
            query_file=str(query),
            program=program,
            targets=target,
            options=option or [],
            summary=summary,
            formats=wanted.values(),
        )
    except MultiblastError as error:
        if not error.job_id:
            raise
        job, wanted = running.services.queries.searched_job(error.job_id), {}
        failures.append(str(error))
    if not json:
        display.searched_job(job)  # now, so that whatever becomes of its reports, it is seen
    files, more = write_reports(running, job.job_id, wanted)
    failures += more
    if json:
        display.print_json({"job": asdict(job), **listed(files), "errors": failures})
    else:
        print_files(files)
    display.print_errors(failures)
    if failures:
        raise typer.Exit(1)


def run_search(
    running: Session,
    *,
    query_file: str,
    program: ProgramName,
    targets: list[str],
    options: list[str],
    summary: str = "",
    formats: Iterable[Formatting] = (),
) -> SearchedJob:
    """Check a submission at once, and that it can have these reports; then run its flow with live progress."""
    submission = read_submission(
        query_file=query_file, program=program, targets=targets, options=options, user=running.user, summary=summary
    )
    problems: list[Problem] = []
    for formatting in formats:
        with collecting(problems):
            running.services.reports.check_search(submission.options, formatting)
    with collecting(problems):
        running.services.queries.check(submission)
    if problems:
        raise InvalidInputError(problems)
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
