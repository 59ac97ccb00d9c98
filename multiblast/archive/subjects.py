"""The subjects that one query hit, out of its archive, without the database."""

from __future__ import annotations

from dataclasses import dataclass

from multiblast.archive.summary import SCORE, SUBJECT, subject_id
from multiblast.errors import ArchiveError

_BEGIN, _END, _BETWEEN = b"\n    alignments {\n", b"\n    masks {", b"\n      },\n      {\n"


@dataclass(frozen=True, slots=True)
class ArchivedSubject:
    """A subject, by the best of its HSPs.

    Attributes:
        id: As in `Summary.best_hit`.
    """

    id: str
    evalue: float
    bit_score: float


def read_subjects(archive: bytes) -> dict[str, ArchivedSubject]:
    """Return the subjects of an archive of one query, by id, in BLAST+'s own order.

    Raises:
        ArchiveError: it is not an archive as `split` makes it.
    """
    begin = archive.find(_BEGIN)
    end = archive.find(_END, begin)
    if not 0 < begin < end:
        raise ArchiveError("an archive to be compared is not one of a single query as made by a split")
    subjects: dict[str, ArchivedSubject] = {}
    for element in archive[begin:end].split(_BETWEEN):
        ids = SUBJECT.search(element)
        if ids is None:
            continue
        scores = [
            (kind, float(whole or b"%se%s" % (digits, power))) for kind, whole, digits, power in SCORE.findall(element)
        ]
        name = subject_id(ids[2])
        evalue = min((value for kind, value in scores if kind in {b"e_value", b"sum_e"}), default=float("inf"))
        bits = max((value for kind, value in scores if kind == b"bit_score"), default=0.0)
        known = subjects.get(name)
        if known is not None:
            evalue, bits = min(evalue, known.evalue), max(bits, known.bit_score)
        subjects[name] = ArchivedSubject(name, evalue, bits)
    return subjects
