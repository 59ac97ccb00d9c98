"""The whole scores from which BLAST+ keeps alignments: they follow from the size of the databases.

A sequence that is neither new nor a known hit is left out of the search of a part, since it was no hit in the earlier
state. It is none in the new one if the engine treats it the same there: with the same least scores, and E-values that
are no better. Where a least score differs, an alignment that hid another before may no longer do so.

Source: NCBI BLAST+, ``algo/blast/core``, blast_parameters.c and blast_stat.c (public domain).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from multiblast.archive import DatabaseSize
from multiblast.archive.batch import read_batches
from multiblast.archive.gap_costs import PROTEIN, GapCosts
from multiblast.archive.karlin import KarlinAltschul, protein_parameters
from multiblast.archive.residues import length_of, read_residues, translate
from multiblast.archive.statistics import QueryStatistics, SearchRequest, length_adjustment, read_statistics

_STRETCH = 5
"""How much weaker than asked for alignments may be before scores are adjusted to compositions."""

_SHORTEST_SUBJECT = 10
"""What BLAST+ takes as the length of the shortest subject, which databases do not state; in their own letters."""

_TRIGGER_BITS = 22.0
"""What an alignment without gaps must score in protein searches before gaps are tried."""

_WORD_EVALUE = 0.05
"""The E-value in one subject of average length that an ungapped alignment of nucleotides must have."""

_FRAMES = (1, 2, 3, -1, -2, -3)


@dataclass(frozen=True)
class EarlierSearch:
    """What a result says of how it was found.

    Attributes:
        linked: Whether several alignments are judged together (sum statistics).
    """

    archive: bytes
    linked: bool

    @cached_property
    def _batch(self) -> tuple[SearchRequest, bytes, bytes]:
        (batch,) = read_batches(BytesIO(self.archive))
        (query,) = batch.queries
        return SearchRequest(batch.opening, batch.request), query.instance, query.masks

    @property
    def request(self) -> SearchRequest:
        """Program and options."""
        return self._batch[0]

    @cached_property
    def _stated(self) -> QueryStatistics:
        return read_statistics(self.archive)

    @property
    def _parameters(self) -> KarlinAltschul | None:
        return self._stated.gapped or self._stated.ungapped

    @cached_property
    def _letters(self) -> int:
        return length_of(self._batch[1])

    def _lengths(self, letters: int) -> list[int]:
        """Return a query's length, or that of each of its frames."""
        return [letters] if self.request.query_step == 1 else [(letters - frame) // 3 for frame in range(3)]

    @property
    def was_searched(self) -> bool:
        """Whether anything of the query was left to search with."""
        return self._parameters is not None

    def space(self, size: DatabaseSize, letters: int = 0) -> int:
        """Return the effective search space in databases of a size: see `SearchRequest.derive`.

        ``letters`` are those of another query, if one is meant.
        """
        parameters, ungapped = self._parameters, self._stated.ungapped
        if parameters is None or ungapped is None:
            return 0
        subjects = size.letters // self.request.subject_step
        length = self._lengths(letters or self._letters)[0]
        adjustment = length_adjustment(
            parameters, self.request.length_correction(ungapped), length, DatabaseSize(subjects, size.sequences)
        )
        return max(1, subjects - size.sequences * adjustment) * (length - adjustment)

    @property
    def depends_on_space(self) -> bool:
        """Whether E-values follow from the effective search space.

        Those of proteins with gaps follow from the letters of the databases alone (``Blast_HSPListGetEvalues``),
        except for sums of several alignments (``BLAST_LinkHsps``) and for alignments that are made once more in full
        (``Blast_RedoOneMatchSmithWaterman``).
        """
        request = self.request
        return self.linked or not request.gapped or request.program == "blastn" or request.makes_full_alignments

    @property
    def stated_space(self) -> int:
        """The effective search space that the result states."""
        return self._stated.search_space

    def cutoffs(self, size: DatabaseSize, letters: int = 0) -> tuple[int, ...]:
        """Return the least scores that decide what is kept in databases of a size, some of them for each frame.

        ``letters`` are those of another query, if one is meant: that is enough where alignments are not linked.
        """
        parameters, costs = self._parameters, self.request.costs()
        lengths = self._lengths(letters or self._letters)
        if parameters is None:
            return ()
        if costs is None or not self.request.gapped or self.request.program == "blastn":
            kept = _least_score(self.request.evalue, parameters, self.space(size, letters))
            return (kept, self._word_score(kept, parameters, size, lengths[0]))
        subjects = size.letters // self.request.subject_step
        evalue = self.request.evalue * (_STRETCH if self.request.adjusts_scores else 1)
        ungapped, shortest = PROTEIN[self.request.matrix][0], _SHORTEST_SUBJECT // self.request.subject_step
        kept_of = [_score_of(evalue, costs, ungapped, (length, shortest), subjects) for length in lengths]
        # Where alignments are linked, far lower ones are kept, whatever the size: only the trigger for gaps is left.
        return tuple(self._triggers(kept_of)) if self.linked else tuple(kept_of)

    def _word_score(self, kept: int, parameters: KarlinAltschul, size: DatabaseSize, length: int) -> int:
        """Return what an alignment without gaps must score."""
        if self.request.program != "blastn":
            return min(self._triggers([kept]))
        average = size.letters // size.sequences
        return min(kept, _least_score(_WORD_EVALUE, parameters, min(average, 2 * length) * average))

    def _triggers(self, kept: Sequence[int]) -> Iterator[int]:
        """Yield, for each strand and frame, what must be scored before gaps are tried: at most what is kept."""
        for place, found in enumerate(self._ungapped):
            if found:
                trigger = int((_TRIGGER_BITS * math.log(2) + math.log(found.k)) / found.lambda_)
                yield min(trigger, kept[place % len(kept)])

    @cached_property
    def _ungapped(self) -> list[KarlinAltschul | None]:
        request, instance, masks = self._batch
        residues = read_residues(instance)
        if request.query_step == 1:
            return [self._stated.ungapped]
        frames = [translate(residues, frame, request.query_code, masks) for frame in _FRAMES]
        return protein_parameters(frames, request.matrix, translated=True)


def _least_score(evalue: float, parameters: KarlinAltschul, space: int) -> int:
    """Return the least score whose E-value in a space is at most ``evalue``."""
    value = parameters.k * space / max(evalue, 1e-297)
    return max(1, math.ceil(math.log(value) / parameters.lambda_)) if value > 0 else 1


def _score_of(evalue: float, costs: GapCosts, ungapped: GapCosts, lengths: tuple[int, int], letters: int) -> int:
    """Return the largest score whose E-value, with the correction for finite sizes, is above ``evalue``."""

    def too_weak(score: int) -> bool:
        return finite_size_evalue(score, costs, ungapped, lengths, letters) > evalue

    low, high = 0, max(int(math.log(max(letters, 1) / evalue) / costs.lambda_), 2)
    while too_weak(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if too_weak(middle) else (low, middle)
    return low


def finite_size_evalue(
    score: int, costs: GapCosts, ungapped: GapCosts, lengths: tuple[int, int], letters: int
) -> float:
    """Return the E-value of a protein alignment with gaps; it is proportional to the letters of the databases.

    Args:
        score: Whole, unscaled.
        costs: The parameters of the gap costs.
        ungapped: Those of the matrix without gaps.
        lengths: Of the query and of the subject, in residues.
        letters: Residues of the databases.

    Source: Sheetlin, Park and Spouge's finite size correction, as in BLAST+ (``BLAST_SpougeStoE``).
    """
    twice = 2.0 * (costs.open + costs.extend)
    variance = max(
        2.0 * costs.alpha_v / costs.lambda_,
        costs.alpha_v * score + twice * (ungapped.alpha_v - costs.alpha_v),
    )
    covariance = max(2.0 * costs.sigma / costs.lambda_, costs.sigma * score + twice * (ungapped.alpha_v - costs.sigma))
    deviation = math.sqrt(variance)
    parts, tails = [], []
    for length in lengths:
        left = length - (costs.alpha * score + twice * (ungapped.alpha - costs.alpha))
        tail = math.erfc(-left / deviation / math.sqrt(2.0)) / 2.0
        bell = math.exp(-0.5 * (left / deviation) ** 2) / math.sqrt(2 * math.pi)
        parts.append(left * tail + deviation * bell)
        tails.append(tail)
    area = parts[0] * parts[1] + covariance * tails[0] * tails[1]
    return area * costs.k * math.exp(-costs.lambda_ * score) * letters / lengths[1]
