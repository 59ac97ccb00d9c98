"""Sequences as the text that is submitted."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from multiblast.sequences import Sequence, read_fasta
from tests.support.places import EXAMPLES

__all__ = ["distinct_proteins", "fasta"]


def fasta(sequences: Iterable[Sequence]) -> str:
    """Return sequences in FASTA format."""
    return b"".join(sequence.canonical for sequence in sequences).decode()


def distinct_proteins() -> list[Sequence]:
    """Return the distinct proteins of the demo database, shortest first."""
    with gzip.open(EXAMPLES / "proteins.fasta.gz") as stream:
        distinct = {sequence.residues: sequence for sequence in read_fasta(stream.read())}.values()
    return sorted(distinct, key=lambda sequence: sequence.length)
