"""The query of a random draw: sequences like known ones, odd titles, and odd ways to write a file."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

from multiblast.sequences import read_fasta

DATA = Path(__file__).resolve().parents[1] / "data"
NUCLEOTIDE_QUERY = {"blastn", "blastx", "tblastx", "rpstblastn"}
WORDS = (
    "sp|P68871|HBB_HUMAN", "gnl|db|x1", "lcl|7", "gi|5", "Query_1", "a\tb",
    "a  b ", "x>y", "&amp; <b>", "'quoted'", '"',
    "\\n", "100%", "-", "#1", ",", ";", "long" * 40,
)  # fmt: skip


def draw_query(program: str, rng: random.Random) -> str:
    """Return one to six records, one of them maybe twice."""
    kind = "nucleotides" if program in NUCLEOTIDE_QUERY else "proteins"
    pool = pool_of(kind)
    records = [f">{_title(rng)}\n{_sequence(pool, kind, rng)}\n" for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.2:
        records.append(rng.choice(records))
    return "".join(records)


def pool_of(kind: str) -> list[str]:
    """Return all nucleotides, or proteins, that the tests have."""
    text = (DATA / f"exactness_{kind}_query.fasta").read_bytes()
    text += gzip.decompress((DATA / f"exactness_{kind}.fasta.gz").read_bytes())
    return [sequence.residues.decode() for sequence in read_fasta(text)]


def _title(rng: random.Random) -> str:
    title = " ".join(rng.choices(("", "q", "kinase", "x1", *WORDS), k=rng.randint(0, 4)))
    return title + ("é β" if rng.random() < 0.05 else "")


def _sequence(pool: list[str], kind: str, rng: random.Random) -> str:
    """Return a known sequence or a piece of one, mutated, masked, joined, or with ambiguous letters."""
    letters, ambiguous = ("ACGT", "NRYKMSWBDHV") if kind == "nucleotides" else ("ACDEFGHIKLMNPQRSTVWY", "XBZJUO*")
    sequence = rng.choice(pool)
    draw = rng.random()
    if draw < 0.1:
        sequence = sequence[: rng.randint(1, 30)]
    elif draw < 0.2:
        start = rng.randrange(len(sequence))
        sequence = sequence[start : start + rng.randint(10, 400)]
    elif draw < 0.25:
        sequence = "".join(rng.choices(pool, k=20))[: rng.choice((5_000, 12_000, 50_000))]
    elif draw < 0.3:
        sequence = rng.choice(letters + ambiguous[0]) * rng.randint(5, 100)
    rate = rng.choice((0, 0, 0.05, 0.3))
    changed = (rng.choice(letters) if rng.random() < rate else letter for letter in sequence if letter != "-")
    sequence = "".join(changed) or letters[0]
    if rng.random() < 0.2:
        at = rng.randrange(len(sequence))
        sequence = sequence[:at] + "".join(rng.choices(ambiguous, k=3)) + sequence[at + 3 :]
    if rng.random() < 0.2:
        at = rng.randrange(len(sequence))
        sequence = sequence[:at] + sequence[at : at + 40].lower() + sequence[at + 40 :]
    return sequence


def with_lower_case(text: str, rng: random.Random) -> str:
    """Return a query with a part of each sequence in lower case."""

    def lowered(found: re.Match[str]) -> str:
        at = rng.randrange(len(found[0]))
        return found[0][:at] + found[0][at : at + 60].lower() + found[0][at + 60 :]

    return _RESIDUES.sub(lowered, text)


def laid_out(text: str, rng: random.Random) -> str:
    """Return a query written in another way that means the same to BLAST+."""
    width, end = rng.choice((10, 60, 70, 80)), rng.choice(("\n", "\r\n", "\r"))
    way = rng.choice((_blocks, _numbered_lines, _gapped, _commented))

    def cut(found: re.Match[str]) -> str:
        return "\n".join(way(rng, [found[0][at : at + width] for at in range(0, len(found[0]), width)]))

    return _RESIDUES.sub(cut, text).rstrip("\n" if rng.random() < 0.5 else "").replace("\n", end)


def _blocks(_rng: random.Random, lines: list[str]) -> list[str]:
    return [" ".join(line[at : at + 10] for at in range(0, len(line), 10)) + " " for line in lines]


def _numbered_lines(_rng: random.Random, lines: list[str]) -> list[str]:
    return [f"{number:6d} {line}" for number, line in enumerate(lines)]


def _gapped(rng: random.Random, lines: list[str]) -> list[str]:
    return [line[: len(line) // 2] + "-" * rng.randint(1, 5) + line[len(line) // 2 :] for line in lines]


def _commented(rng: random.Random, lines: list[str]) -> list[str]:
    return [other for line in lines for other in (line, rng.choice(("", "; a comment", "# one", "!")))]


_RESIDUES = re.compile(r"^[A-Za-z*]+$", re.MULTILINE)
