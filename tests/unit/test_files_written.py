"""Files are written whole or not at all, also by several at a time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from multiblast.files import hashed, replacing


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
