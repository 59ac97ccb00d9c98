"""The ``multiblast`` command. What a command needs is imported once it is named: all of it together takes seconds."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from deployments.garbage import collect_rarely
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotFoundError

__all__ = ["app", "load", "main"]

FAILED, BAD_INPUT, STOPPED = 1, 2, 130

COMMANDS = {
    "search": "search",
    "report": "reports",
    "show": "jobs",
    "status": "jobs",
    "cancel": "jobs",
    "jobs": "jobs",
    "reports": "report_jobs",
    "serve": "service",
    "guests": "upkeep",
    "users": "upkeep",
    "sites": "sites",
    "grant": "sites",
    "targets": "targets",
    "make-target": "targets",
    "publish-target": "targets",
    "sync-targets": "targets",
    "fetch": "files",
    "push": "files",
    "plugins": "plugins",
    "expire": "upkeep",
    "verify": "upkeep",
    "accept-store": "upkeep",
    "copy-records": "upkeep",
    "ways": "upkeep",
    "health": "upkeep",
    "metrics": "upkeep",
    "exactness": "exactness",
    "doctor": "doctor",
    "demo": "demo",
    "registry": "registry:app",
    "service": "service:app",
}
"""The commands, and where each is: a module of this package, and what of it, unless that has the command's name."""

_SHORTENED = ("jobs", "reports")
"""Groups whose commands may be named without them, the first that has it."""

_SUMMARIES = {  # of what is no function with a docstring
    "status": "Print the status of jobs.",
    "cancel": "Stop a job that waits or runs; what it found is kept.",
    "jobs": "List your query jobs, and act on them.",
    "reports": "List your reports, and get their files. `multiblast report` makes one.",
    "guests": "Users without a name, known by a token.",
    "users": "Tokens by which users are known over HTTP.",
    "sites": "Machines elsewhere that take part, known by a key of their site.",
    "plugins": "Tools that continue from a search: list, install and run them.",
    "registry": "Exchange data and its provenance with FAIR data registries.",
    "service": "Start, stop and register Prefect servers and workers.",
}


class _Commands(TyperGroup):
    """Imports a command only to run it; for the list of commands, its docstring is enough."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002 - as above
        return TyperCommand(cmd_name, short_help=_summary(cmd_name)) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        for group in _SHORTENED:  # `multiblast list` is as good as `multiblast jobs list`
            if args and (found := load(group).get_command(ctx, args[0])):
                return args[0], found, args[1:]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    name="multiblast",
    no_args_is_help=True,
    rich_markup_mode=None,  # what prints it in colours takes half of the time of `--help`
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _multiblast() -> None:
    """Run BLAST+ so that no sequence is ever searched twice.

    Every distinct sequence is searched once against the same databases with the same options; what was
    found is kept, and any report is made from it exactly as BLAST+ prints it. Try `multiblast demo`.

    Exit codes: 0 for a complete job, 1 for one that failed, 2 for bad input.
    """


def load(name: str) -> Any:
    """Return a command, with everything it needs imported, and from now on collect garbage, but none of that."""
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(f"deployments.command_line.{module}"), attribute or name.replace("-", "_"))
    collect_rarely()
    if isinstance(found, typer.Typer):
        found.info.help = found.info.help or _SUMMARIES[name]
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name)(found)
    return typer.main.get_command(alone)


def _summary(name: str) -> str:
    """Return what a command does, from the first line of its docstring."""
    if name in _SUMMARIES:
        return _SUMMARIES[name]
    return _docstrings(COMMANDS[name])[name.replace("-", "_")].partition("\n")[0]


@cache
def _docstrings(module: str) -> dict[str, str]:
    source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {function.name: ast.get_docstring(function) or "" for function in functions}


def _print_errors(problems: Iterable[object]) -> None:
    from deployments.command_line.display import print_errors

    print_errors(problems)


def _make_output_ready() -> None:
    """Let output have letters that a terminal does not know, and go nowhere where it was closed."""
    if sys.stdout is None:  # as by `>&-`; what is opened next would get its number
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the end
    elif isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> int:
    """Run the command line; return its exit code."""
    _make_output_ready()
    try:
        app()
    except SystemExit as ending:  # from the library that reads the command line: help, a usage error, or Ctrl-C
        if ending.code == STOPPED:
            sys.stderr.write("Stopped. What was found is kept: the same command goes on from there.\n")
        return int(ending.code or 0)
    except InvalidInputError as error:
        _print_errors(error.problems)
        return BAD_INPUT
    except MultiblastError as error:
        _print_errors([error])
        return BAD_INPUT if isinstance(error, NotFoundError | ConflictError) else FAILED
    except OSError as error:  # of a file or directory that somebody named, or of what takes our output
        from multiblast.files import NO_SPACE, describe_failure

        if not error.filename and error.errno not in NO_SPACE:
            raise
        _print_errors([describe_failure(error) if error.filename else f"standard output: {error.strerror}"])
        return FAILED
    return 0
