"""Stores are opened by URL; a new store is a new file and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import multiblast.stores
from multiblast.errors import StoreError
from multiblast.stores import LocalStore, MemoryStore, S3Store, open_store, opening


def test_path_and_file_url_are_directories(tmp_path: Path) -> None:
    for url in (str(tmp_path / "a b"), f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a%20b"):
        store = open_store(url)
        assert isinstance(store, LocalStore)
        assert store.root == tmp_path / "a b"


def test_memory_of_one_name_is_one_store() -> None:
    store = open_store("memory:urls")
    assert isinstance(store, MemoryStore)
    assert open_store("memory:urls") is store
    assert open_store("memory:others") is not store


def test_bucket_has_its_prefix_endpoint_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    store = open_store("s3://results/of/us?endpoint=http://127.0.0.1:9000&region=eu-west-1")
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix) == ("results", "of/us/")
    client = store._client
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:9000", "eu-west-1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gopher://x", "that begin with gopher: use file, memory, s3, or of fsspec .*gs.*sftp"),
        ("gs://bucket/prefix", "gs:// needs a driver that is not installed here: Please install gcsfs"),
        ("sftp://me:secret@host/directory", 'sftp:// needs a driver .* requires "paramiko" to be installed'),
        ("zip://x", "no store has URLs that begin with zip"),
        ("simplecache::file:///x", "no store has URLs that begin with simplecache"),
        ("file://elsewhere/data", "no directory of this machine"),
        ("file:data", "no directory of this machine"),
        ("s3:///prefix", "the URL names no bucket"),
        ("s3://bucket?endpiont=http://x", "the URL names no bucket"),
        ("s3://key:secret@bucket/prefix", "the URL names no bucket"),
    ],
)
def test_url_that_names_no_store_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)


def test_new_store_is_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelf.py").write_text(
        'from multiblast.stores.memory import MemoryStore\nclass Shelf(MemoryStore):\n    scheme = "shelf"\n'
    )
    monkeypatch.setattr(multiblast.stores, "__path__", [*multiblast.stores.__path__, str(tmp_path)])
    opening._by_scheme.cache_clear()
    try:
        assert type(open_store("shelf:one")).__name__ == "Shelf"
    finally:
        opening._by_scheme.cache_clear()
        sys.modules.pop("multiblast.stores.shelf", None)
