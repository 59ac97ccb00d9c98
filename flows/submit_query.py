"""Submit a query: every distinct sequence is searched once, no matter who submitted it first.

One form per program for people, and `submit_query` for scripts; all do the same.
"""

# Annotations are evaluated here, since the form of each program has a type of options of its own.
import re
from typing import Any

from prefect import flow
from prefect.flows import Flow

from multiblast.options import PROGRAMS, ProgramName, options_for
from multiblast.reports import Formatting
from multiblast.search import SearchedJob, read_submission
from tasks.page import problems_on_page
from tasks.recovery import HOOKS
from tasks.runs import submission_name, tag_run, task_runner, upload_directory
from tasks.search import FlowSearch, record_query
from tasks.shards import job_waited_for


@flow(name="submit-query", flow_run_name=submission_name, task_runner=task_runner(), **HOOKS)
async def submit_query(  # noqa: PLR0913, PLR0917 - the fields of a form
    query: str = "",
    query_file: str = "",
    program: str = "blastp",
    site: str = "",
    targets: list[str] = [],  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    user: str = "",
    summary: str = "",
    description: str = "",
    options: dict[str, Any] = {},  # noqa: B006 - as above
    notify: str = "",
    formats: list[str] = [],  # noqa: B006 - as above
) -> SearchedJob:
    """Search sequences, each distinct one once, and keep what was found.

    Args:
        query: Needed, unless a file is named instead: the sequences, as FASTA text, up to 400 KB. Everybody who may
            open Prefect can read what is typed here; the page to search in, of the HTTP service, keeps it private.
        query_file: Instead of text, a FASTA file: its path, store:KEY if it is in the result storage, or a URL of a
            place that the policy lists.
        program: A program of BLAST+, or a search plugin such as diamond-blastp. Forms with all options of a program of
            BLAST+: submit-blastp and so on.
        site: The site whose databases are searched. May stay empty if the targets name it.
        targets: The databases to search, each as TARGET/DATABASE or SITE/TARGET/DATABASE.
        user: Whose job list the job is added to. Empty for nobody's.
        summary: One line that says what this is for.
        description: More about it, if you like.
        options: The program's options by their names, such as evalue or word_size. Left alone, its defaults hold.
        notify: An https address to notify, by a signed POST, when the job has ended. Empty for none.
        formats: Reports to make when it is complete, as -outfmt has them, such as "6 std stitle"; or html or parquet.

    Returns:
        The job with one row per sequence.
    """
    await tag_run()
    async with problems_on_page():
        wanted = [Formatting.read_outfmt(text) for text in formats]
        if job_id := await job_waited_for():
            return await FlowSearch(job_id, may_wait=True).execute()
        submission = read_submission(
            query=query,
            query_file=query_file,
            program=program,
            site=site,
            targets=targets,
            options=options,
            user=user,
            summary=summary,
            description=description,
            files_under=upload_directory(),
        )
        job_id = record_query(submission, notify, wanted).job_id
        return await FlowSearch(job_id, may_wait=True).execute()


def _form(program: ProgramName) -> Flow[..., Any]:
    """Return the flow whose form has one program's options as typed fields."""
    typed: Any = options_for(program)

    async def submit(  # noqa: PLR0913, PLR0917 - the fields of a form
        query: str = "",
        query_file: str = "",
        site: str = "",
        targets: list[str] = [],  # noqa: B006 - as in submit_query
        user: str = "",
        summary: str = "",
        description: str = "",
        options: typed = typed(program=program),  # noqa: B008 - it is frozen
        notify: str = "",
        formats: list[str] = [],  # noqa: B006 - as in submit_query
    ) -> SearchedJob:
        changed = options.changed()
        return await submit_query.fn(
            query, query_file, program, site, targets, user, summary, description, changed, notify, formats
        )

    submit.__name__ = f"submit_{program}"
    # The form describes its fields as that of all programs does, of which it has no `program`.
    described = re.sub(r"(?m)^ +program: .*\n( {12}.*\n)*", "", str(submit_query.fn.__doc__))
    submit.__doc__ = described.replace(
        "The program's options by their names, such as evalue or word_size", "BLAST+ options"
    )
    return flow(name=f"submit-{program}", flow_run_name=submission_name, task_runner=task_runner(), **HOOKS)(submit)


def __getattr__(name: str) -> Flow[..., Any]:
    """Make a form when it is first used: each run uses one of them, and all together take half a second."""
    program = name.removeprefix("submit_")
    if program == name or program not in PROGRAMS:
        raise AttributeError(name)
    form = globals()[name] = _form(PROGRAMS[PROGRAMS.index(program)])
    return form
