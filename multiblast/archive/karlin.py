"""Karlin-Altschul parameters of ungapped alignment, as they depend on a query's composition.

After Karlin and Altschul, PNAS 87 (1990) 2264. BLAST+ stops its iterations early,
so its numbers have their own last digits; the order of operations and the limits
here are those of BLAST+, so that the digits are too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from multiblast.archive.matrices import COLUMNS, MATRICES

ACCURACY = 1e-5  # of lambda
FIRST_GUESS = 0.5  # of lambda
NEWTON_STEPS, STEPS = 20, 37
K_LIMIT = 1e-4  # of a term in the sum for K
K_TERMS = 100
SERIES_LIMIT = 0.33  # of x, for exp(x) - 1 by its series

# Robinson and Robinson, PNAS 88 (1991) 8880, per thousand.
_BACKGROUND = {
    "A": 78.05, "C": 19.25, "D": 53.64, "E": 62.95, "F": 38.56, "G": 73.77, "H": 21.99, "I": 51.42, "K": 57.44,
    "L": 90.19, "M": 22.43, "N": 44.87, "P": 52.03, "Q": 42.64, "R": 51.29, "S": 71.20, "T": 58.41, "V": 64.41,
    "W": 13.30, "Y": 32.16,
}  # fmt: skip
# The order in which BLAST+ adds up: its residue codes, without the gap and X.
_PROTEIN_CODES = "ABCDEFGHIKLMNPQRSTVWYZU*J"
_NUCLEOTIDE_CODES = "ACGTRYMKWSBDHVN"
_NUCLEOTIDES = {
    "A": 1, "C": 2, "G": 4, "T": 8, "R": 5, "Y": 10, "M": 3, "K": 12,
    "W": 9, "S": 6, "B": 14, "D": 13, "H": 11, "V": 7, "N": 15,
}  # fmt: skip


class KarlinAltschul(NamedTuple):
    """Parameters of a scoring system: lambda (per score unit), K, and H (nats per position)."""

    lambda_: float
    k: float
    h: float


def protein_parameters(
    proteins: Iterable[str], matrix: str, *, translated: bool = False
) -> list[KarlinAltschul | None]:
    """Return the ungapped parameters of protein queries, upper case and X where masked.

    They are None where they do not exist, as when all residues are masked; BLAST+ cannot search with these. Of
    translated queries these are the frames; BLAST+ then takes the parameters of an average protein unless a frame's own
    are more cautious.
    """
    scores, ideal = _protein_scores(matrix), _ideal(matrix) if translated else None
    compositions = ([(residue, protein.count(residue)) for residue in _PROTEIN_CODES] for protein in proteins)
    return _all_parameters([_solve(composition, scores) for composition in compositions], ideal)


def nucleotide_parameters(sequences: Iterable[str], match: int, mismatch: int) -> list[KarlinAltschul | None]:
    """Return the ungapped parameters of nucleotides, upper case and N where masked; None where there are none."""
    scores = _nucleotide_scores(match, mismatch)
    return _all_parameters([_solve(_bases(sequence), scores) for sequence in sequences])


def _bases(sequence: str) -> list[tuple[str, int]]:
    """Return how often each base occurs, in BLAST+'s order; ambiguous ones are only looked for if any can be there."""
    found = [(base, sequence.count(base)) for base in _NUCLEOTIDE_CODES[:4]]
    if found[0][1] + found[1][1] + found[2][1] + found[3][1] < len(sequence):
        found += [(base, sequence.count(base)) for base in _NUCLEOTIDE_CODES[4:-1]]
    return found


Scores = dict[str, list[tuple[int, float]]]


@cache
def _protein_scores(matrix: str) -> Scores:
    """Return, by query residue, the score and the probability of each subject residue in BLAST+'s order."""
    if matrix == "IDENTITY":
        rows = {one: {other: 9 if one == other else -5 for other in COLUMNS} for one in _PROTEIN_CODES}
    else:
        lines = MATRICES[matrix].strip().split("\n")
        rows = {line[0]: dict(zip(COLUMNS, map(int, line[1:].split()), strict=True)) for line in lines}
        rows["*"] = dict.fromkeys(COLUMNS, min(min(row.values()) for row in rows.values()))  # a stop matches nothing
    rows["U"] = rows["C"]
    return {residue: [(rows[residue][other], p) for other, p in _background()] for residue in _PROTEIN_CODES}


