"""Arguments and options that several commands have, each worded once."""

from __future__ import annotations

import atexit
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from deployments.command_line.display import only_json
from multiblast.files import scratch_directory, working_space

USER = "MULTIBLAST_USER"
GUEST_TOKEN = "MULTIBLAST_GUEST"  # noqa: S105 - the name of a variable
SHARE_TOKENS = "MULTIBLAST_SHARES"


def spooled(path: Path) -> Path:
    """Return a file to read as often as one likes: a pipe, or ``-`` for standard input, is copied until the end."""
    if str(path) != "-" and (path.is_file() or path.is_dir() or not path.exists()):
        return path
    held = ExitStack()
    atexit.register(held.close)
    with working_space(), sys.stdin.buffer if str(path) == "-" else path.open("rb") as pipe:
        directory = held.enter_context(scratch_directory())
        with NamedTemporaryFile(dir=directory, prefix="multiblast-", suffix=".fasta", delete=False) as copy:
            shutil.copyfileobj(pipe, copy)
    return Path(copy.name)


def spooled_query(text: str) -> str:
    """Return a query's path or reference; a pipe is `spooled`."""
    from multiblast.coupling.reference import is_url  # with what fetches from everywhere

    return text if text.startswith("store:") or is_url(text) else str(spooled(Path(text)))


Query = Annotated[
    str,
    typer.Argument(
        help="A FASTA file, plain or gzipped, a pipe, or - for standard input; or store:KEY, or a URL of a place that "
        "the policy lists.",
        show_default=False,
        callback=spooled_query,
    ),
]
Fasta = Annotated[
    Path,
    typer.Argument(
        help="A FASTA file, plain or gzipped, a pipe, or - for standard input.", show_default=False, callback=spooled
    ),
]
Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="A job's id, or its first characters if no other job has them.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", callback=only_json)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there and differs, such as a report of another job.")
]
TargetsRoot = Annotated[
    Path | None,
    typer.Option(
        help="Use the databases under this directory in place of the configured ones. Jobs, results and limits stay "
        "those that are configured.",
        show_default=False,
    ),
]
Summary = Annotated[str, typer.Option(help="One line that says what this is for.")]
Fields = Annotated[str, typer.Option(help='The columns of a table or SAM, e.g. "std stitle".')]
User = Annotated[
    str,
    typer.Option(
        envvar=USER,
        help=f"Your name, for your own list of jobs. A guest sets {GUEST_TOKEN} to their token instead. Without "
        "either, the service's policy decides whether you may do everything or nothing.",
        show_default=False,
    ),
]
