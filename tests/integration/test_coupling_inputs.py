"""Inputs of a step: checked, read once and kept within a limit, and whole whatever breaks off or is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from multiblast.coupling import InputCache, Reference, StoreCoupling
from multiblast.errors import StoreError
from multiblast.stores import LocalStore, MemoryStore
from tests.support.coupled_files import CountingStore, written
from tests.support.processes import bytes_of_this_process


@pytest.fixture
def cache(tmp_path: Path) -> InputCache:
    return InputCache(tmp_path / "cache", 1000)


@pytest.mark.parametrize("sent", [b"another one.", b"short", b"much longer than that"])
def test_file_that_is_not_what_was_sent_is_never_visible(sent: bytes, tmp_path: Path, cache: InputCache) -> None:
    store = MemoryStore()
    reference = StoreCoupling(store, cache).push(written(tmp_path / "one", b"twelve bytes"), "a")
    store.put("a", sent)
    with pytest.raises(StoreError, match="what came of 'a' is not what was sent"):
        StoreCoupling(store, cache).fetch(reference, tmp_path / "into")
    assert not any(path.is_file() for path in [*(tmp_path / "into").rglob("*"), *cache.root.rglob("*")])


def test_directory_of_which_a_file_was_changed_is_never_visible(tmp_path: Path, cache: InputCache) -> None:
    store = MemoryStore()
    (tmp_path / "tree").mkdir()
    written(tmp_path / "tree/one", b"twelve bytes")
    reference = StoreCoupling(store, cache).push(tmp_path / "tree", "a")
    store.put("a/1", b"twelve Bytes")
    with pytest.raises(StoreError, match="what came of 'a/1' is not what was sent"):
        StoreCoupling(store, cache).fetch(reference, tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_input_is_read_once_from_the_store(tmp_path: Path, cache: InputCache) -> None:
    store = CountingStore()
    reference = StoreCoupling(store, cache).push(written(tmp_path / "one", b"twelve bytes"), "a")
    for into in "123":
        assert StoreCoupling(store, cache).fetch(reference, tmp_path / into).read_bytes() == b"twelve bytes"
    assert store.opened == ["a"]


def test_kept_inputs_used_longest_ago_go_first(tmp_path: Path, cache: InputCache) -> None:
    store = CountingStore()
    coupling = StoreCoupling(store, cache)
    one, two, three = (
        coupling.push(written(tmp_path / name, name.encode() * 100), name) for name in ("one1", "two2", "thr3")
    )
    for number, reference in enumerate([one, two, one, three, one, two]):  # 400 bytes each, of 1 000
        coupling.fetch(reference, tmp_path / str(number))
    assert store.opened == ["one1", "two2", "thr3", "two2"]
    assert sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file()) <= 1000


def test_input_larger_than_the_limit_is_not_kept(tmp_path: Path, cache: InputCache) -> None:
    coupling = StoreCoupling(MemoryStore(), cache)
    reference = coupling.push(written(tmp_path / "big", bytes(2000)), "big")
    assert coupling.fetch(reference, tmp_path / "into").stat().st_size == 2000
    assert not any(path.is_file() for path in cache.root.rglob("*"))


def test_kept_input_cannot_be_changed_by_a_step(tmp_path: Path, cache: InputCache) -> None:
    coupling = StoreCoupling(MemoryStore(), cache)
    found = coupling.fetch(coupling.push(written(tmp_path / "one", b"x"), "a"), tmp_path / "into")
    assert found.stat().st_mode & 0o222 == 0


def test_many_kept_inputs_stay_below_the_limit(tmp_path: Path) -> None:
    cache = InputCache(tmp_path / "cache", 100_000)
    coupling = StoreCoupling(MemoryStore(), cache)
    for number in range(60):
        coupling.fetch(coupling.push(written(tmp_path / "one", os.urandom(5000)), f"{number}"), tmp_path / f"{number}")
    kept = [path.stat().st_size for path in cache.root.rglob("*") if path.is_file()]
    assert 50_000 < sum(kept) <= 100_000


def test_room_is_looked_for_before_the_first_byte(tmp_path: Path, cache: InputCache) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("huge", b"x")
    os.truncate(store.locate("huge"), 1 << 43)  # of which the disk has nothing
    before = bytes_of_this_process()
    with pytest.raises(StoreError, match=r"no room for 'huge' \(8,796,093,022,208 bytes\) .* are free; free some"):
        StoreCoupling(store, cache).fetch(Reference.parse("store:huge"), tmp_path / "into")
    assert bytes_of_this_process()[1] - before[1] < 1000


def test_memory_stays_flat_for_big_files(tmp_path: Path) -> None:
    code = f"""