@cache
def _background() -> list[tuple[str, float]]:
    total = 0.0  # here and below not sum(), which newer versions of Python make more exact than BLAST+ is
    for weight in _BACKGROUND.values():
        total += weight
    return [(residue, weight / total) for residue, weight in _BACKGROUND.items()]


@cache
def _nucleotide_scores(match: int, mismatch: int) -> Scores:
    def score(code: int, other: int) -> int:
        ambiguity = code.bit_count()
        return _nearest(((ambiguity - 1) * mismatch + match) / ambiguity) if code & other else mismatch

    return {
        residue: [(score(code, _NUCLEOTIDES[other]), 0.25) for other in "ACGT"]
        for residue, code in _NUCLEOTIDES.items()
    }


@cache
def _ideal(matrix: str) -> KarlinAltschul:
    (parameters,) = _all_parameters([_solve_distribution(_distribution(_background(), _protein_scores(matrix)))])
    if parameters is None:
        raise ValueError(f"the scores of {matrix} allow no statistics")
    return parameters


class _System(NamedTuple):
    """A scoring system on the way to its K: the probabilities of the scores low, low + step and so on."""

    steps: tuple[float, ...]
    low: int
    step: int
    average: float
    lambda_: float
    h: float


def _solve(composition: list[tuple[str, int]], scores: Scores) -> _System | None:
    total = sum(count for _, count in composition)
    if not total:
        return None
    return _solve_distribution(_distribution([(residue, count / total) for residue, count in composition], scores))


def _all_parameters(systems: list[_System | None], ideal: KarlinAltschul | None = None) -> list[KarlinAltschul | None]:
    """Return the parameters of each system; ``ideal`` is taken where lambda is not below its own."""
    found: list[KarlinAltschul | None] = [None] * len(systems)
    alike: dict[tuple[int, int, int], list[int]] = {}
    for place, system in enumerate(systems):
        if system is None or system.lambda_ <= 0 or system.h <= 0:
            continue
        if ideal and system.lambda_ >= ideal.lambda_:
            found[place] = ideal
        else:
            alike.setdefault((system.low, system.step, len(system.steps)), []).append(place)
    for places in alike.values():
        # Each once: nucleotide queries have but a few, which differ by rounding errors.
        group = list(dict.fromkeys(system for place in places if (system := systems[place])))
        prefactors = dict(zip(group, _prefactors(group), strict=True))
        parameters = {system: KarlinAltschul(system.lambda_, k, system.h) for system, k in prefactors.items()}
        for place in places:
            if system := systems[place]:
                found[place] = parameters[system]
    return found


def _distribution(frequencies: Iterable[tuple[str, float]], scores: Scores) -> tuple[int, tuple[float, ...]]:
    """Return the lowest score that occurs, and the probabilities of it and of all scores up to the highest."""
    summed: dict[int, float] = {}
    for residue, frequency in frequencies:
        if frequency:
            for score, probability in scores[residue]:
                summed[score] = summed.get(score, 0.0) + frequency * probability
    low, high = min(summed), max(summed)
    total = 0.0
    for score in range(low, high + 1):
        total += summed.get(score, 0.0)
    return low, tuple([summed.get(score, 0.0) / total for score in range(low, high + 1)])


@lru_cache(maxsize=1024)  # nucleotide queries without ambiguous bases have but a few, which differ by rounding errors
def _solve_distribution(distribution: tuple[int, tuple[float, ...]]) -> _System | None:
    low, listed = distribution
    high, probabilities = low + len(listed) - 1, dict(enumerate(listed, start=low))
    average = 0.0
    for score, probability in probabilities.items():
        average += score * probability
    if average >= 0 or low >= 0 or high <= 0:
        return None
    step = -low
    for score, probability in probabilities.items():
        if probability:
            step = math.gcd(step, score - low)
    lambda_ = _solve_lambda(probabilities, low, high, step)
    steps = tuple(probabilities[score] for score in range(low, high + 1, step))
    return _System(steps, low, step, average, lambda_, _entropy(probabilities, low, high, lambda_))


