"""Checking a query before anything is run: every problem, by record and line.

What BLAST+ 2.12 was seen to do with each character, and what is done here:

* Nucleotide: ``ACGTUNRYSWKMBDHV`` in either case; U is T. Anything else is dropped with a warning,
  so that a protein sent to blastn is searched as the few bases left of it: an error here.
* Protein: all 26 letters and ``*``. In scoring, U (selenocysteine) counts as C, O (pyrrolysine) as X;
  J, B and Z have scores of their own; ``*`` matches nothing. Alignments show the letters as sent.
  Accepted here, with a warning for U and O.
* Digits and hyphens are dropped with a warning: the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from multiblast.errors import InvalidInputError, Problem
from multiblast.molecules import Molecule
from multiblast.sequences.fasta import LETTERS, Record, Source, scan
from multiblast.sequences.sequence import Sequence
from multiblast.settings import QueryLimits

_MOST_PROBLEMS = 100
_MOST_NAMES = 100_000  # looked at for duplicates, so that memory has a bound
_MOST_LABELS = 5
_BASES = b"ACGTUNRYSWKMBDHV"
_ALPHABETS = {Molecule.NUCLEOTIDE: _BASES + _BASES.lower(), Molecule.PROTEIN: LETTERS}
_REMEDIES = {
    Molecule.NUCLEOTIDE: "a nucleotide sequence has only ACGTU, N (any base) and the codes RYSWKMBDHV; "
    "for a protein query use blastp or tblastn",
    Molecule.PROTEIN: "a protein sequence has only letters and '*'",
}
_PLAIN_BASES = b"ACGTUNacgtun"
_SHORTEST_TELLING_BP = 20  # shorter proteins may well consist of A, C, G, T and N by chance


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query; iterating reads its sequences again, in order.

    Attributes:
        letters: Residues of all sequences together.
        warnings: What is legal but should be known; one for each kind, which names the first records concerned.
    """

    source: Source
    sequences: int
    letters: int
    warnings: tuple[Problem, ...]
    reads_ids: bool = False

    def __iter__(self) -> Iterator[Sequence]:
        """Yield the sequences."""
        for record in scan(self.source, reads_ids=self.reads_ids):
            yield record.sequence()


def check_query(  # noqa: PLR0913 - a query, and what it is checked for
    source: Source,
    *,
    molecule: Molecule,
    limits: QueryLimits,
    max_target_seqs: int = 0,
    reads_ids: bool = False,
    leaves_out: Callable[[int], bool] = lambda _length: False,
) -> Query:
    """Read all of ``source`` once and report everything that is wrong with it.

    It is FASTA text, its bytes or the path of a FASTA file, each may be gzipped; not an open file, as the query is
    read again when it is used. ``max_target_seqs`` counts for the limit on results, unless it is 0; ``reads_ids`` as
    BLAST+ does with ``-parse_deflines``; ``leaves_out`` returns for a length whether BLAST+ passes a sequence over,
    which is refused if all are.

    Raises:
        InvalidInputError: with all problems in the order of the query, at most 100 and the number of the others.
    """
    checker = _Checker(molecule, limits, leaves_out)
    try:
        for record in scan(
            source,
            alphabet=_ALPHABETS[molecule],
            longest=limits.longest(molecule),
            most_bytes=limits.query_bytes,
            reads_ids=reads_ids,
        ):
            checker.check(record)
    except InvalidInputError as error:
        for problem in error.problems:
            checker.refuse(problem)
    else:
        checker.check_totals(max_target_seqs)
    if checker.problems:
        raise InvalidInputError(checker.all_problems())
    return Query(source, checker.sequences, checker.letters, tuple(checker.warnings()), reads_ids)


@dataclass(slots=True)
class _Remark:
    """One kind of warning and the records it concerns."""

    text: str
    first: Record
    line: int
    labels: list[str] = field(default_factory=list)
    count: int = 0


