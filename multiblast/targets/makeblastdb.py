"""Building a database from FASTA with ``makeblastdb``."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from multiblast.errors import FailureClass, InvalidInputError, Problem, ProgramError
from multiblast.molecules import DBTYPES, Molecule
from multiblast.orphans import die_with_parent

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def build_database(  # noqa: PLR0913 - what a database is made of
    fasta: Path,
    directory: Path,
    name: str,
    *,
    molecule: Molecule,
    title: str = "",
    taxids: Path | None = None,
    program: str = "makeblastdb",
) -> Path:
    """Build the database ``name`` in ``directory``, in place of one of that name and molecule.

    It is built beside and moved in with its index last, so that it is never seen half made.

    Args:
        fasta: The sequences, plain or gzipped.
        directory: Where to put it; created when needed.
        name: Letters, digits and ``_.+-``, since it becomes the name of files.
        molecule: What the sequences are.
        title: What reports call it; by default its name.
        taxids: A file of lines ``sequence-id taxonomy-id``; sequence ids are then parsed and must be unique.
        program: A name on the path or a path.

    Returns:
        What to give to ``-db``: ``directory/name``.

    Raises:
        InvalidInputError: the name is not usable.
        ProgramError: ``makeblastdb`` is missing or refuses the sequences.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(Problem(f"{name!r} cannot name a database: use letters, digits and _.+-", key="name"))
    directory.mkdir(parents=True, exist_ok=True)
    command = [program, "-dbtype", DBTYPES[molecule], "-in", "-", "-title", title or name, "-out", name]
    if taxids:
        command += ["-parse_seqids", "-taxid_map", str(taxids.absolute())]
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as built:
        with _opened(fasta) as sequences:
            _run(command, sequences, Path(built))
        _replace(directory, name, molecule[0], Path(built))
    return directory / name


def _opened(fasta: Path) -> IO[bytes]:
    with fasta.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(fasta)) if packed else fasta.open("rb")


def _run(command: list[str], sequences: IO[bytes], directory: Path) -> None:
    """Run ``command`` in ``directory`` on ``sequences``; its output goes to a file, so that no pipe fills up."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=os.environ | {"BLAST_USAGE_REPORT": "false"},
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one async-signal-safe system call
            )
        except (FileNotFoundError, PermissionError) as error:
            reason = f"{command[0]}: {error.strerror}; install BLAST+ or give its path"
            raise ProgramError(command, 127, reason, FailureClass.MISSING_PROGRAM) from error
        with process, suppress(BrokenPipeError):  # it ended early; its exit code is looked at below
            assert process.stdin  # noqa: S101 - given above
            shutil.copyfileobj(sequences, process.stdin)
        if process.returncode:
            output.seek(0)
            message = output.read().decode("utf-8", "replace")
            raise ProgramError(command, process.returncode, message, FailureClass.BAD_QUERY_OR_OPTIONS)


def _replace(directory: Path, name: str, kind: str, built: Path) -> None:
    """Move what was built into ``directory``; the files by which a database is found go first and come last."""
    index = re.compile(rf"\.{kind}(in|al)$")
    own = re.compile(rf"{re.escape(name)}(\.\d+)?\.{kind}\w\w")
    old = [path for path in directory.iterdir() if own.fullmatch(path.name)]
    for path in sorted(old, key=lambda path: not index.search(path.name)):
        path.unlink()
    new = [path for path in built.iterdir() if own.fullmatch(path.name)]
    for path in sorted(new, key=lambda path: bool(index.search(path.name))):
        path.rename(directory / path.name)
