"""The alignments of one query's archive, as numbers, where they are of the plain forms of nearly all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from multiblast.archive.residues import RESIDUE_O
from multiblast.errors import ArchiveError

_ALIGNMENTS, _MASKS = b"\n    alignments {\n", b"\n    masks {\n"
_CODON = 3  # letters of a translated query for each column

# These match alignments without spaces and line breaks, which are more than half of them.
_REAL = rb"real\{(-?\d+,10,-?\d+)\}"
_SCORES = (
    rb'\{typepartial,dim2,score\{\{idstr"score",valueint(\d+)\},'
    rb'(?:\{idstr"(?:blast_score|sum_n)",valueint\d+\},)*'
    rb'\{idstr"(?:e_value|sum_e)",value%b\},\{idstr"bit_score",value%b\},\{idstr"num_ident",valueint(\d+)\}'
    rb'(?:,\{idstr"(?:comp_adjustment_method|num_positives|hsp_percent_coverage|seq_percent_coverage|sum_n)",'
    rb"value(?:int\d+|real\{[^}]*\})\})*\},"
) % (_REAL, _REAL)
_IDS = rb'ids\{localstr"Query_1",(?:general\{db"BL_ORD_ID",tagid(\d+)\}|(.+?))\},'
_DENSE = re.compile(
    rb"%bsegsdenseg\{dim2,numseg\d+,%bstarts\{(-?\d+),(-?\d+)([-\d,]*)\},lens\{(\d+)([\d,]*)\},"
    rb"strands\{(\w+),(\w+)[\w,]*\}\}\}" % (_SCORES, _IDS)
)
_INTERVAL = rb"(?:int\{from(\d+),to(\d+),strand(\w+),id|empty)"
# Of an alignment whose query is translated: one segment, after the scores if it is the first.
_SEGMENT = re.compile(
    rb'(?:%bsegsstd\{)?\{dim2,%bloc\{%blocalstr"Query_1"\}?,%b(?:general\{db"BL_ORD_ID",tagid\5\}|\6)\}?\}\}'
    rb"(?:,|\}\},?)" % (_SCORES, _IDS, _INTERVAL, _INTERVAL)
)
_NAME, _QUERY, _SUBJECT = 5, slice(6, 9), slice(9, 12)  # groups of both, and of the second alone
_ENDS_IN_GAP = "an alignment begins or ends with a gap"
_STRING = re.compile(rb'"[^"]*"')


class UnknownFormError(ArchiveError):
    """Something is not of a form that is known here; it may be right all the same."""


class Alignment(NamedTuple):
    """An alignment (HSP); positions are 1-based and inclusive, a start beyond its end is on the minus strand.

    Attributes:
        subject: Its ordinal number in the databases; or its id, as it stands in the archive but for spaces.
        evalue, bits: Digits, base and power, as they stand in the archive but for spaces.
        length, gaps, gap_openings: In columns, which are residues where the query was translated.
    """

    subject: bytes
    score: bytes
    evalue: bytes
    bits: bytes
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
        UnknownFormError: one of them is of another form, such as ungapped ones are; or its identities are not those
            of the residues.
    """
    begin, end = archive.find(_ALIGNMENTS), archive.rfind(_MASKS)
    if not 0 < begin < end:
        raise UnknownFormError("a result is not the archive of a single query")
    if RESIDUE_O.search(archive, 0, begin):
        raise UnknownFormError("BLAST+ takes the residue O of a query for X, and counts identities so")
    alignments = archive[begin:end].translate(None, b" \n")
    if is_translated := b",segsstd{" in alignments:
        matches = _SEGMENT.findall(alignments)
        starts = [place for place, one in enumerate(matches) if one[0]]
        found = [_translated(matches[start:stop]) for start, stop in pairwise([*starts, len(matches)])]
    else:
        matches = _DENSE.findall(alignments)
        found = list(map(_dense, matches))
    if len(found) != alignments.count(b",segs") or (is_translated and len(matches) != alignments.count(b",loc{")):
        raise UnknownFormError("an alignment is not of a plain form")
    if {one[_NAME] for one in matches} - {b""} and b"".join(_STRING.findall(archive, begin, end)).split()[1:]:
        raise UnknownFormError("an id of a subject has a space or a line break in it")
    return found


def _dense(groups: Sequence[bytes]) -> Alignment:
    score, evalue, bits, identical, ordinal, name, in_query, in_subject, starts, size, sizes, *strands = groups
    query, subject, length, gaps, openings = int(in_query), int(in_subject), int(size), 0, 0
    query_end, subject_end = query + length, subject + length
    if sizes:  # more segments, some of them gaps, which start at -1
        lengths, (_, last_query, last_subject) = [length, *map(int, sizes[1:].split(b","))], starts.rsplit(b",", 2)
        query, query_end = _dense_extent(query, int(last_query), lengths)
        subject, subject_end = _dense_extent(subject, int(last_subject), lengths)
        length, openings = sum(lengths), starts.count(b"-")
        gaps = 2 * length - (query_end - query) - (subject_end - subject)
    first, last = subject + 1, subject_end
    if strands.count(b"minus") == 1:
        first, last = last, first
    return Alignment(
        ordinal or name, score, evalue, bits, int(identical), length, gaps, openings, query + 1, query_end, first, last
    )


def _dense_extent(first: int, last: int, lengths: Sequence[int]) -> tuple[int, int]:
    """Return the first letter that is aligned, 0-based, and the one after the last, by the starts of two segments."""
    if first < 0 or last < 0:
        raise UnknownFormError(_ENDS_IN_GAP)
    return min(first, last), max(first + lengths[0], last + lengths[-1])


def _translated(segments: Sequence[Sequence[bytes]]) -> Alignment:
    first, last = segments[0], segments[-1]
    score, evalue, bits, identical, ordinal, name, *_ = first
    query, subject = _extent(first[_QUERY], last[_QUERY]), _extent(first[_SUBJECT], last[_SUBJECT])
    gapped = [(one[_QUERY], one[_SUBJECT]) for one in segments if not one[_QUERY.start] or not one[_SUBJECT.start]]
    in_query = sum(int(to) - int(start) + 1 for _, (start, to, _) in gapped if start)
    in_subject = sum(int(to) - int(start) + 1 for (start, to, _), _ in gapped if start) // _CODON
    length = abs(subject[1] - subject[0]) + 1 + in_subject
    if abs(query[1] - query[0]) + 1 != (length - in_query) * _CODON:
        raise UnknownFormError("the segments of an alignment do not follow one another")
    gaps = in_query + in_subject
    return Alignment(ordinal or name, score, evalue, bits, int(identical), length, gaps, len(gapped), *query, *subject)


def _extent(first: Sequence[bytes], last: Sequence[bytes]) -> tuple[int, int]:
    """Return start and end, 1-based, of what begins and ends with two intervals: where from, where to, strand."""
    if not first[0] or not last[0]:
        raise UnknownFormError(_ENDS_IN_GAP)
    start, end = min(int(first[0]), int(last[0])) + 1, max(int(first[1]), int(last[1])) + 1
    return (end, start) if first[2] == b"minus" else (start, end)
