"""Ids in titles (``-parse_deflines``), as BLAST+ itself reads them.

They change nothing of what is found, so sequences are searched without them, and a report puts them
in. To learn how BLAST+ reads some titles, it searches a few residues under each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from multiblast.archive import Head
from multiblast.archive.batch import read_heads
from multiblast.archive.ids import shown_id
from multiblast.errors import FailureClass, Problem, ProgramError
from multiblast.installation import Installation
from multiblast.molecules import Molecule
from multiblast.programs import BLAST_ENVIRONMENT, Program
from multiblast.sequences import Sequence
from multiblast.targets.makeblastdb import build_database

_RESIDUES = {Molecule.PROTEIN: b"MKRISTTITTTITITTGNGAG", Molecule.NUCLEOTIDE: b"ACGTTGCATTGACCATGACATTACGATCGA"}
_PROGRAM = {Molecule.PROTEIN: "blastp", Molecule.NUCLEOTIDE: "blastn"}
_ENVIRONMENT = BLAST_ENVIRONMENT | {
    # Titles outside ASCII as they are.
    "NCBI_CONFIG__SERIAL__WRONG_CHARS_READ": "ALLOW",
    "NCBI_CONFIG__SERIAL__WRONG_CHARS_WRITE": "ALLOW",
    "BATCH_SIZE": "1000000000",  # all in one archive, with the query that makes it spell out the others
}


def parse_deflines(deflines: Iterable[bytes], molecule: Molecule, installation: Installation) -> Iterator[Head]:
    """Yield the head of each query, in order; deflines are without ``>``.

    Raises:
        ProgramError: BLAST+ cannot read a defline so; its message says which.
    """
    with TemporaryDirectory(prefix="multiblast-") as name:
        directory = Path(name)
        query, archive, subject = directory / "query.fasta", directory / "archive.asn1", directory / "subject.fasta"
        with query.open("wb") as file:
            file.writelines(Sequence(defline, _RESIDUES[molecule]).canonical for defline in deflines)
            # Where all have ids of public databases, an archive holds these ids and no titles. This one has none.
            file.write(b">\n%s\n" % _RESIDUES[molecule])
        subject.write_bytes(b">s\n%s\n" % _RESIDUES[molecule][::-1])
        database = build_database(
            subject, directory, "subject", molecule=molecule, program=installation.program("makeblastdb")
        )
        command = [installation.program(_PROGRAM[molecule]), "-parse_deflines", "-query", str(query)]
        command += ["-db", str(database), "-outfmt", "11", "-evalue", "1e-99", "-out", str(archive)]
        Program(command, environment=_ENVIRONMENT).run()
        with archive.open("rb") as stream:
            yield from (head for head, _ in pairwise(read_heads(stream)))


def check_deflines(deflines: Iterable[bytes], molecule: Molecule, installation: Installation) -> Iterator[Problem]:
    """Yield what is wrong with the ids in some deflines."""
    seen: set[bytes] = set()
    try:
        for number, head in enumerate(parse_deflines(deflines, molecule, installation), start=1):
            if head.id in seen:
                name = head.id.decode("utf-8", "replace")
                yield Problem(
                    f"two titles have one id, {name}: give each its own, or leave parse_deflines out", record=number
                )
            seen.add(head.id)
            if head.length != len(_RESIDUES[molecule]):
                name = shown_id(head.id)
                yield Problem(
                    f"{name} is the id of a nucleotide sequence to BLAST+, which then drops most letters of a "
                    "protein: name it otherwise, or leave parse_deflines out",
                    record=number,
                )
    except ProgramError as error:
        if error.failure_class is not FailureClass.BAD_QUERY_OR_OPTIONS:
            raise
        yield Problem(f"a title cannot be read with parse_deflines: {error.stderr.strip()}", "parse_deflines")
