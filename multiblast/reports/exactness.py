"""Our reports compared with what BLAST+ itself prints of the same query file."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from multiblast.archive import DatabaseSize, merge, split
from multiblast.programs import run_program
from multiblast.reports.formats import FORMATS, Formatting
from multiblast.reports.formatting import ARCHIVE, SAM, TOGETHER, format_archive
from multiblast.sequences import read_fasta

__all__ = ["Exactness"]

ONE_QUERY_A_BATCH = {"BATCH_SIZE": "1"}


class Exactness:
    """One search done both ways.

    Our way searches every distinct sequence once, in another order and without its
    title, and puts the report together from the single results.

    Args:
        program: BLAST+'s name of it.
        query: A FASTA file.
        databases: What is given to ``-db``.
        size: Of the databases.
        options: Other options of the search.
        directory: Where files go; it must exist.
        alone: Whether both search one query a batch, as must be where a result depends on its company.
        executables: Where programs are that go by another name or are not on the path.
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
        """Search and merge."""
        self._program, self._query, self._directory = program, query, directory
        self._executables = executables or {}
        self._options = ["-db", databases, *options]
        self._environment = {"BLAST_USAGE_REPORT": "false", **(ONE_QUERY_A_BATCH if alone else {})}
        self._sequences = list(read_fasta(query))
        results = self._search(size)
        self._merged = {together: directory / f"merged-{together}.asn1" for together in (False, True)}
        for together, path in self._merged.items():
            parts = ((sequence.defline, results[sequence.residues]) for sequence in self._sequences)
            with path.open("wb") as output:
                merge(parts, output, databases, together=together)

    def differences(self, formatting: Formatting) -> list[str]:
        """Return the names of the report's files that are not the same, each with its first differing line.

        SAM's line on the program is compared without the command line. An archive is
        never the same: the plain one holds the queries' company.
        """
        plain, ours = self._directory / "plain", self._directory / "ours"
        for directory in (plain, ours):
            directory.mkdir(exist_ok=True)
            for file in directory.iterdir():
                file.unlink()
        if formatting.format_type == ARCHIVE:
            return []
        output = plain / f"report.{formatting.format.extension}"
        self._run(self._query, formatting.arguments(), output)
        format_archive(
            self._merged[formatting.format_type in TOGETHER],
            formatting,
            program=self._program,
            queries=len(self._sequences),
            directory=ours,
            blast_formatter=self._executables.get("blast_formatter", "blast_formatter"),
        )
        names = sorted({file.name for directory in (plain, ours) for file in directory.iterdir()})
        is_sam = formatting.format_type == SAM
        return [f"{name}: {line}" for name in names if (line := _first_difference(plain / name, ours / name, is_sam))]

    def all_differences(self) -> dict[int, list[str]]:
        """Return what differs, by format, each with its default options; SAM only of blastn."""
        formats = [f.number for f in FORMATS if f.number != SAM or self._program == "blastn"]
        found = {number: self.differences(Formatting(number)) for number in formats}
        return {number: differences for number, differences in found.items() if differences}

    def _search(self, size: DatabaseSize) -> dict[bytes, bytes]:
        residues = list(dict.fromkeys(sequence.residues for sequence in self._sequences))
        random.Random(1).shuffle(residues)  # noqa: S311 - any other order will do, the same each time
        batch, archive = self._directory / "batch.fasta", self._directory / "batch.asn1"
        batch.write_bytes(b"".join(b">q\n%s\n" % one for one in residues))
        self._run(batch, ["-outfmt", str(ARCHIVE)], archive)
        with archive.open("rb") as stream:
            return {residues[part.position]: part.archive for part in split(stream, size)}

    def _run(self, query: Path, arguments: Sequence[str], output: Path) -> None:
        executable = self._executables.get(self._program, self._program)
        command = [executable, "-query", str(query), *self._options, *arguments, "-out", str(output)]
        run_program(command, environment=self._environment)


def _first_difference(plain: Path, ours: Path, is_sam: bool) -> str:
    if not plain.exists() or not ours.exists():
        return f"only {'ours' if ours.exists() else 'BLAST+'} has it"
    with plain.open("rb") as left, ours.open("rb") as right:
        lines = zip(_lines(left, is_sam), _lines(right, is_sam), strict=False)
        for number, (theirs, line) in enumerate(lines, start=1):
            if theirs != line:
                return f"line {number}: BLAST+ has {theirs[:200]!r}, ours {line[:200]!r}"
        return "" if left.read(1) == right.read(1) == b"" else "one goes on where the other ends"


def _lines(stream: Iterator[bytes], is_sam: bool) -> Iterator[bytes]:
    for line in stream:
        if is_sam and line.startswith(b"@PG\t"):
            yield b"\t".join(part for part in line.split(b"\t") if not part.startswith(b"CL:"))
        else:
            yield line
