"""What a query consists of, from its letters."""

from __future__ import annotations

from multiblast.errors import InvalidInputError
from multiblast.molecules import Molecule
from multiblast.sequences.fasta import Source, read_fasta

_LOOKED_AT = 100
_BASES = b"ACGTUNacgtun"
_LEAST_PART = 0.9


def recognise(source: Source) -> Molecule:
    """Return what sequences consist of, by the letters of the first hundred: nucleotides if nine of ten are bases.

    Raises:
        InvalidInputError: there is no sequence.
    """
    letters = bases = 0
    for number, sequence in enumerate(read_fasta(source)):
        if number == _LOOKED_AT:
            break
        letters += len(sequence.residues)
        bases += len(sequence.residues) - len(sequence.residues.translate(None, _BASES))
    if not letters:
        raise InvalidInputError("there is no sequence: paste one, or choose a file")
    return Molecule.NUCLEOTIDE if bases >= _LEAST_PART * letters else Molecule.PROTEIN
