"""Any choice of searched sequences, in any order and under any title, is reported as BLAST+ reports it."""

from __future__ import annotations

import gzip
import io
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from multiblast.archive import DatabaseSize, merge, split
from multiblast.reports.blast_report import write_blast_report
from multiblast.reports.report_options import Formatting
from multiblast.sequences import read_fasta

DATA = Path(__file__).parents[1] / "data"
FORMATS = ("5", "6", "10", "12", "15", "18")
XML = "5"
LONGEST = 400
UNSEARCHABLE = b"X" * 40


def titles(name: str) -> st.SearchStrategy[str]:
    """Any titles; BLAST+'s XML fails on letters beyond ASCII."""
    last = 0x7E if name == XML else 0x2FF
    text = st.text(st.characters(min_codepoint=32, max_codepoint=last, blacklist_categories=["Cc"]), max_size=60)
    return text.filter(lambda title: not title.startswith("?"))  # `>?` is no title, but begins a gap


class Searched:
    """The results of one set of sequences."""

    def __init__(self, directory: Path) -> None:
        fasta = gzip.decompress((DATA / "exactness_proteins.fasta.gz").read_bytes())
        self.database = str(directory / "proteins")
        command = ["makeblastdb", "-dbtype", "prot", "-title", "proteins", "-out", self.database, "-in", "-"]
        subprocess.run(command, input=fasta, check=True, capture_output=True)
        lengths = [len(sequence.residues) for sequence in read_fasta(io.BytesIO(fasta))]
        with (DATA / "exactness_proteins_query.fasta").open("rb") as stream:
            sequences = [s.residues for s in read_fasta(stream) if len(s.residues) < LONGEST]
        residues = [one for one in dict.fromkeys(sequences) if one != UNSEARCHABLE]
        query, archive = directory / "query.fasta", directory / "archive.asn1"
        query.write_bytes(b"".join(b">q\n%s\n" % one for one in residues))
        command = ["blastp", "-query", str(query), "-db", self.database, "-outfmt", "11", "-out", str(archive)]
        subprocess.run(command, check=True, capture_output=True)
        with archive.open("rb") as stream:
            size = DatabaseSize(sum(lengths), len(lengths))
            self.results = [(residues[part.position], part.archive) for part in split(stream, size)]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return Searched(tmp_path_factory.mktemp("searched"))


@settings(
    max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_any_choice_in_any_order_under_any_title_equals_plain_blast(searched: Searched, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(searched.results), min_size=1, max_size=6))
    formatting = Formatting(format=data.draw(st.sampled_from(FORMATS)))
    names = data.draw(st.lists(titles(formatting.format), min_size=len(chosen), max_size=len(chosen)))
    with TemporaryDirectory() as name:
        directory = Path(name)
        query, plain, merged = directory / "query.fasta", directory / "plain", directory / "merged.asn1"
        query.write_text("".join(f">{title}\n{one[0].decode()}\n" for title, one in zip(names, chosen, strict=True)))
        command = ["blastp", "-query", query, "-db", searched.database, *formatting.arguments(), "-out", plain]
        subprocess.run(command, check=True, capture_output=True)
        with merged.open("wb") as output:
            merge(zip(names, (archive for _, archive in chosen), strict=True), output, searched.database)
        (report,) = write_blast_report(merged, formatting, program="blastp", queries=len(chosen), directory=directory)
        assert report.read_bytes() == plain.read_bytes()
