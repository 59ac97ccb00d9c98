"""Files and directories reach a step and leave it by each coupling, whole and the same."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlmodel import select

from multiblast.coupling import Coupling, FilesystemCoupling, InputCache, Reference, StoreCoupling, fetch, push
from multiblast.database import Transfer
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, ObjectMissingError, StoreError
from multiblast.services import Services
from multiblast.stores import FsspecStore, LocalStore, MemoryStore, Store
from multiblast.stores.http import HttpStore
from tests.support.coupled_files import CountingStore, written
from tests.support.gateway import gateway, granted
from tests.support.processes import bytes_of_this_process


def facts(directory: Path) -> dict[str, Any]:
    """Return all paths below a directory, with bytes and whether executable."""
    return {
        str(path.relative_to(directory)): None
        if path.is_dir()
        else (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
        for path in directory.rglob("*")
    }


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Make a directory with what may be difficult, of fewer files for what takes long for each."""
    root = tmp_path / "ein Baum"
    for number in range(100 if {"s3", "https", "services"} & {*request.fixturenames, _coupling_of(request)} else 1000):
        path = root / f"many/{number % 7}/file {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if number % 20 == 0 else os.urandom(number))
    for name in ("leer", "many/empty too", "tief/er/am tiefsten"):
        (root / name).mkdir(parents=True)
    (root / "Bärtierchen (1).fasta").write_text(">ä\nMKV\n", encoding="utf-8")
    (root / "-rf").write_bytes(b"\0")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    return root


def _coupling_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params.get("coupling", "")) if hasattr(request.node, "callspec") else ""


@pytest.fixture(params=["filesystem", "local", "memory", "fsspec", "s3", "https"])
def coupling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Coupling]:
    cache = InputCache(tmp_path / "cache", 1 << 30)
    stores: dict[str, Store] = {
        "local": LocalStore(tmp_path / "store"),
        "memory": MemoryStore(),
        "fsspec": FsspecStore.from_url(urlsplit(f"memory://{uuid4().hex}")),
    }
    if request.param == "https":
        services = request.getfixturevalue("services")
        with gateway(services) as url, granted_store(url, services, writes=["/"], replaces=True) as store:
            yield StoreCoupling(store, cache, "https")
    elif request.param == "s3":
        yield StoreCoupling(request.getfixturevalue("weed_s3").store(), cache, "s3")
    elif request.param == "filesystem":
        yield FilesystemCoupling(LocalStore(tmp_path / "store"), cache)
    else:
        yield StoreCoupling(stores[request.param], cache)


@contextmanager
def granted_store(url: str, services: Services, **what: Any) -> Iterator[HttpStore]:
    grant = granted(services, **what)
    with closing(HttpStore(url, lambda _afresh: grant)) as store:
        yield store


@pytest.fixture
def cache(tmp_path: Path) -> InputCache:
    return InputCache(tmp_path / "cache", 1000)


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(9 << 20)], ids=len)
def test_file_comes_back_equal(coupling: Coupling, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "Erg ä.txt").write_bytes(data)
    reference = coupling.push(tmp_path / "Erg ä.txt", "outputs/1f")
    assert (reference.url, reference.size_bytes, reference.name) == ("store:outputs/1f", len(data), "Erg ä.txt")
    assert reference.sha256 in {"", hashlib.sha256(data).hexdigest()}
    for into in ("a", "b"):  # the second time from what is kept
        assert coupling.fetch(reference, tmp_path / into).read_bytes() == data


def test_tree_comes_back_equal(coupling: Coupling, tree: Path, tmp_path: Path) -> None:
    reference = coupling.push(tree, "outputs/tree")
    assert reference.is_directory
    for wanted, into in ((reference, "a"), (Reference.parse("store:outputs/tree"), "b")):
        assert facts(coupling.fetch(wanted, tmp_path / into)) == facts(tree)


def test_empty_directory_comes_back(coupling: Coupling, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = coupling.fetch(coupling.push(tmp_path / "empty", "outputs/empty"), tmp_path / "into")
    assert found.is_dir()
    assert list(found.iterdir()) == []


@pytest.mark.long
def test_tree_of_one_coupling_is_fetched_by_another(tree: Path, tmp_path: Path, cache: InputCache) -> None:
    store = LocalStore(tmp_path / "store")
    reference = FilesystemCoupling(store, cache).push(tree, "outputs/tree")
    assert facts(StoreCoupling(store, cache).fetch(reference, tmp_path / "into")) == facts(tree)


def test_tree_of_a_filesystem_is_not_copied(tmp_path: Path, cache: InputCache) -> None:
    coupling = FilesystemCoupling(LocalStore(tmp_path / "store"), cache)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "one").write_text("x")
    found = coupling.fetch(coupling.push(tmp_path / "tree", "outputs/tree"), tmp_path / "into")
    assert (found / "one").samefile(tmp_path / "tree" / "one")


