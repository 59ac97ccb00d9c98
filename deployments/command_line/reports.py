"""``multiblast report``: make a report of a job and write its files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Fields, Json, Overwrite, TargetsRoot, User
from deployments.command_line.session import Session
from multiblast.database import JobKind
from multiblast.errors import InvalidInputError, MultiblastError, Problem, collecting
from multiblast.files import describe_failure, own_scratch
from multiblast.jobs import address_of
from multiblast.outages import patiently
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMAT_NAMES, FORMATS, find_format
from multiblast.results.holders import new_process_run


class WrittenFile(NamedTuple):
    """A file of a report.

    Attributes:
        path: Where it was written.
        address: Where the HTTP service has it; empty without a service.
    """

    path: Path
    address: str


def report(
    job: Annotated[
        str, typer.Argument(help="A query job's id, or a beginning that no other job has.", show_default=False)
    ],
    format: Annotated[str, typer.Option(help=f"{FORMAT_NAMES}; numbers are BLAST+'s -outfmt.")] = "0",  # noqa: A002 - BLAST+'s own word
    fields: Fields = "",
    option: Annotated[
        list[str] | None,
        typer.Option(help="A formatter option as NAME=VALUE, e.g. numDescriptions=10; may be repeated."),
    ] = None,
    user: User = "",
    targets_root: TargetsRoot = None,
    out: Annotated[Path, typer.Option(help="Where files are written.")] = Path("results"),
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a job's result in any BLAST+ format, exactly as BLAST+ prints it.

    Example: multiblast report 1f0c… --format 6 --fields "std stitle"
    """
    options = {name: value for name, _, value in (text.partition("=") for text in option or [])}
    wanted = Formatting.read(format, fields=fields, options=options)
    check_directories([out])
    running = Session(targets_root, user, early=False)
    files = write_report(running, running.services.whole_id(running.requester, job), out, wanted, overwrite=overwrite)
    if json:
        display.print_json(listed(files))
    else:
        print_files(files)


def listed(files: Iterable[WrittenFile]) -> dict[str, list[str]]:
    """Return files as JSON has them."""
    addresses = [file.address for file in files if file.address]
    return {"files": [str(file.path) for file in files], **({"addresses": addresses} if addresses else {})}


def print_files(files: Iterable[WrittenFile]) -> None:
    """Print where files are."""
    for file in files:
        display.console.print(f"wrote {file.path}" + (f", also at {file.address}" if file.address else ""))


def write_report(
    running: Session, job_id: str, directory: Path, formatting: Formatting, *, overwrite: bool
) -> list[WrittenFile]:
    """Make a report, unless it is there, and write its files into a directory.

    It is made without Prefect, which takes seconds to import, unless it is large and there is a server, which lists it.
    """
    services, who = running.services, running.requester
    door = services.reports
    report_id = door.submit(who, job_id, formatting)
    run = door.run(report_id, run_id=new_process_run())
    at_once = door.is_small(report_id) or run.version()[1]
    if services.policy.provenance or not (at_once or running.is_alone):
        _run_flow(running, job_id, formatting)
    else:
        with display.working("Formatting …"):
            if at_once:
                run.execute(at_once=True)
            else:
                with own_scratch():
                    patiently(run.execute)
    return [
        WrittenFile(path, address_of(JobKind.REPORT, report_id, "files", path.name))
        for path in door.fetch(who, report_id, directory, overwrite=overwrite)
    ]


def _run_flow(running: Session, job_id: str, formatting: Formatting) -> None:
    changed = {name: value for name, value in formatting.changed().items() if name != "formatType"}
    options = {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in changed.items()}
    with running.connected(display.working("Formatting …")):
        from flows.make_report import make_report

        choice = formatting.row.choice
        running.run(lambda: make_report(job=job_id, format=choice, options=options, user=running.user))


def read_formats(names: Sequence[str], fields: str, out: Path) -> dict[Path, Formatting]:
    """Read what reports are wanted; return each by where it goes: of several, a directory of its own below ``out``.

    Raises:
        InvalidInputError: with all problems, also of the directories.
    """
    problems: list[Problem] = []
    found: dict[Path, Formatting] = {}
    for name in dict.fromkeys(names):
        with collecting(problems):
            wanted = Formatting.read(name, fields=fields if find_format(name).fields else "")
            found[out / f"format-{wanted.format}"] = wanted
    if fields and not problems and not any(one.row.fields for one in found.values()):
        having = ", ".join(row.name for row in FORMATS.values() if row.fields)
        problems.append(Problem(f"no format is asked for that has columns: add --format, one of {having}", "fields"))
    places = {out: next(iter(found.values()))} if len(found) == 1 else found
    with collecting(problems):
        check_directories(places)
    if problems:
        raise InvalidInputError(problems)
    return places


def check_directories(places: Collection[Path]) -> None:
    """Make sure that files can be written into directories, which need not exist; nothing is left in them.

    Raises:
        InvalidInputError: with what is in the way.
    """
    problems = []
    for place in places:
        existing = next(path for path in (place.absolute(), *place.absolute().parents) if os.path.lexists(path))
        if not existing.is_dir():
            problems.append(Problem(f"{str(existing)!r} is no directory: name another one", "out"))
            continue
        try:
            TemporaryDirectory(dir=existing, prefix=".multiblast-").cleanup()  # root may do what a file system may not
        except OSError as error:
            reason = f"nothing can be written into {str(existing)!r} ({error.strerror}): name another directory"
            problems.append(Problem(reason, "out"))
    if problems:
        raise InvalidInputError(list(dict.fromkeys(problems)))


def write_reports(
    running: Session, job_id: str, wanted: dict[Path, Formatting], *, overwrite: bool
) -> tuple[list[WrittenFile], list[str]]:
    """Make reports, each for itself; return their files, and why some have none."""
    files: list[WrittenFile] = []
    failures = []
    for place, formatting in wanted.items():
        try:
            files += write_report(running, job_id, place, formatting, overwrite=overwrite)
        except (MultiblastError, OSError) as error:
            reason = describe_failure(error) if isinstance(error, OSError) else error
            failures.append(f"format {formatting.format}: {reason}")
    return files, failures