def _solve_lambda(probabilities: dict[int, float], low: int, high: int, step: int) -> float:
    """Return the positive lambda at which the mean of exp(lambda * score) is 1.

    A safeguarded Newton iteration on a polynomial in x = exp(-lambda), which has one zero
    between 0 and 1, and that is simple and decreasing there.
    """
    left, right = 0.0, 1.0
    x = math.exp(-FIRST_GUESS)
    value, newton = 4.0, False
    for iteration in range(STEPS):
        previous, was_newton, newton = value, newton, False
        slope, value = 0.0, probabilities[low]
        for score in range(low + step, high + 1, step):
            slope = x * slope + value
            value = value * x + probabilities[score]
            if not score:
                value -= 1
        if value > 0:
            left = x
        elif value < 0:
            right = x
        else:
            break
        if right - left < 2 * left * (1 - right) * ACCURACY:
            x = (left + right) / 2
            break
        if iteration >= NEWTON_STEPS or (was_newton and abs(value) > 0.9 * abs(previous)) or slope >= 0:
            x = (left + right) / 2
            continue
        change = -value / slope
        if not left < x + change < right:
            x = (left + right) / 2
            continue
        newton = True
        x += change
        if abs(change) < ACCURACY * x * (1 - x):
            break
    return -math.log(x) / step


def _entropy(probabilities: dict[int, float], low: int, high: int, lambda_: float) -> float:
    decay = math.exp(-lambda_)
    total = low * probabilities[low]
    for score in range(low + 1, high + 1):
        total = score * probabilities[score] + decay * total
    scale = _power(decay, high)
    return lambda_ * total / scale if scale > 0 else lambda_ * math.exp(lambda_ * high + math.log(total))


def _prefactors(systems: list[_System]) -> list[float]:
    """Return K of systems with the same scores, by closed form where the lowest is -1 or the highest 1."""
    low = systems[0].low // systems[0].step
    high = low + len(systems[0].steps) - 1
    if low == -1 and high == 1:
        return [(s.steps[0] - s.steps[-1]) * (s.steps[0] - s.steps[-1]) / s.steps[0] for s in systems]
    scaled = [(s.lambda_ * s.step, s.h / (s.lambda_ * s.step)) for s in systems]
    if low == -1:
        averages = [s.average / s.step for s in systems]
        scaled = [(scale, mean * mean / ratio) for mean, (scale, ratio) in zip(averages, scaled, strict=True)]
    if low == -1 or high == 1:
        return [ratio * (1.0 - math.exp(-scale)) for scale, ratio in scaled]
    sums = _sums_over_lengths([s.steps for s in systems], low, [math.exp(-scale) for scale, _ in scaled])
    return [
        -math.exp(-2.0 * total) / (ratio * _expm1(-scale)) for total, (scale, ratio) in zip(sums, scaled, strict=True)
    ]


def _sums_over_lengths(steps: list[tuple[float, ...]], low: int, decays: list[float]) -> list[float]:
    """Return, by system, the sum over lengths j of (P(score >= 0) + E(exp(lambda score); score < 0)) / j.

    The systems go side by side through one array operation each; alone, one would cost 10 ms.
    """
    import numpy as np  # late: only a batch of several queries needs it

    probabilities = np.array(steps).T[:, :, None]
    totals, active = [0.0] * len(steps), list(range(len(steps)))
    distribution = np.ones((len(steps), 1))  # of the score of `length` positions, from length * low upwards
    for length in range(1, K_TERMS + 1):
        width = distribution.shape[1]
        longer = np.zeros((len(active), width + len(probabilities) - 1))
        for offset, probability in enumerate(probabilities):
            longer[:, offset : offset + width] += distribution * probability
        zero = -length * low
        negative = [
            _weighted(row, decays[system]) for row, system in zip(longer[:, :zero].tolist(), active, strict=True)
        ]
        terms = np.cumsum(np.column_stack([negative, longer[:, zero:]]), axis=1)[:, -1] / length
        for system, term in zip(active, terms.tolist(), strict=True):
            totals[system] += term
        going_on = terms > K_LIMIT
        if not going_on.any():
            break
        active = [system for system, goes_on in zip(active, going_on, strict=True) if goes_on]
        distribution, probabilities = longer[going_on], probabilities[:, going_on]
    return totals


def _weighted(row: list[float], decay: float) -> float:
    """Return the sum of probabilities of scores ..., -2, -1, each times ``decay`` to the power of its size."""
    total = row[0]
    for probability in row[1:]:
        total = probability + total * decay
    return total * decay


def _power(base: float, exponent: int) -> float:
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        exponent >>= 1
        if exponent:
            base *= base
    return result


def _expm1(x: float) -> float:
    """Return exp(x) - 1, near zero by its series; the library's own differs in the last digit."""
    if abs(x) > SERIES_LIMIT:
        return math.exp(x) - 1.0
    total = 1.0 / math.factorial(12) + x / math.factorial(13)
    for term in range(11, 0, -1):
        total = 1.0 / math.factorial(term) + x * total
    return x * total


def _nearest(value: float) -> int:
    return int(value + (0.5 if value >= 0 else -0.5))
