"""What one query's result comes to, in a few numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from multiblast.archive.batch import ArchivedQuery
from multiblast.archive.ids import is_looked_up, shown_id
from multiblast.archive.residues import RESIDUE_O, intervals, length_of
from multiblast.archive.statistics import SearchRequest
from multiblast.archive.text import query_id
from multiblast.errors import ArchiveError


class Summary(NamedTuple):
    """The result of one query at a glance; the best hit is the first in BLAST+'s own order, its HSP the first of it.

    Attributes:
        hits: Number of distinct subjects.
        hsps: Number of alignments.
        best_hit: The best subject's id, as the field ``saccver`` has it: an accession with its version, or a name; of
            old databases the GI, if there is one; ``gnl|BL_ORD_ID|N`` from a database without parsed ids; empty if
            there is no hit.
        evalue, bit_score: Of the best hit.
        identity_percent: Identical positions in percent of the best HSP's columns; None if the query has the residue O,
            subjects were masked, or a search for domains does not count it as reports do.
        coverage_percent: The part of the query that the best HSP covers, in percent.
        masked_length: Residues of the query that a filter masked, on any strand or frame.
        searched: Whether BLAST+ could search with the query; it cannot if nothing is left after masking.
        left_out: Whether BLAST+ passes it over, since it ends before the part to search begins.
    """

    hits: int
    hsps: int
    best_hit: str
    evalue: float | None
    bit_score: float | None
    identity_percent: float | None
    coverage_percent: float | None
    query_length: int
    masked_length: int = 0
    searched: bool = True
    left_out: bool = False

    @classmethod
    def of_left_out(cls, query_length: int) -> Summary:
        """Return the summary of a query that BLAST+ passes over."""
        return cls(0, 0, "", None, None, None, None, query_length, searched=False, left_out=True)


_SUBJECT = re.compile(rb"ids \{\n( +)  \S[^\n]*,\n(.*?)\n\1\}", re.DOTALL)
# Before the subject's ids in the first segment of an alignment that is not dense, and what is behind such ids.
_SEGMENTS = b" {\n          {\n            dim 2,\n            ids {\n              %b,\n"
_IDS_END, _DENSE_IDS_END = b"\n            }", b"\n          }"
_SCORE = re.compile(
    rb'id str "(e_value|sum_e|bit_score|num_ident)",\n +value (?:int (\d+)|real \{ (-?\d+), 10, (-?\d+) \})'
)
_LENGTHS = re.compile(rb"\n          lens \{\n([\d,\s]+)\}")
_STARTS = re.compile(rb"\n          starts \{\n([-\d,\s]+)\}")
_DIAGONAL = re.compile(rb"\n            len (\d+),")
_INTERVALS = re.compile(rb"int \{\n +from (\d+),\n +to (\d+),")
_LOCATIONS = re.compile(rb"loc \{\n(.*?)\n            \}", re.DOTALL)
_ALIGNMENTS, _MASKS, _NEXT = b"\n    alignments {\n", b"\n    masks {", b"\n      },\n      {\n"


def summarise(
    alignments: bytes, dense: Sequence[bytes], query: ArchivedQuery, search: SearchRequest, *, searched: bool
) -> Summary:
    """Return the summary of one query's alignment elements, as they stand in the archive; ``b""`` if there are none.

    They are given a second time, cut at each `dense_query`: as one part if they are of another kind.
    """
    query_length, masked = length_of(query.instance), _masked_length(query.masks)
    if not alignments:
        return Summary(0, 0, "", None, None, None, None, query_length, masked, searched)
    if len(dense) > 1:
        subjects = [part[: part.find(_DENSE_IDS_END)] for part in dense[1:]]
        hsps, before, first = len(subjects), dense[0], dense[1]
    else:
        parts = alignments.split(_SEGMENTS % query_id(query.number))
        subjects = [part[: part.find(_IDS_END)] for part in parts[1:]]
        hsps, before, first = alignments.count(b'id str "score",\n'), b"", alignments.partition(_NEXT)[0]
    if not subjects:
        raise ArchiveError(f"the alignments of {query.name} name no subject as BLAST+ writes it")
    scores, columns, covered = _first_hsp(before or first, first, search)
    # An archive counts X as identical to O, and not O, and no masked letter of a subject: only that says what is right.
    is_unknown = search.masks_subjects or search.miscounts_identities(query) or RESIDUE_O.search(query.instance)
    identical = None if is_unknown else scores.get(b"num_ident")
    return Summary(
        hits=len(set(subjects)),
        hsps=hsps,
        best_hit=shown_id(subjects[0]),
        evalue=scores.get(b"e_value", scores.get(b"sum_e")),
        bit_score=scores.get(b"bit_score"),
        identity_percent=round(100 * identical / columns, 3) if identical is not None and columns else None,
        coverage_percent=round(100 * covered / query_length, 3) if query_length else None,
        query_length=query_length,
        masked_length=masked,
        searched=searched,
    )


def _first_hsp(before: bytes, element: bytes, search: SearchRequest) -> tuple[dict[bytes, float], int, int]:
    """Return the scores of an alignment's first HSP, which stand ``before``, its columns and the query it covers."""
    scores: dict[bytes, float] = {}
    for name, whole, mantissa, exponent in _SCORE.findall(before):
        scores.setdefault(name, float(whole) if whole else float(b"%se%s" % (mantissa, exponent)))
    lengths, starts = _LENGTHS.search(element), _STARTS.search(element)
    if lengths and starts:
        segments = [int(n) for n in lengths[1].split(b",")]
        query_starts = [int(n) for n in starts[1].split(b",")][::2]
        covered = sum(n for n, start in zip(segments, query_starts, strict=True) if start >= 0)
        return scores, sum(segments), covered
    if diagonal := _DIAGONAL.search(element):
        return scores, int(diagonal[1]), int(diagonal[1])
    return scores, *_std_extent(element, search)


