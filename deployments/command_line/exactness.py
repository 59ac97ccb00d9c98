"""``multiblast exactness``: our reports compared with plain BLAST+'s, on a user's own query and database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import TargetsRoot, spooled
from deployments.command_line.session import local_services
from deployments.environment import CHECKOUT
from multiblast.errors import InvalidInputError
from multiblast.installation import Installation
from multiblast.molecules import Molecule
from multiblast.options import ProgramName, needs_own_process, options_for
from multiblast.reports.exactness import Exactness, incomplete_in_blast
from multiblast.search import Submission, read_submission
from multiblast.search.resolver import Resolver
from multiblast.sequences import read_fasta
from multiblast.targets import Targets, database_argument
from multiblast.targets.makeblastdb import build_database

_EXAMPLES = CHECKOUT / "examples" / "data"
_QUICK: tuple[ProgramName, ...] = ("blastp", "blastn", "blastx", "tblastn", "tblastx", "psiblast")
_QUICK_QUERIES, _QUICK_SUBJECTS = 2, 200


def exactness(
    query: Annotated[
        Path | None,
        typer.Argument(
            help="A FASTA file, not compressed, a pipe, or - for standard input.",
            show_default=False,
            callback=lambda path: path and spooled(path),
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="A database as SITE/TARGET/DATABASE; may be repeated.", show_default=False)
    ] = None,
    program: Annotated[ProgramName, typer.Option(help="The BLAST+ program.")] = "blastp",
    option: Annotated[list[str] | None, typer.Option(help="A BLAST+ option as NAME=VALUE; may be repeated.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Try the installed programs with sequences that are shipped.")
    ] = False,
    targets_root: TargetsRoot = None,
) -> None:
    """Compare every report format with what plain BLAST+ prints of the same file; exit code 1 if one differs.

    Both search here and now; nothing is recorded. Known differences: docs/reference/exactness.md.
    """
    if quick and (query or target or option):
        raise InvalidInputError("--quick has a query and databases of its own: leave out the others")
    if not quick and not (query and target):
        raise InvalidInputError("give a FASTA file and --target SITE/TARGET/DATABASE, or --quick")
    services = local_services(targets_root)
    if quick:
        found = _compare_examples(services.installation)
    else:
        submission = read_submission(
            query_file=query or "", program=program, targets=target or [], options=option or []
        )
        found = _compare(services.installation, services.targets, submission)
    for name, differences in found.items():
        display.console.print(f"{name} differs: {differences[0]}", markup=False)
    if found:
        raise typer.Exit(1)
    display.console.print("every format is the same as BLAST+ prints it (but 11, the archive itself, which cannot be)")


def _compare(installation: Installation, targets: Targets, submission: Submission) -> dict[str, list[str]]:
    """Return what differs, by format."""
    program, query = submission.options.program, Path(str(submission.query))
    if needs_own_process(submission.options):
        raise InvalidInputError("profiles are not compared: leave out in_pssm, out_pssm and out_ascii_pssm")
    context = Resolver(installation, targets).resolve(submission.site, submission.targets, submission.options)
    with TemporaryDirectory(prefix="multiblast-") as name, display.working(f"Searching with {program} both ways …"):
        found = Exactness(
            program,
            query,
            database_argument(context.databases),
            context.database_size,
            context.arguments(),
            directory=Path(name),
            alone=not all(context.is_independent(sequence.residues) for sequence in read_fasta(query)),
            executables={tool: installation.program(tool) for tool in (program, "blast_formatter")},
        ).all_differences()
    listed = sorted(found.keys() & incomplete_in_blast(program, installation.version(program)))
    if listed:
        why = "of psiblast and deltablast are incomplete since BLAST+ 2.16.0: docs/reference/exactness.md"
        display.console.print(f"formats {', '.join(listed)} differ as is listed; plain ones {why}", markup=False)
    return {f"format {name}": lines for name, lines in found.items() if name not in listed}


def _compare_examples(installation: Installation) -> dict[str, list[str]]:
    """Return what differs, by program and format, of searches in some of the examples."""
    found: dict[str, list[str]] = {}
    with _examples(installation) as (targets, queries):
        for program in _QUICK:
            model = options_for(program)
            submission = read_submission(
                query_file=queries / f"{model.query_molecule}_query.fasta",
                program=program,
                targets=[f"demo/examples/{model.database_kind}"],
            )
            differences = _compare(installation, targets, submission)
            found |= {f"{program}, {name}": lines for name, lines in differences.items()}
            version = installation.version(program)
            display.console.print(f"{program} {version}: {len(differences)} formats differ", markup=False)
    return found


@contextmanager
def _examples(installation: Installation) -> Iterator[tuple[Targets, Path]]:
    """Give small databases of the examples, for a time, and a directory of small queries."""
    with TemporaryDirectory(prefix="multiblast-") as name:
        directory = Path(name)
        root = directory / "targets"
        for molecule in Molecule:
            query, subjects = directory / f"{molecule}_query.fasta", directory / f"{molecule}s.fasta"
            for source, path, count in (
                (_EXAMPLES / query.name, query, _QUICK_QUERIES),
                (_EXAMPLES / f"{subjects.name}.gz", subjects, _QUICK_SUBJECTS),
            ):
                path.write_bytes(b"".join(one.canonical for one in islice(read_fasta(source), count)))
            place, program = root / "demo" / "examples" / "blast", installation.program("makeblastdb")
            build_database(subjects, place, molecule, molecule=molecule, program=program)
        yield Targets(root, cache=directory / "cache"), directory
