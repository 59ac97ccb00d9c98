"""What every store keeps to; each store's tests inherit all of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.services import Services
from multiblast.stores import FsspecStore, LocalStore, MemoryStore, S3Store, Store
from multiblast.stores.http import HttpStore
from multiblast.stores.s3 import connect
from tests.support.gateway import gateway, granted

_BIG = 20 << 20  # more than two parts of an upload

_ODD_KEYS = {
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

    @pytest.mark.parametrize("data", [b"", b"x", b"several words\n\0\xff", bytes(_BIG)], ids=len)
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
        data = os.urandom(_BIG)
        with pytest.raises(ZeroDivisionError):
            store.put_resumably("some", broken_off(data, 18 << 20))
        assert list(store.list()) == []
        assert store.put_resumably("some", BytesIO(data)).size_bytes == _BIG
        assert store.read("some") == data

    def test_resumable_put_keeps_nothing_of_other_data(self, store: Store) -> None:
        data = os.urandom(_BIG)
        for other in (bytes(_BIG), data[: 9 << 20] + bytes(11 << 20)):
            with pytest.raises(ZeroDivisionError):
                store.put_resumably("some", broken_off(other, _BIG))
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
        assert store.stat("some").size_bytes == _BIG

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
        data = os.urandom(_BIG)
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

    @pytest.mark.parametrize("key", _ODD_KEYS.values(), ids=_ODD_KEYS)
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

    opener: str

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


def _bytes_written() -> int:
    """Return how many bytes this process wrote so far, to whatever."""
    return int(re.search(r"wchar: (\d+)", Path("/proc/self/io").read_text())[1])  # type: ignore[index]  # it has this line


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestLocalStore(SharedStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "store")

    @pytest.fixture
    def opened(self, store: LocalStore) -> str:
        return f"from multiblast.stores import LocalStore\nstore = LocalStore({str(store.root)!r})"

    def test_list_is_in_the_order_of_keys(self, store: LocalStore) -> None:
        for key in ("b", "a/b", "a-b/c", "a.b", "a0", "A", "a/b-c", "a/b.c/d"):
            store.put(key, b"")
        assert [found.key for found in store.list()] == sorted(found.key for found in store.list())

    def test_concurrent_puts_and_deletes_beside_each_other_all_succeed(self, store: LocalStore) -> None:
        def come_and_go(number: int) -> None:
            for _ in range(10):
                store.put(f"packs/1f/{number}", b"x")
                store.delete([f"packs/1f/{number}"])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(come_and_go, range(4)))
        assert list(store.list()) == []

    def test_symbolic_links_lead_nowhere(self, store: LocalStore, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("x")
        store.put("some", b"x")
        store.put("deep/secret", b"x")
        (store.root / "within").symlink_to(store.root / "deep")  # for whom only one of the two is meant
        (store.root / "directory").symlink_to(outside)
        (store.root / "file").symlink_to(outside / "secret")
        for key in ("directory/secret", "directory/new", "file", "within/secret"):
            for act in (store.stat, store.open, lambda key: store.put(key, b"y"), lambda key: store.delete([key])):
                with pytest.raises(StoreError, match="leads outside"):
                    act(key)
        assert [found.key for found in store.list()] == ["deep/secret", "some"]
        assert [path.name for path in outside.iterdir()] == ["secret"]

    def test_foreign_files_are_not_listed(self, store: LocalStore) -> None:
        store.put("some", b"x")
        (store.root / "lost+found").mkdir()
        (store.root / "my file.txt").write_text("x")
        (store.root / ".hidden").write_text("x")
        assert [found.key for found in store.list()] == ["some"]

    def test_put_below_an_object_says_so(self, store: LocalStore) -> None:
        store.put("some", b"x")
        with pytest.raises(StoreError, match="an object lies where a directory is needed"):
            store.put("some/below", b"y")
        assert store.read("some") == b"x"

    def test_put_in_the_place_of_a_directory_says_so(self, store: LocalStore) -> None:
        store.put("some/below", b"x")
        with pytest.raises(StoreError, match="objects below this key"):
            store.put("some", b"y")
        assert [found.key for found in store.list()] == ["some/below"]

    def test_put_on_a_full_disk_says_so(self, tmp_path: Path) -> None:
        code = f"""
