"""What sequences are made of, and what databases hold."""

from __future__ import annotations

from enum import StrEnum


class Molecule(StrEnum):
    """What a sequence is made of; the value is how it is written in forms and in what is stored."""

    PROTEIN = "protein"
    NUCLEOTIDE = "nucleotide"


class DatabaseKind(StrEnum):
    """What a BLAST+ database holds: sequences of one molecule, or the protein profiles that rpsblast searches."""

    NUCLEOTIDE = "nucleotide"
    PROTEIN = "protein"
    PROFILE = "profile"

    @property
    def letter(self) -> str:
        """What the extensions of its index files begin with, as in ``.nin`` and ``.pin``; profiles are proteins."""
        return "n" if self is DatabaseKind.NUCLEOTIDE else "p"


DBTYPES = {Molecule.PROTEIN: "prot", Molecule.NUCLEOTIDE: "nucl"}
"""What makeblastdb calls a molecule."""
