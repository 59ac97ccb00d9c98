"""Subjects without ids are named by their defline."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multiblast.targets import Targets, database_argument, in_canonical_order, mixture, name_subjects, subject_names
from multiblast.targets.makeblastdb import build_database

TITLES = ["sp|P1|ONE first of all", "two", "x" * 300 + " long", "lcl|four with | bars"]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    root = tmp_path_factory.mktemp("targets")
    fasta = root / "s.fasta"
    fasta.write_text("".join(f">{title}\nMKV{'ACDEFGHIKL' * (n + 3)}\n" for n, title in enumerate(TITLES)))
    for name in ("a", "b"):
        build_database(fasta, root / "site" / "t" / "blast", name, molecule="protein")
    return Targets(root)


def test_subject_names_of_ordinals_are_their_deflines(targets: Targets) -> None:
    """The first word of the defline, as blastp's ``sseqid`` shows it, across several databases, in any order."""
    databases = in_canonical_order(targets.databases())
    ordinals = [5, 0, 7, 3, 4, 5, 2, 1, 6]
    named = name_subjects(databases, [f"gnl|BL_ORD_ID|{ordinal}" for ordinal in ordinals])
    assert named == [TITLES[ordinal % 4].split(" ")[0] for ordinal in ordinals]


def test_subject_name_of_an_ordinal_outside_the_databases_is_itself(targets: Targets) -> None:
    assert name_subjects(targets.databases(), ["gnl|BL_ORD_ID|8", "gnl|BL_ORD_ID|1"]) == ["gnl|BL_ORD_ID|8", "two"]


def test_subject_name_in_a_database_that_is_gone_is_itself(tmp_path: Path) -> None:
    fasta = tmp_path / "s.fasta"
    fasta.write_text(">one\nMKVLAAG\n")
    build_database(fasta, tmp_path / "site" / "t" / "blast", "a", molecule="protein")
    databases = Targets(tmp_path).databases()
    (tmp_path / "site" / "t" / "blast" / "a.pin").unlink()
    assert name_subjects(databases, ["gnl|BL_ORD_ID|0"]) == ["gnl|BL_ORD_ID|0"]


def test_subject_name_agrees_with_blastp(targets: Targets, tmp_path: Path) -> None:
    query = tmp_path / "q.fasta"
    query.write_text(">q\nMKV" + "ACDEFGHIKL" * 5 + "\n")
    database = targets.resolve("site", "t", "a")
    command = ["blastp", "-query", query, "-db", database.path, "-outfmt", "6 sseqid", "-seg", "no"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert printed
    assert set(printed) <= set(name_subjects([database], [f"gnl|BL_ORD_ID|{ordinal}" for ordinal in range(4)]))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    """Databases of one sequence each, whose names are in another order than their places, and aliases of them."""
    root = tmp_path_factory.mktemp("apart")
    fasta = root / "s.fasta"
    (root / "site" / "last" / "blast").mkdir(parents=True)
    (root / "site" / "first").symlink_to(root / "site" / "last")
    for place in ("last/zebra", "middle/ape", "middle/cat", "middle/zebra", "north/bee"):
        target, name = place.split("/")
        fasta.write_text(f">{place} of the zoo\nMKV{'ACDEFGHIKL' * 3}\n")
        build_database(fasta, root / "site" / target / "blast", name, molecule="protein")
    aliases = {"both": "cat ape", "twice": "ape ../blast/ape both", "dog": "zebra ape"}
    for name, members in aliases.items():
        (root / "site" / "middle" / "blast" / f"{name}.pal").write_text(f"TITLE {name}\nDBLIST {members}\n")
    return Targets(root)


@pytest.mark.parametrize(
    ("names", "is_mixed"),
    [
        ("last/zebra middle/ape", False),
        ("first/zebra middle/zebra", False),
        ("middle/both", False),
        ("middle/twice", False),
        ("north/bee middle/both", True),
        ("middle/both middle/cat", True),
        ("middle/dog middle/cat last/zebra", True),
    ],
)
def test_subjects_are_numbered_as_blast_numbers_them(apart: Targets, names: str, *, is_mixed: bool) -> None:
    """Over all volumes by their names, whichever databases they are of; each once."""
    databases = in_canonical_order(apart.resolve("site", *name.split("/")) for name in names.split())
    assert bool(mixture(databases)) is is_mixed
    command = ["blastdbcmd", "-db", database_argument(databases), "-entry", "all", "-outfmt", "%o %t"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = [line.split(" ")[1] for line in printed.splitlines()]
    assert list(subject_names(databases)) == expected
    assert [line.split(" ")[0] for line in printed.splitlines()] == list(map(str, range(len(expected))))
    if not is_mixed:
        alone = (name for database in databases for name in subject_names([database]))
        assert list(alone) == expected


def test_subject_name_of_an_accession_is_itself(targets: Targets) -> None:
    assert name_subjects(targets.databases(), ["P12345.1", ""]) == ["P12345.1", ""]
