"""A fingerprint follows the content of a database: through copies, not through any change."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.ids import is_id
from multiblast.targets import BlastDatabase, Targets
from multiblast.targets.makeblastdb import build_database

FASTA = b"".join(b">s%d protein %d\n%b\n" % (n, n, b"MKVLAAGIVGLCAKAYWQERTYHGFDSAPL" * n) for n in range(1, 20))


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., BlastDatabase]:
    """Build a database of these sequences under a root of its own and find it there."""

    def build_and_find(fasta: bytes, root: str = "root", title: str = "t") -> BlastDatabase:
        (tmp_path / "in.fasta").write_bytes(fasta)
        build_database(tmp_path / "in.fasta", tmp_path / root / "A/t/blast", "db", molecule="protein", title=title)
        return Targets(tmp_path / root, cache=tmp_path / "cache").resolve("A", "t", "db")

    return build_and_find


def set_date(database: BlastDatabase, date: bytes) -> None:
    """Make a database look as if it was built in that minute, as a quick rebuild does."""
    index = database.path.with_name("db.pin")
    content = index.read_bytes()
    start = content.index(b"db.pdb") + len(b"db.pdb") + 4
    end = content.index(b"M", content.index(b" ", start + 12)) + 1
    assert end - start == len(date)
    index.write_bytes(content[:start] + date + content[end:])


def same_minute(*databases: BlastDatabase) -> list[str]:
    index = databases[0].path.with_name("db.pin").read_bytes()
    start = index.index(b"db.pdb") + len(b"db.pdb") + 4
    date = index[start : index.index(b"M", start + 12) + 1]
    for database in databases[1:]:
        set_date(database, date)
    return [database.fingerprint for database in databases]


def test_fingerprint_is_an_id(build: Callable[..., BlastDatabase]) -> None:
    assert is_id(build(FASTA).fingerprint)


def test_fingerprint_stays_through_a_copy_to_another_place_and_time(
    build: Callable[..., BlastDatabase], tmp_path: Path
) -> None:
    database = build(FASTA)
    shutil.copytree(database.path.parent, tmp_path / "copy/B/u/blast", copy_function=shutil.copyfile)
    for file in (tmp_path / "copy/B/u/blast").iterdir():
        os.utime(file, (1, 1))
    (copy,) = Targets(tmp_path / "copy", cache=tmp_path / "other-cache").databases()
    assert copy.fingerprint == database.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda fasta: fasta + b">more\nMKVLAAGIVGLC\n",
        lambda fasta: fasta.replace(b"MKVLAAG", b"MKVLACG", 1),
        lambda fasta: fasta.replace(b"protein 7", b"protein 8"),
    ],
    ids=["one sequence more", "one residue replaced", "one title replaced"],
)
def test_fingerprint_sees_a_rebuild_within_the_same_minute(
    build: Callable[..., BlastDatabase], change: Callable[[bytes], bytes]
) -> None:
    first, second = same_minute(build(FASTA, "first"), build(change(FASTA), "second"))
    assert first != second


def test_fingerprint_of_the_same_sequences_built_in_the_same_minute_is_the_same(
    build: Callable[..., BlastDatabase],
) -> None:
    first, second = same_minute(build(FASTA, "first"), build(FASTA, "second"))
    assert first == second


def test_fingerprint_sees_the_date(build: Callable[..., BlastDatabase]) -> None:
    database = build(FASTA)
    fingerprints = []
    index = database.path.with_name("db.pin")
    for year in (b"2001", b"2002"):
        content = index.read_bytes()
        comma = content.index(b", ", content.index(b"db.pdb"))
        index.write_bytes(content[: comma + 2] + year + content[comma + 6 :])
        fingerprints.append(database.fingerprint)
    assert fingerprints[0] != fingerprints[1]


def test_fingerprint_sees_a_change_behind_an_old_modification_time(build: Callable[..., BlastDatabase]) -> None:
    """As of a file that was put in place by a copy that keeps times."""
    database = build(FASTA)
    before = database.fingerprint
    sequences = database.path.with_name("db.psq")
    stat = sequences.stat()
    sequences.write_bytes(sequences.read_bytes()[:-2] + b"\x0c\0")
    os.utime(sequences, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert database.fingerprint != before


def test_fingerprint_of_an_alias_sees_what_it_selects(build: Callable[..., BlastDatabase], tmp_path: Path) -> None:
    database = build(FASTA)
    fingerprints = set()
    for fields in ("NSEQ 3", "NSEQ 4", "NSEQ 4\nTITLE x", "DBLIST db db"):
        database.path.with_name("alias.pal").write_text(f"DBLIST db\n{fields}\n")
        targets = Targets(tmp_path / "root", cache=tmp_path / "cache")
        fingerprints.add(targets.resolve("A", "t", "alias").fingerprint)
    assert len(fingerprints) == 4


def test_fingerprint_of_an_alias_sees_its_lists_and_members(
    build: Callable[..., BlastDatabase], tmp_path: Path
) -> None:
    database = build(FASTA)
    database.path.with_name("alias.pal").write_text("DBLIST db\nTAXIDLIST taxids\n")
    fingerprints = set()
    for taxids in ("9606\n", "9605\n"):
        database.path.with_name("taxids").write_text(taxids)
        alias = Targets(tmp_path / "root", cache=tmp_path / "cache").resolve("A", "t", "alias")
        fingerprints.add(alias.fingerprint)
    build(FASTA.replace(b"MKVLAAG", b"MKVLACG", 1))
    fingerprints.add(alias.fingerprint)
    assert len(fingerprints) == 3


def test_fingerprint_is_remembered_until_a_file_is_touched(build: Callable[..., BlastDatabase], tmp_path: Path) -> None:
    database = build(FASTA)
    fingerprint = database.fingerprint
    (remembered,) = (tmp_path / "cache").iterdir()
    remembered.write_text(remembered.read_text().replace(fingerprint, "0" * 32))
    assert database.fingerprint == "0" * 32
    database.path.with_name("db.phr").touch()
    assert database.fingerprint == fingerprint


@pytest.mark.parametrize("content", ["", "one", "one two", "one two three"])
def test_fingerprint_ignores_a_damaged_memory(
    build: Callable[..., BlastDatabase], tmp_path: Path, content: str
) -> None:
    database = build(FASTA)
    fingerprint = database.fingerprint
    (remembered,) = (tmp_path / "cache").iterdir()
    remembered.write_text(content)
    assert database.fingerprint == fingerprint


def test_fingerprint_does_without_a_cache_that_cannot_be_written(
    build: Callable[..., BlastDatabase], tmp_path: Path
) -> None:
    database = build(FASTA)
    fingerprint = database.fingerprint
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file is in the way")
    assert database.fingerprint == fingerprint


def test_fingerprint_of_a_big_database_takes_less_than_a_second(build: Callable[..., BlastDatabase]) -> None:
    """Residues in a sparse file of 8 GiB: only samples of it are read."""
    database = build(FASTA)
    with database.path.with_name("db.psq").open("r+b") as stream:
        stream.truncate(8 << 30)
    start = time.process_time()
    fingerprint = database.fingerprint
    middle = time.process_time()
    assert database.fingerprint == fingerprint
    assert middle - start < 1
    assert time.process_time() - middle < 0.02