def test_input_of_a_filesystem_is_neither_read_nor_copied(tmp_path: Path, cache: InputCache) -> None:
    coupling = FilesystemCoupling(LocalStore(tmp_path / "store"), cache)
    big = tmp_path / "big.fasta"
    with big.open("wb") as file:
        file.truncate(5 << 30)
    before = bytes_of_this_process()
    reference = coupling.push(big, "inputs/big")
    assert coupling.push(big, "inputs/big") == reference
    found = coupling.fetch(reference, tmp_path / "into")
    assert coupling.fetch(Reference.parse(str(big)), tmp_path / "into") == big
    after = bytes_of_this_process()
    assert found.stat().st_ino == big.stat().st_ino
    assert found == tmp_path / "store/inputs/big"
    assert all(new - old < 100_000 for old, new in zip(before, after, strict=True))
    assert not (tmp_path / "into").exists()


def test_push_of_the_same_again_sends_nothing(tree: Path, tmp_path: Path, cache: InputCache) -> None:
    store = CountingStore()
    coupling = StoreCoupling(store, cache)
    (tmp_path / "one").write_text("x")
    references = [coupling.push(tmp_path / "one", "outputs/one"), coupling.push(tree, "outputs/tree")]
    sent = len(store.put_keys)
    assert sent == 1 + 1003 + 1
    assert store.put_keys[-1] == "outputs/tree/tree.json"
    again = [coupling.push(tmp_path / "one", "outputs/one"), coupling.push(tree, "outputs/tree")]
    assert again == references
    assert len(store.put_keys) == sent


def test_push_of_something_else_is_a_conflict(coupling: Coupling, tmp_path: Path) -> None:
    one, other, directory = tmp_path / "one", tmp_path / "other", tmp_path / "directory"
    one.write_text("x")
    directory.mkdir()
    reference = coupling.push(one, "outputs/one")
    in_directory = coupling.push(directory, "outputs/directory")
    for text in ("y", "longer"):
        other.write_text(text)
        with pytest.raises(ConflictError, match="something else is at 'outputs/one'"):
            coupling.push(other, "outputs/one")
    (directory / "new").write_text("x")
    with pytest.raises(ConflictError, match="something else is at 'outputs/directory/tree"):
        coupling.push(directory, "outputs/directory")
    if coupling.name != "https":  # whose grant does not let us look first: the far end refuses
        with pytest.raises(ConflictError, match="is a file already"):
            coupling.push(directory, "outputs/one")
        with pytest.raises(ConflictError, match="is a directory already"):
            coupling.push(one, "outputs/directory")
    assert coupling.fetch(reference, tmp_path / "into").read_text() == "x"
    assert list(coupling.fetch(in_directory, tmp_path / "into").iterdir()) == []


