"""Our reports compared with what BLAST+ itself prints of the same query file."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from multiblast.archive import DatabaseSize, merge, split
from multiblast.blast_versions import version_numbers
from multiblast.programs import BLAST_ENVIRONMENT, ONE_BY_ONE, Program
from multiblast.reports.blast_formatter import BlastFormatter
from multiblast.reports.blast_report import ARCHIVE, write_blast_report
from multiblast.reports.formats import FORMATS, ReportFormat
from multiblast.reports.joined_output import without_command_line
from multiblast.reports.report_options import Formatting
from multiblast.sequences import read_fasta

_SAM = "17"
_DOCUMENTS = frozenset({"13", "14", "15", "16"})
_ROUNDS = "-num_iterations"
_STRAND = "-strand"


def incomplete_in_blast(program: str, version: str) -> frozenset[str]:
    """Return the formats in which a version of a program itself prints no more than part of what it found.

    Since 2.16.0, JSON and XML2 of psiblast and deltablast lack titles, sequences and positions; ours have them.
    """
    is_affected = program in {"psiblast", "deltablast"} and version_numbers(version) >= (2, 16)
    return _DOCUMENTS if is_affected else frozenset()


class Exactness:
    """One search done both ways.

    Our way searches every distinct sequence once, in another order and without its title, and puts the report
    together from the single results. Both search one query per batch (``alone``) where a result depends on the other
    queries of its batch. Programs that go by another name, or are not on the path, are ``executables``.
    """

    def __init__(  # noqa: PLR0913 - all that makes a search
        self,
        program: str,
        query: Path,
        databases: str,
        size: DatabaseSize,
        options: Sequence[str] = (),
        *,
        directory: Path,
        alone: bool = False,
        executables: Mapping[str, str] | None = None,
    ) -> None:
        """Search and merge; the directory, where files go, must exist."""
        self._program = program
        self._query = query
        self._directory = directory
        self._executables = executables or {}
        self._options = ["-db", databases, *options]
        self._environment = ONE_BY_ONE if alone else BLAST_ENVIRONMENT
        self._strand = options[options.index(_STRAND) + 1] if _STRAND in options else "both"
        self._sequences = list(read_fasta(query))
        results = self._search(size)
        self._parts = [(sequence.defline, results[sequence.residues]) for sequence in self._sequences]
        self._databases = databases
        self._rounds = int(self._options[self._options.index(_ROUNDS) + 1]) if _ROUNDS in self._options else 1

    def differences(self, formatting: Formatting) -> list[str]:
        """Return the names of the report's files that are not the same, each with its first differing line.

        They are compared as by `first_difference`. An archive is never the same: the plain one
        holds all queries of a batch.
        """
        plain, ours = self._directory / "plain", self._directory / "ours"
        for directory in (plain, ours):
            directory.mkdir(exist_ok=True)
            for file in directory.iterdir():
                file.unlink()
        if formatting.format == ARCHIVE:
            return []
        output = plain / f"report.{formatting.row.extension}"
        self._run(self._query, formatting.arguments(), output)
        write_blast_report(
            self._merged(formatting.row),
            formatting,
            program=self._program,
            queries=len(self._sequences),
            directory=ours,
            rounds=self._rounds,
            formatter=BlastFormatter(self._executables.get("blast_formatter", "blast_formatter")),
        )
        names = sorted({file.name for directory in (plain, ours) for file in directory.iterdir()})
        return [
            f"{name}: {line}" for name in names if (line := _first_difference(plain / name, ours / name, formatting))
        ]

    def _merged(self, row: ReportFormat) -> Iterator[Path]:
        """Yield the results as a file, or as two if such reports are made in parts."""
        size = math.ceil(len(self._parts) / (2 if row.is_made_in_parts(self._rounds) else 1))
        for first in range(0, len(self._parts), size):
            path = self._directory / f"merged-{first}.asn1"
            with path.open("wb") as output:
                merge(
                    self._parts[first : first + size],
                    output,
                    self._databases,
                    first=first + 1,
                    together=row.together,
                    prepare=row.prepare,
                )
            yield path

    def all_differences(self, names: Sequence[str] = ()) -> dict[str, list[str]]:
        """Return what differs, by format, each with its default options: of all of BLAST+'s if none is named."""
        rows = (row for row in FORMATS.values() if row.write is None)
        names = names or [row.name for row in rows if not row.programs or self._program in row.programs]
        found = {name: self.differences(Formatting(format=name)) for name in names}
        return {name: differences for name, differences in found.items() if differences}

    def _search(self, size: DatabaseSize) -> dict[bytes, bytes]:
        residues = list(dict.fromkeys(sequence.residues for sequence in self._sequences))
        random.Random(1).shuffle(residues)  # noqa: S311 - any other order will do, the same each time
        batch, archive = self._directory / "batch.fasta", self._directory / "batch.asn1"
        batch.write_bytes(b"".join(b">q\n%s\n" % one for one in residues))
        self._run(batch, ["-outfmt", ARCHIVE], archive)
        with archive.open("rb") as stream:
            return {residues[part.position]: part.archive for part in split(stream, size, self._strand)}

    def _run(self, query: Path, arguments: Sequence[str], output: Path) -> None:
        executable = self._executables.get(self._program, self._program)
        command = [executable, "-query", str(query), *self._options, *arguments, "-out", str(output)]
        Program(command, environment=self._environment).run()


def _first_difference(plain: Path, ours: Path, formatting: Formatting) -> str:
    if not plain.exists() or not ours.exists():
        return f"only {'ours' if ours.exists() else 'BLAST+'} has it"
    with plain.open("rb") as left, ours.open("rb") as right:
        return first_difference(left, right, formatting)


def first_difference(plain: BinaryIO, ours: BinaryIO, formatting: Formatting) -> str:
    """Return the first line in which two reports are not the same, in words; empty if they are.

    SAM's line on the program is compared without the command line.
    """
    is_sam = formatting.format == _SAM
    lines = zip_longest(_lines(plain, is_sam), _lines(ours, is_sam))
    for number, (theirs, line) in enumerate(lines, start=1):
        if theirs != line:
            return f"line {number}: BLAST+ has {_shown(theirs)}, ours {_shown(line)}"
    return ""


def _lines(stream: BinaryIO, is_sam: bool) -> Iterator[bytes]:
    for line in stream:
        yield without_command_line(line) if is_sam and line.startswith(b"@PG\t") else line


def _shown(line: bytes | None) -> str:
    return "none" if line is None else repr(line[:200])
