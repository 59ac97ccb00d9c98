"""What each format still needs where ``blast_formatter`` does not print what the search program itself prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multiblast.archive.notes import Section, read_search, read_sections
from multiblast.archive.statistics import SearchRequest
from multiblast.reports.corrections import (
    annotate,
    join_pairwise,
    join_sam,
    join_tabular,
    read_chunks,
    restore_statistics,
)

Rewriting = Callable[[BinaryIO], Iterable[bytes]]
"""Yields a changed copy of a stream."""


@dataclass(frozen=True, slots=True)
class PrintedArchive:
    """An archive of which a report was printed, as far as this tells how to complete the report.

    Attributes:
        archive: The file.
        reports: How many reports there must be: one per query, or per round of psiblast.
        sections: Those of the report, if it is not of the whole file.
    """

    archive: Path
    reports: int = 1
    sections: Sequence[Section] | None = None

    def search(self) -> SearchRequest:
        """Read what the archive says of the search."""
        with self.archive.open("rb") as stream:
            return read_search(stream)

    def read_sections(self) -> Sequence[Section]:
        """Return the sections of the report, which are read from the archive if need be."""
        if self.sections is not None:
            return self.sections
        with self.archive.open("rb") as stream:
            return list(read_sections(stream))


PostProcessor = Callable[[PrintedArchive], Rewriting | None]
"""Returns what completes a report of an archive; None if nothing is missing."""


def join_pairwise_reports(printed: PrintedArchive) -> Rewriting:
    """Leave one header and one footer; complete the statistics."""
    search = printed.search()
    return lambda stream: join_pairwise(read_chunks(stream), search, printed.reports)


def join_tables(printed: PrintedArchive) -> Rewriting:
    """Leave one trailer, with the number of all queries."""
    return lambda stream: join_tabular(read_chunks(stream), printed.reports)


def join_sam_files(_printed: PrintedArchive) -> Rewriting:
    """Leave one header that names each reference once."""
    return join_sam


def annotate_xml(printed: PrintedArchive) -> Rewriting | None:
    """Put notes and gapped parameters into XML."""
    return _annotate(printed, is_json=False)


def annotate_json(printed: PrintedArchive) -> Rewriting | None:
    """Put notes and gapped parameters into JSON."""
    return _annotate(printed, is_json=True)


def _annotate(printed: PrintedArchive, *, is_json: bool) -> Rewriting | None:
    sections = printed.read_sections()
    if not any(section.note or section.gapped for section in sections):
        return None
    notes, parameters = [section.note for section in sections], [section.gapped for section in sections]
    return lambda stream: restore_statistics(annotate(stream, notes, is_json=is_json), parameters)
