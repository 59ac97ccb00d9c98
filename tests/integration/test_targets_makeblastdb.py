"""makeblastdb builds a database, in place as a whole or not at all."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from multiblast.errors import FailureClass, InvalidInputError, ProgramError
from multiblast.targets.makeblastdb import build_database
from tests.support.processes import is_running, wait_for

FASTA = b">s1 one\nMKVLAAGIVGLCAKAYWQ\n>s2 two\nERTYHGFDSAPLMKV\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fasta"
    path.write_bytes(FASTA)
    return path


def entries(path: Path, form: str = "%t") -> list[str]:
    command = ["blastdbcmd", "-db", str(path), "-entry", "all", "-outfmt", form]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()


def test_build_database_makes_what_blast_reads(fasta: Path, tmp_path: Path) -> None:
    path = build_database(fasta, tmp_path / "new/blast", "db", molecule="protein", title="A title")
    assert path == tmp_path / "new/blast/db"
    assert entries(path) == ["s1 one", "s2 two"]


def test_build_database_may_be_below_a_path_with_blanks(fasta: Path, tmp_path: Path) -> None:
    """The program opens what it has built, and since BLAST+ 2.16.0 takes such a path for several."""
    built = build_database(fasta, tmp_path / "two words", "db", molecule="protein")
    assert {path.suffix for path in built.parent.iterdir()} >= {".pin", ".psq", ".phr"}


def test_build_database_reads_gzip(tmp_path: Path) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(FASTA))
    assert entries(build_database(tmp_path / "in.gz", tmp_path, "db", molecule="protein")) == ["s1 one", "s2 two"]


def test_build_database_replaces_one_of_the_same_name_and_molecule(fasta: Path, tmp_path: Path) -> None:
    directory = tmp_path / "blast"
    build_database(fasta, directory, "db", molecule="protein")
    (directory / "db.pal").write_text("DBLIST gone\n")
    (directory / "db2.pin").write_text("another")
    fasta.write_bytes(b">s3 three\nACGTACGT\n")
    build_database(fasta, directory, "db", molecule="nucleotide")
    build_database(fasta, directory, "db", molecule="protein")
    assert entries(directory / "db") == ["s3 three"]
    assert (directory / "db.nin").exists()
    assert (directory / "db2.pin").exists()


def test_build_database_keeps_taxids(fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "taxids").write_text("s1 9606\ns2 10090\n")
    path = build_database(fasta, tmp_path, "db", molecule="protein", taxids=tmp_path / "taxids")
    assert entries(path, "%T") == ["9606", "10090"]


def test_build_database_killed_by_9_leaves_no_process(fasta: Path, tmp_path: Path) -> None:
    """Not even one that does not notice that nobody feeds it any more."""
    deaf, pid = tmp_path / "deaf", tmp_path / "pid"
    deaf.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n")
    deaf.chmod(0o755)
    code = (
        "from pathlib import Path\nfrom multiblast.targets.makeblastdb import build_database\n"
        f"build_database(Path({str(fasta)!r}), Path({str(tmp_path)!r}), 'db', molecule='protein', "
        f"program={str(deaf)!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        wait_for(lambda: pid.exists() and pid.read_text().strip())
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not is_running(int(pid.read_text())))


def test_build_database_that_fails_leaves_the_old_one(fasta: Path, tmp_path: Path) -> None:
    directory = tmp_path / "blast"
    build_database(fasta, directory, "db", molecule="protein")
    before = sorted(path.name for path in directory.iterdir())
    fasta.write_bytes(b"")
    with pytest.raises(ProgramError):
        build_database(fasta, directory, "db", molecule="protein")
    assert sorted(path.name for path in directory.iterdir()) == before
    assert entries(directory / "db") == ["s1 one", "s2 two"]


@pytest.mark.parametrize("name", ["", "../db", "a/b", "-db", "a b", "a\nb", "\u00e9"])
def test_build_database_refuses_a_name_that_is_none(fasta: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a database"):
        build_database(fasta, tmp_path, name, molecule="protein")


def test_build_database_says_when_the_program_is_missing(fasta: Path, tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as failure:
        build_database(fasta, tmp_path, "db", molecule="protein", program="no-makeblastdb")
    assert failure.value.failure_class is FailureClass.MISSING_PROGRAM


@pytest.mark.parametrize(
    ("text", "taxids", "reason"),
    [
        (">a\nMKV\n>a\nMKL\n", "a 9606", "more than one sequence has the id LCL|A: give each its own"),
        (f">{'i' * 60}\nMKV\n>b\nMKL\n", "b 9606", "Near line 1, the local id is too long. Its length is 60"),
        (">a\nMKV\n", "a human", "'human' in the file of taxids is no taxonomy id"),
        ("", "", "the file has no sequences"),
        ("garbage", "", "Input doesn't start with a defline"),
    ],
)
def test_build_database_says_the_whole_reason(text: str, taxids: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "in.fasta").write_text(text)
    (tmp_path / "taxids").write_text(taxids)
    with pytest.raises(ProgramError) as failure:
        build_database(
            tmp_path / "in.fasta",
            tmp_path / "new",
            "db",
            molecule="protein",
            taxids=tmp_path / "taxids" if taxids else None,
        )
    assert reason in str(failure.value).replace("  ", " ")


def test_build_database_of_which_no_sequence_has_a_taxid_is_refused(fasta: Path, tmp_path: Path) -> None:
    """The program itself reports an error, and success."""
    (tmp_path / "taxids").write_text("other 9606\n")
    with pytest.raises(InvalidInputError, match="taxids: no sequence has an id that the file of taxids names"):
        build_database(fasta, tmp_path / "new", "db", molecule="protein", taxids=tmp_path / "taxids")
    assert list((tmp_path / "new").iterdir()) == []


def test_build_database_reports_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in.fasta").write_text(">a\nMKV\n>empty\n")
    build_database(tmp_path / "in.fasta", tmp_path, "db", molecule="protein")
    assert [one.getMessage() for one in caplog.records] == [
        "makeblastdb: Ignoring sequence 'lcl|2' as it has no sequence data"
    ]


def test_build_database_reads_fasta_as_queries_are_read(tmp_path: Path) -> None:
    """With a byte order mark, comments and any line ends; other formats are named."""
    source = tmp_path / "in.fasta"
    source.write_bytes(b"\xef\xbb\xbf" + FASTA.replace(b"\n", b"\r\n"))
    assert entries(build_database(source, tmp_path, "db", molecule="protein")) == ["s1 one", "s2 two"]
    source.write_bytes(b"@read\nACGT\n+\nIIII\n")
    with pytest.raises(InvalidInputError, match="this is FASTQ, not FASTA"):
        build_database(source, tmp_path, "db", molecule="nucleotide")
