"""A merged archive formatted, byte for byte as BLAST+ itself would have printed it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

from multiblast.archive.notes import Section, read_search, read_sections
from multiblast.archive.statistics import Search
from multiblast.errors import ArchiveError
from multiblast.programs import Program
from multiblast.reports.deltablast import as_deltablast
from multiblast.reports.filters import annotate, join_pairwise, join_sam, join_tabular, read_chunks, restore_statistics
from multiblast.reports.formats import Formatting
from multiblast.reports.rounds import QueryRounds, complete, join_structured, split_rounds

__all__ = ["ARCHIVE", "ENVIRONMENT", "JOINABLE", "SAM", "TOGETHER", "format_archive"]

ENVIRONMENT = {
    "BLAST_USAGE_REPORT": "false",
    # Titles outside ASCII as they are; by default each of their bytes becomes "#".
    "NCBI_CONFIG__SERIAL__WRONG_CHARS_READ": "ALLOW",
}

PAIRWISE, COMMENTED_TABLE, ARCHIVE, SAM = range(5), 7, 11, 17
JSON = (13, 15)
JOINABLE = frozenset({*PAIRWISE, 6, COMMENTED_TABLE, 10, 12, SAM, 18})
"""Formats in which the report of many queries is the reports of some and of the others, one after the other."""
TOGETHER = frozenset({6, COMMENTED_TABLE, 10, 12, SAM, 18})
"""Formats that print no statistics of a query, so that its archive may hold others (`merge`)."""
ROUNDS_SAID = frozenset({*PAIRWISE, 6, COMMENTED_TABLE, 10, 18})  # text and tables
PSI, DELTA = "psi", "delta_blast"
ANNOTATED = (5, 15, 16)  # in one file
STRUCTURED = (15, 16)  # a report a query, which can be put together


def format_archive(  # noqa: PLR0913 - a report, its place and the limits of making it
    archive: Path | Iterable[Path],
    formatting: Formatting,
    *,
    program: str,
    queries: int,
    directory: Path,
    parse_deflines: bool = False,
    blast_formatter: Path | str = "blast_formatter",
    timeout_s: float = 0,
    cancelled: Callable[[], bool] | None = None,
) -> list[Path]:
    """Write a report and return its files, the one to open first before those of single queries.

    Args:
        archive: What `multiblast.archive.merge` wrote; for a format in `JOINABLE` several such
            files, one continuing the other's numbers: each is formatted while the next one is made.
        formatting: Format and options.
        program: The program that searched.
        queries: How many there are.
        directory: Where ``report.<extension>`` and the like go; it must exist.
        parse_deflines: Whether the archive has the ids that BLAST+ reads in titles.
        blast_formatter: The program, by path or name.
        timeout_s: Wall-clock limit in seconds; 0 is none.
        cancelled: Asked several times a second; the program is killed once it returns True.

    Raises:
        InvalidInputError: the program has no such report.
        ArchiveError: the archive is damaged, or its report holds not all queries.
        ProgramError: ``blast_formatter`` failed.
    """
    formatting.check_program(program)
    archives = iter([archive] if isinstance(archive, Path) else archive)
    first = next(archives)
    report = directory / f"report.{formatting.format.extension}"
    if formatting.format_type == ARCHIVE:
        shutil.copyfile(first, report)
        return [report]
    command = [str(blast_formatter), *formatting.arguments(), *(["-parse_deflines"] if parse_deflines else [])]
    start = partial(Program, environment=ENVIRONMENT, timeout_s=timeout_s, cancelled=cancelled)
    making = _Making(formatting, command, start, report, queries)
    service = _search(first).service
    if service == DELTA:
        return [making.renamed(path) for path in making.whole(first, archives)]
    if service != PSI:
        return making.whole(first, archives)
    return making.rounds([first, *archives])


Cure = Callable[[BinaryIO], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class _Making:
    """The making of one report.

    Attributes:
        command: Of ``blast_formatter``, but for the archive.
        start: Starts a program, as `Program`.
        report: The file to open first.
        queries: How many there are.
    """

    formatting: Formatting
    command: Sequence[str]
    start: Callable[..., Program]
    report: Path
    queries: int

    @property
    def number(self) -> int:
        return self.formatting.format_type

    @property
    def is_json(self) -> bool:
        return self.number in JSON

    def whole(self, archive: Path, others: Iterable[Path]) -> list[Path]:
        """Format all queries of a file by one program; other files at the same time."""
        raw = self.report.with_name("report.raw")
        if self.number in JOINABLE:
            self._join(itertools.chain([archive], others), raw)
            self._rewrite(raw, self._cure(archive, self.queries), self.report)
            return [self.report]
        if self.formatting.format.one_file_a_query:
            self._run(archive, self.report)
            files = self._files()
            sections = [[section] for section in _sections(archive)]
            if any(section.note or section.gapped for (section,) in sections):
                for path, of_query in zip(files, sections, strict=True):
                    self._rewrite(path, self._structured(of_query))
            return [self.report, *files]
        cure = self._cure(archive, self.queries)
        output = raw if cure else self.report
        with self.start([*self.command, "-archive", str(archive)], stdout=output) as running:
            if cure:
                self._apply(cure, running, raw)
            running.finish()
        return [self.report]

    def rounds(self, archives: Sequence[Path]) -> list[Path]:
        """Format what may be several rounds of psiblast a query."""
        with TemporaryDirectory(dir=self.report.parent, prefix=".rounds-") as name:
            rounds = split_rounds(archives, Path(name))
            if all(len(query.sections) == 1 for query in rounds):
                return self.whole(archives[0], archives[1:])
            return self.by_query(archives, rounds)

    def by_query(self, archives: Sequence[Path], rounds: Sequence[QueryRounds]) -> list[Path]:
        """Format each query's rounds alone: something goes between, and ``blast_formatter`` mixes up XML2 and JSON."""
        if self.formatting.format.one_file_a_query:
            self._run(archives[0], self.report)  # for the list of files
            for path, query in zip(self._files(), rounds, strict=True):
                single = query.archive.with_suffix(path.suffix)
                self._run(query.archive, single)
                self._rewrite(
                    single.with_name(f"{single.stem}_1{single.suffix}"), self._structured(query.sections), path
                )
            return [self.report, *self._files()]
        if self.number in STRUCTURED:
            parts = self._each(query.archive for query in rounds)
            for part, query in zip(parts, rounds, strict=True):
                self._rewrite(part, self._structured(query.sections))
            with self.report.open("wb") as output:
                join_structured(parts, output, is_json=self.is_json)
            return [self.report]
        if self.number not in ROUNDS_SAID:
            return self.whole(archives[0], archives[1:])
        raw = self.report.with_name("report.raw")
        self._join((query.archive for query in rounds), raw, rounds)
        sections = sum(len(query.sections) for query in rounds)
        cure = self._cure(rounds[0].archive, sections if self.number == COMMENTED_TABLE else self.queries)
        self._rewrite(raw, cure, self.report)
        return [self.report]

    def renamed(self, path: Path) -> Path:
        """Say in a report of deltablast that it is one."""
        self._rewrite(path, lambda stream: as_deltablast(read_chunks(stream), self.number))
        return path

    def _run(self, archive: Path, output: Path) -> None:
        with self.start([*self.command, "-archive", str(archive), "-out", str(output)]) as running:
            running.finish()

    def _each(self, archives: Iterable[Path]) -> list[Path]:
        """Format several archives at the same time, each as soon as it is there; return what is printed of each."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            return list(pool.map(self._print, archives))

    def _print(self, archive: Path) -> Path:
        output = archive.with_suffix(".part")
        with self.start([*self.command, "-archive", str(archive)], stdout=output) as running:
            running.finish()
        return output

    def _join(self, archives: Iterable[Path], raw: Path, rounds: Sequence[QueryRounds] = ()) -> None:
        """Format several archives at the same time, and write what is printed of them into one file, in order."""
        with raw.open("wb") as joined:
            for output, query in itertools.zip_longest(self._each(archives), rounds):
                if query:
                    joined.write(complete(output.read_bytes(), query, is_pairwise=self.number in PAIRWISE))
                else:
                    with output.open("rb") as part:
                        shutil.copyfileobj(part, joined)
                output.unlink()

    def _cure(self, archive: Path, queries: int) -> Cure | None:
        """Return what makes the format's output whole; None if nothing needs to be done."""
        if self.number == COMMENTED_TABLE:
            return lambda stream: join_tabular(read_chunks(stream), queries)
        if self.number == SAM:
            return join_sam
        if self.number in PAIRWISE:
            search = _search(archive)
            return lambda stream: join_pairwise(read_chunks(stream), search, queries)
        if self.number not in ANNOTATED:
            return None
        sections = list(_sections(archive))
        return self._structured(sections) if any(section.note or section.gapped for section in sections) else None

    def _structured(self, sections: Sequence[Section]) -> Cure:
        """Return what makes an XML or JSON report whole."""
        notes, parameters = [section.note for section in sections], [section.gapped for section in sections]
        return lambda stream: restore_statistics(annotate(stream, notes, is_json=self.is_json), parameters)

    def _files(self) -> list[Path]:
        """Return the files of single queries."""
        report = self.report
        return [report.with_name(f"{report.stem}_{number}{report.suffix}") for number in range(1, self.queries + 1)]

    def _apply(self, cure: Cure, running: Program, raw: Path) -> None:
        """Write the cured report while the program still writes the raw one."""
        try:
            followed = cast("RawIOBase", running.follow(raw))
            with BufferedReader(followed) as stream, self.report.open("wb") as output:
                output.writelines(cure(stream))
        except ArchiveError:
            running.finish()  # a program that failed half-way says why
            raise
        finally:
            raw.unlink()

    @staticmethod
    def _rewrite(path: Path, cure: Cure | None, into: Path | None = None) -> None:
        if cure:
            cured = path.with_suffix(".cured")
            with path.open("rb") as stream, cured.open("wb") as output:
                output.writelines(cure(stream))
            path.unlink()
            path, into = cured, into or path
        if into:
            path.replace(into)


def _search(archive: Path) -> Search:
    with archive.open("rb") as stream:
        return read_search(stream)


def _sections(archive: Path) -> Iterator[Section]:
    with archive.open("rb") as stream:
        yield from read_sections(stream)
