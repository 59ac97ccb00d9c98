"""One sequence of a query: its defline and its residues, as BLAST+ understands them."""

from __future__ import annotations

from dataclasses import dataclass


def as_text(title: bytes) -> str:
    """Return a title as text: UTF-8, else read as Latin-1."""
    try:
        return title.decode()
    except UnicodeDecodeError:
        return title.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Sequence:
    """One FASTA record.

    Attributes:
        defline: What stands after ``>``, byte for byte, without surrounding blanks and cut before the first control
            character, as BLAST+ cuts it; bytes, because BLAST+ copies them into its reports whatever their encoding.
        residues: The letters as BLAST+ reads them: case kept; blanks, digits and hyphens dropped.
        number: 1-based position in its query; 0 if it is in none.
        line: 1-based line of its defline (of its first residues if it has none); 0 if unknown.
    """

    defline: bytes
    residues: bytes
    number: int = 0
    line: int = 0

    @property
    def title(self) -> str:
        """The defline as text for people and databases."""
        return as_text(self.defline)

    @property
    def name(self) -> str:
        """The first word of the title; what BLAST+ calls ``qseqid``. Empty for an untitled sequence."""
        return self.title.partition(" ")[0]

    @property
    def length(self) -> int:
        """The number of letters."""
        return len(self.residues)

    @property
    def canonical(self) -> bytes:
        """The record as canonical FASTA: ``>defline``, all residues on one line, each ended by a newline.

        Two files are the same query exactly if these are equal, record by record. A title that begins with ``?`` has a
        blank before it, since ``>?`` is a gap.
        """
        return b">%b%b\n%b\n" % (b" " if self.defline.startswith(b"?") else b"", self.defline, self.residues)
