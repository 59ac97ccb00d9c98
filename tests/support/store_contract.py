"""What every store keeps to; the tests of each store inherit all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.stores import Store

BIG = 20 << 20  # more than two parts of an upload

ODD_KEYS = {
    "empty": "",
    "parent": "../outside",
    "parent inside": "a/../../outside",
    "here": "./a",
    "absolute": "/etc/passwd",
    "ends in slash": "a/",
    "two slashes": "a//b",
    "NUL": "a\0b",
    "line end": "a\n",
    "hidden": ".hidden",
    "hidden below": "a/.hidden",
    "option": "-rf",
    "space": "a b",
    "backslash": "a\\b",
    "letters beyond ASCII": "ä",
    "percent": "a%2f..",
    "long word": "x" * 256,
    "long": "/".join(["x" * 200] * 5),
}


def broken_off(data: bytes, size_bytes: int) -> Iterator[bytes]:
    """Yield the first bytes in pieces, then fail."""
    for start in range(0, size_bytes, 1 << 20):
        yield data[start : min(start + (1 << 20), size_bytes)]
    raise ZeroDivisionError


class StoreContract(ABC):
    """Behaviour of any store."""

    @pytest.fixture
    @abstractmethod
    def store(self, request: pytest.FixtureRequest) -> Store:
        """Make an empty store."""

    @pytest.mark.parametrize("data", [b"", b"x", b"several words\n\0\xff", bytes(BIG)], ids=len)
    def test_put_is_read_back(self, store: Store, data: bytes) -> None:
        store.put("queries/1f/some.fasta", data)
        assert store.read("queries/1f/some.fasta") == data

    @pytest.mark.parametrize("wrap", [BytesIO, lambda data: iter([data[:5], b"", data[5:]]), lambda data: [data]])
    def test_put_takes_streams_and_chunks(self, store: Store, wrap: Any) -> None:
        store.put("some", wrap(b"twelve bytes"))
        assert store.read("some") == b"twelve bytes"

    def test_put_streams_odd_pieces_of_a_big_object_in_order(self, store: Store) -> None:
        piece = bytes(range(256)) * 4099  # no divisor of any part's size
        store.put("big", (piece for _ in range(20)))
        assert store.read("big") == piece * 20

    def test_put_describes_the_object(self, store: Store) -> None:
        before = datetime.now(UTC) - timedelta(seconds=5)  # servers tell whole seconds
        told = store.put("a/b", b"12345")
        assert (told.key, told.size_bytes) == ("a/b", 5)
        assert before < told.modified < datetime.now(UTC) + timedelta(seconds=5)

    def test_put_replaces(self, store: Store) -> None:
        store.put("same", b"the first, longer")
        store.put("same", b"second")
        assert store.read("same") == b"second"

    @pytest.mark.parametrize("pieces", [1, 40], ids=["small", "big"])
    def test_put_of_failing_input_leaves_nothing(self, store: Store, pieces: int) -> None:
        def failing() -> Iterator[bytes]:
            for _ in range(pieces):
                yield bytes(1 << 19)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.put("some", failing())
        assert not store.exists("some")
        assert list(store.list()) == []

    def test_put_of_failing_input_keeps_what_was_there(self, store: Store) -> None:
        def failing() -> Iterator[bytes]:
            yield b"half"
            raise ZeroDivisionError

        store.put("some", b"whole")
        with pytest.raises(ZeroDivisionError):
            store.put("some", failing())
        assert store.read("some") == b"whole"

    def test_resumable_put_that_broke_off_is_invisible_and_whole_the_second_time(self, store: Store) -> None:
        data = os.urandom(BIG)
        with pytest.raises(ZeroDivisionError):
            store.put_resumably("some", broken_off(data, 18 << 20))
        assert list(store.list()) == []
        assert store.put_resumably("some", BytesIO(data)).size_bytes == BIG
        assert store.read("some") == data

    def test_resumable_put_keeps_nothing_of_other_data(self, store: Store) -> None:
        data = os.urandom(BIG)
        for other in (bytes(BIG), data[: 9 << 20] + bytes(11 << 20)):
            with pytest.raises(ZeroDivisionError):
                store.put_resumably("some", broken_off(other, BIG))
            with suppress(StoreError):  # it begins anew the next time, where a part cannot be replaced
                store.put_resumably("some", data)
        store.put_resumably("some", data)
        assert store.read("some") == data

    def test_put_is_invisible_until_whole(self, store: Store) -> None:
        def watching() -> Iterator[bytes]:
            for _ in range(4):
                yield bytes(5 << 20)
                assert not store.exists("some")
                assert list(store.list()) == []

        store.put("some", watching())
        assert store.stat("some").size_bytes == BIG

    def test_concurrent_puts_of_one_key_leave_one_of_them_whole(self, store: Store) -> None:
        variants = [bytes([65 + number]) * 100_000 for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda data: store.put("same", data), variants))
        assert store.read("same") in variants

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, 3, b"012"),
            (3, 4, b"3456"),
            (7, None, b"789"),
            (8, 100, b"89"),
            (10, 5, b""),
            (99, None, b""),
            (4, 0, b""),
        ],
    )
    def test_open_reads_a_range(self, store: Store, start: int, length: int | None, expected: bytes) -> None:
        store.put("digits", b"0123456789")
        assert store.read("digits", start, length) == expected

    def test_open_reads_a_range_of_a_big_object(self, store: Store) -> None:
        data = os.urandom(BIG)
        store.put("big", data)
        assert store.read("big", 9_000_001, 5_000_003) == data[9_000_001:14_000_004]

    def test_open_reads_ranges_of_an_empty_object(self, store: Store) -> None:
        store.put("empty", b"")
        assert (store.read("empty"), store.read("empty", 0, 5), store.read("empty", 3)) == (b"", b"", b"")

    def test_open_gives_a_stream_that_reads_in_pieces(self, store: Store) -> None:
        store.put("lines", b"one\ntwo\nthree\n")
        with store.open("lines") as stream:
            assert (stream.read(2), stream.readline(), stream.read()) == (b"on", b"e\n", b"two\nthree\n")
            assert stream.read(1) == b""

    @pytest.mark.parametrize("length", [None, 0, 5])
    def test_open_of_nothing_is_an_error(self, store: Store, length: int | None) -> None:
        store.put("there/x", b"x")
        for key in ("nothing", "there", "there/x/below", "there/y"):
            with pytest.raises(ObjectMissingError, match="no object"):
                store.open(key, 0, length)

    def test_stat_of_nothing_is_an_error(self, store: Store) -> None:
        store.put("there/x", b"x")
        for key in ("nothing", "there", "there/x/below", "there/y"):
            with pytest.raises(ObjectMissingError, match="no object"):
                store.stat(key)

    def test_exists_tells_objects_from_directories(self, store: Store) -> None:
        store.put("there/x", b"x")
        assert [store.exists(key) for key in ("there/x", "there", "there/", "nothing")[::3]] == [True, False]
        assert not store.exists("there")

    def test_list_finds_each_object_once_by_any_prefix(self, store: Store) -> None:
        keys = {"A/b", "a/b", "a/b-c", "a/b.c/d", "a-b/c", "a.b/c", "a0", "a_/b", "ab/c"}
        for key in keys:
            store.put(key, key.encode())
        for prefix in ("", "a", "a/", "a/b", "a/b-", "a/b.c/", "ab/c", "a-b", "nothing", "../", "a//"):
            listed = [found.key for found in store.list(prefix)]
            assert sorted(listed) == sorted(key for key in keys if key.startswith(prefix)), prefix

    def test_list_describes_as_stat_does(self, store: Store) -> None:
        for size in (0, 1, 1000):
            store.put(f"some/{size}", bytes(size))
        for found in store.list():
            known = store.stat(found.key)
            assert (found.key, found.size_bytes) == (known.key, known.size_bytes)
            assert abs(found.modified - known.modified) < timedelta(seconds=2)

    def test_list_goes_beyond_a_page(self, store: Store) -> None:
        keys = [f"many/{number:04}" for number in range(1100)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.put(key, b""), keys))
        assert sorted(found.key for found in store.list("many/")) == keys
        store.delete(keys)
        assert list(store.list("many/")) == []

    def test_list_survives_what_is_removed_meanwhile(self, store: Store) -> None:
        """It may still name what is gone, but nothing twice and nothing that never was."""
        keys = {f"some/{number}" for number in range(20)}
        for key in keys:
            store.put(key, b"x")
        listing = store.list()
        listed = [next(listing).key]
        store.delete(keys)
        listed += [found.key for found in listing]
        assert len(listed) == len(set(listed))
        assert set(listed) <= keys

    def test_delete_removes_just_these(self, store: Store) -> None:
        for key in ("a/1", "a/2", "b"):
            store.put(key, b"x")
        store.delete(iter(["a/1", "nothing", "b"]))
        assert [found.key for found in store.list()] == ["a/2"]

    def test_delete_of_nothing_is_no_error(self, store: Store) -> None:
        store.delete([])
        store.delete(["nothing"])
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
    def test_odd_keys_are_refused(self, store: Store, key: str) -> None:
        for act in (lambda: store.put(key, b"x"), lambda: store.open(key), lambda: store.delete([key])):
            with pytest.raises(StoreError, match="bad store key"):
                act()
        with pytest.raises(StoreError, match="bad store key"):
            store.stat(key)
        assert list(store.list()) == []

    def test_longest_keys_are_accepted(self, store: Store) -> None:
        key = "/".join(["x" * 99] * 9)
        store.put(key, b"x")
        assert [found.key for found in store.list(key[:500])] == [key]

    def test_sweep_leaves_objects_and_fresh_uploads_alone(self, store: Store) -> None:
        swept: list[int] = []

        def sweeping() -> Iterator[bytes]:
            for _ in range(3):
                yield bytes(8 << 20)
                swept.append(store.sweep())

        store.put("old", b"x")
        store.put("some", sweeping())
        assert swept == [0, 0, 0]
        assert {found.key for found in store.list()} == {"old", "some"}


class SharedStoreContract(StoreContract):
    """Behaviour of stores that other processes see."""

    @pytest.fixture
    @abstractmethod
    def opened(self, store: Store) -> str:
        """Return Python code that opens the same store as ``store``."""

    def test_writer_killed_midway_leaves_nothing_visible(self, store: Store, opened: str) -> None:
        store.put("some", b"before")
        code = f"""{opened}
