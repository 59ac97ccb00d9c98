"""``multiblast search``: submit a query and wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Fields, Json, Overwrite, Query, Summary, TargetsRoot, User
from deployments.command_line.reports import listed, print_files, read_formats, write_reports
from deployments.command_line.session import Session
from multiblast.database import JobStatus
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, MultiblastError, Problem, collecting
from multiblast.files import own_scratch
from multiblast.jobs import ACTIVE
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMAT_NAMES
from multiblast.results.holders import new_process_run, process_lives
from multiblast.search import Plan, SearchedJob, SearchRun, Submission, board, read_submission

if TYPE_CHECKING:
    from multiblast.reports.early_parts import EarlyParts

_FIRST_PAUSE_S, _PAUSE_S = 0.2, 2.0  # between looks at a job that another process runs


def search(
    query: Query,
    target: Annotated[
        list[str], typer.Option(help="A database as SITE/TARGET/DATABASE; may be repeated.", show_default=False)
    ],
    program: Annotated[
        str, typer.Option(help="A program of BLAST+, or a search plugin such as diamond-blastp or mmseqs-search.")
    ] = "blastp",
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the program as NAME=VALUE, e.g. evalue=1e-5; may be repeated."),
    ] = None,
    targets_root: TargetsRoot = None,
    format: Annotated[  # noqa: A002 - BLAST+'s own word for it
        list[str] | None,
        typer.Option(help=f"Write a report in this format ({FORMAT_NAMES}); may be repeated."),
    ] = None,
    fields: Fields = "",
    out: Annotated[
        Path, typer.Option(help="Where reports are written; with several formats, one directory each below it.")
    ] = Path("results"),
    overwrite: Overwrite = False,
    user: User = "",
    summary: Summary = "",
    json: Json = False,
) -> None:
    """Search the sequences of a FASTA file, each distinct one once.

    Example: multiblast search proteins.fasta --target demo/examples/proteins --option evalue=1e-5 --format 5
    """
    wanted = read_formats(format or [], fields, out)
    running = Session(targets_root, user, early=False)
    if summary and not running.requester.owner:
        display.say("the summary is not kept, since it belongs to a person's list of jobs: name yourself with --user")
    failures: list[str] = []
    try:
        job = run_search(
            running,
            query_file=query,
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
    files, more = write_reports(running, job.job_id, wanted, overwrite=overwrite)
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
    program: str,
    targets: list[str],
    options: list[str],
    summary: str = "",
    formats: Collection[Formatting] = (),
) -> SearchedJob:
    """Check a submission at once, and that it can have these reports; then search it with live progress.

    What is known or small is done here. The rest is done by the worker of `make up` if that runs, and else here, too.
    It is a flow where each job's provenance is recorded, or the user has chosen a server or a cluster.
    """
    submission = read_submission(
        query_file=query_file, program=program, targets=targets, options=options, user=running.user, summary=summary
    )
    with running.services.queries.at_hand(submission) as here:  # so that what is elsewhere is fetched once
        _check(running, here, formats)
        if running.works_here and not running.services.policy.provenance:
            return _search_directly(running, here, formats)
        if isinstance(here.query, Path):
            query_file = str(here.query)
        with own_scratch(), running.connected(display.searching()):
            from flows.submit_query import submit_query

            return running.run(
                lambda: submit_query(
                    query_file=query_file,
                    program=program,
                    targets=targets,
                    options=dict(submission.options.changed()),
                    user=running.user,
                    summary=summary,
                    formats=[formatting.outfmt for formatting in formats],
                )
            )


def _check(running: Session, submission: Submission, formats: Collection[Formatting]) -> None:
    problems: list[Problem] = []
    with collecting(problems):
        running.services.wanted_reports.check(submission.options, formats)
    with collecting(problems):
        running.services.queries.check(submission)
    if problems:
        raise InvalidInputError(problems)


def _search_directly(running: Session, submission: Submission, formats: Collection[Formatting]) -> SearchedJob:
    """Search without Prefect in this process, or have the worker search. Of what is large, that makes the reports, too.

    Raises:
        JobFailedError: the job is not complete now.
    """
    queries, who = running.services.queries, running.requester
    running.services.accounts.check_submitter(who, has_link=True)
    job_id = queries.submit(who, submission).job_id
    run, plan = _planned(running, job_id)
    with display.searching():
        if _is_done_by_another(running, job_id):
            return queries.searched_job(job_id)
        if run.is_small(plan, running.services.policy.http.small_search_s):
            return run.execute(plan)
        return _search_recorded(running, run, formats)


def search_again(running: Session, job_id: str) -> SearchedJob:
    """Restart a job, and search for it without Prefect in this process, or have the worker search; with its reports.

    Raises:
        JobFailedError: the job is not complete now.
    """
    running.services.queries.restart(running.requester, job_id)
    run, _ = _planned(running, job_id)
    with display.searching():
        return _search_recorded(running, run)


def _planned(running: Session, job_id: str) -> tuple[SearchRun, Plan]:
    """Return a run of this process, and its plan, after which it can be shown."""
    run = running.services.queries.run(job_id, run_id=new_process_run(), progress=partial(board.advance, job_id))
    plan = run.plan(quick=True)
    if plan.before:
        display.say(plan.before)
    board.begin(job_id, to_search=plan.unknown, reused=plan.known, letters=plan.letters)
    return run, plan


def _search_recorded(running: Session, run: SearchRun, formats: Collection[Formatting] = ()) -> SearchedJob:
    queries, who, job_id = running.services.queries, running.requester, run.job_id
    reports = running.services.wanted_reports.record(who, job_id, formats)
    started = _start_run(running, job_id)
    if started is None:
        return _search_large(running, run)
    try:
        return _follow(running, job_id, reports)
    except KeyboardInterrupt:
        if started:  # else it is somebody else's
            with suppress(ConflictError):  # it has just ended
                queries.cancel(who, job_id)
        raise


def _is_done_by_another(running: Session, job_id: str) -> bool:
    """Wait while another command searches for a job, if one does, and return whether it has completed that.

    Ctrl-C here ends only the waiting; if the other command is cancelled, this one goes on.
    """
    jobs, has_waited = running.services.queries.jobs, False
    while (status := jobs.query(job_id).status) == JobStatus.IN_PROGRESS:
        if not process_lives(jobs.history(job_id)[-1].flow_run):
            return False
        time.sleep(_FIRST_PAUSE_S)
        board.catch_up(job_id, *running.services.queries.left_to_search(job_id))
        has_waited = True
    return has_waited and status == JobStatus.COMPLETE


def _search_large(running: Session, run: SearchRun) -> SearchedJob:
    """Search in this process on all its cores, and make the reports that wait for that; of one, parts meanwhile."""
    wanted = running.services.wanted_reports
    with own_scratch(), wanted.early_parts(run.job_id, run_id=run.run_id) as early:
        early.start()
        job = run.execute_on_all_cores()
        for _report, _error in wanted.make(run.job_id, early, partial(_make_report, running, run.run_id)):
            pass  # what could not be made is tried again where it is written, which says why
    return job


def _make_report(running: Session, run_id: str, report_id: str, early: EarlyParts) -> None:
    running.services.reports.run(report_id, run_id=run_id, early=early).execute()


def _start_run(running: Session, job_id: str) -> bool | None:
    """Have a job run by the worker; return whether that starts it, False if it runs, None if there is no worker."""
    from deployments.run_starter import RunStarter

    if not _has_worker(running):
        return None
    waiting = running.services.queries.begin(job_id)
    try:
        if waiting:
            asyncio.run(RunStarter(lambda: running.stack).start(waiting))
    except ConnectionError:
        return None
    return waiting is not None


def _has_worker(running: Session) -> bool:
    from deployments.stack import Stack

    return bool(running.stack and (stack := Stack.load()) and stack.complete)


def _follow(running: Session, job_id: str, reports: Collection[str]) -> SearchedJob:
    """Return a job once it has ended, and its reports; looked at often at first, as it may be short."""
    queries, pause_s = running.services.queries, _FIRST_PAUSE_S
    while queries.jobs.query(job_id).status in ACTIVE:
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, _PAUSE_S)
        board.catch_up(job_id, *queries.left_to_search(job_id))
    job = queries.searched_job(job_id)
    if job.status != JobStatus.COMPLETE:
        raise JobFailedError(job_id, job.status, job.reason)
    while any(map(running.services.wanted_reports.is_being_made, reports)):
        time.sleep(_FIRST_PAUSE_S)
    return job
