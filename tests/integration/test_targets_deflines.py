"""Subjects without ids are named by their defline."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multiblast.targets import Targets, in_canonical_order, subject_name
from multiblast.targets.building import build_database

TITLES = ["sp|P1|ONE first of all", "two", "x" * 300 + " long", "lcl|four with | bars"]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    root = tmp_path_factory.mktemp("targets")
    fasta = root / "s.fasta"
    fasta.write_text("".join(f">{title}\nMKV{'ACDEFGHIKL' * (n + 3)}\n" for n, title in enumerate(TITLES)))
    for name in ("a", "b"):
        build_database(fasta, root / "site" / "t" / "blast", name, molecule="protein")
    return Targets(root)


@pytest.mark.parametrize("ordinal", range(8))
def test_subject_name_of_an_ordinal_is_its_defline(targets: Targets, ordinal: int) -> None:
    """The first word of the defline, as blastp's ``sseqid`` shows it, across several databases."""
    databases = in_canonical_order(targets.databases())
    assert subject_name(databases, f"gnl|BL_ORD_ID|{ordinal}") == TITLES[ordinal % 4].split(" ")[0]


def test_subject_name_agrees_with_blastp(targets: Targets, tmp_path: Path) -> None:
    query = tmp_path / "q.fasta"
    query.write_text(">q\nMKV" + "ACDEFGHIKL" * 5 + "\n")
    database = targets.resolve("site", "t", "a")
    command = ["blastp", "-query", query, "-db", database.path, "-outfmt", "6 sseqid", "-seg", "no"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert printed
    assert set(printed) <= {subject_name([database], f"gnl|BL_ORD_ID|{ordinal}") for ordinal in range(4)}


def test_subject_name_of_an_accession_is_itself(targets: Targets) -> None:
    assert subject_name(targets.databases(), "P12345.1") == "P12345.1"
