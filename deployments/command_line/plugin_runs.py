"""``multiblast plugins run``, ``chain`` and ``answer``: plugin jobs done by this process, shown while they go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from deployments.command_line import display
from deployments.command_line.arguments import Job, Json, Overwrite, Summary, User, spooled_query
from deployments.command_line.session import local_services, requester
from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobKind, JobStatus, PluginJob
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, Problem
from multiblast.jobs import address_of
from multiblast.plugins.chains import shown
from multiblast.plugins.events import Progress as Reported
from multiblast.plugins.parameters import Parameter
from multiblast.services import Services

Out = Annotated[
    Path | None, typer.Option(help="Write what it made into this directory.", show_default=False, file_okay=False)
]
Source = Annotated[str, typer.Argument(help="What there is: job:ID, plugin:ID/OUTPUT, a file, …", show_default=False)]
To = Annotated[
    str, typer.Argument(help="What is wanted, such as tree, or the name of the last plugin.", show_default=False)
]
Through = Annotated[
    list[str] | None, typer.Option(help="A plugin that must be among them; may be repeated, in their order.")
]


def run(
    name: Annotated[str, typer.Argument(help="A plugin, or NAME@VERSION for an older one.", show_default=False)],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="What it takes in, each for the inputs that it fits: job:ID of a search, plugin:ID/OUTPUT, "
            "report:ID/FILE, a file, - for standard input.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[  # noqa: A002 - as people call it
        list[str] | None, typer.Option(help="The same, as INPUT=TEXT for one of its inputs; may be repeated.")
    ] = None,
    set: Annotated[  # noqa: A002 - as above
        list[str] | None, typer.Option(help="A parameter as NAME=VALUE; may be repeated.")
    ] = None,
    out: Out = None,
    overwrite: Overwrite = False,
    summary: Summary = "",
    user: User = "",
    json: Json = False,
) -> None:
    """Run a plugin, unless it was run on the same before: then what it made is found again.

    Example: multiblast plugins run mafft proteins.fasta --set strategy=linsi --out alignment
    """
    if inputs and input:
        raise InvalidInputError(Problem("give all inputs by name, with --input, or none", "input"))
    services = local_services()
    who, jobs = requester(services, user), services.plugin_jobs
    given: Mapping[str, Sequence[str]] | Sequence[str] = [spooled_query(text) for text in inputs or ()]
    if input:
        given = {port: [spooled_query(text) for text in texts] for port, texts in _several(input, "input").items()}
    services.accounts.check_submitter(who, has_link=True)
    job_id = jobs.submit(who, name, given, _values(set or (), "set"), summary=summary)
    jobs.begin(job_id)
    _finish(jobs, who, _done(jobs, who, job_id), out, overwrite=overwrite, json=json)


def path(source: Source, to: To, through: Through = None, user: User = "", json: Json = False) -> None:
    """Print the chains of plugins that lead from what there is to what is wanted, the likeliest first."""
    services = local_services()
    found = services.plugin_chains.chains(requester(services, user), spooled_query(source), to, through or ())
    if json:
        display.print_json(
            [{"chain": [link.plugin.identifier for link in chain], "missing": missing} for chain, missing in found]
        )
        return
    for chain, missing in found:
        needs = f"   after: multiblast plugins install {' '.join(missing)}" if missing else ""
        display.console.print(Text.assemble(shown(chain), (needs, "dim")))


def chain(
    source: Source,
    to: To,
    through: Through = None,
    out: Out = None,
    overwrite: Overwrite = False,
    user: User = "",
    json: Json = False,
) -> None:
    """Run the plugins that lead from what there is to what is wanted, one after the other.

    Example: multiblast plugins chain job:1f0c… tree --out tree
    """
    services = local_services()
    who, jobs, chains = requester(services, user), services.plugin_jobs, services.plugin_chains
    services.accounts.check_submitter(who, has_link=True)
    first, waiting = chains.begin(who, spooled_query(source), to, through or ())
    _go_through(services, who, [one.job_id for one in waiting] or [first])
    _finish(jobs, who, chains.last(first, to), out, overwrite=overwrite, json=json)


def answer(
    job: Job,
    answers: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE of what it asks. Default: it asks here.", show_default=False),
    ] = None,
    user: User = "",
) -> None:
    """Answer what a paused job asks; it goes on in a worker, or here if there is none."""
    services = local_services()
    who, jobs = requester(services, user), services.plugin_jobs
    job = services.whole_id(who, job)
    asking = jobs.jobs.plugin(job)
    step, form = _question(asking)
    given = _values(answers or (), "answers") or (_asked(asking, form) if sys.stdin.isatty() else {})
    waiting = jobs.answer(who, job, step, given)
    if waiting is not None and _started(services, job):
        display.console.print(f"job {job} goes on: multiblast plugins job {job:.8}")
        return
    _finish(jobs, who, _done(jobs, who, job))


def restart(job: Job, out: Out = None, overwrite: Overwrite = False, user: User = "") -> None:
    """Run an expired, failed or cancelled plugin job again, with what its inputs are now."""
    services = local_services()
    who, jobs = requester(services, user), services.plugin_jobs
    again = jobs.restart(who, services.whole_id(who, job)).plugin_job_id
    jobs.begin(again)
    _finish(jobs, who, _done(jobs, who, again), out, overwrite=overwrite)


def run_again(services: Services, who: Requester, job_id: str) -> str:
    """Do a plugin job again, and what comes after it in its chains; return its id, or that of the one in its place."""
    again = services.plugin_jobs.restart(who, job_id).plugin_job_id
    services.plugin_jobs.begin(again)
    _go_through(services, who, [again])
    return again


def _go_through(services: Services, who: Requester, left: list[str]) -> None:
    """Do jobs, and those that come after them in their chains."""
    while left:
        job = _done(services.plugin_jobs, who, left[0])
        display.say(f"{job.plugin}: complete, job {job.id}")
        left = [one.job_id for one in services.plugin_chains.go_on(job.id)]


def add_runs(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (run, path, chain, answer, restart):
        app.command(command.__name__)(command)


def _done(jobs: PluginJobs, who: Requester, job_id: str) -> PluginJob:
    """Do a job here, and ask at the terminal what it asks; return it once it is complete.

    Raises:
        JobFailedError: it has failed, or asks where nobody can answer.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: the plugin ends, and its job is cancelled
        signal.signal(number, signal.default_int_handler)
    while True:
        job = jobs.jobs.plugin(job_id)
        if job.status == JobStatus.IN_PROGRESS:
            display.say(f"another run is at it; `multiblast cancel {job_id:.8}` would stop that. Waiting …")
        if job.status == JobStatus.PAUSED:
            step, form = _question(job)
            if not sys.stdin.isatty():
                remedy = f"multiblast plugins answer {job_id:.8} " + " ".join(f"{name}=…" for name in form)
                raise ConflictError(
                    f"plugin job {job_id} is paused and asks: {job.rounds[-1]['title'] or step} Type: {remedy}"
                )
            jobs.answer(who, job_id, step, _asked(job, form))
        try:
            with _showing(job.plugin) as note:
                return jobs.execute(job_id, note=note)
        except JobFailedError as error:
            if error.status != JobStatus.PAUSED:
                raise