import resource, signal
from multiblast.services import Services
from multiblast.stores import LocalStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
LocalStore({str(tmp_path)!r}).put("some", bytes(2 << 20))
"""
        failed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert "StoreError: cannot write 'some' under" in failed.stderr
        assert list(LocalStore(tmp_path).list()) == []

    def test_resumable_put_writes_only_what_is_missing(self, store: LocalStore) -> None:
        data = os.urandom(_BIG)
        with pytest.raises(ZeroDivisionError):
            store.put_resumably("some", broken_off(data, 18 << 20))
        before = _bytes_written()
        store.put_resumably("some", BytesIO(data))
        assert _bytes_written() - before < 3 << 20
        assert list((store.root / ".incoming").iterdir()) == []

    def test_resumable_put_beside_another_of_the_same_writes_it_too(self, store: LocalStore) -> None:
        def watched() -> Iterator[bytes]:
            yield b"twelve "
            store.put_resumably("same", b"twelve bytes")
            assert store.read("same") == b"twelve bytes"
            yield b"bytes"

        store.put_resumably("same", watched())
        assert store.read("same") == b"twelve bytes"

    def test_delete_of_a_directory_or_below_an_object_removes_nothing(self, store: LocalStore) -> None:
        store.put("packs/1f", b"x")
        store.delete(["packs", "packs/1f/below"])
        assert [found.key for found in store.list()] == ["packs/1f"]

    def test_delete_removes_directories_that_became_empty(self, store: LocalStore) -> None:
        store.put("packs/1f/x", b"x")
        store.delete(["packs/1f/x"])
        assert not (store.root / "packs" / "1f").exists()

    def test_sweep_removes_what_a_killed_writer_left_a_day_ago(self, store: LocalStore) -> None:
        store.put("some", b"x")
        left = store.root / ".incoming" / "left"
        left.write_bytes(b"half")
        yesterday = time.time() - 25 * 3600
        os.utime(left, (yesterday, yesterday))
        assert store.sweep() == 1
        assert not left.exists()
        assert store.read("some") == b"x"

    def test_presign_gives_no_link(self, store: LocalStore) -> None:
        assert not store.presign("some", 60)


def fsspec_store(url: str) -> FsspecStore:
    return FsspecStore.from_url(urlsplit(url))


class TestFsspecStoreInMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return fsspec_store(f"memory://{uuid4().hex}/below")


class TestFsspecStoreInFiles(SharedStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return fsspec_store(f"file://{tmp_path}/store")

    @pytest.fixture
    def opened(self, tmp_path: Path) -> str:
        return f"""
