"""The ``multiblast`` command: the flows, and the reading actions, at a terminal."""

from __future__ import annotations

import sys

import typer

from deployments.command_line import demo, doctor, exactness, jobs, reports, search, targets
from deployments.command_line.display import errors
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotFoundError

__all__ = ["app", "main"]

FAILED, BAD_INPUT, STOPPED = 1, 2, 130

app = typer.Typer(
    name="multiblast",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Run BLAST+ so that no sequence is ever searched twice.

Every distinct sequence is searched once against the same databases with the same options; what was
found is kept, and any report is made from it exactly as BLAST+ prints it. Try `multiblast demo`.

Exit codes: 0 for a complete job, 1 for one that failed, 2 for bad input.""",
)
for room in (search, reports, jobs, targets, exactness, doctor, demo):
    room.add_to(app)
known = {command.name for command in app.registered_commands}
known |= {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}
if not known.intersection(sys.argv[1:2]):  # importing what the registry needs takes as long as all else together
    from deployments.command_line import registry

    app.add_typer(registry.app, name="registry")


def main() -> int:
    """Run the command line; return its exit code."""
    try:
        app()
    except SystemExit as ending:  # from the library that reads the command line: help, or a usage error
        return int(ending.code or 0)
    except InvalidInputError as error:
        errors(error.problems)
        return BAD_INPUT
    except MultiblastError as error:
        errors([error])
        return BAD_INPUT if isinstance(error, NotFoundError | ConflictError) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. What was found is kept: the same command goes on from there.\n")
        return STOPPED
    return 0