class _Checker:
    def __init__(self, molecule: Molecule, limits: QueryLimits, leaves_out: Callable[[int], bool]) -> None:
        self.molecule = molecule
        self.limits = limits
        self.leaves_out = leaves_out
        self.longest = limits.longest(molecule)
        self.sequences = self.letters = self.refused = self.left_out = 0
        self.problems: list[Problem] = []
        self.remarks: dict[str, _Remark] = {}
        self.names: set[bytes] = set()

    def refuse(self, problem: Problem) -> None:
        self.refused += 1
        if self.refused <= _MOST_PROBLEMS:
            self.problems.append(problem)

    def all_problems(self) -> list[Problem]:
        more = self.refused - len(self.problems)
        return [*self.problems, Problem(f"and {more:,} more problems like these")] if more else self.problems

    def check(self, record: Record) -> None:
        self.sequences += 1
        self.letters += record.length
        if record.flaw or record.stray:
            for problem in record.problems(_REMEDIES[self.molecule]):
                self.refuse(problem)
        elif not record.length:
            self._refuse_record(record, f"{record.label} has no residues: add its sequence or remove its defline")
        elif self.longest and record.length > self.longest:
            self._refuse_record(
                record,
                f"{record.label} has {record.length:,} letters, over the limit of {self.longest:,} "
                f"for one {self.molecule} sequence: cut it into pieces",
            )
        else:
            self._remark_on(record)

    def _refuse_record(self, record: Record, message: str) -> None:
        self.refuse(Problem(message, record=record.number, line=record.line))

    def _remark_on(self, record: Record) -> None:
        name = record.defline.partition(b" ")[0]
        if name in self.names:
            self._remark("an earlier sequence has the same name, so that a report cannot distinguish them", record)
        elif name and len(self.names) < _MOST_NAMES:
            self.names.add(name)
        if record.title_line:
            self._remark("some residues look like a title; is a '>' missing?", record, line=record.title_line)
        if record.dropped:
            self._remark("digits and hyphens are dropped, as BLAST+ does", record)
        if self.leaves_out(record.length):
            self.left_out += 1
            self._remark("query_loc begins beyond its end: it is left out, of reports too, as by BLAST+", record)
        if not record.defline.isascii():
            self._remark("the title has letters outside ASCII, which some report formats cannot show", record)
        if self.molecule == Molecule.PROTEIN:
            self._remark_on_protein(record)

    def _remark_on_protein(self, record: Record) -> None:
        if record.length >= _SHORTEST_TELLING_BP and not any(p.translate(None, _PLAIN_BASES) for p in record.pieces):
            self._remark("this looks like a nucleotide sequence; is blastx or blastn meant?", record)
        if _has(record, b"U"):
            self._remark("U (selenocysteine) is scored as C, as BLAST+ does", record)
        if _has(record, b"O"):
            self._remark("O (pyrrolysine) is scored as X, as BLAST+ does", record)

    def _remark(self, text: str, record: Record, line: int = 0) -> None:
        remark = self.remarks.setdefault(text, _Remark(text, record, line or record.line))
        remark.count += 1
        if remark.count <= _MOST_LABELS:
            remark.labels.append(record.label)

    def check_totals(self, max_target_seqs: int) -> None:
        limits = self.limits
        if not self.sequences:
            self.refuse(Problem("the query is empty: send at least one sequence, as FASTA text"))
        if limits.sequences and self.sequences > limits.sequences:
            self.refuse(
                Problem(
                    f"the query has {self.sequences:,} sequences, over the limit of {limits.sequences:,} "
                    "a job: send it in several jobs"
                )
            )
        if self.sequences and self.left_out == self.sequences:
            reason = "begins beyond the end of every sequence: choose a part that some of them have"
            self.refuse(Problem(reason, "query_loc"))
        results = (self.sequences + 1) * max_target_seqs
        if limits.results and results > limits.results:
            most = limits.results // (self.sequences + 1)
            remedy = f"set max_target_seqs to {most:,} or less, or send fewer sequences" if most else "send fewer"
            self.refuse(
                Problem(
                    f"{self.sequences:,} sequences with {max_target_seqs:,} targets each could give {results:,} "
                    f"results, over the limit of {limits.results:,}: {remedy}",
                    key="max_target_seqs",
                )
            )

    def warnings(self) -> Iterator[Problem]:
        for remark in self.remarks.values():
            more = remark.count - len(remark.labels)
            labels = ", ".join(remark.labels) + (f" and {more:,} more" if more else "")
            yield Problem(f"{labels}: {remark.text}", record=remark.first.number, line=remark.line)


def _has(record: Record, letter: bytes) -> bool:
    return any(letter in piece or letter.lower() in piece for piece in record.pieces)
