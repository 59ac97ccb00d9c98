"""Making the files of a report: results merged, formatted, kept."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from multiblast.archive import Head, merge
from multiblast.database import QueryJob, ReportJob
from multiblast.errors import ConflictError, ObjectMissingError
from multiblast.installation import Installation
from multiblast.jobs import Child
from multiblast.options import QUERY_MOLECULE
from multiblast.reports.formatting import JOINABLE, TOGETHER, format_archive
from multiblast.reports.hits import write_hits
from multiblast.reports.html import write_html
from multiblast.reports.requests import ReportFormat, ReportRequest, read_report_request
from multiblast.search import Search, outputs_of, parse_deflines, titled
from multiblast.sequences import Sequence as FastaSequence
from multiblast.sequences import read_fasta
from multiblast.stores import Store
from multiblast.targets import database_argument
from multiblast.working_space import working_space

__all__ = ["Maker", "ReportFile"]

_ZIP = "report.zip"
_LEAST_QUERIES_A_FORMATTER = 25  # fewer are formatted sooner than another process starts
_FILES_A_WORKER = 2  # so that the first is formatted while others are merged


class _Ending(TypedDict):
    """What ends a formatter early: see `multiblast.programs.Program`."""

    timeout_s: float
    cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file of a report.

    Attributes:
        key: Where it is in the store.
    """

    name: str
    size: int
    key: str


