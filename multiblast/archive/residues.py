"""Query residues out of an archive, masked and translated as BLAST+ does before it counts them."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from multiblast.errors import ArchiveError

RESIDUE_O = re.compile(rb'seq-data ncbieaa "[^"]*O')
"""In a protein query; BLAST+ searches with X in its place, and counts identities so, but prints the O."""

_LENGTH = re.compile(rb"\n              length (\d+)")
_DATA = re.compile(rb"\n              seq-data (\w+) (?:\"([^\"]*)\"|'([0-9A-F\n]*)'H)")
_MASK = re.compile(rb"from (\d+),\s+to (\d+),")
_FRAME = re.compile(rb"\n        frame (\w+)")
_FRAMES = {b"plus1": 1, b"plus2": 2, b"plus3": 3, b"minus1": -1, b"minus2": -2, b"minus3": -3}
_DIGITS = b"0123456789ABCDEF"
_FOUR_BITS = bytes.maketrans(_DIGITS, b"-ACMGRSVTWYHKDBN")
_FIRST_TWO_BITS, _LAST_TWO_BITS = (bytes.maketrans(_DIGITS, bases) for bases in (b"AAAACCCCGGGGTTTT", b"ACGT" * 4))
_AMBIGUITY = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "M": "AC", "K": "GT", "W": "AT", "S": "CG",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT", "-": "",
}  # fmt: skip
_COMPLEMENT = str.maketrans("ACGTRYMKWSBDHVN", "TGCAYRKMWSVHDBN")


def length_of(instance: bytes) -> int:
    """Return the length in residues that a sequence element states."""
    found = _LENGTH.search(instance)
    if found is None:
        raise ArchiveError("a query of the archive has no length")
    return int(found[1])


def read_residues(instance: bytes) -> str:
    """Return the residues of a sequence element, upper case; nucleotides as IUPAC codes."""
    found = _DATA.search(instance)
    if found is None:
        raise ArchiveError("a query of the archive holds its residues in an unknown form")
    text = (found[2] if found[2] is not None else found[3]).replace(b"\n", b"")
    if found[1] == b"ncbi2na":
        digits, text = text, bytearray(2 * len(text))
        text[::2], text[1::2] = digits.translate(_FIRST_TWO_BITS), digits.translate(_LAST_TWO_BITS)
    elif found[1] == b"ncbi4na":
        text = text.translate(_FOUR_BITS)
    elif found[1] not in {b"ncbieaa", b"iupacna"}:
        raise ArchiveError(f"a query of the archive holds its residues as {found[1].decode()}")
    return text[: length_of(instance)].decode("ascii").upper()


def with_residues_of(instance: bytes, other: bytes) -> bytes:
    """Return a sequence element with the residues of another one, as they stand there."""
    own, others = _DATA.search(instance), _DATA.search(other)
    if own is None or others is None:
        raise ArchiveError("a query of the archive holds its residues in an unknown form")
    return instance[: own.start()] + others[0] + instance[own.end() :]


def masked(residues: str, masks: bytes, letter: str) -> str:
    """Return ``residues`` with what the mask elements cover replaced by ``letter``."""
    if not masks:
        return residues
    letters = list(residues)
    for start, to in intervals(masks):
        letters[start : to + 1] = letter * (min(to + 1, len(letters)) - start)
    return "".join(letters)


def has_low_complexity(residues: str, window: int, locut: float) -> bool:
    """Return whether SEG masks anything of a protein: whether a window's entropy is at most ``locut`` bits.

    Source: Wootton and Federhen, Computers & Chemistry 17 (1993) 149.
    """
    counts = Counter(residues[:window])
    for place in range(len(residues) - window + 1):
        if place:
            counts[residues[place - 1]] -= 1
            counts[residues[place + window - 1]] += 1
        if sum(n * math.log2(window / n) for n in counts.values() if n) <= locut * window:
            return True
    return False


def reverse_complement(residues: str) -> str:
    """Return the other strand."""
    return residues.translate(_COMPLEMENT)[::-1]


def translate(residues: str, frame: int, code: int, masks: bytes) -> str:
    """Return a frame of a nucleotide query as protein, X where it is masked.

    The frame is 1 to 3, or -1 to -3 on the other strand; the genetic code goes by its NCBI number. Masks of
    other frames are passed over.
    """
    strand = residues if frame > 0 else reverse_complement(residues)
    first = abs(frame) - 1
    protein = [_amino_acid(strand[i : i + 3], code) for i in range(first, len(strand) - 2, 3)]
    for element in masks.split(b",\n      {\n"):
        found = _FRAME.search(element)
        if found is None or _FRAMES.get(found[1]) != frame:
            continue
        for start, to in intervals(element):
            # BLAST+ states the first base of the last codon, on the minus strand counted from the end.
            codons = (start, to) if frame > 0 else (len(residues) + frame - to + first, len(residues) - start)
            for place in range((codons[0] - first) // 3, min((codons[1] - first) // 3 + 1, len(protein))):
                protein[place] = "X"
    return "".join(protein)


def intervals(masks: bytes) -> Iterator[tuple[int, int]]:
    """Yield what mask elements cover, 0-based and inclusive."""
    return ((int(start), int(to)) for start, to in _MASK.findall(masks))


@cache
def _amino_acid(codon: str, code: int) -> str:
    """Return what all readings of an ambiguous codon agree on, else X."""
    from Bio.Data.CodonTable import unambiguous_dna_by_id  # late: only translated queries need it

    table = unambiguous_dna_by_id[code]
    readings = {
        table.forward_table.get("".join(bases), "*")
        for bases in itertools.product(*(_AMBIGUITY[base] for base in codon))
    }
    return readings.pop() if len(readings) == 1 else "X"
