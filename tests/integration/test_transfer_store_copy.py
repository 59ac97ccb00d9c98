"""Copying between stores, from a directory to a bucket and back."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from multiblast.errors import StoreError
from multiblast.stores import LocalStore, MemoryStore, Store, StoredObject
from multiblast.transfer import CopyProgress, copy_results

_OBJECTS = {"packs/1f/a": b"pack " * 1000, "packs/2f/b": b"", "queries/1f/q.fasta": b">q\nMK\n", "reports/r": b"x"}


@pytest.fixture
def source(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "source")
    for key, data in _OBJECTS.items():
        store.put(key, data)
    return store


def _content(store: Store) -> dict[str, bytes]:
    return {found.key: store.read(found.key) for found in store.list()}


class _FailingStore(MemoryStore):
    """Takes so many objects, then fails."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self.takes = takes

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        if not self.takes:
            raise StoreError(f"cannot write {key!r}: the line is down")
        self.takes -= 1
        return super().put(key, data)


class _LyingStore(MemoryStore):
    """Keeps something else than it is given."""

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        whole = b"".join(data) if not isinstance(data, bytes) else data  # type: ignore[arg-type]  # chunks here
        return super().put(key, whole[:-1] + b"!")


@pytest.mark.parametrize("server", ["rclone_s3", "weed_s3"])
def test_copy_to_a_bucket_and_back_is_the_same(
    source: LocalStore, tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    bucket: Any = request.getfixturevalue(server).store()
    copy_results(source, bucket)
    back = LocalStore(tmp_path / "back")
    copy_results(bucket, back)
    assert _content(back) == _OBJECTS


def test_copy_leaves_the_source_alone(source: LocalStore) -> None:
    copy_results(source, MemoryStore())
    assert _content(source) == _OBJECTS


def test_copy_of_a_prefix_takes_just_that(source: LocalStore) -> None:
    target = MemoryStore()
    copy_results(source, target, "packs/")
    assert set(_content(target)) == {"packs/1f/a", "packs/2f/b"}


def test_copy_tells_its_progress(source: LocalStore) -> None:
    told: list[CopyProgress] = []
    done = copy_results(source, MemoryStore(), progress=told.append)
    assert [now.objects for now in told] == [1, 2, 3, 4]
    assert told[-1] == done == CopyProgress(4, 5007, 4, 5007)


def test_copy_goes_on_where_it_stopped(source: LocalStore) -> None:
    target = _FailingStore(takes=2)
    with pytest.raises(StoreError, match="the line is down"):
        copy_results(source, target)
    target.takes = 99
    done = copy_results(source, target)
    assert (done.objects, done.copied) == (4, 2)
    assert _content(target) == _OBJECTS


def test_copy_does_nothing_where_all_is_there(source: LocalStore) -> None:
    target = MemoryStore()
    copy_results(source, target)
    assert copy_results(source, target) == CopyProgress(4, 5007, 0, 0)


def test_copy_mends_an_object_of_the_right_size_with_other_bytes(source: LocalStore) -> None:
    target = MemoryStore()
    target.put("reports/r", b"y")
    assert copy_results(source, target).copied == 4
    assert target.read("reports/r") == b"x"


def test_copy_by_size_alone_trusts_the_size(source: LocalStore) -> None:
    target = MemoryStore()
    target.put("reports/r", b"y")
    assert copy_results(source, target, compare_bytes=False).copied == 3
    assert target.read("reports/r") == b"y"


def test_copy_replaces_an_object_of_another_size(source: LocalStore) -> None:
    target = MemoryStore()
    target.put("reports/r", b"too long")
    copy_results(source, target, compare_bytes=False)
    assert target.read("reports/r") == b"x"


def test_copy_that_went_wrong_is_removed_and_said(source: LocalStore) -> None:
    target = _LyingStore()
    with pytest.raises(StoreError, match="the copy of 'packs/1f/a' is not what was read"):
        copy_results(source, target)
    assert _content(target) == {}


def test_copy_passes_over_what_the_source_lost_meanwhile(source: LocalStore) -> None:
    class Losing(LocalStore):
        def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
            if key == "packs/2f/b":
                self.delete([key])
            return super().open(key, start, length)

    target = MemoryStore()
    assert copy_results(Losing(source.root), target).objects == 3
    assert set(_content(target)) == set(_OBJECTS) - {"packs/2f/b"}


def test_copy_names_the_store_that_failed(source: LocalStore, tmp_path: Path) -> None:
    class Broken(LocalStore):
        def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
            stream = super().open(key, start, length)
            stream.close()
            return _Torn()  # type: ignore[return-value]  # reads like one

    with pytest.raises(StoreError, match="the source is torn"):
        copy_results(Broken(source.root), LocalStore(tmp_path / "target"))


class _Torn(BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise StoreError("the source is torn")
