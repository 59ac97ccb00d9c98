"""A report in one of BLAST+'s formats, byte for byte as the search program itself would have printed it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import cast

from multiblast.archive.notes import Section, read_sections
from multiblast.errors import ArchiveError
from multiblast.options.declarations.shared import MOST_TARGETS
from multiblast.programs import Running
from multiblast.reports import deltablast
from multiblast.reports.blast_formatter import BlastFormatter
from multiblast.reports.computed_fields import complete_table, computed_fields, printed_as
from multiblast.reports.formats import ReportFormat
from multiblast.reports.joined_output import PrintedArchive, Rewriting, substitute
from multiblast.reports.joints import Joint, join_documents
from multiblast.reports.report_options import Formatting
from multiblast.reports.rounds import QueryRounds, complete, join_rounds, split_rounds
from multiblast.stores.base import chunks

ARCHIVE = "11"
_PSIBLAST, _DELTABLAST = "psi", "delta_blast"  # the services that archives name


def write_blast_report(  # noqa: PLR0913 - an archive, its report, and how it is made
    archive: Path | Iterable[Path],
    formatting: Formatting,
    *,
    program: str,
    queries: int,
    directory: Path,
    parse_deflines: bool = False,
    part: tuple[int, int] | None = None,
    rounds: int = 1,
    warned: bool = True,
    formatter: BlastFormatter | None = None,
) -> list[Path]:
    """Write a report into an existing directory; return its files, the one to open before those of single queries.

    Args:
        archive: What `multiblast.archive.merge` wrote; for a format that is made in parts several such
            files, one continuing the other's numbers: each is formatted while the next one is made.
        formatting: Format and options.
        program: The program that searched.
        queries: How many there are.
        directory: Where ``report.<extension>`` and the like go.
        parse_deflines: Whether the archive has the ids that BLAST+ reads in titles.
        part: First and last letter, 0-based, that were searched of each query; by default as the archive states.
        rounds: How many psiblast was to search at most; 0 for no limit.
        warned: Whether the program has its warnings about queries in reports.
        formatter: The program that formats; by default the one on the path.

    Raises:
        InvalidInputError: the program has no such report.
        ArchiveError: the archive is damaged, or its report holds not all queries.
        ProgramError: ``blast_formatter`` failed.
    """
    formatting.check_program(program)
    archives = iter([archive] if isinstance(archive, Path) else archive)
    first = next(archives)
    output = directory / f"report.{formatting.row.extension}"
    if formatting.format == ARCHIVE:
        shutil.copyfile(first, output)
        return [output]
    report = _report(first, formatting, formatter or BlastFormatter(), output, queries, part, warned, parse_deflines)
    service = PrintedArchive(first).search().service
    if service == _PSIBLAST or (service == _DELTABLAST and rounds != 1):
        files = report.write_rounds([first, *archives], several=rounds != 1)
    else:
        files = report.write(first, archives)
    if service == _DELTABLAST and (renaming := formatting.row.deltablast):
        renaming = renaming if rounds == 1 else deltablast.OF_ROUNDS.get(renaming, renaming)
        for path in files:
            _rewrite(path, lambda stream: substitute(chunks(stream), *renaming))
    return files


def print_part(
    archive: Path, formatting: Formatting, *, part: tuple[int, int] | None, warned: bool, formatter: BlastFormatter
) -> Path:
    """Print a part of a report, of which the archive is one, into the file beside that, where a report takes it."""
    report = _report(archive, formatting, formatter, archive, 0, part, warned)
    return formatter.print(archive, report.arguments, report.complete_document if formatting.row.joint else None)


def _report(  # noqa: PLR0913, PLR0917 - what makes a report
    archive: Path,
    formatting: Formatting,
    formatter: BlastFormatter,
    output: Path,
    queries: int,
    part: tuple[int, int] | None,
    warned: bool,
    parse_deflines: bool = False,
) -> _Report:
    """Return a report of what was searched as this archive states."""
    search, row = PrintedArchive(archive).search(), formatting.row
    printed = _as_many_as_searched(formatting, search.most_subjects)
    if computed_fields(search, formatting.fields):
        printed = printed_as(printed)
        row = replace(row, post_process=partial(complete_table, formatting=formatting))
    arguments = [*printed.arguments(), *(["-parse_deflines"] if parse_deflines else [])]
    return _Report(row, arguments, formatter, output, queries, part, warned)


def _as_many_as_searched(formatting: Formatting, most: int | None) -> Formatting:
    """Return a request for as many descriptions and alignments as a program shows by ``-max_target_seqs``.

    The formatter has its own defaults, also for psiblast, of which an archive holds more than that. And it does not
    see line length and order where more than by default were searched, unless these numbers are given.
    """
    shown = formatting.max_target_sequences or most
    if "num_descriptions" not in formatting.row.options or most in {None, MOST_TARGETS}:
        return formatting
    return formatting.model_copy(
        update={
            "max_target_sequences": None,
            "num_descriptions": shown if formatting.num_descriptions is None else formatting.num_descriptions,
            "num_alignments": shown if formatting.num_alignments is None else formatting.num_alignments,
        }
    )


@dataclass(frozen=True, slots=True)
class _Report:
    """A report that is being written; ``output`` is the file to open first."""

    format: ReportFormat
    arguments: Sequence[str]
    formatter: BlastFormatter
    output: Path
    queries: int
    part: tuple[int, int] | None
    warned: bool

    def write(self, archive: Path, others: Iterable[Path] = ()) -> list[Path]:
        """Format all queries of a file by one process; other files at the same time."""
        if joint := self.format.joint:
            self._write_documents(itertools.chain([archive], others), joint)
            return [self.output]
        if self.format.joinable:
            raw = self._join(itertools.chain([archive], others))
            _rewrite(raw, self._rewriting(PrintedArchive(archive, self.queries)), self.output)
            return [self.output]
        if self.format.file_per_query:
            files = self._write_files(archive)
            with archive.open("rb") as stream:
                for path, section in zip(files, read_sections(stream, self.part), strict=True):
                    _rewrite(path, self._rewriting(PrintedArchive(archive, sections=[section])))
            return [self.output, *files]
        if rewriting := self._rewriting(PrintedArchive(archive, self.queries)):
            raw = self._raw
            with self.formatter.start(archive, self.arguments, raw) as running:
                self._rewrite_meanwhile(rewriting, running, raw)
        else:
            self.formatter.run(archive, self.arguments, self.output)
        return [self.output]

    def write_rounds(self, archives: Sequence[Path], *, several: bool) -> list[Path]:
        """Format the rounds of each query; if there could be several, BLAST+ says why there was one only."""
        with TemporaryDirectory(dir=self.output.parent, prefix=".rounds-") as name:
            rounds = split_rounds(archives, Path(name), self.part) if several else []
            if any(len(query.sections) > 1 or query.converged for query in rounds):
                # Each query alone: something goes between, and the formatter mixes up rounds in XML2 and JSON.
                if self.format.file_per_query:
                    return self._write_file_per_query(archives[0], rounds)
                if (joint := self.format.joint) and not joint.number:
                    return self._write_structured(rounds, joint)
                if self.format.names_rounds:
                    return self._write_text(rounds)
            if any(section.printed for query in rounds for section in query.sections):
                archives = [join_rounds(rounds, Path(name) / archives[0].name)]
            return self.write(archives[0], archives[1:])

    def _write_file_per_query(self, archive: Path, rounds: Sequence[QueryRounds]) -> list[Path]:
        files = self._write_files(archive)  # for the list of files, too
        for path, query in zip(files, rounds, strict=True):
            single = query.archive.with_suffix(path.suffix)
            self.formatter.run(query.archive, [*self.arguments, "-out", str(single)])
            rewriting = self._rewriting(PrintedArchive(query.archive, sections=query.sections))
            _rewrite(single.with_name(f"{single.stem}_1{single.suffix}"), rewriting, path)
        return [self.output, *files]

    def _write_structured(self, rounds: Sequence[QueryRounds], joint: Joint) -> list[Path]:
        self._write_documents((query.archive for query in rounds), joint, rounds)
        return [self.output]

    def _write_documents(self, archives: Iterable[Path], joint: Joint, rounds: Sequence[QueryRounds] = ()) -> None:
        """Format several archives at the same time, complete each document, and put them together."""
        sections = {query.archive: query.sections for query in rounds}
        complete = partial(self.complete_document, sections=sections)
        with self.output.open("wb") as output:
            join_documents(self.formatter.print_each(archives, self.arguments, complete), output, joint)

    def complete_document(
        self, archive: Path, document: Path, sections: Mapping[Path, Sequence[Section]] = MappingProxyType({})
    ) -> None:
        """Put into a document of an archive what BLAST+ prints and the formatter does not."""
        _rewrite(document, self._rewriting(PrintedArchive(archive, sections=sections.get(archive))))

    def _write_text(self, rounds: Sequence[QueryRounds]) -> list[Path]:
        raw = self._join((query.archive for query in rounds), rounds)
        # Of pairwise text there is one report per query, with all rounds; tables are one per round.
        is_table = bool(self.format.fields)
        reports = sum(len(query.sections) for query in rounds) if is_table else self.queries
        _rewrite(raw, self._rewriting(PrintedArchive(rounds[0].archive, reports)), self.output)
        return [self.output]

    @property
    def _raw(self) -> Path:
        return self.output.with_name("report.raw")

    def _rewriting(self, printed: PrintedArchive) -> Rewriting | None:
        printed = replace(printed, part=self.part, warned=self.warned)
        return self.format.post_process(printed) if self.format.post_process else None

    def _write_files(self, archive: Path) -> list[Path]:
        """Format an archive into an index and one file per query; return the latter."""
        self.formatter.run(archive, [*self.arguments, "-out", str(self.output)])
        output = self.output
        return [output.with_name(f"{output.stem}_{number}{output.suffix}") for number in range(1, self.queries + 1)]

    def _join(self, archives: Iterable[Path], rounds: Sequence[QueryRounds] = ()) -> Path:
        """Format several archives at the same time, and write what is printed of them into one file, in order."""
        with self._raw.open("wb") as joined:
            parts = self.formatter.print_each(archives, self.arguments)
            for part, query in itertools.zip_longest(parts, rounds):
                if query:
                    joined.write(complete(part.read_bytes(), query, is_pairwise="line_length" in self.format.options))
                else:
                    with part.open("rb") as stream:
                        shutil.copyfileobj(stream, joined)
                part.unlink()
        return self._raw

    def _rewrite_meanwhile(self, rewriting: Rewriting, running: Running, raw: Path) -> None:
        """Write the completed report while the program still writes the raw one."""
        try:
            followed = cast("RawIOBase", running.follow(raw))
            with BufferedReader(followed) as stream, self.output.open("wb") as output:
                output.writelines(rewriting(stream))
        except ArchiveError:
            running.finish()  # of a program that failed half-way its own error says more
            raise
        finally:
            raw.unlink()
        running.finish()


def _rewrite(path: Path, rewriting: Rewriting | None, into: Path | None = None) -> None:
    """Rewrite a file, if there is something to rewrite, and move it."""
    if rewriting:
        rewritten = path.with_suffix(".rewritten")
        with path.open("rb") as stream, rewritten.open("wb") as output:
            output.writelines(rewriting(stream))
        path.unlink()
        path, into = rewritten, into or path
    if into:
        path.replace(into)
