"""Writing the files of a report: results merged, formatted, kept."""

from __future__ import annotations

import logging
import math
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from multiblast.archive import Head, merge
from multiblast.archive.alignments import UnknownFormError
from multiblast.database import QueryJob, ReportJob
from multiblast.errors import ConflictError, FailureClass, ObjectMissingError, ProgramError
from multiblast.files import working_space
from multiblast.jobs import Child, ChildColumns
from multiblast.object_kinds import ObjectKind
from multiblast.programs import Running
from multiblast.reports.blast_formatter import BlastFormatter, FormatterElsewhere
from multiblast.reports.blast_report import write_blast_report
from multiblast.reports.formats import ReportFormat
from multiblast.reports.report_options import Formatting
from multiblast.reports.tables import Result, table_of_results
from multiblast.search import SearchContext, SearchEngine, outputs_of, parse_deflines, titled
from multiblast.search.elsewhere import Elsewhere
from multiblast.sequences import Sequence as FastaSequence
from multiblast.sequences import read_canonical
from multiblast.stores import Store
from multiblast.targets import database_argument

if TYPE_CHECKING:
    from multiblast.reports.early_parts import EarlyParts

_log = logging.getLogger(__name__)

_ZIP = "report.zip"
_ZIP_LEVEL = 4  # three times as fast as the default, for a file larger by a twentieth
_LEAST_QUERIES_PER_FORMATTER = 25  # fewer are formatted sooner than another process starts
_MOST_QUERIES_PER_DOCUMENT = 250  # the formatter's time for JSON and XML grows with the square of their number
_KEPT_AT_A_TIME = 4
_FILES_PER_WORKER = 2  # so that the first is formatted while others are merged


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file of a report, and its key in the store."""

    name: str
    size: int
    key: str


@dataclass
class ReportSource:
    """What one report is written from: the sequences of a query job that have a result, in order.

    ``cancelled`` is called several times a second; the formatter is killed once it returns True. With a site, it runs
    there. The first sequence has the number ``first``. Parts that were made before are ``early``.
    """

    engine: SearchEngine
    query: QueryJob
    children: ChildColumns
    context: SearchContext
    cancelled: Callable[[], bool]
    report_id: str = ""
    at: Elsewhere | None = None
    first: int = 1
    early: EarlyParts | None = None

    @property
    def formatter(self) -> BlastFormatter:
        """The program that formats, within this machine's limits."""
        installation = self.engine.installation
        program = installation.program("blast_formatter")
        limits = (program, installation.workers, installation.time_limit_s, self.cancelled)
        return FormatterElsewhere(*limits, order=self._ordered) if self.at else BlastFormatter(*limits)

    def _ordered(self, archive: Path, arguments: Sequence[str], stdout: Path) -> Running:
        assert self.at is not None  # noqa: S101 - see `formatter`
        limit_s, cancelled = self.engine.installation.time_limit_s, self.cancelled
        return self.at.format(
            self.report_id, self.context, archive, arguments, stdout, time_limit_s=limit_s, cancelled=cancelled
        )

    @property
    def title(self) -> str:
        """A heading."""
        return self.query.title or f"{self.query.sequences:,} sequences"

    @property
    def reported(self) -> Iterator[tuple[int, int]]:
        """The numbers that the sequences have in reports, and their lengths; without those that BLAST+ passes over."""
        numbered = enumerate(self.children.letters, start=self.first)
        return ((number, length) for number, length in numbered if not self.context.options.leaves_out(length))

    @property
    def queries(self) -> int:
        """How many sequences are reported: see `reported`."""
        options, letters = self.context.options, self.children.letters
        return len(letters) - (0 if options.part is None else sum(map(options.leaves_out, letters)))

    @property
    def warned(self) -> bool:
        """Whether the program has its warnings about queries in reports: not where it searches volume by volume."""
        volumes = sum(len(database.volumes) for database in self.context.databases)
        return volumes == 1 or self.context.options.program not in {"rpsblast", "rpstblastn"}

    def facts(self) -> dict[str, str]:
        """Return what a reader must know of the search."""
        query, context = self.query, self.context
        facts = {
            "Job": query.id,
            "Program": f"{query.program} {self.engine.installation.version(query.program)}",
            "Databases": ", ".join(
                f"{database.display} ({database.sequences:,} sequences, {database.letters:,} letters)"
                for database in context.databases
            ),
            "Options": " ".join(context.arguments()) or "the program's defaults",
            "Searched": f"{query.finished_at or query.created_at:%Y-%m-%d}",
        }
        return {**facts, "Notes": "; ".join(query.notes)} if query.notes else facts

    def blast_report(self, formatting: Formatting, directory: Path, *, with_ids: bool = False) -> list[Path]:
        """Write a report in a format of BLAST+ into a directory, which must exist.

        Its queries are called as BLAST+ reads their titles ``with_ids``, if the search was to read them.
        """
        row, options = formatting.row, self.context.options
        with_ids = with_ids and options.reads_titles
        size = queries_per_file(row, len(self.children), self.formatter.processes, options.most_rounds)
        with TemporaryDirectory(dir=directory, prefix=".archives-") as name:
            early = self._take_early(formatting, size, Path(name))
            return write_blast_report(
                self.archives(
                    Path(name),
                    size=size,
                    together=row.together,
                    prepare=row.prepare,
                    with_ids=with_ids,
                    printed=early,
                ),
                formatting,
                program=self.query.program,
                queries=self.queries,
                directory=directory,
                parse_deflines=with_ids,
                part=options.part,
                rounds=options.most_rounds,
                warned=self.warned,
                formatter=self.formatter,
            )

    def table(self, formatting: Formatting, directory: Path) -> Path | None:
        """Write a table of the results themselves into a directory; None if the formatter must make it."""
        version = self.engine.installation.version(self.query.program)
        write = table_of_results(formatting, self.context, version) if self.at is None else None
        if write is None:
            return None
        path = directory / f"report.{formatting.row.extension}"
        try:
            with path.open("wb") as output:
                write(self._results_of_table(), output)
        except UnknownFormError as error:
            _log.info("leaves a table to blast_formatter: %s", error, extra={"job": self.query.id})
            path.unlink()
            return None
        return path

    def _results_of_table(self) -> Iterator[Result]:
        for number, (sequence, archive) in enumerate(self.results(), start=self.first):
            if self.cancelled():
                raise ProgramError(["multiblast"], 1, "the report was cancelled\n", FailureClass.CANCELLED)
            yield number, sequence.defline, archive

    def json(self, directory: Path) -> Path:
        """Write format 15 into a directory."""
        (path,) = self.blast_report(Formatting(format="15"), directory)
        return path

    def archives(  # noqa: PLR0913 - which results are merged how
        self,
        directory: Path,
        *,
        size: int = 0,
        together: bool = False,
        prepare: Callable[[bytes], bytes] | None = None,
        with_ids: bool = False,
        printed: Collection[int] = (),
    ) -> Iterator[Path]:
        """Merge the results into one file, or into several of some sequences each: see `ReportFormat`.

        Of those that are ``printed`` already, by their first numbers, only what they state of the search is needed.
        """
        step = size or max(1, len(self.children))
        if self.children and not self.queries:
            raise ConflictError("query_loc begins beyond the end of every sequence: there is nothing to report")
        databases = database_argument(self.context.databases)
        firsts = range(self.first, self.first + max(len(self.children), 1), step)
        files = ((first, self._file(first, step, whole=first not in printed)) for first in firsts)
        needed = ChildColumns(child for _, file in files for child in file) if printed else self.children
        parts = self._parts(needed, with_ids=with_ids)
        for first in firsts:
            archive, count = _archive(directory, first), 1 if first in printed else step
            with archive.open("wb") as output:
                merge(islice(parts, count), output, databases, first=first, together=together, prepare=prepare)
            if archive.stat().st_size or not self.children:
                yield archive

    def _file(self, first: int, size: int, *, whole: bool) -> Sequence[Child]:
        """Return the sequences of a file, or only the first of them that is reported."""
        start = first - self.first
        children = self.children[start : start + size]
        if whole:
            return children
        return [next(child for child in children if not self.context.options.leaves_out(child.letters))]

    def _take_early(self, formatting: Formatting, size: int, directory: Path) -> list[int]:
        """Put what was printed before beside the archives to come; return the first numbers of these."""
        taken = list[int]()
        if self.early is None or self.at is not None or not size:
            return taken
        for first in range(self.first, self.first + len(self.children), size):
            children = self._file(first, size, whole=True)
            if part := self.early.take(children, first, formatting, self.context):
                shutil.move(part, _archive(directory, first).with_suffix(".part"))
                taken.append(first)
        return taken

    def profiles(self) -> Iterator[tuple[int, str, bytes]]:
        """Yield the files that the search kept beside its results: position of the query, name, content."""
        heads = self._heads(self.children, with_ids=self.context.options.reads_titles)
        for child, head in zip(self.children, heads, strict=True):
            for name, key in outputs_of(self.context.options, child.result_key).items():
                with suppress(ObjectMissingError):
                    yield child.position, name, titled(self.engine.store.read(key), head)

    def results(self) -> Iterator[tuple[FastaSequence, bytes]]:
        """Yield the sequences that have a result, and what is kept of it, in order."""
        archives = self.engine.results.archives(self.children.result_keys)
        yield from zip(self._sequences(self.children), archives, strict=True)

    def _parts(self, children: ChildColumns, *, with_ids: bool) -> Iterator[tuple[bytes | Head, bytes]]:
        """Yield the title of each sequence, or what BLAST+ reads in it, and its archive, in order."""
        archives = self.engine.results.archives(children.result_keys)
        yield from zip(self._heads(children, with_ids=with_ids), archives, strict=True)

    def _heads(self, children: ChildColumns, *, with_ids: bool) -> Iterator[bytes | Head]:
        """Yield the title of each sequence, or what BLAST+ reads in it, in order."""
        titles = (sequence.defline for sequence in self._sequences(children))
        molecule, installation = self.context.options.query_molecule, self.engine.installation
        yield from parse_deflines(titles, molecule, installation) if with_ids else titles

    def _sequences(self, children: ChildColumns) -> Iterator[FastaSequence]:
        """Yield some sequences of the query, in order; only of a part of a report, not all before it are read."""
        query, before = self.query, self.first - 1
        wanted = iter(children.positions)
        position = next(wanted, 0) - before
        start = self.children[0].query_offset if before else query.query_offset
        size = query.query_offset + query.query_bytes - start
        with self.engine.store.open(query.query_key, start, size) as stream:
            for sequence in read_canonical(stream):
                if sequence.number == position:
                    yield sequence
                    position = next(wanted, 0) - before
                if position <= 0:
                    return


