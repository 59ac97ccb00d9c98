"""Building a database from FASTA with ``makeblastdb``."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from multiblast.errors import FailureClass, InvalidInputError, Problem, ProgramError
from multiblast.molecules import DBTYPES, Molecule
from multiblast.orphans import start_with_parent
from multiblast.sequences import text_blocks

_log = logging.getLogger(__name__)
_PROGRESS = re.compile(
    r"\s*(Building a new DB|New DB |Sequence type|Deleted existing|Keep MBits|Maximum file size|Adding sequences from|"
    r"No volumes were created|Error: NCBI C\+\+ Exception:)"
)
_PREFIX = re.compile(r"^(BLAST Database creation error: |Error: |\[makeblastdb\] |T\d+ \".*?Error: \(\S+\) \S+ - )+")
_MOST_REMARKS = 20
_NO_TAXIDS = "no sequence has an id that the file of taxids names"
_PLAIN_WORDS = (
    (re.compile(r"Duplicate seq_ids are found: (.*)"), r"more than one sequence has the id \1: give each its own"),
    (re.compile(r"No sequences matched any of the taxids provided\."), _NO_TAXIDS),
    (re.compile(r"Cannot convert string '(.*?)' to Int8.*"), r"'\1' in the file of taxids is no taxonomy id"),
    (re.compile(r"No sequences added|Expected defline around line 1"), "the file has no sequences"),
)
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
        InvalidInputError: the name is not usable, the file is no FASTA, or no sequence has an id of the taxids' file.
        ProgramError: ``makeblastdb`` is missing or refuses the sequences.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(Problem(f"{name!r} cannot name a database: use letters, digits and _.+-", key="name"))
    directory.mkdir(parents=True, exist_ok=True)
    command = [program, "-dbtype", DBTYPES[molecule], "-in", "-", "-title", title or name]
    if taxids:
        command += ["-parse_seqids", "-taxid_map", str(taxids.absolute())]
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as built:
        _run(command, text_blocks(fasta), Path(built), name)
        _replace(directory, name, molecule[0], Path(built))
    return directory / name


def _run(command: list[str], text: Iterator[bytes], directory: Path, name: str) -> None:
    """Run ``command``, to build ``name`` in ``directory`` of FASTA text; what it says goes to a file: no pipe fills up.

    It is given the directory by its descriptor: since BLAST+ 2.16.0 it fails where there are blanks in the path.
    """
    with tempfile.TemporaryFile() as output, ExitStack() as opened:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, place)
        command = [*command, "-out", f"/proc/self/fd/{place}/{name}"]
        try:
            process = start_with_parent(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[place],
                env=os.environ | {"BLAST_USAGE_REPORT": "false"},
            )
        except (FileNotFoundError, PermissionError) as error:
            reason = f"{command[0]}: {error.strerror}; install BLAST+ or give its path"
            raise ProgramError(command, 127, reason, FailureClass.MISSING_PROGRAM) from error
        with process, suppress(BrokenPipeError):  # it ended early; its exit code is looked at below
            assert process.stdin  # noqa: S101 - given above
            try:
                process.stdin.writelines(text)
            except InvalidInputError:
                process.kill()
                raise
        output.seek(0)
        remarks = _remarks(output.read().decode("utf-8", "replace"))
        if process.returncode:
            reason = "; ".join(remark for remark in remarks if remark != _NO_TAXIDS) or "it did not say why"
            raise ProgramError(command, process.returncode, reason, FailureClass.BAD_QUERY_OR_OPTIONS)
    if _NO_TAXIDS in remarks:
        raise InvalidInputError(Problem(f"{_NO_TAXIDS}: compare the ids in both files", key="taxids"))
    for remark in remarks[:_MOST_REMARKS]:
        _log.warning("makeblastdb: %s", remark)


def _remarks(output: str) -> list[str]:
    """Return what the program says beside its progress, in plain words, each on one line."""
    text = re.sub(r"are found: *\n", "are found: ", output)
    lines = (_PREFIX.sub("", line.strip()) for line in text.splitlines() if not _PROGRESS.match(line))
    remarks = [line for line in lines if line]
    for pattern, plain in _PLAIN_WORDS:
        remarks = [pattern.sub(plain, remark) for remark in remarks]
    return remarks


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