class Maker:
    """Makes the files of reports.

    Args:
        search: The query jobs and their results.
        store: Where queries are, and reports are kept.
        installation: The programs of this machine.
    """

    def __init__(self, search: Search, store: Store, installation: Installation) -> None:
        self._search, self._store, self._installation = search, store, installation

    @working_space()
    def write(
        self,
        report: ReportJob,
        query: QueryJob,
        children: Sequence[Child],
        results: str,
        cancelled: Callable[[], bool],
    ) -> tuple[list[ReportFile], tuple[str, ...]]:
        """Make the files of a report and keep them; return them, and the ``blast_formatter`` command that made them.

        Args:
            report: The report job.
            query: The job whose results it shows.
            children: Those of its sequences that have a result, in order.
            results: Digest of these results; the files are kept under it.
            cancelled: Asked several times a second; the formatter is killed once it returns True.

        Raises:
            ProgramError: the formatter failed, or was killed.
            ConflictError: a database changed since the job was searched, or the search left no profile.
        """
        options = {key: value for key, value in report.formatting.items() if key not in {"formatType", "partial"}}
        request = read_report_request(report.formatting["formatType"], options=options)
        context = self._search.context(query.id)
        with TemporaryDirectory(prefix="multiblast-") as name:
            directory = Path(name)
            made = directory / "report"
            made.mkdir()
            if request.format is ReportFormat.PSSM:
                paths = self._profiles(query, children, made)
            else:
                archives = self._merge(query, children, database_argument(context.databases), directory, request)
                paths = self._format(request, archives, query, len(children), made, cancelled)
            paths.append(_zip(directory / _ZIP, paths))
            place = f"reports/{report.id[:2]}/{report.id}/{results[:8]}"
            command = ("blast_formatter", "-archive", "archive.asn1", *request.formatting.arguments())
            files = [self._keep(path, f"{place}/{path.name}") for path in paths]
            return files, () if request.format.is_ours else command

    def _profiles(self, query: QueryJob, children: Sequence[Child], directory: Path) -> list[Path]:
        """Copy the files that a search left beside its results, each named after its query's position if not alone."""
        options, paths = self._search.options(query), []
        for child, sequence in zip(children, self._sequences(query, children), strict=True):
            for name, key in outputs_of(options, child.result_key).items():
                path = directory / name
                path = path.with_stem(f"{path.stem}_{child.position}") if query.sequences > 1 else path
                with suppress(ObjectMissingError):
                    path.write_bytes(titled(self._store.read(key), sequence.defline))
                    paths.append(path)
        if not paths:
            raise ConflictError(
                f"{query.program} left no profile: it makes one from hits of a round before the last, "
                "and with save_pssm_after_last_round from those of the last"
            )
        return paths

    def _merge(
        self, query: QueryJob, children: Sequence[Child], databases: str, directory: Path, request: ReportRequest
    ) -> Iterator[Path]:
        """Merge the results, into several files where these can be formatted at the same time."""
        joinable = not request.format.is_ours and request.formatting.format_type in JOINABLE
        files = self._installation.workers * _FILES_A_WORKER if joinable else 1
        size = max(math.ceil(len(children) / files), _LEAST_QUERIES_A_FORMATTER if joinable else 1)
        together = request.format is ReportFormat.PARQUET or (
            not request.format.is_ours and request.formatting.format_type in TOGETHER
        )
        parts = self._parts(query, children)
        if not request.format.is_ours and self._parses_deflines(query):
            parts = self._with_ids(query, children, parts)
        for first in range(1, max(len(children), 1) + 1, size):
            archive = directory / f"archive-{first}.asn1"
            with archive.open("wb") as output:
                merge(islice(parts, size), output, databases, first=first, together=together)
            yield archive

    def _format(  # noqa: PLR0913, PLR0917 - a report, its place and what ends it early
        self,
        request: ReportRequest,
        archives: Iterator[Path],
        query: QueryJob,
        queries: int,
        directory: Path,
        cancelled: Callable[[], bool],
    ) -> list[Path]:
        formatter = self._installation.program("blast_formatter")
        ending = _Ending(timeout_s=self._installation.time_limit_s, cancelled=cancelled)
        match request.format:
            case ReportFormat.HTML:
                page = directory / "report.html"
                title = query.title or f"{query.sequences:,} sequences"
                facts = self._facts(query)
                write_html(next(archives), page, blast_formatter=formatter, title=title, facts=facts, **ending)
                return [page]
            case ReportFormat.PARQUET:
                table = directory / "report.parquet"
                write_hits(next(archives), table, formatter, **ending)
                return [table]
        return format_archive(
            archives,
            request.formatting,
            program=query.program,
            queries=queries,
            directory=directory,
            parse_deflines=self._parses_deflines(query),
            blast_formatter=formatter,
            **ending,
        )

    def _parses_deflines(self, query: QueryJob) -> bool:
        return bool(getattr(self._search.options(query), "parse_deflines", False))

    def _facts(self, query: QueryJob) -> dict[str, str]:
        """Return what an HTML report says of its making."""
        context = self._search.context(query.id)
        facts = {
            "Job": query.id,
            "Program": f"{query.program} {self._installation.version(query.program)}",
            "Databases": ", ".join(
                f"{database.display} ({database.sequences:,} sequences, {database.letters:,} letters)"
                for database in context.databases
            ),
            "Options": " ".join(context.options.arguments(context.paths)) or "the program's defaults",
            "Searched": f"{query.finished_at or query.created_at:%Y-%m-%d}",
        }
        return {**facts, "Notes": "; ".join(query.notes)} if query.notes else facts

    def _keep(self, path: Path, key: str) -> ReportFile:
        with path.open("rb") as stream:
            return ReportFile(path.name, self._store.put(key, stream).size_bytes, key)

    def _with_ids(
        self, query: QueryJob, children: Sequence[Child], parts: Iterator[tuple[bytes | Head, bytes]]
    ) -> Iterator[tuple[bytes | Head, bytes]]:
        """Yield parts with the ids that BLAST+ reads in their titles."""
        deflines = (sequence.defline for sequence in self._sequences(query, children))
        heads = parse_deflines(deflines, QUERY_MOLECULE[query.program], self._installation)
        for head, (_, archive) in zip(heads, parts, strict=True):
            yield head, archive

    def _parts(self, query: QueryJob, children: Sequence[Child]) -> Iterator[tuple[bytes | Head, bytes]]:
        """Yield the defline and the archive of each sequence that has a result, in order."""
        archives = self._search.results.archives([child.result_key for child in children])
        for sequence, archive in zip(self._sequences(query, children), archives, strict=True):
            yield sequence.defline, archive

    def _sequences(self, query: QueryJob, children: Sequence[Child]) -> Iterator[FastaSequence]:
        """Yield those sequences of a query that have a result, in order."""
        wanted = {child.position for child in children}
        with self._store.open(query.query_key, query.query_offset, query.query_bytes) as stream:
            yield from (sequence for sequence in read_fasta(stream) if sequence.number in wanted)


def _zip(path: Path, files: Sequence[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            # A fixed date, so that equal reports are equal files.
            info = zipfile.ZipInfo(file.name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return path