def test_links_and_odd_files_are_not_pushed(coupling: Coupling, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    (directory / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInputError, match="is a link"):
        coupling.push(tmp_path / "link", "outputs/x")
    with pytest.raises(InvalidInputError, match="is not there"):
        coupling.push(tmp_path / "nothing", "outputs/x")
    (directory / "below" / "link").symlink_to("/etc")
    with pytest.raises(InvalidInputError, match="below/link' is a link"):
        coupling.push(directory, "outputs/x")
    (directory / "below" / "link").unlink()
    os.mkfifo(directory / "below" / "pipe")
    with pytest.raises(InvalidInputError, match="neither a file nor a directory"):
        coupling.push(directory, "outputs/x")


def test_name_that_is_no_text_is_not_pushed(coupling: Coupling, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.close(os.open(os.fsencode(tmp_path / "directory") + b"/\xff", os.O_CREAT))
    with pytest.raises(InvalidInputError, match="no name of a file"):
        coupling.push(tmp_path / "directory", "outputs/x")


@pytest.mark.parametrize("key", ["../x", "a b", "", "/etc"])
def test_odd_key_is_refused(coupling: Coupling, tmp_path: Path, key: str) -> None:
    (tmp_path / "one").write_text("x")
    with pytest.raises(StoreError, match="bad store key"):
        coupling.push(tmp_path / "one", key)


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", "", ".", "..", "a//b", "a/", "./a", "a\0b", 5, "one/below", "one"]
)
def test_name_in_a_manifest_leads_nowhere_else(coupling: StoreCoupling, tmp_path: Path, name: Any) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    file = {"size_bytes": 1, "sha256": digest, "is_executable": False}
    for files, directories in (
        ([{"path": "one", **file}, {"path": name, **file}], []),
        ([{"path": "one", **file}], [name]),
    ):
        store = coupling.store
        store.put("tree/1", b"x")
        store.put("tree/2", b"x")
        store.put("tree/tree.json", json.dumps({"files": files, "directories": directories}).encode())
        with pytest.raises(StoreError, match="not the manifest of a directory"):
            coupling.fetch(Reference.parse("store:tree"), tmp_path / "deep" / "into")
        assert not (tmp_path / "deep").exists()


def test_digest_in_a_manifest_leads_nowhere_else(coupling: StoreCoupling, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    file = {"path": "one", "size_bytes": 1, "sha256": "../../secret"}
    coupling.store.put("tree/tree.json", json.dumps({"files": [file], "directories": []}).encode())
    with pytest.raises(StoreError, match="size or sha256 of 'one'"):
        coupling.fetch(Reference.parse("store:tree"), tmp_path / "into")


def test_what_is_not_there_is_named(coupling: Coupling, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissingError, match="nothing"):
        coupling.fetch(Reference.parse("store:nothing"), tmp_path / "into")
    with pytest.raises(InvalidInputError, match=r"there is no file .*nothing"):
        coupling.fetch(Reference.parse(str(tmp_path / "nothing")), tmp_path / "into")


def test_data_of_a_url_becomes_a_file(coupling: Coupling, tmp_path: Path) -> None:
    assert coupling.fetch(Reference.parse("data:,MKV"), tmp_path / "into").read_text() == "MKV"


def test_file_of_another_store_is_fetched(coupling: Coupling, tmp_path: Path) -> None:
    place = f"memory://{uuid4().hex}"
    push(written(tmp_path / "one", b"twelve bytes"), "a/b", store=_memory(place))
    assert coupling.fetch(Reference.parse(f"{place}/a/b"), tmp_path / "into").read_bytes() == b"twelve bytes"


def test_push_goes_on_where_a_directory_broke_off(tmp_path: Path, coupling: StoreCoupling) -> None:
    for name in ("one", "two"):
        written(tmp_path / "tree" / name, name.encode())
    coupling.store.put("outputs/tree/1", b"of an earlier attempt")
    reference = coupling.push(tmp_path / "tree", "outputs/tree")
    assert facts(coupling.fetch(reference, tmp_path / "into")) == facts(tmp_path / "tree")


def test_grant_of_a_job_is_enough_and_nothing_beyond_it_is_tried(
    services: Services, tree: Path, tmp_path: Path, cache: InputCache
) -> None:
    given = FilesystemCoupling(services.store, cache).push(tree, "inputs/tree")  # type: ignore[arg-type]  # it is local
    one = written(tmp_path / "one", os.urandom(3 << 20))
    what: dict[str, Any] = {"reads": ["inputs/tree/"], "writes": ["outputs/1f", "outputs/tree/"]}
    with gateway(services) as url, granted_store(url, services, **what) as store:
        coupling = StoreCoupling(store, cache, "https")
        assert facts(coupling.fetch(given, tmp_path / "a")) == facts(tree)
        for _ in range(2):
            pushed = coupling.push(one, "outputs/1f")
            pushed_tree = coupling.push(tree, "outputs/tree")
        with pytest.raises(ConflictError):
            coupling.push(written(tmp_path / "other", b"x"), "outputs/1f")
        with pytest.raises(ObjectMissingError):
            coupling.fetch(Reference("store:outputs/tree/nothing"), tmp_path / "b")
        with pytest.raises(NotAllowedError):
            coupling.push(one, "outputs/2f")
    with services.database.read() as session:
        outcomes = session.exec(select(Transfer.outcome)).all()
    assert outcomes.count("refused") == 1
    assert FilesystemCoupling(services.store, cache).fetch(pushed, tmp_path / "c").read_bytes() == one.read_bytes()  # type: ignore[arg-type]
    assert pushed_tree.sha256 == given.sha256


def test_directory_that_is_there_is_not_replaced(coupling: Coupling, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    reference = coupling.push(tmp_path / "tree", "a")
    written(tmp_path / "into/tree/mine", b"x")
    with pytest.raises(ConflictError, match="is there already"):
        coupling.fetch(reference, tmp_path / "into")
    assert (tmp_path / "into/tree/mine").exists()


def test_scripts_fetch_and_push_where_results_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    reference = push(written(tmp_path / "one", b"x"), "a/b")
    assert fetch(reference.url) == tmp_path / "home/store/a/b"


def test_scripts_fetch_and_push_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MULTIBLAST_COUPLING", f"memory://{uuid4().hex}")
    reference = push(written(tmp_path / "one", b"x"), "a/b")
    assert fetch(reference, tmp_path / "into") == tmp_path / "into/one"
    assert not (tmp_path / "home/store").exists()


def test_scripts_fetch_and_push_by_a_grant(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_COUPLING", "https")
    with gateway(services) as url:
        monkeypatch.setenv("MULTIBLAST_GATEWAY", url)
        with pytest.raises(StoreError, match="MULTIBLAST_GRANT"):
            fetch("store:a/b", tmp_path)
        monkeypatch.setenv("MULTIBLAST_GRANT", granted(services, writes=["a/"]))
        reference = push(written(tmp_path / "one", b"x"), "a/b")
        assert fetch(reference, tmp_path / "into").read_bytes() == b"x"
        with pytest.raises(NotAllowedError):
            fetch("store:c/d", tmp_path)
    assert services.store.read("a/b") == b"x"


def _memory(place: str) -> Store:
    from multiblast.stores import open_store

    return open_store(place)
