"""Sequences as the text that is submitted."""

from __future__ import annotations

from collections.abc import Iterable

from multiblast.sequences import Sequence

__all__ = ["fasta"]


def fasta(sequences: Iterable[Sequence]) -> str:
    """Return sequences in FASTA format."""
    return b"".join(sequence.canonical for sequence in sequences).decode()
