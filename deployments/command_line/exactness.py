"""``multiblast exactness``: our reports compared with plain BLAST+'s, on a user's own query and database."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import TargetsRoot
from deployments.command_line.session import local_services
from multiblast.archive import DatabaseSize
from multiblast.options import ProgramName, is_independent
from multiblast.reports.exactness import Exactness
from multiblast.search import read_submission
from multiblast.targets import database_argument

__all__ = ["exactness"]


def exactness(
    query: Annotated[Path, typer.Argument(help="A FASTA file, not compressed.", show_default=False)],
    target: Annotated[
        list[str], typer.Option(help="A database as SITE/TARGET/DATABASE; may be repeated.", show_default=False)
    ],
    program: Annotated[ProgramName, typer.Option(help="The BLAST+ program.")] = "blastp",
    option: Annotated[list[str] | None, typer.Option(help="A BLAST+ option as NAME=VALUE; may be repeated.")] = None,
    targets_root: TargetsRoot = None,
) -> None:
    """Compare every report format with what plain BLAST+ prints of the same file; exit code 1 if one differs.

    Both search here and now; nothing is recorded. Known differences: docs/reference/exactness.md.
    """
    services = local_services(targets_root)
    submission = read_submission(query_file=query, program=program, targets=target, options=option or [])
    names = [(name.display, name.file) for name in submission.targets]
    databases = services.targets.resolve_all(submission.site, names)
    size = DatabaseSize(
        letters=sum(database.letters for database in databases),
        sequences=sum(database.sequences for database in databases),
    )
    with TemporaryDirectory(prefix="multiblast-") as name, display.working("Searching both ways …"):
        found = Exactness(
            program,
            query,
            database_argument(databases),
            size,
            submission.options.arguments(),
            directory=Path(name),
            alone=not is_independent(submission.options),
            executables={tool: services.installation.program(tool) for tool in (program, "blast_formatter")},
        ).all_differences()
    for number, differences in found.items():
        display.console.print(f"format {number} differs: {differences[0]}", markup=False)
    if found:
        raise typer.Exit(1)
    display.console.print("every format is the same as BLAST+ prints it (but 11, the archive itself, which cannot be)")
