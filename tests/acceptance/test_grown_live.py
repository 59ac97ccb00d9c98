"""A database grows under a real server: the worker's flow searches only what is new."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_flows_live import Api, api

__all__ = ["api"]  # the fixture

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]

TARGET = "grown/of/db"
QUERIES = 12


@pytest.fixture
def make_target(multiblast: Run, api: Api, live: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """``make_target(records)``: make the database of some records, or replace it; returns its path."""
    found: list[Path] = []

    def make(records: list[str]) -> Path:
        fasta = tmp_path / "records.fasta"
        fasta.write_text("".join(records))
        done = multiblast("make-target", TARGET, fasta, *(["--replace"] if found else []))
        assert done.returncode == 0, done.stderr
        assert api.run("rescan-targets")["state_type"] == "COMPLETED"
        found.append(next(Path(live["MULTIBLAST_HOME"]).rglob("grown/of/blast/db.pin")))
        return found[-1].with_suffix("")

    yield make
    for one in found[:1]:
        shutil.rmtree(one.parents[2])
    assert api.run("rescan-targets")["state_type"] == "COMPLETED"


def test_worker_searches_what_is_new_and_reports_are_those_of_the_whole(
    api: Api, make_target: Callable[..., Path], answer: Callable[..., Any], examples: Path, tmp_path: Path
) -> None:
    with gzip.open(examples / "proteins.fasta.gz", "rt") as file:
        subjects = [f">{one}" for one in file.read().split(">")[1:]][:400]
    residues = ["".join(one.splitlines()[1:]) for one in subjects[5 : 5 + QUERIES]]
    query = "".join(f">q{number}\n{one[: len(one) * 3 // 4]}\n" for number, one in enumerate(residues))
    search: dict[str, Any] = {"query": query, "targets": [TARGET]}
    make_target(subjects[:398])
    assert api.run("submit-query", **search)["state_type"] == "COMPLETED"
    database = make_target(subjects)
    run = api.run("submit-query", **search)
    assert run["state_type"] == "COMPLETED"
    assert f"{QUERIES} known before the update" in api.artifacts(run)["plan"]
    tasks = api.tasks(run, children=QUERIES)
    assert any("in what is new" in name and state == "Completed" for name, state in tasks.items()), tasks
    file_name = tmp_path / "query.fasta"
    file_name.write_text(query)
    out = tmp_path / "out"
    answer("search", file_name, "--program", "blastp", "--target", TARGET, "--format", "6", "--out", out)
    command = ["blastp", "-query", str(file_name), "-db", str(database), "-outfmt", "6"]
    plain = subprocess.run(command, capture_output=True, check=True).stdout
    assert plain in [path.read_bytes() for path in out.rglob("*") if path.is_file()]
