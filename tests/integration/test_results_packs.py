"""Packs: written whole, read by range, understood by plain zstd, and honest about damage."""

from __future__ import annotations

import hashlib
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import DamagedResultError, ObjectMissingError, StoreError
from multiblast.ids import digest
from multiblast.results.packs import PackEntry, PackReader, PackWriter, read_index
from multiblast.stores import LocalStore, MemoryStore, Store
from tests.support.places import ROOT

_RANDOM = random.Random(5)
_ARCHIVES = {
    digest("test/1", number): b"Blast4-archive ::= { %d }\n" % number * _RANDOM.randrange(1, 5000)
    for number in range(12)
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def _write(store: Store, archives: dict[str, bytes] = _ARCHIVES) -> tuple[str, dict[str, PackEntry]]:
    with PackWriter(store) as pack:
        entries = {key: pack.add(key, archive) for key, archive in archives.items()}
        return pack.store(), entries


@pytest.mark.parametrize("wanted", [1, 99], ids=["by range", "whole"])
@pytest.mark.parametrize("where", ["memory", "local", "rclone_s3"])
def test_pack_round_trip(tmp_path: Path, where: str, wanted: int, request: pytest.FixtureRequest) -> None:
    stores: dict[str, Any] = {"memory": MemoryStore, "local": lambda: LocalStore(tmp_path)}
    store = stores[where]() if where in stores else request.getfixturevalue(where).store()
    name, entries = _write(store)
    with PackReader(store, {name: wanted}) as reader:
        read = {key: reader.archive(name, entries[key]) for key in reversed(_ARCHIVES)}
    assert read == _ARCHIVES


def test_pack_entry_says_what_was_written(store: LocalStore) -> None:
    name, entries = _write(store)
    key, archive = next(iter(_ARCHIVES.items()))
    assert entries[key].digest == hashlib.sha256(archive).hexdigest()
    assert entries[key].archive_bytes == len(archive)
    assert sum(entry.length for entry in entries.values()) < store.stat(name).size_bytes


def test_pack_is_visible_only_once_stored(store: LocalStore) -> None:
    with PackWriter(store) as pack:
        pack.add("a" * 32, b"archive")
        assert list(store.list()) == []
        name = pack.store()
    assert [found.key for found in store.list()] == [name]


def test_pack_that_could_not_be_stored_is_stored_whole_by_the_next_attempt(tmp_path: Path) -> None:
    """The store's disk is full for a moment: half of the pack was read by then."""
    code = f"""
import os
from multiblast.errors import StoreError
from multiblast.results.packs import PackReader, PackWriter, read_index
from multiblast.stores import LocalStore
root = {str(tmp_path)!r}
room = os.statvfs(root)
with open(f"{{root}}/others", "wb") as others:
    others.write(bytes(room.f_bavail * room.f_frsize - (3 << 20)))
store = LocalStore(root)
archives = {{f"{{number:032}}": os.urandom(100_000) for number in range(60)}}
with PackWriter(store) as pack:
    entries = [pack.add(key, archive) for key, archive in archives.items()]
    try:
        pack.store()
    except StoreError:
        os.remove(f"{{root}}/others")
        name = pack.store()
with PackReader(store) as reader:
    assert {{entry.key: reader.archive(name, entry) for entry in entries}} == archives
assert [entry.offset for entry in read_index(store, name)] == [entry.offset for entry in entries]
"""
    small = f"mount -t tmpfs -o size=16m none {shlex.quote(str(tmp_path))}"
    command = f"{small} && exec {shlex.join([sys.executable, '-c', code])}"
    subprocess.run(["unshare", "-rm", "sh", "-c", command], cwd=ROOT, check=True)


def test_pack_that_is_dropped_leaves_nothing(store: LocalStore) -> None:
    with PackWriter(store) as pack:
        pack.add("a" * 32, b"archive")
    assert list(store.list()) == []


def test_pack_explains_itself_without_a_database(store: LocalStore) -> None:
    name, entries = _write(store)
    known = {entry.key: (entry.offset, entry.length, entry.digest) for entry in read_index(store, name)}
    assert known == {key: (entry.offset, entry.length, entry.digest) for key, entry in entries.items()}


@pytest.mark.skipif(not shutil.which("zstd"), reason="the program zstd is needed")
def test_pack_is_plain_zstd_to_others(store: LocalStore) -> None:
    name, _ = _write(store)
    plain = subprocess.run(["zstd", "-dc", store.root / name], capture_output=True, check=True).stdout
    assert plain == b"".join(_ARCHIVES.values())


def test_pack_takes_frames_from_another_pack_as_they_are(store: LocalStore) -> None:
    first, entries = _write(store)
    kept = list(_ARCHIVES)[::3]
    with PackReader(store, {}) as reader, PackWriter(store) as pack:
        moved = {key: pack.add_frame(entries[key], reader.frame(first, entries[key])) for key in kept}
        second = pack.store()
    store.delete([first])
    with PackReader(store, {}) as reader:
        assert [reader.archive(second, moved[key]) for key in kept] == [_ARCHIVES[key] for key in kept]


@pytest.mark.parametrize("wanted", [1, 99], ids=["by range", "whole"])
def test_damaged_pack_is_noticed_wherever_a_byte_is_wrong(store: LocalStore, wanted: int) -> None:
    name, entries = _write(store)
    entry = entries[next(iter(_ARCHIVES))]
    whole = bytearray(store.read(name))
    for place in range(entry.offset, entry.offset + entry.length):
        damaged = whole.copy()
        damaged[place] ^= 0x40
        store.put(name, bytes(damaged))
        with (
            PackReader(store, {name: wanted}) as reader,
            pytest.raises(DamagedResultError, match=f"result {entry.key} in {name} is damaged: "),
        ):
            reader.archive(name, entry)


def test_truncated_pack_is_noticed(store: LocalStore) -> None:
    name, entries = _write(store)
    store.put(name, store.read(name)[: entries[list(_ARCHIVES)[-1]].offset + 5])
    with PackReader(store, {}) as reader, pytest.raises(StoreError, match="is damaged"):
        reader.archive(name, entries[list(_ARCHIVES)[-1]])


@pytest.mark.parametrize("content", [b"", b"short", b"no pack at all", b"\xff" * 40, b"[1]" + bytes([3, *[0] * 7])])
def test_index_of_what_is_no_pack_is_refused(store: LocalStore, content: bytes) -> None:
    store.put("packs/x", content)
    with pytest.raises(StoreError, match="packs/x is no pack, or damaged at its end"):
        read_index(store, "packs/x")


def test_missing_pack_is_said_to_be_missing(store: LocalStore) -> None:
    name, entries = _write(store)
    store.delete([name])
    with PackReader(store, {}) as reader, pytest.raises(ObjectMissingError):
        reader.archive(name, next(iter(entries.values())))
    with pytest.raises(ObjectMissingError):
        read_index(store, name)
