"""``multiblast fetch``, ``push``: files and directories, brought here and taken to the storage."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.session import local_services
from multiblast.coupling import Reference
from multiblast.coupling import fetch as fetch_file
from multiblast.coupling import push as push_file
from multiblast.coupling.arrival import own_copy
from multiblast.errors import ConflictError


def fetch(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="store:KEY, a URL such as s3://BUCKET/KEY or https://…, or a path.", show_default=False
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="The directory to copy it to. Default: where it is, if this machine has it; else here."),
    ] = None,
) -> None:
    """Bring a file or directory here, and print its path.

    MULTIBLAST_COUPLING may name another place than where results are kept.
    """
    wanted = Reference.parse(reference)
    target = (to or Path()) / wanted.file_name
    if to is not None:
        _refuse_existing(target)
        to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".fetch-", dir=target.parent) as beside:
        come = Path(beside) / "come"
        come.mkdir()
        found = fetch_file(wanted, come, store=local_services().store)
        if to is not None or found.parent == come:  # what comes may be the storage's own files, not to be changed
            copy = own_copy(found, Path(beside) / "copy")
            _refuse_existing(target)
            found = copy.rename(target)
    typer.echo(found)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise ConflictError(f"{str(target)!r} is there already: name another directory with --to")


def push(
    path: Annotated[Path, typer.Argument(help="A file or directory.", show_default=False)],
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="Its key: words of letters, digits and '._-', separated by '/'.", show_default=False
        ),
    ],
) -> None:
    """Take a file or directory to the storage, and print its reference; the same again sends nothing.

    MULTIBLAST_COUPLING may name another place than where results are kept.
    """
    reference = push_file(path, key, store=local_services().store)
    typer.echo(reference.url)
    display.say(f"{reference.size_bytes:,} bytes; multiblast fetch {reference.url} brings them back")