def _std_extent(element: bytes, search: SearchRequest) -> tuple[int, int]:
    columns = covered = 0
    for location in _LOCATIONS.findall(element):
        spans = [int(to) - int(start) + 1 for start, to in _INTERVALS.findall(location)]
        in_query = not location.lstrip().startswith(b"empty")
        covered += spans[0] if in_query else 0
        columns += spans[0] // (search.query_step if in_query else search.subject_step)
        if b"scores {" in element:  # an ungapped search lists a subject's HSPs as segments
            break
    return columns, covered


def _masked_length(masks: bytes) -> int:
    total = end = 0
    for start, to in sorted(intervals(masks)):
        total += max(0, to - max(start, end) + 1)
        end = max(end, to + 1)
    return total


class ArchivedSubject(NamedTuple):
    """A subject, by the best of its HSPs; its id is as in `Summary.best_hit`, and may be one to look it up by."""

    id: str
    evalue: float
    bit_score: float
    is_looked_up: bool = False


def read_subjects(archive: bytes) -> dict[str, ArchivedSubject]:
    """Return the subjects of an archive of one query, by id, in BLAST+'s own order; none of one that was left out."""
    if not archive:
        return {}
    begin = archive.find(_ALIGNMENTS)
    end = archive.find(_MASKS, begin)
    if not 0 < begin < end:
        raise ArchiveError("an archive to be compared is not one of a single query as made by a split")
    subjects: dict[str, ArchivedSubject] = {}
    for element in archive[begin:end].split(_NEXT):
        ids = _SUBJECT.search(element)
        if ids is None:
            continue
        scores = [
            (kind, float(whole or b"%se%s" % (digits, power))) for kind, whole, digits, power in _SCORE.findall(element)
        ]
        name = shown_id(ids[2])
        evalue = min((value for kind, value in scores if kind in {b"e_value", b"sum_e"}), default=float("inf"))
        bits = max((value for kind, value in scores if kind == b"bit_score"), default=0.0)
        known = subjects.get(name)
        if known is not None:
            evalue, bits = min(evalue, known.evalue), max(bits, known.bit_score)
        subjects[name] = ArchivedSubject(name, evalue, bits, is_looked_up(ids[2]))
    return subjects