import time
def slow():
    for number in range(1000):
        yield bytes(1 << 20)
        print(number, flush=True)
        time.sleep(0.01 if number < 19 else 60)
store.put("some", slow())
"""
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            while writer.stdout.readline() not in {b"19\n", b""}:
                pass
            writer.send_signal(signal.SIGKILL)
            assert writer.wait() == -signal.SIGKILL
        assert store.read("some") == b"before"
        assert [found.key for found in store.list()] == ["some"]

    def test_memory_stays_flat_for_big_objects(self, opened: str) -> None:
        code = f"""{opened}
import resource, sys
size = int(sys.argv[1])
store.put("big", (bytes(1 << 20) for _ in range(size)))
with store.open("big") as stream:
    assert sum(len(data) for data in iter(lambda: stream.read(1 << 20), b"")) == size << 20
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
        small, big = (
            int(subprocess.run([sys.executable, "-c", code, size], check=True, capture_output=True, text=True).stdout)
            for size in ("32", "160")
        )
        assert big - small < 48  # MiB, of 128 more


class DirectoryStoreContract(SharedStoreContract):
    """Behaviour of stores in a directory."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "store"

    def test_foreign_files_are_not_listed(self, store: Store, root: Path) -> None:
        store.put("some", b"x")
        (root / "lost+found").mkdir()
        for name in ("my file.txt", ".hidden"):
            (root / name).write_text("x")
        assert [found.key for found in store.list()] == ["some"]

    def test_put_in_the_place_of_a_directory_says_so(self, store: Store, root: Path) -> None:
        store.put("some/below", b"x")
        with pytest.raises(StoreError, match="objects below this key"):
            store.put("some", b"y")
        assert [found.key for found in store.list()] == ["some/below"]
        assert list((root / ".incoming").iterdir()) == []

    def test_sweep_removes_what_a_killed_writer_left_a_day_ago(self, store: Store, root: Path) -> None:
        store.put("some", b"x")
        left = root / ".incoming" / "left"
        left.write_bytes(b"half")
        assert store.sweep() == 0
        os.utime(left, (time.time() - 25 * 3600,) * 2)
        assert store.sweep() == 1
        assert not left.exists()
        assert store.read("some") == b"x"
