"""The alignments of one query's archive, as numbers, where they are of the plain forms of nearly all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from multiblast.errors import ArchiveError

_SEGMENTS = b"\n        segs "
_ALIGNMENTS, _MASKS = b"\n    alignments {\n", b"\n    masks {\n"
_CODON = 3  # letters of a translated query for each column
_REAL = rb"real \{ (-?\d+), 10, (-?\d+) \}"
_SCORES = rb"""      \{
        type partial,
        dim 2,
        score \{
          \{
            id str "score",
            value int (\d+)
          \},
(?:          \{
            id str "(?:blast_score|sum_n)",
            value int \d+
          \},
)*          \{
            id str "(?:e_value|sum_e)",
            value %b
          \},
          \{
            id str "bit_score",
            value %b
          \},
          \{
            id str "num_ident",
            value int (\d+)
          \}(?:,
          \{
            id str "(?:comp_adjustment_method|num_positives|hsp_percent_coverage|seq_percent_coverage|sum_n)",
            value (?:int \d+|real \{ [^}]* \})
          \})*
        \},
""" % (_REAL, _REAL)
_DENSE_HSP = re.compile(
    _SCORES
    + rb"""        segs denseg \{
          dim 2,
          numseg \d+,
          ids \{
            local str "Query_1",
            ((?:[^\n]*\n            )*?[^\n]*)
          \},
          starts \{
([-\d,\s]+)
          \},
          lens \{
([\d,\s]+)
          \},
          strands \{
            (\w+),
            (\w+)(?:,\n            \w+)*
          \}
        \}
      \}"""
)
_TRANSLATED_HSP = re.compile(
    _SCORES
    + rb"""        segs std \{
          \{
            dim 2,
            ids \{
              local str "Query_1",
              ((?:[^\n]*\n              )*?[^\n]*)
            \},
((?: {10}[^\n]*\n)+)        \}
      \}"""
)
_INTERVAL = rb"int \{\n +from (\d+),\n +to (\d+),\n +strand (\w+),\n +id "
_SEGMENT = re.compile(
    rb"loc \{\n +(?:%b|empty )local str \"Query_1\"(?:\n +\})?,\n +(?:%b|empty )" % (_INTERVAL, _INTERVAL)
)


class UnknownFormError(ArchiveError):
    """Something is not of a form that is known here; it may be right all the same."""


class Alignment(NamedTuple):
    """An alignment (HSP); positions are 1-based and inclusive, a start beyond its end is on the minus strand.

    Attributes:
        subject: Its id, as it stands in the archive.
        evalue, bits: Digits and decimal power.
        length, gaps, gap_openings: In columns, which are residues where the query was translated.
    """

    subject: bytes
    score: bytes
    evalue: tuple[bytes, bytes]
    bits: tuple[bytes, bytes]
    identical: int
    length: int
    gaps: int
    gap_openings: int
    query_start: int
    query_end: int
    subject_start: int
    subject_end: int


def read_alignments(archive: bytes) -> list[Alignment]:
    """Return the alignments of a result of blastn, blastp or blastx, in BLAST+'s order.

    Raises:
        UnknownFormError: one of them is of another form, such as ungapped ones are.
    """
    begin, end = archive.find(_ALIGNMENTS), archive.rfind(_MASKS)
    if not 0 < begin < end:
        raise UnknownFormError("a result is not the archive of a single query")
    alignments = archive[begin:end]
    if b"\n        segs std {" in alignments:
        found = [_alignment(scores, _translated(place)) for *scores, place in _TRANSLATED_HSP.findall(alignments)]
    else:
        found = [_alignment(one[:7], _dense(*one[7:])) for one in _DENSE_HSP.findall(alignments)]
    if len(found) != alignments.count(_SEGMENTS):
        raise UnknownFormError("an alignment is not of a plain form")
    return found


def _alignment(scores: Sequence[bytes], columns: tuple[int, ...]) -> Alignment:
    score, evalue, evalue_power, bits, bits_power, identical, subject = scores
    return Alignment(subject, score, (evalue, evalue_power), (bits, bits_power), int(identical), *columns)


def _dense(starts: bytes, lengths: bytes, query_strand: bytes, subject_strand: bytes) -> tuple[int, ...]:
    """Return length, gaps, openings, and where query and subject start and end."""
    gaps = openings = 0
    if b"," not in lengths:
        length = int(lengths)
        query, in_subject = map(int, starts.split(b","))
        query_end, subject_end = query + length, in_subject + length
    else:
        segments, places = list(map(int, lengths.split(b","))), list(map(int, starts.split(b",")))
        length = sum(segments)
        query, query_end = _aligned(places[::2], segments)
        in_subject, subject_end = _aligned(places[1::2], segments)
        opposite = [n for n, *ends in zip(segments, places[::2], places[1::2], strict=True) if min(ends) < 0]
        gaps, openings = sum(opposite), len(opposite)
    first, last = in_subject + 1, subject_end
    if (query_strand == b"minus") != (subject_strand == b"minus"):
        first, last = last, first
    return length, gaps, openings, query + 1, query_end, first, last


def _aligned(starts: Sequence[int], segments: Sequence[int]) -> tuple[int, int]:
    """Return the first letter that is aligned, 0-based, and the one after the last; a gap has no start."""
    spans = [(start, start + length) for start, length in zip(starts, segments, strict=True) if start >= 0]
    return min(spans)[0], max(spans)[1]


def _translated(segments: bytes) -> tuple[int, ...]:
    """Return the same as `_dense`."""
    found = _SEGMENT.findall(segments)
    if len(found) != segments.count(b" loc {"):
        raise UnknownFormError("a segment of an alignment is not of a plain form")
    length = gaps = openings = 0
    for query_from, query_to, _, subject_from, subject_to, _ in found:
        letters = int(query_to) - int(query_from) + 1 if query_from else 0
        columns = letters // _CODON or int(subject_to) - int(subject_from) + 1
        length += columns
        if not (query_from and subject_from):
            gaps, openings = gaps + columns, openings + 1
    query, subject = _extent([one[:3] for one in found]), _extent([one[3:] for one in found])
    return length, gaps, openings, *query, *subject


def _extent(intervals: Sequence[tuple[bytes, bytes, bytes]]) -> tuple[int, int]:
    """Return start and end of what intervals cover, 1-based."""
    spans = [(int(first), int(last)) for first, last, _ in intervals if first]
    start, end = min(spans)[0] + 1, max(spans)[1] + 1
    return (end, start) if any(strand == b"minus" for *_, strand in intervals) else (start, end)
