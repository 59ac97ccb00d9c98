"""Files that become targets: FASTA is built, an archive of a database unpacked, once."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError, ProgramError
from multiblast.targets import Targets
from multiblast.targets.file_target import FileTarget, install_file
from multiblast.targets.makeblastdb import build_database

FASTA = b">one\nMKVLAAGIVALLLAACSSNEKEQ\n>two\nMSTNPKPQRKTKRNTNRRPQDVKFPGG\n"
CONTENT = "1f" * 16


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    (tmp_path / "targets").mkdir()
    return Targets(tmp_path / "targets", cache=tmp_path / "cache")


def wanted(file: Path, molecule: str = "protein") -> FileTarget:
    return FileTarget(file, "registered", CONTENT, molecule, "rich:db/x@1.0.0")  # type: ignore[arg-type]  # one of its words


def archive(path: Path, *names: str, at: str = "") -> Path:
    """Pack protein databases below a directory of the archive, and what does not belong to any."""
    (path.parent / "x.fasta").write_bytes(FASTA)
    for name in names:
        build_database(path.parent / "x.fasta", path.parent / "built", name, molecule="protein")
    files = [(file.name, file.read_bytes()) for file in sorted((path.parent / "built").glob("*"))]
    files = [(f"{at}{name}", data) for name, data in [("README", b"read me"), *files]]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in files:
                packed.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as packed_tar:
            for name, data in files:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                packed_tar.addfile(member, BytesIO(data))
    return path


@pytest.mark.parametrize("data", [FASTA, gzip.compress(FASTA)], ids=["plain", "gzipped"])
def test_installing_builds_fasta_once(targets: Targets, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    made = install_file(targets, wanted(tmp_path / "file"))
    assert (made.display, made.sequences, made.title) == (f"registered/{CONTENT}/sequences", 2, "rich:db/x@1.0.0")
    before = made.path.with_suffix(".pin").stat().st_ino
    assert install_file(Targets(targets.root, cache=targets.cache), wanted(tmp_path / "file")) == made
    assert made.path.with_suffix(".pin").stat().st_ino == before


@pytest.mark.parametrize("name", ["db.zip", "db.tar.gz"])
def test_installing_unpacks_an_archive_once(targets: Targets, tmp_path: Path, name: str) -> None:
    packed = archive(tmp_path / name, "mine", at="some/directory/")
    made = install_file(targets, wanted(packed))
    assert (made.display, made.sequences) == (f"registered/{CONTENT}/mine", 2)
    before = made.path.with_suffix(".pin").stat().st_ino
    assert install_file(targets, wanted(packed)) == made
    assert made.path.with_suffix(".pin").stat().st_ino == before
    assert [path.name for path in targets.root.iterdir()] == ["registered"]


def test_installing_writes_nowhere_else(targets: Targets, tmp_path: Path) -> None:
    packed = archive(tmp_path / "db.tar.gz", "mine", at="../../../outside/")
    assert install_file(targets, wanted(packed)).path.is_relative_to(targets.root)
    assert list(tmp_path.rglob("outside")) == []


@pytest.mark.parametrize(
    ("names", "molecule", "reason"),
    [
        ((), "protein", r"must be an archive of one BLAST\+ database, and there is none"),
        (("one", "two"), "protein", "and there is one, two"),
        (("mine",), "nucleotide", "is no nucleotide database"),
    ],
)
def test_installing_refuses_an_archive_that_does_not_fit(
    targets: Targets, tmp_path: Path, names: tuple[str, ...], molecule: str, reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        install_file(targets, wanted(archive(tmp_path / "db.zip", *names), molecule))


def test_installing_refuses_a_damaged_archive(targets: Targets, tmp_path: Path) -> None:
    packed = archive(tmp_path / "db.tar.gz", "mine")
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(InvalidInputError, match="cannot be unpacked"):
        install_file(targets, wanted(packed))
    assert list(targets.root.iterdir()) == []


def test_installing_refuses_an_archive_that_lacks_a_volume(targets: Targets, tmp_path: Path) -> None:
    archive(tmp_path / "whole.zip", "mine")
    (tmp_path / "built" / "mine.psq").unlink()
    with zipfile.ZipFile(tmp_path / "db.zip", "w") as packed:
        for file in (tmp_path / "built").iterdir():
            packed.write(file, file.name)
    with pytest.raises(InvalidInputError, match=r"is damaged: .*psq"):
        install_file(targets, wanted(tmp_path / "db.zip"))


def test_installing_refuses_what_is_neither(targets: Targets, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a,b,c\n1,2,3\n")
    with pytest.raises(ProgramError):
        install_file(targets, wanted(tmp_path / "file"))
    (tmp_path / "file").write_bytes(FASTA)
    with pytest.raises(InvalidInputError, match="profiles are not built from sequences"):
        install_file(targets, wanted(tmp_path / "file", "profile"))