from urllib.parse import urlsplit
from multiblast.stores import FsspecStore
store = FsspecStore.from_url(urlsplit("file://{tmp_path}/store"))
"""

    def test_put_in_the_place_of_a_directory_says_so(self, store: Store, tmp_path: Path) -> None:
        store.put("some/below", b"x")
        with pytest.raises(StoreError, match="objects below this key"):
            store.put("some", b"y")
        assert [found.key for found in store.list()] == ["some/below"]
        assert list((tmp_path / "store" / ".incoming").iterdir()) == []

    def test_what_the_driver_says_is_in_the_error(self, store: Store) -> None:
        store.put("some", b"x")
        with pytest.raises(StoreError, match=r"cannot write 'some/below' in file://.*File exists") as raised:
            store.put("some/below", b"y")
        assert not isinstance(raised.value, ObjectMissingError)

    def test_foreign_files_are_not_listed(self, store: Store, tmp_path: Path) -> None:
        store.put("some", b"x")
        for name in ("my file.txt", ".hidden"):
            (tmp_path / "store" / name).write_text("x")
        assert [found.key for found in store.list()] == ["some"]

    def test_sweep_removes_what_a_killed_writer_left_a_day_ago(self, store: Store, tmp_path: Path) -> None:
        store.put("some", b"x")
        left = tmp_path / "store" / ".incoming" / "left"
        left.write_bytes(b"half")
        assert store.sweep() == 0
        os.utime(left, (time.time() - 25 * 3600,) * 2)
        assert store.sweep() == 1
        assert not left.exists()
        assert store.read("some") == b"x"

    def test_object_is_located_by_a_url_without_a_password(self, store: Store, tmp_path: Path) -> None:
        assert store.locate("a/b") == f"file://{tmp_path}/store/a/b"


class TestHttpStore(SharedStoreContract):
    """Behind the gateway of a service whose store is a directory."""

    @pytest.fixture
    def grant(self, services: Services) -> str:
        return granted(services, writes=["/"], replaces=True)

    @pytest.fixture
    def store(self, services: Services, grant: str) -> Iterator[Store]:
        with gateway(services) as url:
            store = HttpStore(url, lambda _afresh: grant)
            yield store
            store.close()

    @pytest.mark.long
    def test_list_goes_beyond_a_page(self, store: Store) -> None:
        super().test_list_goes_beyond_a_page(store)

    @pytest.fixture
    def opened(self, store: HttpStore, grant: str) -> str:
        url = store.locate("x").removesuffix("/objects/x")
        return f"""
from multiblast.stores.http import HttpStore
store = HttpStore({url!r}, lambda _afresh: {grant!r})
"""


class S3Contract(SharedStoreContract):
    """Behaviour of a store in a bucket."""

    @pytest.fixture
    def opened(self, store: S3Store, server: Any) -> str:
        return f"""
