"""Files are written whole or not at all, also by several at a time."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.files import describe_failure, hashed, named_file, own_scratch, replacing


def test_file_is_replaced_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    with replacing(path) as file:
        file.write(b"first")
        assert not path.exists()
    with replacing(path) as file:
        file.write(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_of_a_write_says_of_which_file_and_leaves_nothing(tmp_path: Path) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(OSError, match="File too large") as caught, replacing(tmp_path / "file") as file:
            file.write(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert describe_failure(caught.value) == f"'{tmp_path}/file': File too large"
    assert list(tmp_path.iterdir()) == []


def test_failure_to_take_a_place_names_that_place(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with pytest.raises(OSError, match="Is a directory") as caught, replacing(tmp_path / "place"):
        pass
    assert describe_failure(caught.value) == f"'{tmp_path}/place': Is a directory"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one:
        one.write(b"one")
        with replacing(path) as two:
            two.write(b"two")
        assert path.read_bytes() == b"two"
    assert path.read_bytes() == b"one"


def test_hashed_bytes_are_passed_on() -> None:
    hasher = hashlib.sha256()
    assert b"".join(hashed([b"some", b"", b" bytes"], hasher)) == b"some bytes"
    assert hasher.hexdigest() == hashlib.sha256(b"some bytes").hexdigest()


def test_scratch_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "of-others").mkdir()
    code = """
import sys, tempfile
from multiblast.files import own_scratch
with own_scratch():
    tempfile.mkdtemp()
    print(tempfile.gettempdir(), flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        theirs = Path(process.stdout.readline().strip())
        assert theirs.parent == tmp_path
        with own_scratch():
            own = Path(tempfile.gettempdir())
            assert Path(os.environ["TMPDIR"]) == own
            assert {path.name for path in tmp_path.iterdir()} == {"of-others", own.name, theirs.name}
        process.kill()
    assert list(theirs.iterdir())
    with own_scratch():
        assert not theirs.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["of-others"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (">a title\n" + "MKVLA" * 1000, "File name too long"),
        ("a\0b", "null byte"),
        ("~nobody-here/file", "home directory"),
        ("\ud800", "surrogates"),
        ("../file", "is not under"),
        ("nothing", "there is no file"),
    ],
)
@pytest.mark.parametrize("limited", [True, False])
def test_file_that_a_person_names_wrongly_is_refused_in_few_words(
    tmp_path: Path, name: str, why: str, *, limited: bool
) -> None:
    """As where sequences were pasted into the field of a file."""
    with pytest.raises(InvalidInputError, match=why if limited else f"{why}|there is no file") as bad:
        named_file(name, "query_file", tmp_path if limited else None)
    assert bad.value.problems[0].key == "query_file"
    assert len(str(bad.value)) < 500


def test_file_that_a_person_names_is_found_below_its_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert named_file("file", "query_file", tmp_path) == named_file(tmp_path / "file", "fasta") == tmp_path / "file"
