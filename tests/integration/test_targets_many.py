"""Thousands of databases, and very large ones: what is known of them is read again only where a file was touched."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database

DATA = Path(__file__).parents[2] / "examples" / "data" / "protein_query.fasta"
MANY, FEW = 2000, 60
opened: list[str] | None = None


def note_opening(event: str, arguments: tuple[Any, ...]) -> None:
    if opened is not None and event == "open":
        opened.append(str(arguments[0]))


sys.addaudithook(note_opening)


@contextmanager
def openings() -> Iterator[list[str]]:
    """Note the files below a targets root that are opened meanwhile."""
    global opened  # noqa: PLW0603 - an audit hook cannot be removed
    found = opened = []
    try:
        yield found
    finally:
        opened = None
        found[:] = [path for path in found if path.endswith(("pin", "psq", "phr", "pal"))]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("one")
    build_database(DATA, directory, "db", molecule="protein", title="Twelve proteins")
    return directory


@pytest.fixture
def root(one: Path, tmp_path: Path) -> Path:
    """A root with as many databases as are worth to be remembered in a file, each the same."""
    for number in range(FEW):
        shutil.copytree(one, tmp_path / f"root/S{number % 5}/t{number:04}/blast")
    return tmp_path / "root"


def rebuild(directory: Path) -> None:
    """Put a database of fewer sequences in the place of another, whose links stay."""
    for file in directory.iterdir():
        file.unlink()
    fasta = directory.parent / "one.fasta"
    fasta.write_text(">a\nMKVLAAGIVGLCAKAYWQERTY\n")
    build_database(fasta, directory, "db", molecule="protein", title="One protein")


def test_many_databases_are_read_once(one: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for number in range(MANY):
        directory = root / f"S{number % 5}/t{number:04}/blast"
        directory.mkdir(parents=True)
        for file in one.iterdir():
            os.link(file, directory / file.name)
    with openings() as first:
        before = Targets(root, cache=tmp_path / "fingerprints").databases()
    with openings() as second:
        after = Targets(root, cache=tmp_path / "fingerprints").databases()
    assert (len(before), len(first) >= MANY, second) == (MANY, True, [])
    assert [repr(database) for database in after] == [repr(database) for database in before]
    assert [database.volumes for database in after] == [database.volumes for database in before]


def test_change_of_one_among_many_is_seen_and_reads_only_that(root: Path, tmp_path: Path) -> None:
    Targets(root, cache=tmp_path / "fingerprints").databases()
    rebuild(root / "S3/t0003/blast")
    shutil.rmtree(root / "S4/t0004")
    (root / "S1/t0001/blast/db.psq").unlink()
    targets = Targets(root, cache=tmp_path / "fingerprints")
    with openings() as read:
        databases = {database.display: database for database in targets.databases()}
    assert {path.split("/")[-3] for path in read} == {"t0001", "t0003"}
    assert (len(databases), databases["S3/t0003/db"].sequences) == (FEW - 2, 1)
    assert [problem.key for problem in targets.problems()] == ["S1/t0001/blast/db"]
    rebuild(root / "S1/t0001/blast")
    targets.renew()
    assert (targets.problems(), len(targets.databases())) == ((), FEW - 1)


def test_what_leads_elsewhere_is_read_each_time(one: Path, tmp_path: Path) -> None:
    """Links, and aliases of databases in other directories: what they lead to may change without them."""
    root = tmp_path / "root"
    shutil.copytree(one, root / "A/plain/blast")
    (root / "A/alias/blast").mkdir(parents=True)
    (root / "A/alias/blast/all.pal").write_text("DBLIST ../../plain/blast/db\n")
    targets = Targets(root, cache=tmp_path / "fingerprints")
    assert targets.resolve("A", "alias", "all").sequences == 12
    rebuild(root / "A/plain/blast")
    with openings() as read:
        targets.rescan()
        assert targets.resolve("A", "alias", "all").sequences == 1
    outside = tmp_path / "outside"
    shutil.copytree(one, outside)
    shutil.rmtree(root / "A/plain")
    (root / "A/plain").mkdir()
    (root / "A/plain/blast").symlink_to(outside)
    targets.rescan()
    assert [database.display for database in targets.databases()] == []
    assert "leads outside of the targets root" in targets.problems()[0].message
    assert read


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"x": ["y", [["z"]]]}'])
def test_damaged_memory_is_done_without(root: Path, tmp_path: Path, content: str) -> None:
    expected = Targets(root, cache=tmp_path / "fingerprints").tree()
    (remembered,) = (tmp_path / "scans").iterdir()
    assert len(json.loads(remembered.read_text())) == FEW
    remembered.write_text(content)
    assert Targets(root, cache=tmp_path / "fingerprints").tree() == expected


def test_fingerprint_of_a_very_large_database_reads_little_of_it(one: Path, tmp_path: Path) -> None:
    """100 GB of residues, in a sparse file."""
    directory = tmp_path / "root/A/t/blast"
    shutil.copytree(one, directory)
    with (directory / "db.psq").open("r+b") as stream:
        stream.truncate(100 * 10**9)
    database = Targets(tmp_path / "root", cache=tmp_path / "fingerprints").resolve("A", "t", "db")
    before = bytes_read()
    fingerprint = database.fingerprint
    between = bytes_read()
    assert database.fingerprint == fingerprint
    assert between - before < 300 << 20
    assert bytes_read() - between < 1 << 20


def bytes_read() -> int:
    """Return how many bytes this process has read."""
    facts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(facts["rchar"])
