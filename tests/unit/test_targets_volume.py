"""Index files are read from their bytes, and what is none is refused."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.targets.volume import read_volume


def text(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


V4 = struct.pack(">ii", 4, 1) + text(b"a title") + text(b"Feb 03, 2024  9:07 PM\0\0")
V5 = struct.pack(">iii", 5, 0, 2) + text(b"a title") + text(b"x.ndb") + text(b"Feb 03, 2024  9:07 PM\0")
COUNTS = struct.pack(">i", 3) + struct.pack("<q", 1 << 40) + struct.pack(">i", 77)


@pytest.mark.parametrize(("header", "kind", "version"), [(V4, "p", 4), (V5, "n", 5)])
def test_read_volume_reads_both_versions(tmp_path: Path, header: bytes, kind: str, version: int) -> None:
    (tmp_path / f"db.{kind}in").write_bytes(header + COUNTS + b"arrays")
    volume = read_volume(tmp_path / "db", kind)
    assert (volume.version, volume.title, volume.date) == (version, "a title", datetime(2024, 2, 3, 21, 7))  # noqa: DTZ001 - BLAST+ writes no zone
    assert (volume.sequences, volume.letters, volume.longest) == (3, 1 << 40, 77)
    assert volume.arrays == len(header + COUNTS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an index file at all",
        V5 + COUNTS,
        struct.pack(">ii", 3, 1) + V4[8:] + COUNTS,
        V4,
        struct.pack(">iii", 4, 1, -5) + COUNTS,
        struct.pack(">iii", 4, 1, 1 << 30) + COUNTS,
        V4.replace(b"Feb", b"???") + COUNTS,
    ],
    ids=["empty", "text", "wrong molecule", "version 3", "cut off", "negative length", "huge length", "no date"],
)
def test_read_volume_refuses(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db.pin").write_bytes(content)
    with pytest.raises(InvalidInputError, match="no BLAST\\+ index file of version 4 or 5"):
        read_volume(tmp_path / "db", "p")


def test_read_volume_tells_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"cannot read .*db\.pin': No such file"):
        read_volume(tmp_path / "db", "p")
