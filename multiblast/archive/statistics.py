"""The statistics of each query of a batch: an archive holds only those of the first."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from multiblast.archive.batch import ArchivedQuery
from multiblast.archive.gap_costs import NUCLEOTIDE, PROTEIN, GapCosts
from multiblast.archive.karlin import KarlinAltschul, nucleotide_parameters, protein_parameters
from multiblast.archive.residues import has_low_complexity, masked, read_residues, reverse_complement, translate
from multiblast.errors import ArchiveError, UnderivableError


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """How large the searched databases are together, as ``blastdbcmd -info`` prints it."""

    letters: int
    sequences: int


@dataclass(frozen=True, slots=True)
class QueryStatistics:
    """What an archive states of one query's statistics.

    Attributes:
        ungapped: Parameters of ungapped alignment; None if BLAST+ could not search with the query.
        gapped: Parameters of gapped alignment; None in an ungapped search, and like ``ungapped``.
        length_adjustment: In residues of the query.
    """

    ungapped: KarlinAltschul | None
    gapped: KarlinAltschul | None
    search_space: int
    length_adjustment: int


_OPTION = re.compile(
    rb'          name "(\w+)",\n          value (?:\w[\w-]* )*?("[^"]*"|-?\d+|TRUE|FALSE|\{ -?\d+, 10, -?\d+ \})\n'
)
_PROGRAM = re.compile(rb'\n      program "(\w+)",\n      service "([\w-]+)",')
_REAL = rb"(?:\{ (-?\d+), 10, (-?\d+) \})"
_BLOCK = re.compile(rb"lambda %s,\n        k %s,\n        h %s,\n        gapped (TRUE|FALSE)" % (_REAL, _REAL, _REAL))
_SEARCH_SPACE = re.compile(rb'"Effective search space used: (-?\d+)"')
_ADJUSTMENT = re.compile(rb'"Length adjustment: (-?\d+)"')
_RANGE = re.compile(
    rb'name "RequiredStart",\s+value integer (\d+)\s+\},\s+\{\s+name "RequiredEnd",\s+value integer (\d+)\s'
)
_HARD_MASKS = re.compile(rb'name "SubjectMaskingType",\s+value integer 2\s')
_DERIVABLE = {"plain", "megablast"}
_DELTABLAST = "delta_blast"
_ADJUSTING = {2, 3}
SEG_WINDOW, SEG_LOCUT = 12, 2.2
UNDERIVABLE = "run the batch with the environment variable BATCH_SIZE=1"


class SearchRequest:
    """The request in an archive: what was searched how, as far as statistics depend on it."""

    def __init__(self, opening: bytes, request: bytes) -> None:
        """Read program and options."""
        program = _PROGRAM.search(opening)
        if program is None:
            raise ArchiveError("the archive does not name its program")
        self.program = program[1].decode()
        self.service = program[2].decode()
        algorithm, _, rest = request.partition(b"\n      program-options {\n")
        self._options = {name.decode(): value.decode().strip('"') for name, value in _OPTION.findall(algorithm)}
        # Whether each query's statistics can be derived, apart from what the databases' filters change.
        required = _RANGE.search(rest)
        # The part of each query that was searched: its first and last letter, 0-based.
        self.part = (int(required[1]), int(required[2])) if required else None
        # Whether masked letters of subjects were not aligned at all (``-db_hard_mask``).
        self.masks_subjects = _HARD_MASKS.search(rest) is not None
        self.is_derivable = self.service in _DERIVABLE and not self.part
        self.gapped = self._options.get("UngappedMode") != "TRUE" and self.program != "tblastx"
        self.matrix = self._options.get("MatrixName", "BLOSUM62")
        # Whether the composition of both sequences counts, and whether scores are adjusted to it.
        composition = self._number("CompositionBasedStats")
        self.uses_composition, self.adjusts_scores = composition != 0, composition in _ADJUSTING
        # Whether alignments are made once more in full, without heuristics (``-use_sw_tback``).
        self.makes_full_alignments = self._options.get("SmithWatermanMode") == "TRUE"
        # Whether profiles of domains were searched: by rpsblast, or by rpstblastn, which archives call tblastn.
        self.finds_domains = self.service == "rpsblast"
        # Letters per column of an alignment: 3 if the query, or the subject, is translated.
        translates_query = {"tblastn"} if self.finds_domains else {"blastx", "tblastx"}
        self.query_step = 3 if self.program in translates_query else 1
        self.subject_step = 3 if self.program in {"tblastn", "tblastx"} and not self.finds_domains else 1

    @property
    def _masks_letters(self) -> bool:
        """Whether masks hide letters: soft ones only steer the search for words, and statistics see what is below."""
        return self._options.get("MaskAtHash") != "TRUE"

    @property
    def most_subjects(self) -> int | None:
        """How many subjects of each query were to be kept, as far as it is stated."""
        return self._number("HitlistSize")

    @property
    def inclusion_threshold(self) -> float:
        """Below which E-value psiblast takes a hit for its profile."""
        return self._real("InclusionThreshold") or 0.0

    @property
    def evalue(self) -> float:
        """The E-value up to which hits were to be kept."""
        return self._real("EvalueThreshold") or 0.0

    @property
    def query_code(self) -> int:
        """The genetic code of the query, by its NCBI number."""
        return self._number("QueryGeneticCode") or 1

    def derive(
        self, queries: Sequence[ArchivedQuery], database: DatabaseSize, strands: Sequence[int]
    ) -> list[QueryStatistics]:
        """Return the statistics of some queries of a batch, as BLAST+ has them if it searched these strands.

        Raises:
            UnderivableError: nothing is published for these scores and gap costs.
        """
        contexts = [self._contexts(query, strands) for query in queries]
        found: list[QueryStatistics] = [QueryStatistics(None, None, 0, 0)] * len(queries)
        completed: dict[tuple[KarlinAltschul, int], QueryStatistics] = {}  # many reads are of one length
        pending = list(range(len(queries)))
        while pending:  # BLAST+ states the first strand or frame that it could search with
            tried = [(place, residues) for place in pending if (residues := next(contexts[place], None)) is not None]
            parameters = self._ungapped([residues for _, residues in tried])
            for (place, residues), ungapped in zip(tried, parameters, strict=True):
                if ungapped:
                    kind = ungapped, len(residues)
                    if kind not in completed:
                        completed[kind] = self._complete(*kind, database)
                    found[place] = completed[kind]
            pending = [place for (place, _), ungapped in zip(tried, parameters, strict=True) if not ungapped]
        return found

    def _complete(self, ungapped: KarlinAltschul, length: int, database: DatabaseSize) -> QueryStatistics:
        costs = self.costs()
        gapped = KarlinAltschul(costs.lambda_, costs.k, costs.h) if costs and self.gapped else None
        parameters = gapped or ungapped
        correction = self.length_correction(ungapped)
        # BLAST+ rounds down once, over all sequences together, not per sequence.
        letters = (self._number("DbLength") or database.letters) // self.subject_step
        adjustment = length_adjustment(parameters, correction, length, DatabaseSize(letters, database.sequences))
        space = self._chosen_space or max(1, letters - database.sequences * adjustment) * (length - adjustment)
        # With a large `-dbsize` it is more than BLAST+'s numbers hold, which go on from the other end.
        space = (space + 2**63) % 2**64 - 2**63
        return QueryStatistics(ungapped, parameters if self.gapped else None, space, adjustment)

    def parameters_of_strands(self, query: ArchivedQuery) -> list[KarlinAltschul | None]:
        """Return the ungapped parameters of both strands of a nucleotide query, of what was searched of it."""
        first, last = self.part or (0, None)
        plus = next(self._contexts(query, (1,)))[first : None if last is None else last + 1]
        return self._ungapped([plus, reverse_complement(plus)])

    def searched_length(self, length: int) -> int:
        """Return how many letters of a query of this length were searched, by which BLAST+ calls it."""
        if self.part is None:
            return length
        first, last = self.part
        return min(last + 1, length) - first

    def length_parameters(self) -> tuple[GapCosts | None, GapCosts | None]:
        """Return the published parameters that BLAST+ prints for ungapped and gapped alignment, if it prints any.

        Those of nucleotides have none, and a search space that is given needs none.
        """
        if not self.gapped or self.program == "blastn" or self._chosen_space:
            return None, None
        return PROTEIN[self.matrix][0], self.costs()

    def miscounts_identities(self, query: ArchivedQuery) -> bool:
        """Return whether the archive's identities of a query are not those that reports have.

        In a search for domains, masked letters are X; and rpstblastn counts something else.
        """
        if self.service == _DELTABLAST:
            return bool(query.user_masks)
        masked = self._masks_letters and (query.masks or query.user_masks)
        return self.finds_domains and (self.query_step > 1 or bool(masked))

    def costs(self) -> GapCosts | None:
        """Return the gap costs' published parameters; None if the ungapped ones hold (nucleotides, high costs)."""
        if self.program == "blastn":
            return self._nucleotide_costs()
        if not self.gapped:
            return PROTEIN[self.matrix][0]
        chosen = (self._number("GapOpeningCost") or 11, self._number("GapExtensionCost") or 1)
        for costs in PROTEIN.get(self.matrix, ()):
            if (costs.open, costs.extend) == chosen:
                return costs
        raise UnderivableError(f"no statistics are known for {self.matrix} with gap costs {chosen}; {UNDERIVABLE}")

    def _nucleotide_costs(self) -> GapCosts | None:
        if not self.gapped:
            return None
        match, mismatch = self._rewards()
        factor = math.gcd(match, mismatch)
        known = NUCLEOTIDE.get((match // factor, mismatch // factor))
        if known is None:
            raise UnderivableError(f"no statistics are known for scores {match} and {mismatch}; {UNDERIVABLE}")
        opening, extension = self._nucleotide_gaps()
        for costs in known:
            if (costs.open * factor, costs.extend * factor) == (opening, extension):
                # Tables hold the smallest scores; higher multiples of them only change the unit.
                return costs._replace(lambda_=costs.lambda_ / factor, alpha=costs.alpha / factor)
        return None  # costs beyond the table: gaps are so dear that BLAST+ takes the ungapped parameters

    def _nucleotide_gaps(self) -> tuple[int, int]:
        default = (0, 0) if self._is_greedy else (5, 2)
        opening, extension = self._number("GapOpeningCost"), self._number("GapExtensionCost")
        return (default[0] if opening is None else opening, default[1] if extension is None else extension)

    @property
    def _is_greedy(self) -> bool:
        return self.service == "megablast" and "MBTemplateLength" not in self._options

    def _rewards(self) -> tuple[int, int]:
        match, mismatch = self._number("MatchReward"), self._number("MismatchPenalty")
        default = (1, -2) if self._is_greedy else (2, -3)
        pair = (default[0] if match is None else match, default[1] if mismatch is None else mismatch)
        return (1, -3) if pair == (0, 0) else pair  # rmblastn scores by a matrix file and takes these for statistics

    def length_correction(self, ungapped: KarlinAltschul) -> tuple[float, float]:
        """Return alpha and beta of the mean length of alignments: see `length_adjustment`."""
        costs = self.costs()
        return (costs.alpha, costs.beta) if costs else (ungapped.lambda_ / ungapped.h, self._ungapped_beta())

    def _ungapped_beta(self) -> float:
        return -2.0 if self.program == "blastn" and self._rewards() in {(1, -1), (2, -3)} else 0.0

    def _ungapped(self, contexts: list[str]) -> list[KarlinAltschul | None]:
        if self.program == "blastn":
            return nucleotide_parameters(contexts, *self._rewards())
        return protein_parameters(contexts, self.matrix, translated=self.query_step > 1)

    def _contexts(self, query: ArchivedQuery, strands: Iterable[int]) -> Iterator[str]:
        """Yield the query's strands or frames, masked, in BLAST+'s order."""
        residues = read_residues(query.instance)
        hard = self._masks_letters
        masks = query.masks if hard else b""
        if self.query_step == 1:
            if hard and not masks and self._is_masked(residues, query.user_masks):
                return  # BLAST+ lists no masks of a query of which nothing is left
            if self.program == "blastn":
                residues = masked(residues, masks, "N")
                yield from (residues if strand > 0 else reverse_complement(residues) for strand in strands)
            else:
                yield masked(residues, masks, "X")
            return
        for strand, frame in itertools.product(strands, (1, 2, 3)):
            yield translate(residues, strand * frame, self.query_code, masks)

    def _is_masked(self, residues: str, user_masks: bytes) -> bool:
        """Return whether some of ``residues`` must have been masked."""
        if user_masks:
            return True
        if (
            not any(name.startswith("SegFiltering") for name in self._options)
            or self._options.get("SegFiltering") == "FALSE"
        ):
            return False
        window = self._number("SegFilteringWindow") or SEG_WINDOW
        return has_low_complexity(residues, window, self._real("SegFilteringLocut") or SEG_LOCUT)

    @property
    def _chosen_space(self) -> int:
        """The search space if it is the user's choice: a computed one is the last option."""
        computed = next(reversed(self._options), "") == "EffectiveSearchSpace"
        return 0 if computed else self._number("EffectiveSearchSpace") or 0

    def _real(self, name: str) -> float | None:
        value = self._options.get(name)
        mantissa, _, exponent = value.strip("{ }").split(", ") if value else ("", "", "")
        return float(f"{mantissa}e{exponent}") if value else None

    def _number(self, name: str) -> int | None:
        value = self._options.get(name)
        return None if value is None else int(value)


def length_adjustment(
    parameters: KarlinAltschul, correction: tuple[float, float], query_length: int, database: DatabaseSize
) -> int:
    """Return by how much BLAST+ shortens query and subjects for edge effects.

    The largest whole l with l <= alpha / lambda * ln(K (m - l) (n - N l)) + beta, where m is the
    query's length, n the database's letters and N its sequences; 0 if the space left is too small.
    Letters are residues of the alignment, so a third of a translated database's; the correction is alpha and beta.

    Source: Altschul et al., Nucleic Acids Res. 29 (2001) 351; iteration limits as in BLAST+.
    """
    m, n, count, k = float(query_length), float(database.letters), float(database.sequences), parameters.k
    slope, log_k = correction[0] / parameters.lambda_, math.log(k)

    def proposed(length: float) -> float:
        return slope * (log_k + math.log((m - length) * (n - count * length))) + correction[1]

    product, factor = n * m - max(m, n) / k, m * count + n
    if product < 0:
        return 0
    low, high = 0.0, 2 * product / (factor + math.sqrt(factor * factor - 4 * count * product))
    length, converged = 0.0, False
    for iteration in range(20):
        following = proposed(length)
        if following >= length:
            low = length
            converged = following - low <= 1.0
            if converged or low == high:
                break
        else:
            high = length
        if not low <= following <= high:
            following = (low + high) / 2 if iteration else high
        length = following
    above = math.ceil(low)
    return above if converged and above <= high and proposed(above) >= above else int(low)


def read_statistics(text: bytes) -> QueryStatistics:
    """Return the statistics that an archive states."""
    blocks: dict[bytes, KarlinAltschul] = {}
    for *numbers, gapped in _BLOCK.findall(text):
        values = [float(b"%se%s" % pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
        blocks[gapped] = KarlinAltschul(*values)
    space, adjustment = _SEARCH_SPACE.search(text), _ADJUSTMENT.search(text)
    if blocks.keys() != {b"TRUE", b"FALSE"} or space is None or adjustment is None:
        raise ArchiveError("the archive's statistics are not as BLAST+ writes them")
    ungapped, gapped_block = (block if block.lambda_ >= 0 else None for block in (blocks[b"FALSE"], blocks[b"TRUE"]))
    return QueryStatistics(ungapped, gapped_block, int(space[1]), int(adjustment[1]))


def write_statistics(statistics: QueryStatistics) -> bytes:
    """Return ``ka-blocks`` and ``search-stats`` as BLAST+ writes them."""
    blocks = (_block(statistics.ungapped, b"FALSE"), _block(statistics.gapped, b"TRUE"))
    return _STATISTICS % (*blocks, statistics.search_space, statistics.search_space, statistics.length_adjustment)


_STATISTICS = b"""    ka-blocks {
%s,
%s
    },
    search-stats {
      "Effective search space: %d",
      "Effective search space used: %d",
      "Length adjustment: %d"
    }
  }
}
"""


@lru_cache(maxsize=1024)  # one for all queries with gaps; without, one for all of a composition
def _block(parameters: KarlinAltschul | None, gapped: bytes) -> bytes:
    numbers = tuple(map(_real, parameters or (-1.0, -1.0, -1.0)))
    return b"      {\n        lambda %s,\n        k %s,\n        h %s,\n        gapped %s\n      }" % (*numbers, gapped)


def _real(value: float) -> bytes:
    """Return a number as BLAST+ writes it: 15 significant digits and a power of ten."""
    digits, _, power = f"{value:.14e}".partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    mantissa = int(whole + fraction)
    exponent = int(power) - len(fraction)
    if mantissa and not fraction:
        exponent = int(power)
    return b"{ %d, 10, %d }" % (mantissa, exponent if mantissa else 0)
