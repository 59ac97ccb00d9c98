"""``multiblast report``: make a report of a job and write its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Json, TargetsRoot, User
from deployments.command_line.session import Session, requester
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMAT_NAMES, find_format


def report(
    job: Annotated[str, typer.Argument(help="A query job's id.", show_default=False)],
    format: Annotated[str, typer.Option(help=f"{FORMAT_NAMES}; numbers are BLAST+'s -outfmt.")] = "0",  # noqa: A002 - BLAST+'s own word
    fields: Annotated[str, typer.Option(help='The columns of a table or SAM, e.g. "std stitle".')] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(help="A formatter option as NAME=VALUE, e.g. numDescriptions=10; may be repeated."),
    ] = None,
    user: User = "",
    targets_root: TargetsRoot = None,
    out: Annotated[Path, typer.Option(help="Where files are written.")] = Path("results"),
    json: Json = False,
) -> None:
    """Write a job's result in any BLAST+ format, exactly as BLAST+ prints it.

    Example: multiblast report 1f0c… --format 6 --fields "std stitle"
    """
    options = {name: value for name, _, value in (text.partition("=") for text in option or [])}
    running = Session(targets_root, user)
    files = write_report(running, job, out, Formatting.read(format, fields=fields, options=options))
    if json:
        display.print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        display.console.print(f"wrote {file}")


def write_report(running: Session, job_id: str, directory: Path, formatting: Formatting) -> list[Path]:
    """Make a report with its flow, and write its files into a directory."""
    who, door = requester(running.services, running.user), running.services.reports
    door.check(who, job_id, formatting)
    changed = {name: value for name, value in formatting.changed().items() if name != "formatType"}
    options = {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in changed.items()}
    with running.connected(display.working("Formatting …")):
        from flows.make_report import make_report

        choice = formatting.row.choice
        made = running.run(lambda: make_report(job=job_id, format=choice, options=options, user=running.user))
    return door.fetch(who, made.report_id, directory)


def write_reports(running: Session, job_id: str, directory: Path, formats: list[str], fields: str = "") -> list[Path]:
    """Make reports; of several, each goes into a directory of its own."""
    files = []
    for wanted in [Formatting.read(name, fields=fields if find_format(name).fields else "") for name in formats]:
        place = directory / f"format-{wanted.format}" if len(formats) > 1 else directory
        files += write_report(running, job_id, place, wanted)
    return files
