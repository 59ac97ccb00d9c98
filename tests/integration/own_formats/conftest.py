"""Merged archives of the demo data, and of titles that are hard to write down."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from multiblast.archive import merge, split
from multiblast.programs import FORMATTER_ENVIRONMENT, Program
from multiblast.sequences import read_fasta
from tests.support.places import EXAMPLES

PROGRAMS = {
    "blastp": ("protein_query", "proteins"),
    "blastn": ("nucleotide_query", "nucleotides"),
    "blastx": ("nucleotide_query", "proteins"),
    "tblastn": ("protein_query", "nucleotides"),
    "tblastx": ("nucleotide_query", "nucleotides"),
    "psiblast": ("protein_query", "proteins"),
}
HARD_TITLES: list[bytes] = [
    b"twin </script><script>alert(\"no\")</script> & 'quotes' \\ back",
    b"twin second of the name",
    b"",
    "é naïve 中文 <b>bold</b>".encode(),
    b"\xe9t\xe9 latin-1",
    b"# Query: pretender",
    b"=cmd() formula",
    *[b"plain%d" % number for number in range(8, 11)],
    b"twin has no hits",
    b"last one",
]


@pytest.fixture(scope="session")
def merged(targets_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``merged(program, titles=…)``: the archive of the demo queries of a program, made once."""
    directory = tmp_path_factory.mktemp("merged")

    def make(program: str, titles: Sequence[bytes] = ()) -> Path:
        archive = directory / f"{program}{'-hard' if titles else ''}.asn1"
        if not archive.exists():
            query, target = PROGRAMS[program]
            database = targets_root / "demo" / "examples" / "blast" / target
            sequences = list(read_fasta(EXAMPLES / f"{query}.fasta"))
            fasta, searched = directory / "query.fasta", directory / "searched.asn1"
            fasta.write_bytes(b"".join(b">q\n%b\n" % sequence.residues for sequence in sequences))
            command = [
                program,
                "-query",
                str(fasta),
                "-db",
                str(database),
                "-evalue",
                "1e-5" if program == "blastp" else "10",
            ]
            command += ["-outfmt", "11", "-out", str(searched)]
            subprocess.run(command, check=True, env=os.environ | {"BATCH_SIZE": "1"})
            deflines = titles or [sequence.defline for sequence in sequences]
            with searched.open("rb") as stream, archive.open("wb") as output:
                parts = zip(deflines, (part.archive for part in split(stream)), strict=True)
                merge(parts, output, str(database))
        return archive

    return make


@pytest.fixture(scope="session")
def hard_titles() -> list[bytes]:
    """Titles for the twelve demo queries that tempt whoever writes them into a file."""
    return HARD_TITLES


@pytest.fixture(scope="session")
def tabular() -> Callable[[Path, str], list[dict[str, str]]]:
    """``tabular(archive, fields)``: what ``blast_formatter`` prints of it in format 6."""

    def read(archive: Path, names: str) -> list[dict[str, str]]:
        command = ["blast_formatter", "-archive", str(archive), "-outfmt", f"6 {names}"]
        printed = archive.with_suffix(".tabular")
        Program(command, stdout=printed, environment=FORMATTER_ENVIRONMENT).run()
        lines = printed.read_bytes().decode("utf-8", "replace").splitlines()
        return list(csv.DictReader(lines, names.split(), delimiter="\t", quoting=csv.QUOTE_NONE))

    return read
