"""Our own formats show psiblast's last round, and what BLAST+ says of single queries."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from multiblast.archive import merge, split
from multiblast.reports.hits import read_hits, write_hits
from multiblast.sequences import read_fasta
from tests.support.html_reports import write_html_of
from tests.support.places import EXAMPLES


@pytest.fixture(scope="module")
def database(targets_root: Path) -> Path:
    return targets_root / "demo" / "examples" / "blast" / "proteins"


def _searched(command: list[str], queries: list[bytes], database: Path, directory: Path) -> Path:
    """Return the merged archive of a search of these sequences."""
    fasta, searched, archive = directory / "query.fasta", directory / "searched.asn1", directory / "merged.asn1"
    fasta.write_bytes(b"".join(b">q\n%b\n" % residues for residues in queries))
    command += ["-query", str(fasta), "-db", str(database), "-outfmt", "11", "-out", str(searched)]
    subprocess.run(command, check=True, env=os.environ | {"BATCH_SIZE": "1"})
    with searched.open("rb") as stream, archive.open("wb") as output:
        parts = ((b"query-%d" % number, part.archive) for number, part in enumerate(split(stream), start=1))
        merge(parts, output, str(database))
    return archive


def test_hits_of_psiblast_are_those_of_the_last_round(database: Path, tmp_path: Path) -> None:
    queries = [sequence.residues for sequence in read_fasta(EXAMPLES / "protein_query.fasta")][:2]
    archive = _searched(["psiblast", "-num_iterations", "2"], queries, database, tmp_path)
    printed = subprocess.run(
        ["blast_formatter", "-archive", str(archive), "-outfmt", "7 sseqid evalue score"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rounds = re.split(r"^# PSIBLAST.*\n", printed, flags=re.MULTILINE)[1:]
    assert ["# Iteration: 2\n" in text for text in rounds] == [False, True, False, True]
    last = [line for text in rounds[1::2] for line in text.splitlines() if not line.startswith("#")]
    write_hits(archive, tmp_path / "hits.parquet")
    rows = read_hits(tmp_path / "hits.parquet", page_size=10_000).rows
    assert [f"{row.sseqid}\t{row.score}" for row in rows] == [re.sub(r"\t.*\t", "\t", line) for line in last]
    assert {row.query: row.qseqid for row in rows} == {1: "query-1", 2: "query-2"}


def test_html_shows_what_blast_says_of_a_query(database: Path, tmp_path: Path) -> None:
    queries = [sequence.residues for sequence in read_fasta(EXAMPLES / "protein_query.fasta")][:2]
    queries[1] = queries[1][:50] + b"O" + queries[1][51:]
    write_html_of(_searched(["blastp"], queries, database, tmp_path), tmp_path / "report.html")
    data = re.findall(r'id="query-\d-data">([^<]+)<', (tmp_path / "report.html").read_text())
    first, second = (json.loads(gzip.decompress(base64.b64decode(text))) for text in data)
    assert first["message"] == ""
    assert "O characters replaced by X for alignment score calculations at positions 50" in second["message"]
    assert second["subjects"]
