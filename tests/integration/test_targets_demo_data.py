"""The demo data are what their README says."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

from multiblast.sequences import check_query, read_fasta
from multiblast.settings import QueryLimits
from multiblast.targets.makeblastdb import build_database

DATA = Path(__file__).parents[2] / "examples" / "data"


def test_demo_data_are_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 1_000_000


def test_demo_databases_have_the_sequences_named_in_the_readme() -> None:
    counts = [sum(1 for _ in read_fasta(DATA / f"{name}.fasta.gz")) for name in ("proteins", "nucleotides")]
    assert counts == [2139, 90]


def test_demo_queries_pass_the_checks_of_a_public_service() -> None:
    limits = QueryLimits.public()
    protein = check_query(DATA / "protein_query.fasta", molecule="protein", limits=limits, max_target_seqs=500)
    nucleotide = check_query(DATA / "nucleotide_query.fasta", molecule="nucleotide", limits=limits, max_target_seqs=500)
    assert [(q.sequences, q.warnings) for q in (protein, nucleotide)] == [(12, ()), (12, ())]


def test_demo_queries_have_one_sequence_twice() -> None:
    for name in ("protein_query", "nucleotide_query"):
        times = Counter(s.residues for s in read_fasta(DATA / f"{name}.fasta"))
        assert sorted(times.values()) == [1] * 10 + [2]


def test_demo_query_has_the_hits_that_the_readme_says(tmp_path: Path) -> None:
    database = build_database(DATA / "proteins.fasta.gz", tmp_path, "proteins", molecule="protein")
    query = DATA / "protein_query.fasta"
    command = ["blastp", "-query", query, "-db", database, "-evalue", "1e-5", "-outfmt", "6 qseqid"]
    report = subprocess.run(list(map(str, command)), capture_output=True, check=True, text=True).stdout
    hits = Counter(report.split())
    assert [hits[s.name] for s in read_fasta(query)] == [128, 150, 30, 27, 18, 9, 8, 5, 4, 3, 0, 27]