import boto3
from multiblast.stores.s3 import S3Store, connect
session = boto3.session.Session({server.access_key!r}, {server.secret_key!r}, region_name="us-east-1")
store = S3Store(connect(session, endpoint_url={server.endpoint!r}), {store.bucket!r}, {store.prefix!r})
"""

    @pytest.fixture
    def store(self, server: Any) -> S3Store:
        return server.store()

    def test_resumable_put_sends_only_the_parts_that_are_missing(self, store: S3Store, server: Any) -> None:
        client, sent, data = server.client(), [], os.urandom(_BIG)
        client.meta.events.register("before-call.s3.UploadPart", lambda **_call: sent.append(1))
        small = S3Store(client, store.bucket, store.prefix, part_bytes=5 << 20)  # SeaweedFS takes no smaller ones
        with pytest.raises(ZeroDivisionError):
            small.put_resumably("some", broken_off(data, 15 << 20))
        assert len(sent) == 3
        small.put_resumably("some", data)
        assert len(sent) == 4
        assert store.read("some") == data
        assert client.list_multipart_uploads(Bucket=store.bucket, Prefix=f"{store.prefix}some").get("Uploads", []) == []

    def test_objects_lie_under_the_prefix(self, store: S3Store, server: Any) -> None:
        store.put("packs/1f", b"x")
        client = server.client()
        client.put_object(Bucket=store.bucket, Key=f"{store.prefix.rstrip('/')}-of-others", Body=b"x")
        assert [found.key for found in store.list()] == ["packs/1f"]
        assert client.get_object(Bucket=store.bucket, Key=f"{store.prefix}packs/1f")["Body"].read() == b"x"

    def test_store_without_a_prefix_has_the_whole_bucket(self, store: S3Store, server: Any) -> None:
        store.put("packs/1f", b"x")
        whole = S3Store(server.client(), store.bucket)
        assert [found.key for found in whole.list(store.prefix)] == [f"{store.prefix}packs/1f"]

    def test_missing_bucket_is_not_taken_for_a_missing_object(self, server: Any) -> None:
        store = S3Store(server.client(), "no-such-bucket")
        for act in (store.exists, store.open, lambda key: store.put(key, b"x"), lambda key: list(store.list(key))):
            with pytest.raises(StoreError, match=rf"in bucket 'no-such-bucket' at {server.endpoint}") as raised:
                act("some")
            assert not isinstance(raised.value, ObjectMissingError)

    def test_presigned_link_downloads_under_its_file_name(self, store: S3Store) -> None:
        store.put("reports/1f", b"the report")
        link = store.presign("reports/1f", 60, 'Bärtierchen "1".txt')
        answer = httpx.get(link)
        assert answer.content == b"the report"
        named = answer.headers["Content-Disposition"]
        assert named == "attachment; filename*=UTF-8''B%C3%A4rtierchen%20%221%22.txt"

    def test_presigned_link_is_for_one_object_only(self, store: S3Store) -> None:
        store.put("reports/1f", b"mine")
        store.put("reports/2f", b"not yours")
        link = store.presign("reports/1f", 60).replace("reports/1f", "reports/2f")
        assert httpx.get(link).status_code == 403

    def test_presigned_link_expires(self, store: S3Store) -> None:
        store.put("reports/1f", b"the report")
        link = store.presign("reports/1f", 1)
        time.sleep(2.1)
        assert httpx.get(link).status_code in {400, 403}

    @pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
    def test_presigning_for_too_long_is_refused(self, store: S3Store, seconds: int) -> None:
        with pytest.raises(StoreError, match=f"a link cannot work for {seconds} s"):
            store.presign("some", seconds)

    def test_sweep_of_a_bucket_that_never_saw_an_upload_finds_nothing(self, server: Any) -> None:
        client, bucket = server.client(), f"new-{uuid4().hex}"
        client.create_bucket(Bucket=bucket)
        assert S3Store(client, bucket).sweep() == 0
        client.delete_bucket(Bucket=bucket)

    def test_sweep_drops_uploads_begun_a_day_ago(self, store: S3Store, server: Any, monkeypatch: Any) -> None:
        client, mine, others = server.client(), f"{store.prefix}left", f"{store.prefix.rstrip('/')}-of-others/left"
        for name in (mine, others):
            client.create_multipart_upload(Bucket=store.bucket, Key=name)
        assert store.sweep() == 0
        monkeypatch.setattr("multiblast.stores.s3._ABANDONED_AFTER", timedelta(seconds=-60))
        assert store.sweep() == 1
        left = {upload["Key"] for upload in client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])}
        assert left & {mine, others} == {others}

    def test_wrong_secret_says_so(self, store: S3Store, server: Any) -> None:
        session = boto3.session.Session(server.access_key, "another-secret", region_name="us-east-1")
        stranger = S3Store(connect(session, endpoint_url=server.endpoint), store.bucket)
        with pytest.raises(StoreError, match="the credentials are refused: correct them in the bucket's block"):
            stranger.put("some", b"x")

    def test_threads_share_a_store(self, store: S3Store) -> None:
        barrier = threading.Barrier(8)

        def come_and_read(number: int) -> bytes:
            barrier.wait()
            store.put(f"some/{number}", bytes([number]) * 1000)
            return store.read(f"some/{number}", 10, 1)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(come_and_read, range(8))) == [bytes([number]) for number in range(8)]


@pytest.mark.long
class TestS3StoreOnRclone(S3Contract):
    @pytest.fixture
    def server(self, rclone_s3: Any) -> Any:
        return rclone_s3

    def test_concurrent_puts_of_one_key_leave_one_of_them_whole(self, store: Store) -> None:
        """Now and then rclone keeps one's bytes with another's checksum, which is noticed when they are read."""
        try:
            super().test_concurrent_puts_of_one_key_leave_one_of_them_whole(store)
        except StoreError as error:
            assert "wrong checksum" in str(error)  # noqa: PT017 - it may also be whole


class TestS3StoreOnSeaweed(S3Contract):
    @pytest.fixture
    def server(self, weed_s3: Any) -> Any:
        return weed_s3
