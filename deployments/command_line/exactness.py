"""``multiblast exactness``: our reports compared with plain BLAST+'s, on a user's own query and database."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import TargetsRoot, spooled
from deployments.command_line.session import local_services
from multiblast.errors import InvalidInputError
from multiblast.options import ProgramName, needs_own_process
from multiblast.reports.exactness import Exactness
from multiblast.search import read_submission
from multiblast.search.context import Resolver
from multiblast.sequences import read_fasta
from multiblast.targets import database_argument


def exactness(
    query: Annotated[
        Path,
        typer.Argument(
            help="A FASTA file, not compressed, a pipe, or - for standard input.", show_default=False, callback=spooled
        ),
    ],
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
    if needs_own_process(submission.options):
        raise InvalidInputError("profiles are not compared: leave out in_pssm, out_pssm and out_ascii_pssm")
    resolver = Resolver(services.installation, services.targets)
    context = resolver.resolve(submission.site, submission.targets, submission.options)
    with TemporaryDirectory(prefix="multiblast-") as name, display.working("Searching both ways …"):
        found = Exactness(
            program,
            query,
            database_argument(context.databases),
            context.database_size,
            context.arguments(),
            directory=Path(name),
            alone=not all(context.is_independent(sequence.residues) for sequence in read_fasta(query)),
            executables={tool: services.installation.program(tool) for tool in (program, "blast_formatter")},
        ).all_differences()
    for name, differences in found.items():
        display.console.print(f"format {name} differs: {differences[0]}", markup=False)
    if found:
        raise typer.Exit(1)
    display.console.print("every format is the same as BLAST+ prints it (but 11, the archive itself, which cannot be)")
