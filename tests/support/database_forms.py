"""Databases of every form that BLAST+ has, made of the examples."""

from __future__ import annotations

import subprocess
from pathlib import Path

from multiblast.targets.makeblastdb import build_database

DATA = Path(__file__).parents[2] / "examples" / "data"
PROTEINS = DATA / "protein_query.fasta"
NUCLEOTIDES = DATA / "nucleotide_query.fasta"


def run(*command: str | Path) -> str:
    """Return what a command prints."""
    return subprocess.run(list(map(str, command)), capture_output=True, check=True, text=True).stdout


def make_database_forms(root: Path) -> None:
    """Fill a targets root with one database of every form."""
    proteins, nucleotides = root / "A/one/blast", root / "A/two words/blast"
    build_database(PROTEINS, proteins, "plain", molecule="protein", title="Twelve proteins")
    build_database(NUCLEOTIDES, proteins, "Genes", molecule="nucleotide")
    build_database(PROTEINS, proteins, "Genes", molecule="protein")
    build_database(NUCLEOTIDES, nucleotides, "dna", molecule="nucleotide", title="Twelve DNAs")
    many = ["-in", DATA / "proteins.fasta.gz", "-dbtype", "prot", "-logfile", "/dev/null"]
    unpacked = root / "proteins.fasta"
    unpacked.write_bytes(b"".join(s.encode() for s in run("zcat", DATA / "proteins.fasta.gz")))
    many[1] = unpacked
    run("makeblastdb", *many, "-title", "Many", "-max_file_sz", "500000", "-out", proteins / "volumes")
    run("makeblastdb", *many, "-title", "Old", "-blastdb_version", "4", "-out", proteins / "v4")
    names = [line[1:].split()[0] for line in PROTEINS.read_text().splitlines() if line.startswith(">")]
    (root / "taxids").write_text("".join(f"{name} 9606\n" for name in names[:3]))
    build_database(PROTEINS, proteins, "taxa", molecule="protein", taxids=root / "taxids")
    alias = ["blastdb_aliastool", "-dbtype", "prot", "-out", "both", "-title", "Both together"]
    subprocess.run([*alias, "-dblist", "plain volumes"], cwd=proteins, check=True, capture_output=True)
