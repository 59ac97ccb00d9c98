"""Whole subjects, by ids or by ordinal numbers, are those that the databases were built from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multiblast.molecules import Molecule
from multiblast.reports.subjects import write_subjects
from multiblast.targets import Targets, in_canonical_order
from multiblast.targets.makeblastdb import build_database

TITLES = ("first of all", "second\tin a tab", "third")
LETTERS = ("MKVLAAGIVG" * 13, "SLSTRNLTSK", "IYSLVCWPLD" * 8)


@pytest.mark.parametrize("ids", [False, True])
def test_subjects_of_several_databases_are_written_whole(tmp_path: Path, ids: bool) -> None:
    blast = tmp_path / "targets" / "demo" / "examples" / "blast"
    for name in ("one", "two"):
        fasta = tmp_path / f"{name}.fasta"
        fasta.write_text("".join(f">{name}{t}\n{w}\n" for t, w in zip(TITLES, LETTERS, strict=True)))
        build_database(fasta, blast, name, molecule=Molecule.PROTEIN)
        if ids:
            command = ["makeblastdb", "-in", fasta, "-dbtype", "prot", "-parse_seqids", "-out", blast / name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    databases = in_canonical_order(Targets(tmp_path / "targets").databases())
    assert [database.name for database in databases] == ["one", "two"]
    wanted = ["twothird", "onefirst"] if ids else ["gnl|BL_ORD_ID|5", "gnl|BL_ORD_ID|0", "gnl|BL_ORD_ID|5"]
    write_subjects(databases, wanted, tmp_path / "out.fasta")
    records = [text.split("\n", 1) for text in (tmp_path / "out.fasta").read_text().split(">")[1:]]
    found = {title.rstrip(): rest.replace("\n", "") for title, rest in records}
    assert found == {"twothird": LETTERS[2], "onefirst of all": LETTERS[0]}
