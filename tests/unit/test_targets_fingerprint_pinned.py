"""Fingerprints do not change between versions of this program: results are kept under them."""

from __future__ import annotations

import struct
from pathlib import Path

from multiblast.targets import Targets


def text(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def test_fingerprint_of_a_known_database_is_pinned(tmp_path: Path) -> None:
    directory = tmp_path / "site/target/blast"
    directory.mkdir(parents=True)
    header = struct.pack(">ii", 4, 1) + text(b"a title") + text(b"Feb 03, 2024  9:07 PM\0\0")
    (directory / "db.pin").write_bytes(header + struct.pack(">i", 1) + struct.pack("<q", 2) + struct.pack(">i", 2))
    (directory / "db.psq").write_bytes(b"\0\x0c\x0a\0")
    (directory / "db.phr").write_bytes(b"header")
    (database,) = Targets(tmp_path, cache=tmp_path / "cache").databases()
    assert database.fingerprint == "749edd15c22cb97f439da18ba5b42625"
