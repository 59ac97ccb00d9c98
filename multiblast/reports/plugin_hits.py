"""Hits that a search plugin found, read from its rows: for tables, for Parquet, and for pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from multiblast.archive.matrices import COLUMNS, MATRICES
from multiblast.archive.rows import read_rows
from multiblast.reports.coverage import coverage_percent
from multiblast.reports.hits import HIT_FIELDS
from multiblast.reports.html.archive_reader import Hsp, QueryResult, Subject
from multiblast.search import options_of
from multiblast.sequences import read_canonical
from multiblast.sequences.sequence import as_text

if TYPE_CHECKING:
    from multiblast.database import QueryJob
    from multiblast.jobs import Child
    from multiblast.plugins.search_programs import SearchPlugin
    from multiblast.search import SearchEngine
    from multiblast.sequences import Sequence as FastaSequence

_MATRIX = "BLOSUM62"
_NO_HITS = "No hits found"

Row = Mapping[str, str]
"""Values by the names of columns."""


@dataclass(frozen=True)
class PluginHits:
    """What a plugin found for one query.

    Attributes:
        position: Of the query, 1-based, among those that are reported.
        archive: The rows, as they are kept.
        matrix: By which similar residues are told from others.
        most_subjects: How many subjects are reported; 0 is all.
    """

    plugin: SearchPlugin
    position: int
    query: FastaSequence
    archive: bytes
    matrix: str = _MATRIX
    most_subjects: int = 0

    @property
    def query_id(self) -> bytes:
        """What the program calls the query."""
        found = _pattern(self.plugin.table.query_id).match(self.query.defline)
        words = self.query.defline.split(maxsplit=1)
        return (found[1] if found else words[0] if words else b"") or b"Query_%d" % self.position

    def table(self, fields: Sequence[str]) -> Iterator[list[bytes]]:
        """Yield the values of fields for each hit, as the program printed them."""
        columns, rows = self._rows
        of_query = {"qseqid": self.query_id, "qtitle": self.query.defline, "full_qseq": self.query.residues.upper()}
        sources = [self.plugin.fields[name] for name in fields]
        at = [columns.index(name) if name in columns else None for name in sources] if rows else []
        given = [of_query.get(name, b"") for name in sources]
        for row in rows:
            yield [value if index is None else row[index] for index, value in zip(at, given, strict=True)]

    @cached_property
    def _rows(self) -> tuple[tuple[str, ...], list[list[bytes]]]:
        columns, rows = read_rows(self.archive)
        if self.most_subjects and rows:
            subject = columns.index("sseqid")
            shown = set(list(dict.fromkeys(row[subject] for row in rows))[: self.most_subjects])
            rows = [row for row in rows if row[subject] in shown]
        return columns, rows

    @cached_property
    def subjects(self) -> list[list[Row]]:
        """The hits as texts, by subject."""
        columns, rows = self._rows
        grouped: dict[str, list[Row]] = {}
        for row in rows:
            values = dict(zip(columns, map(as_text, row), strict=True))
            grouped.setdefault(values["sseqid"], []).append(values)
        return list(grouped.values())

    def result(self) -> QueryResult:
        """Return them as pages show them."""
        name, _, title = self.query.title.partition(" ")
        subjects = tuple(map(self._subject, self.subjects))
        return QueryResult(
            position=self.position,
            name=name or f"Query_{self.position}",
            title=title.strip(),
            length=self.query.length,
            message="" if subjects else _NO_HITS,
            subjects=subjects,
        )

    def _subject(self, rows: Sequence[Row]) -> Subject:
        first = rows[0]
        name, _, title = first.get("stitle", first["sseqid"]).partition(" ")
        return Subject(first["sseqid"], title, int(first["slen"]), (), tuple(map(self._hsp, rows)), name)

    def _hsp(self, row: Row) -> Hsp:
        midline = self._midline(row)
        query, subject = row["qseq_gapped"], row["sseq_gapped"]
        identical = sum(one.upper() == other.upper() for one, other in zip(query, subject, strict=True))
        return Hsp(
            float(row["bitscore"]),
            _whole(row.get("score"), 0),
            float(row["evalue"]),
            _whole(row.get("nident"), identical),
            _whole(row.get("positive"), len(midline) - midline.count(" ")),
            _whole(row.get("gaps"), query.count("-") + subject.count("-")),
            int(row["length"]),
            int(row["qstart"]),
            int(row["qend"]),
            int(row["sstart"]),
            int(row["send"]),
            _whole(row.get("qframe"), 0),
            0,
            query,
            midline,
            subject,
        )

    def _midline(self, row: Row) -> str:
        similar = _similar(self.matrix)
        pairs = zip(row["qseq_gapped"].upper(), row["sseq_gapped"].upper(), strict=True)
        return "".join(one if one == other != "-" else "+" if (one, other) in similar else " " for one, other in pairs)

    def standard(self) -> Iterator[list[str]]:
        """Yield each hit as a row of `multiblast.reports.hits.write_hit_rows`."""
        for rows in self.subjects:
            spans = [(int(row["qstart"]), int(row["qend"])) for row in rows]
            covered = coverage_percent(spans, self.query.length)
            for row, span in zip(rows, spans, strict=True):
                yield self._standard(row, covered, coverage_percent([span], self.query.length))

    def _standard(self, row: Row, covered: int, covered_by_this: int) -> list[str]:
        hsp = self._hsp(row)
        values: dict[str, object] = {
            **row,
            "qseqid": as_text(self.query_id),
            "qlen": self.query.length,
            "saccver": row["sseqid"],
            "pident": row.get("pident") or f"{100 * hsp.identity / hsp.length:.3f}",
            "mismatch": row.get("mismatch") or hsp.length - hsp.identity - hsp.gaps,
            "gapopen": row.get("gapopen") or sum(map(_gap_openings, (hsp.query_row, hsp.subject_row))),
            "gaps": hsp.gaps,
            "nident": hsp.identity,
            "positive": hsp.positive,
            "qframe": hsp.query_frame,
            "sframe": 0,
            "sstrand": "N/A",
            "score": hsp.score,
            "qcovs": covered,
            "qcovhsp": covered_by_this,
            "staxids": row.get("staxids") or "N/A",
            "stitle": row.get("stitle") or "N/A",
        }
        return [str(self.position), self.query.title, *(str(values[name]) for name in HIT_FIELDS)]


def read_hits_of(engine: SearchEngine, plugin: SearchPlugin, query: QueryJob, child: Child) -> PluginHits:
    """Return what a plugin found for one sequence of a query job, as it is kept."""
    with engine.store.open(query.query_key, child.query_offset, child.query_bytes) as stream:
        (sequence,) = read_canonical(stream)
    (archive,) = engine.results.archives([child.result_key])
    return PluginHits(plugin, child.position, sequence, archive, str(options_of(query).value("matrix") or ""))


@cache
def _pattern(text: str) -> re.Pattern[bytes]:
    return re.compile(text.encode())


@cache
def _similar(matrix: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of residues with a positive score."""
    rows = (line.split() for line in MATRICES[matrix if matrix in MATRICES else _MATRIX].strip().splitlines())
    scores = {(residue, other): int(score) for residue, *row in rows for other, score in zip(COLUMNS, row, strict=True)}
    good = {pair for pair, score in scores.items() if score > 0}
    return frozenset(good | {(other, residue) for residue, other in good})


def _whole(value: str | None, otherwise: int) -> int:
    return int(float(value)) if value else otherwise


def _gap_openings(row: str) -> int:
    return len(re.findall("-+", row))
