"""The subjects of an archive, against what the search summed up."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.archive import DatabaseSize, split
from multiblast.archive.summary import read_subjects
from multiblast.database import Result
from multiblast.errors import ArchiveError
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("blastp", {}),
        ("blastp", {"ungapped": True, "comp_based_stats": "0"}),
        ("blastn", {}),
        ("tblastx", {}),
    ],
)
def test_subjects_are_those_of_the_summary(  # noqa: PLR0913, PLR0917 - its fixtures
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
    program: str,
    options: dict[str, object],
) -> None:
    sequences = proteins if program == "blastp" else nucleotides
    fasta = b"".join(sequence.canonical for sequence in sequences[:6]).decode()
    job = search_whole(services, fasta, program=program, **options)
    keys = [row.result_key for row in job.rows]
    with services.database.read() as session:
        rows = {key: session.get_one(Result, key) for key in keys}
    assert sum(row.hits for row in rows.values()) > 20
    for key, archive in zip(keys, services.queries.results.archives(keys), strict=True):
        subjects = list(read_subjects(archive).values())
        assert len(subjects) == rows[key].hits
        if subjects:
            assert min(subject.evalue for subject in subjects) <= (rows[key].evalue or 0)


def test_subjects_of_something_else_are_refused() -> None:
    with pytest.raises(ArchiveError):
        read_subjects(b"Blast4-archive ::= {\n}\n")


@pytest.mark.parametrize(
    "defline",
    [
        "378462", "lcl|7", "pdb|1ABC|A", "pdb|1ABC|AB", "pat|US|123|4", "pgp|EP|2|7", "gnl|foo|bar", "gnl|foo|77",
        "gi|123456", "sp|P12345.2|AB_C", "prf||0806162C", "bbs|123", "bbm|6", "ref|NP_1|", "a|b",
    ],
)  # fmt: skip
def test_best_hit_is_named_as_saccver_names_it(defline: str, tmp_path: Path) -> None:
    residues = "MKVLAAGIVGLCAKAYWQERTYHGFDSAPLKMNVCWQEMKVLAAGIVGLC"
    fasta = tmp_path / "sequences.fasta"
    fasta.write_text(f">{defline} title\n{residues}\n")

    def run(*command: str) -> bytes:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout

    run("makeblastdb", "-in", fasta.name, "-dbtype", "prot", "-parse_seqids", "-out", "database")
    search = ("blastp", "-query", fasta.name, "-db", "database", "-outfmt")
    archive = io.BytesIO(run(*search, "11"))
    (part,) = split(archive, DatabaseSize(letters=len(residues), sequences=1))
    assert part.summary.best_hit == run(*search, "6 saccver").decode().strip()