def queries_per_file(row: ReportFormat, queries: int, processes: int, rounds: int) -> int:
    """Return how many queries of a report are formatted by one process, of which some may run; 0 for all.

    The search has that many rounds at most.
    """
    if not row.is_made_in_parts(rounds):
        return 0
    size = max(math.ceil(queries / (processes * _FILES_PER_WORKER)), _LEAST_QUERIES_PER_FORMATTER)
    return min(size, _MOST_QUERIES_PER_DOCUMENT) if row.joint else size


def _archive(directory: Path, first: int) -> Path:
    return directory / f"archive-{first}.asn1"


@working_space()
def write_report(source: ReportSource, report: ReportJob, version: str) -> tuple[list[ReportFile], tuple[str, ...]]:
    """Write the files of a report and keep them under its ``version``.

    Returns:
        The files, and the ``blast_formatter`` command that prints them, needed or not; empty for formats of ours.

    Raises:
        ProgramError: the formatter failed, or was killed.
        ConflictError: the search left no profile.
    """
    formatting = Formatting.recorded(report.formatting)
    with TemporaryDirectory(prefix="multiblast-") as name:
        directory = Path(name)
        made = directory / "report"
        made.mkdir()
        printed_by: tuple[str, ...] = ("blast_formatter", "-archive", "archive.asn1", *formatting.arguments())
        if source.context.plugin is not None:
            from multiblast.reports.plugin_reports import write_plugin_report

            paths, printed_by = write_plugin_report(source, formatting, made), ()
        elif write := formatting.row.write:
            paths, printed_by = write(source, made), ()
        elif table := source.table(formatting, made):
            paths = [table]
        else:
            paths = source.blast_report(formatting, made, with_ids=True)
        paths.append(_zip(directory / _ZIP, paths))
        place = ObjectKind.REPORT_FILE.spread_key(report.id, f"/{version}")
        with ThreadPoolExecutor(_KEPT_AT_A_TIME) as pool:  # the store, a disk or a server, is what takes the time
            kept = pool.map(lambda path: _keep(source.engine.store, path, f"{place}/{path.name}"), paths)
            return list(kept), printed_by


def _keep(store: Store, path: Path, key: str) -> ReportFile:
    with path.open("rb") as stream:
        return ReportFile(path.name, store.put(key, stream).size_bytes, key)


def _zip(path: Path, files: Sequence[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL) as archive:
        for file in files:
            # Opened by name, a member has the date 1980-01-01, so that equal reports are equal files.
            with file.open("rb") as source, archive.open(file.name, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return path
