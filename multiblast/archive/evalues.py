"""E-values of nucleotide alignments in all their digits, of which an archive states fifteen.

Where gaps count as impossible, or are so dear that BLAST+ has no statistics for them, each strand of a query has
parameters of its own. They are equal but for errors of rounding, and so are the E-values, by which BLAST+ sorts SAM.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from io import BytesIO

from multiblast.archive.batch import read_batches
from multiblast.archive.karlin import KarlinAltschul
from multiblast.archive.statistics import SearchRequest, read_statistics

_QUERIES, _SUBJECT, _RESULTS = b"\n      queries ", b"\n      subject ", b"\n  results {"
_STRANDS = rb"\s+strands \{\s+(?P<query>\w+),\s+(?P<subject>\w+)"
_SCORE = rb'id str "score",\s+value int (?P<score>\d+)\s'
_EVALUE = rb'id str "(?:e_value|sum_e)",\s+value real (?P<evalue>\{ \d+, 10, -?\d+ \})'
_GAPPED = re.compile(rb"%b.*?%b.*?%b" % (_SCORE, _EVALUE, _STRANDS), re.DOTALL)
_UNGAPPED = re.compile(rb"%b\s+\},\s+scores \{\s+\{\s+%b.*?%b" % (_STRANDS, _SCORE, _EVALUE), re.DOTALL)
_DIGITS = 16  # after the first: as many as tell all numbers apart
_TOLERANCE = 1e-12  # of what is computed from what is stated; an E-value of several alignments is another number


def with_all_digits(archive: bytes) -> bytes:
    """Return the archive of one query of blastn, as `split` made it, with more digits of its E-values.

    It stays the same where the strands have the same parameters, or what was found is on one of them.
    """
    if not (b" minus" in archive and b" plus" in archive):
        return archive
    opening, _, request = archive[: archive.index(_RESULTS)].partition(_QUERIES)
    if _has_statistics(opening, request[request.index(_SUBJECT) :]):
        return archive
    (batch,) = read_batches(BytesIO(archive))
    search, stated = SearchRequest(batch.opening, batch.request), read_statistics(batch.statistics)
    if stated.ungapped is None:
        return archive
    plus, minus = search.parameters_of_strands(batch.queries[0])
    if plus is None or minus is None or plus == minus:
        return archive

    def complete(found: re.Match[bytes]) -> bytes:
        parameters = plus if found["query"] == found["subject"] else minus
        start, end = (place - found.start() for place in found.span("evalue"))
        evalue = _computed(int(found["score"]), parameters, stated.search_space, found["evalue"])
        return found[0][:start] + evalue + found[0][end:]

    return (_UNGAPPED if b"\n        segs dendiag {" in archive else _GAPPED).sub(complete, archive)


@lru_cache(16)
def _has_statistics(opening: bytes, request: bytes) -> bool:
    """Return whether BLAST+ has statistics for the gap costs of a search; all archives of a report state the same."""
    return SearchRequest(opening, request).costs() is not None


def _computed(score: int, parameters: KarlinAltschul, space: int, stated: bytes) -> bytes:
    """Return the E-value of a score as an archive has it; what is stated if that is another number."""
    digits, _, power = stated.strip(b"{ }").split(b", ")
    about = float(digits + b"e" + power)
    for counted in (score, score & ~1):  # with some rewards and penalties an odd score counts as the even one below
        evalue = space * math.exp(-parameters.lambda_ * counted + math.log(parameters.k))
        if abs(evalue - about) < _TOLERANCE * about:
            mantissa, exponent = f"{evalue:.{_DIGITS}e}".split("e")
            return b"{ %s, 10, %d }" % (mantissa.replace(".", "").encode(), int(exponent) - _DIGITS)
    return stated
