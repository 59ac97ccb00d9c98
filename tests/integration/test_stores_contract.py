"""Stores in memory and in files, and behind a gateway, keep to the contract of stores, and to what is their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.services import Services
from multiblast.stores import FsspecStore, LocalStore, MemoryStore, Store
from multiblast.stores.http import HttpStore
from tests.support.gateway import gateway, granted
from tests.support.processes import bytes_of_this_process
from tests.support.store_contract import BIG, DirectoryStoreContract, SharedStoreContract, StoreContract, broken_off


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestLocalStore(DirectoryStoreContract):
    @pytest.fixture
    def store(self, root: Path) -> Store:
        return LocalStore(root)

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

    def test_put_below_an_object_says_so(self, store: LocalStore) -> None:
        store.put("some", b"x")
        with pytest.raises(StoreError, match="an object lies where a directory is needed"):
            store.put("some/below", b"y")
        assert store.read("some") == b"x"

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
        data = os.urandom(BIG)
        with pytest.raises(ZeroDivisionError):
            store.put_resumably("some", broken_off(data, 18 << 20))
        _, before = bytes_of_this_process()
        store.put_resumably("some", BytesIO(data))
        assert bytes_of_this_process()[1] - before < 3 << 20
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

    def test_presign_gives_no_link(self, store: LocalStore) -> None:
        assert not store.presign("some", 60)


def fsspec_store(url: str) -> FsspecStore:
    return FsspecStore.from_url(urlsplit(url))


class TestFsspecStoreInMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return fsspec_store(f"memory://{uuid4().hex}/below")


class TestFsspecStoreInFiles(DirectoryStoreContract):
    @pytest.fixture
    def store(self, root: Path) -> Store:
        return fsspec_store(f"file://{root}")

    @pytest.fixture
    def opened(self, root: Path) -> str:
        return f"""
from urllib.parse import urlsplit
from multiblast.stores import FsspecStore
store = FsspecStore.from_url(urlsplit("file://{root}"))
"""

    def test_what_the_driver_says_is_in_the_error(self, store: Store) -> None:
        store.put("some", b"x")
        with pytest.raises(StoreError, match=r"cannot write 'some/below' in file://.*File exists") as raised:
            store.put("some/below", b"y")
        assert not isinstance(raised.value, ObjectMissingError)

    def test_object_is_located_by_a_url_without_a_password(self, store: Store, root: Path) -> None:
        assert store.locate("a/b") == f"file://{root}/a/b"


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
