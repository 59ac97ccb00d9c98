"""What a query consists of, from its letters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import BinaryIO

from multiblast.errors import InvalidInputError
from multiblast.molecules import Molecule
from multiblast.sequences.fasta import Source, read_fasta

_LOOKED_AT = 100
_PIECE = 65536  # of a line, which may have a whole chromosome
_BASES = b"ACGTUNacgtun"
_LEAST_PART = 0.9


def recognise(source: Source) -> Molecule:
    """Return what sequences consist of, by the letters of the first hundred: nucleotides if nine of ten are bases.

    Raises:
        InvalidInputError: there is no sequence.
    """
    letters = bases = 0
    for sequence in islice(read_fasta(source), _LOOKED_AT):
        letters += len(sequence.residues)
        bases += len(sequence.residues) - len(sequence.residues.translate(None, _BASES))
    if not letters:
        raise InvalidInputError("there is no sequence: paste one, or choose a file")
    return Molecule.NUCLEOTIDE if bases >= _LEAST_PART * letters else Molecule.PROTEIN


def may_be_aligned(stream: BinaryIO) -> bool:
    """Return whether sequences may be rows of an alignment: the first hundred, with their gaps, are equally long."""
    return all(one == other for one, other in pairwise(islice(_lengths(stream), _LOOKED_AT)))


def _lengths(stream: BinaryIO) -> Iterator[int]:
    """Yield how long each record of FASTA is; `read_fasta` drops gaps."""
    length, begins, is_title = -1, True, False
    while piece := stream.readline(_PIECE):
        if begins and (is_title := piece.startswith(b">")):
            if length >= 0:
                yield length
            length = 0
        if not is_title:
            length += len(b"".join(piece.split()))
        begins = piece.endswith(b"\n")
    yield length
