"""Databases for random draws: ids of every kind, several titles a sequence, odd letters, and masks."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from tests.exactness.drawn_queries import pool_of

SEQUENCES = 60
MASKS = {"odd_proteins": "21", "odd_nucleotides": "11"}
"""The databases, each with the number of its mask, by SEG or by DUST."""

_IDS = {
    "proteins": (
        *(
            "sp|P{0}|ABC{0}_HUMAN",
            "gi|{0}|ref|NP_{0}.1|",
            "gi|{0}|gb|AAC{0}.1|",
            "pdb|{1}|A",
            "lcl|loc_{0}",
            "gnl|db|x{0}",
        ),
        *(
            "prf||{0}A",
            "pir||S{0}",
            "tr|A0A{0}",
            "plain{0}.x:y",
            "{0}",
            "tpg|DAA{0}.1|",
            "ref|WP_{0}.2|",
            "gb|AAA{0}.1|",
        ),
    ),
    "nucleotides": (
        *(
            "gi|{0}|ref|NM_{0}.1|",
            "gb|AB{0}.1|",
            "emb|X{0}.1|",
            "dbj|D{0}.1|",
            "gi|{0}|gb|AC{0}.1|",
            "lcl|loc_{0}",
            "gnl|db|x{0}",
        ),
        *("plain{0}.x:y", "{0}", "ref|NC_{0}.2|", "pdb|{1}|A"),
    ),
}
_TITLES = (
    *(
        "a kinase [Homo sapiens]",
        "",
        "two  blanks",
        "<tag> & amp; \"q\" 'x'",
        "many words " * 30,
        "A=B; C>D",
        "100% \\n",
    ),
    *("{json}", "ends in a blank ", "RecName: Full=Thing;"),
)
_ODD = {"proteins": "XBZJUO*", "nucleotides": "NRYKMSWBDHV"}
_MASKERS = {"proteins": "segmasker", "nucleotides": "dustmasker"}


def build_odd_database(directory: Path, name: str) -> None:
    """Build one of `MASKS`, the same each time."""
    kind = name.removeprefix("odd_")
    records = "".join(f">{title}\n{residues}\n" for title, residues in _records(kind, random.Random(name)))
    (directory / "odd.fasta").write_text(records)
    masks = ["-in", "odd.fasta", "-parse_seqids", "-outfmt", "maskinfo_asn1_bin", "-out", "odd.masks"]
    made = ["-in", "odd.fasta", "-parse_seqids", "-dbtype", kind[:4], "-mask_data", "odd.masks"]
    for command in ([_MASKERS[kind], *masks], ["makeblastdb", *made, "-title", "odd & <title>", "-out", name]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


def _records(kind: str, rng: random.Random) -> list[tuple[str, str]]:
    records, number = list[tuple[str, str]](), 10_000
    for residues in rng.sample([one for one in pool_of(kind) if one], SEQUENCES):
        letters, titles = list(residues), list[str]()
        for _ in range(rng.choice((0, 0, 3, 12))):
            letters[rng.randrange(len(letters))] = rng.choice(_ODD[kind])
        for _ in range(rng.choice((1, 1, 1, 3))):  # several titles of one sequence
            number += 1
            form = rng.choice(_IDS[kind])
            titles.append(f"{form.format(number, str(number)[1:])} {rng.choice(_TITLES)}")
        records.append(("\x01".join(titles), "".join(letters)[: rng.choice((None, None, None, 5))]))
    return records