import os, resource, sys
from pathlib import Path
from multiblast.coupling import InputCache, Reference, StoreCoupling
from multiblast.stores import LocalStore
here, size = Path({str(tmp_path)!r}), int(sys.argv[1]) << 20
(here / "big").touch()
os.truncate(here / "big", size)
coupling = StoreCoupling(LocalStore(here / "store"), InputCache(here / "cache"))
coupling.fetch(coupling.push(here / "big", f"big/{{size}}"), here / "into")
assert (here / "into/big").stat().st_size == size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    small, big = (
        int(subprocess.run([sys.executable, "-c", code, size], check=True, capture_output=True, text=True).stdout)
        for size in ("32", "160")
    )
    assert big - small < 48  # MiB, of 128 more


def test_step_killed_while_it_fetches_leaves_nothing_visible(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from multiblast.coupling import InputCache, Reference, StoreCoupling
from multiblast.stores import LocalStore
here = Path({str(tmp_path)!r})
class Slow(LocalStore):
    def open(self, key, start=0, length=None):
        stream = super().open(key, start, length)
        class Slowly:
            def __enter__(self): return self
            def __exit__(self, *_): stream.close()
            def read(self, size):
                print("read", flush=True)
                time.sleep(0.01)
                return stream.read(size)
        return Slowly()
coupling = StoreCoupling(Slow(here / "store"), InputCache(here / "cache", 1 << 30))
coupling.fetch(Reference.parse("store:big"), here / "into")
"""
    store = LocalStore(tmp_path / "store")
    store.put("big", bytes(50 << 20))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as step:
        assert step.stdout is not None
        for _ in range(9):
            assert step.stdout.readline() == b"read\n"
        step.send_signal(signal.SIGKILL)
        assert step.wait() == -signal.SIGKILL
    cache = InputCache(tmp_path / "cache", 1 << 30)
    assert [path for path in (tmp_path / "into").iterdir() if not path.name.startswith(".")] == []
    assert list(cache.root.glob("[0-9a-f]*")) == []
    left = next((cache.root / ".incoming").iterdir())
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    found = StoreCoupling(store, cache).fetch(Reference.parse("store:big"), tmp_path / "into")
    assert (found.stat().st_size, left.exists()) == (50 << 20, False)


@pytest.mark.parametrize("left", ["half of it", "all of it", "something else", "more than it"])
def test_fetch_goes_on_where_a_step_was_killed(tmp_path: Path, left: str) -> None:
    """What a killed step left is taken, unless it is of no use; the digest is of the whole."""
    data = os.urandom(5 << 20)
    sha256 = hashlib.sha256(data).hexdigest()
    incoming = tmp_path / "kept" / ".incoming" / sha256
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(
        {"half of it": data[: 2 << 20], "all of it": data, "something else": b"x" * 99, "more than it": data + b"!"}[
            left
        ]
    )
    starts: list[int] = []

    class Noting(MemoryStore):
        def open(self, key: str, start: int = 0, length: int | None = None) -> Any:
            starts.append(start)
            return super().open(key, start, length)

    store = Noting()
    store.put("inputs/big", data)
    by = StoreCoupling(store, InputCache(tmp_path / "kept"))
    path = by.fetch(Reference("store:inputs/big", sha256), tmp_path)
    assert path.read_bytes() == data
    wanted = {"half of it": [2 << 20], "all of it": [], "something else": [99, 0], "more than it": [(5 << 20) + 1, 0]}
    assert starts == wanted[left]
    assert not incoming.exists()
