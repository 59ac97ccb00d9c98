"""Make the files in `examples/data` from the example data of two Debian packages.

    apt-get download mmseqs2-examples python-biopython-doc
    for package in *.deb; do dpkg -x "$package" unpacked; done
    python examples/make_demo_data.py unpacked/usr/share/doc

It needs BLAST+ and takes about a minute. The same packages give the same files, byte for byte.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from multiblast.sequences import Sequence, read_fasta
from multiblast.targets.makeblastdb import build_database

DATA = Path(__file__).parent / "data"
LINE_LETTERS = 60

# Many, some, few and no relatives in the database.
PROTEIN_QUERIES = (
    *("KC1D_MOUSE", "SYL_SHESR", "OBG_NEIG2", "HXA7_PANPA"),
    *("HCN2_RAT", "FTSZ_MYCKA", "F16PA_GEOSL", "VA52_DOLMA"),
    *("GET2_CANAL", "BXB1_BOMMO", "RDRP_AQRVG"),
)
GENES = ("87-1109", "3486-3857", "c5888-4815", "6664-7602")
EVERY = 11  # of the proteins that are no relatives
HELD_OUT = slice(4, None, 16)  # of the orchids: queries that are not in the database


def main(packages: Path) -> None:
    """Write the four files."""
    mmseqs = packages / "mmseqs2" / "example-data"
    biopython = packages / "python-biopython-doc"
    query, database = proteins(mmseqs / "QUERY.fasta.gz", mmseqs / "DB.fasta.gz")
    write_query("protein_query.fasta", query)
    write_database("proteins.fasta.gz", database)
    query, database = nucleotides(biopython)
    write_query("nucleotide_query.fasta", query)
    write_database("nucleotides.fasta.gz", database)


def proteins(queries: Path, subjects: Path) -> tuple[list[Sequence], list[Sequence]]:
    """Choose the protein queries, their relatives and a sample of all other proteins."""
    by_name = {s.name.rpartition("|")[2]: without_split(s) for s in read_fasta(queries)}
    query = [by_name[name] for name in PROTEIN_QUERIES]
    query.append(Sequence(b"my_homeobox HXA7_PANPA once more, under another name", by_name["HXA7_PANPA"].residues))
    relatives = names_of_relatives(query, subjects)
    all_subjects = map(without_split, read_fasta(subjects))
    return query, [s for s in all_subjects if s.name in relatives or s.number % EVERY == 0]


def without_split(sequence: Sequence) -> Sequence:
    """Take off the mark that mmseqs2 left at the end of UniProt's defline."""
    return replace(sequence, defline=sequence.defline.removesuffix(b" Split=0"))


def names_of_relatives(query: Iterable[Sequence], subjects: Path) -> set[str]:
    """Return the names of the subjects that blastp finds."""
    with tempfile.TemporaryDirectory() as work:
        database = build_database(subjects, Path(work), "all", molecule="protein")
        command = ["blastp", "-db", str(database), "-evalue", "1e-5", "-outfmt", "6 sseqid", "-max_target_seqs", "150"]
        text = b"".join(s.canonical for s in query)
        return set(subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode().split())


def nucleotides(biopython: Path) -> tuple[list[Sequence], list[Sequence]]:
    """Choose from orchids' ribosomal DNA, a plasmid and its genes, HIV-1, and an EST of another plant."""
    orchids = list(read_fasta(biopython / "Doc/examples/ls_orchid.fasta.gz"))
    genes = list(read_fasta(biopython / "Tests/GenBank/NC_005816.ffn.gz"))
    held_out = orchids[HELD_OUT]
    query = [
        *held_out,
        Sequence(b"my_orchid Z78529.1 once more, under another name", held_out[0].residues),
        *(s for s in genes if s.name.rpartition(":")[2] in GENES),
        *read_fasta(biopython / "Doc/examples/m_cold.fasta"),
    ]
    database = [
        *(s for s in orchids if s not in held_out),
        *read_fasta(biopython / "Tests/GenBank/NC_005816.fna.gz"),
        *read_fasta(biopython / "Tests/GFF/NC_001802.fna.gz"),
    ]
    return query, database


def write_query(name: str, sequences: Iterable[Sequence]) -> None:
    """Write plain FASTA with wrapped lines, for people to read."""
    with (DATA / name).open("wb") as file:
        for s in sequences:
            file.write(b">%b\n" % s.defline)
            for start in range(0, s.length, LINE_LETTERS):
                file.write(s.residues[start : start + LINE_LETTERS] + b"\n")


def write_database(name: str, sequences: Iterable[Sequence]) -> None:
    """Write gzipped FASTA, without the time and name that gzip would add."""
    text = b"".join(s.canonical for s in sequences)
    (DATA / name).write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
