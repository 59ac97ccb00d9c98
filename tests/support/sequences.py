"""Sequences as the text that is submitted."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from multiblast.sequences import Sequence, read_fasta

__all__ = ["distinct_proteins", "fasta"]

_EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "data"


def fasta(sequences: Iterable[Sequence]) -> str:
    """Return sequences in FASTA format."""
    return b"".join(sequence.canonical for sequence in sequences).decode()


def distinct_proteins() -> list[Sequence]:
    """Return the distinct proteins of the demo database, shortest first."""
    with gzip.open(_EXAMPLES / "proteins.fasta.gz") as stream:
        distinct = {sequence.residues: sequence for sequence in read_fasta(stream.read())}.values()
    return sorted(distinct, key=lambda sequence: sequence.length)
