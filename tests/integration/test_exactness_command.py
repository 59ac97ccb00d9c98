"""``multiblast exactness``: our reports and plain BLAST+'s, on one's own query and database."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.command_line import app
from multiblast.errors import InvalidInputError
from tests.support.places import EXAMPLES
from tests.support.profile_databases import build_profile_databases


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Protein and nucleotide databases of one name, and one of domains."""
    root = tmp_path_factory.mktemp("root")
    directory = root / "demo" / "examples" / "blast"
    directory.mkdir(parents=True)
    for name, kind in (("proteins", "prot"), ("both", "prot"), ("both", "nucl")):
        source = "nucleotides" if kind == "nucl" else "proteins"
        sequences = gzip.decompress((EXAMPLES / f"{source}.fasta.gz").read_bytes())
        command = ["makeblastdb", "-dbtype", kind, "-title", name, "-out", directory / name, "-in", "-"]
        subprocess.run(command, input=sequences, check=True, capture_output=True)
    build_profile_databases(directory, EXAMPLES / "protein_query.fasta", count=2)
    return root


def compared(root: Path, query: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["exactness", str(query), "--targets-root", str(root), *arguments])


@pytest.fixture
def query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    path = tmp_path / "query.fasta"
    path.write_text("".join(f">{one}" for one in (EXAMPLES / "protein_query.fasta").read_text().split(">")[1:2]))
    return path


@pytest.mark.long
def test_exactness_finds_databases_by_what_the_program_searches(root: Path, query: Path) -> None:
    found = compared(root, query, "--target", "demo/examples/both", "--program", "blastp")
    assert found.exit_code == 0, found.output
    assert "every format is the same" in found.output


@pytest.mark.long
def test_exactness_tries_the_installed_programs_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    tried = CliRunner().invoke(app, ["exactness", "--quick"])
    assert tried.exit_code == 0, tried.output
    lines = re.findall(r"(?m)^(\w+) [\d.]+\+: 0 formats differ$", tried.output)
    assert lines == ["blastp", "blastn", "blastx", "tblastn", "tblastx", "psiblast"]


@pytest.mark.parametrize("arguments", [["--quick", "some.fasta"], [], ["some.fasta"]])
def test_exactness_wants_a_query_and_a_target_or_quick(arguments: list[str]) -> None:
    refused = CliRunner().invoke(app, ["exactness", *arguments])
    assert isinstance(refused.exception, InvalidInputError)


@pytest.mark.long
def test_exactness_of_deltablast_differs_where_the_list_says(root: Path, query: Path) -> None:
    options = ("--option", "rpsdb=delta", "--program", "deltablast")
    found = compared(root, query, "--target", "demo/examples/proteins", *options)
    assert found.exit_code == 1, found.output
    differing = [line.split()[1] for line in found.output.splitlines() if line.startswith("format ")]
    assert differing == ["0", "1", "2", "3", "4"]
