"""Query sequences: reading FASTA, checking it, and its canonical form."""

from multiblast.sequences.fasta import Source, read_canonical, read_fasta, text_blocks
from multiblast.sequences.query_check import Query, check_query
from multiblast.sequences.sequence import Sequence

__all__ = ["Query", "Sequence", "Source", "check_query", "read_canonical", "read_fasta", "text_blocks"]
