"""What is measured with: real and generated sequences, and databases made of them."""

from __future__ import annotations

import gzip
import random
import subprocess
import tempfile
from itertools import product
from pathlib import Path

from rich.console import Console

from multiblast.sequences import Sequence, read_fasta
from multiblast.settings import home
from multiblast.targets.makeblastdb import build_database

__all__ = [
    "back_translated",
    "changed",
    "cut",
    "large_nucleotides",
    "many_proteins",
    "nucleotides",
    "proteins",
    "rotated",
    "shuffled",
]

console = Console(highlight=False)


def print_goal(name: str, value: float, goal: float, unit: str = "") -> None:
    """Print what was measured, and whether it is at most its goal."""
    console.print(f"{name}: {f'{value:.3g} {unit}'.strip()} (goal: at most {goal}, {mark(is_met=value <= goal)})")


def mark(*, is_met: bool) -> str:
    """Return how it is said that a goal is met."""
    return "[green]met[/green]" if is_met else "[red]missed[/red]"


def shuffled(queries: list[Sequence], seed: int) -> list[Sequence]:
    """Return the same sequences in another order and under other names."""
    renamed = [Sequence(b"renamed %d" % number, sequence.residues) for number, sequence in enumerate(queries)]
    random.Random(seed).shuffle(renamed)
    return renamed


def changed(queries: list[Sequence], every: int) -> list[Sequence]:
    """Return the sequences with the first letter of every so manieth another one, so that it is not known."""
    return [
        Sequence(one.defline, (b"A" if one.residues[:1] != b"A" else b"G") + one.residues[1:])
        if number % every == 0
        else one
        for number, one in enumerate(queries)
    ]


def rotated(queries: list[Sequence], letters: int) -> list[Sequence]:
    """Return the sequences with so many of their first letters at their end."""
    return [Sequence(one.defline, one.residues[letters:] + one.residues[:letters]) for one in queries]


def cut(whole: list[Sequence], count: int, residues: int) -> list[Sequence]:
    """Return pieces of that many residues, each another one, cut anywhere from whole ones."""
    generator, pieces = random.Random(count), set[bytes]()
    long_enough = [protein.residues for protein in whole if len(protein.residues) >= residues]
    while len(pieces) < count:
        protein = generator.choice(long_enough)
        start = generator.randrange(len(protein) - residues + 1)
        pieces.add(protein[start : start + residues])
    return [Sequence(b"p%d" % number, piece) for number, piece in enumerate(sorted(pieces))]


def proteins(directory: Path) -> tuple[list[Sequence], Path]:
    """Return the 500 queries and the database of 20 000 real proteins of Debian's mmseqs2-examples."""
    source = _example_data() / "usr/share/doc/mmseqs2/example-data"
    with gzip.open(source / "QUERY.fasta.gz") as stream:
        queries = list(read_fasta(stream.read()))
    return queries, _database(directory, "proteins", source / "DB.fasta.gz", "protein")


def many_proteins(directory: Path, decoys: int) -> tuple[list[Sequence], Path]:
    """Return the same queries, and a larger database: with each protein so many more of the same letters, shuffled."""
    source = _example_data() / "usr/share/doc/mmseqs2/example-data"
    queries, _ = proteins(directory)
    generator, name = random.Random(decoys), f"proteins-{decoys}"
    larger = directory / f"{name}.fasta"
    with gzip.open(source / "DB.fasta.gz") as stream, larger.open("wb") as file:
        for number, one in enumerate(read_fasta(stream.read())):
            file.write(one.canonical)
            for decoy in range(decoys):
                residues = bytes(generator.sample(one.residues, len(one.residues)))
                file.write(b">decoy_%d_%d\n%b\n" % (number, decoy, residues))
    return queries, _database(directory, name, larger, "protein")


def _example_data() -> Path:
    """Download and unpack the package once; nothing is installed."""
    place = home() / "benchmark-data"
    if not (place / "usr").is_dir():
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as name:
            console.print("downloading the package mmseqs2-examples …")
            subprocess.run(["apt-get", "download", "mmseqs2-examples"], cwd=name, check=True, capture_output=True)
            package = next(Path(name).glob("*.deb"))
            subprocess.run(["dpkg", "-x", package, place], check=True)
    return place


def nucleotides(directory: Path, letters: int, count: int) -> tuple[list[Sequence], Path]:
    """Return queries of 500 bp with 5 % changes, cut from a seeded random database of some letters."""
    generator = random.Random(letters)
    source = directory / f"nucleotides-{letters}.fasta"
    subjects = [bytes(generator.choices(b"ACGT", k=100_000)) for _ in range(letters // 100_000)]
    with source.open("wb") as file:
        for number, subject in enumerate(subjects):
            file.write(b">s%d\n%b\n" % (number, subject))
    queries = []
    for number in range(count):
        start = generator.randrange(99_500)
        query = bytearray(generator.choice(subjects)[start : start + 500])
        for position in generator.sample(range(500), 25):
            query[position] = generator.choice(b"ACGT")
        queries.append(Sequence(b"q%d" % number, bytes(query)))
    return queries, _database(directory, f"nucleotides-{letters}", source, "nucleotide")


def large_nucleotides(directory: Path, volumes: int, count: int) -> tuple[list[Sequence], Path]:
    """Return reads of 500 bp cut from seeded random sequences, and a database of so many volumes, all with these.

    A volume has 500 million letters; all but the first are links to it.
    """
    generator, letters, source = random.Random(volumes), 1_000_000, directory / "large.fasta"
    reads = list[Sequence]()
    with source.open("wb") as file:
        for number in range(500):
            subject = generator.randbytes(letters).translate(b"ACGT" * 64)
            file.write(b">s%d\n%b\n" % (number, subject))
            for start in generator.sample(range(letters - 500), -(-count // 500)):
                reads.append(Sequence(b"r%d" % len(reads), subject[start : start + 500]))
    place = directory / "targets/bench/large/blast"
    place.mkdir(parents=True)
    names = [f"v{number}" for number in range(volumes)]
    # Of the newer form, an index of all volumes says which of them there are.
    command = ["makeblastdb", "-in", source, "-dbtype", "nucl", "-blastdb_version", "4", "-out", place / names[0]]
    subprocess.run(command, check=True, capture_output=True)
    source.unlink()
    for name, ending in product(names[1:], ("nhr", "nin", "nsq")):
        (place / f"{name}.{ending}").symlink_to(f"{names[0]}.{ending}")
    alias = place / "all"
    alias.with_suffix(".nal").write_text(f"TITLE large\nDBLIST {' '.join(names)}\n")
    return reads[:count], alias


def _database(directory: Path, name: str, source: Path, molecule: str) -> Path:
    place = directory / "targets" / "bench" / name / "blast"
    if not place.is_dir():
        build_database(source, place, name, molecule=molecule)  # type: ignore[arg-type]  # one of the two
    return place / name


def back_translated(protein: bytes) -> bytes:
    """Return a coding sequence of a protein."""
    codons = dict(zip(b"ARNDCQEGHILKMFPSTWYV", _CODONS, strict=True))
    return b"".join(codons.get(letter, b"NNN") for letter in protein)


_CODONS = [
    codon.encode()
    for codon in (
        "GCT CGT AAT GAT TGT CAA GAA GGT CAT ATT CTG AAA ATG TTT CCG AGC ACC TGG TAT GTG".split()  # noqa: SIM905 - a table
    )
]