def _finish(
    jobs: PluginJobs,
    who: Requester,
    job: PluginJob,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write what a job made, if that is wanted, and print what it is."""
    written = jobs.fetch(who, job.id, out, overwrite=overwrite) if out is not None else []
    if json:
        display.print_json(jobs.lookup(who, job.id, link=False).to_json() | {"written": [str(one) for one in written]})
        return
    rows = [one.to_json() for one in jobs.files(who, job.id)]
    for row in rows:
        row["address"] = address_of(JobKind.PLUGIN, job.id, "files", row["name"])
    columns = (
        "name",
        "size",
        "dataType",
        "contentType",
        *(("address",) if any(row["address"] for row in rows) else ()),
    )
    display.print_rows(rows, json=False, columns=columns)
    for one in written:
        display.console.print(Text(f"wrote {one}"))
    if not written and rows:
        zipped = f" > {rows[0]['name']}.zip" if rows[0]["directory"] else ""
        display.say(f"to read one: multiblast plugins get {job.id:.8} {rows[0]['name']}{zipped}")
    display.console.print(
        Text.assemble("job ", (job.id, "bold"), f" of {job.plugin}@{job.version} is ", (job.status, "green"))
    )


@contextmanager
def _showing(plugin: str) -> Iterator[Any]:
    """Give what shows the progress that a plugin reports, and its log, on standard error."""
    columns = (SpinnerColumn(), TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, TimeElapsedColumn(), console=display.errors, transient=True) as progress:
        bar = progress.add_task(escape(plugin), total=None, text="")

        def note(what: Reported | str) -> None:
            if isinstance(what, str):
                progress.console.print(Text(what, "dim"))
                return
            done, length = abs(what.value - what.start), abs(what.target - what.start)
            progress.update(bar, total=length or None, completed=done, text=escape(what.text))

        yield note


def _question(job: PluginJob) -> tuple[str, dict[str, Parameter]]:
    """Return the step at which a job waits for answers, and what it asks.

    Raises:
        ConflictError: it asks nothing.
    """
    if job.status != JobStatus.PAUSED or not job.rounds:
        raise ConflictError(f"plugin job {job.id} is {job.status}: it asks nothing now")
    form = {name: Parameter.model_validate(one) for name, one in job.rounds[-1]["form"].items()}
    return job.rounds[-1]["step"], form


def _asked(job: PluginJob, form: Mapping[str, Parameter]) -> dict[str, Any]:
    """Ask what a job asks, one value after the other, each until it will do."""
    display.console.print(Text(job.rounds[-1]["title"], "bold"))
    return {name: _prompt(name, one) for name, one in form.items()}


def _prompt(name: str, parameter: Parameter) -> Any:
    text = f"{parameter.label or name}{f' ({parameter.help})' if parameter.help else ''}"
    if parameter.choices:
        text += f" [{', '.join(parameter.choices)}]"
    while True:
        default = None if parameter.required else str(parameter.default)
        given = typer.prompt(
            text, default=default, hide_input=parameter.is_private, show_default=not parameter.is_private
        )
        try:
            return parameter.checked(given, name)
        except InvalidInputError as error:
            display.print_errors(error.problems)


def _started(services: Services, job_id: str) -> bool:
    """Have a job run by a worker; return whether there is a server that sees to that."""
    from deployments.run_starter import RunStarter
    from deployments.server import running_server

    api_url = os.environ.get("PREFECT_API_URL", "") or running_server()
    if not api_url:
        return False
    try:
        asyncio.run(RunStarter(lambda: api_url).start(services.plugin_jobs.waiting(job_id)))
    except ConnectionError:
        return False
    return True


def _values(texts: Sequence[str], key: str) -> dict[str, Any]:
    """Return NAME=VALUE by name."""
    return {name: values[-1] for name, values in _several(texts, key).items()}


def _several(texts: Sequence[str], key: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidInputError(Problem(f"{text!r} is not NAME=VALUE", key))
        found.setdefault(name, []).append(value)
    return found
