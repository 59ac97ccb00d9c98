"""Databases on their way through a store to another machine's disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, StoreError
from multiblast.stores import LocalStore
from multiblast.targets import BlastDatabase, Targets
from multiblast.targets.makeblastdb import build_database
from multiblast.transfer import Published, publish, published_databases, sync_databases
from tests.support.places import EXAMPLES

PROTEINS = ("site", "example", "proteins")


class Reading(LocalStore):
    """A store that notes what is read of it, and from which byte on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_from: dict[str, int] = {}

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        if not key.startswith("databases/names/"):
            self.read_from[key] = start
        return super().open(key, start, length)


@pytest.fixture
def store(tmp_path: Path) -> Reading:
    return Reading(tmp_path / "store")


@pytest.fixture
def targets(tmp_path: Path) -> Callable[[str], Targets]:
    """``targets("here")``: the databases of a machine of its own, with none yet."""

    def make(name: str) -> Targets:
        (tmp_path / name).mkdir(exist_ok=True)
        return Targets(tmp_path / name, cache=tmp_path / f"{name}-cache")

    return make


@pytest.fixture
def source(targets: Callable[[str], Targets]) -> Targets:
    found = targets("source")
    build(found, "proteins")
    return found


@pytest.fixture
def copy(targets: Callable[[str], Targets]) -> Targets:
    return targets("copy")


def build(targets: Targets, name: str, count: int = 12) -> BlastDatabase:
    records = (EXAMPLES / "protein_query.fasta").read_text().split(">")[1 : count + 1]
    fasta = targets.root / "query.fasta"
    fasta.write_text("".join(f">{record}" for record in records))
    build_database(fasta, targets.root / "site/example/blast", name, molecule="protein")
    fasta.unlink()
    targets.rescan()
    return targets.resolve("site", "example", name)


def table(database: BlastDatabase) -> str:
    command = ["blastp", "-query", str(EXAMPLES / "protein_query.fasta"), "-db", str(database.path), "-outfmt", "6"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_synced_database_is_searched_as_the_published_one(store: Reading, source: Targets, copy: Targets) -> None:
    published = publish(store, source.resolve(*PROTEINS))
    synced = sync_databases(store, copy, ["site/example/proteins"])
    found = copy.resolve(*PROTEINS)
    assert (synced.copied, synced.copied_bytes) == (["site/example/proteins"], published.size_bytes)
    assert found.fingerprint == published.fingerprint
    assert table(found) == table(source.resolve(*PROTEINS)) != ""


def test_aliases_travel_with_their_volumes(store: Reading, source: Targets, copy: Targets) -> None:
    build(source, "more", 5)
    (source.root / "site/example/blast/both.pal").write_text("TITLE both\nDBLIST proteins more\n")
    source.rescan()
    database = source.resolve("site", "example", "both")
    publish(store, database)
    sync_databases(store, copy)
    assert copy.resolve("site", "example", "both").fingerprint == database.fingerprint
    assert table(copy.resolve("site", "example", "both")) == table(database)


def test_database_that_is_here_is_not_copied(store: Reading, source: Targets, copy: Targets) -> None:
    publish(store, source.resolve(*PROTEINS))
    sync_databases(store, copy)
    store.read_from.clear()
    again = sync_databases(store, copy)
    assert (again.there, again.copied, store.read_from) == (["site/example/proteins"], [], {})


def test_publishing_again_sends_nothing(store: Reading, source: Targets) -> None:
    first = publish(store, source.resolve(*PROTEINS))
    written = {item.key: item.modified for item in store.list("databases/") if "names" not in item.key}
    assert publish(store, source.resolve(*PROTEINS)) == first
    assert {item.key: item.modified for item in store.list("databases/") if "names" not in item.key} == written


def test_interrupted_sync_goes_on_where_it_stopped(store: Reading, source: Targets, copy: Targets) -> None:
    published = publish(store, source.resolve(*PROTEINS))
    file = next(file for file in published.files if file.path == "proteins.psq")
    begun = copy.root / "site/example/blast" / f".incoming-{published.fingerprint}" / "proteins.psq"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(store.read(file.key, 0, 1000))
    sync_databases(store, copy)
    assert store.read_from[file.key] == 1000
    assert copy.resolve(*PROTEINS).fingerprint == published.fingerprint
    assert not begun.parent.exists()


def test_damaged_database_is_never_seen(store: Reading, source: Targets, copy: Targets) -> None:
    published = publish(store, source.resolve(*PROTEINS))
    file = next(file for file in published.files if file.path == "proteins.psq")
    store.put(file.key, bytes(file.size_bytes))
    with pytest.raises(StoreError, match="not what was published"):
        sync_databases(store, copy)
    assert copy.databases() == ()
    store.put(file.key, (source.root / "site/example/blast/proteins.psq").read_bytes())
    assert sync_databases(store, copy).copied == ["site/example/proteins"]


def test_least_recently_searched_copy_makes_room(store: Reading, source: Targets, copy: Targets) -> None:
    sizes = [publish(store, build(source, name)).size_bytes for name in ("one", "two", "three")]
    names = [f"site/example/{name}" for name in ("one", "two", "three")]
    for age, name in ((9, names[0]), (5, names[1])):
        sync_databases(store, copy, [name])
        os.utime(copy.note(copy.resolve("site", "example", name.rpartition("/")[2])), (age, age))
    copy.note_use([copy.resolve("site", "example", "one")])
    synced = sync_databases(store, copy, [names[2]], limit_bytes=sum(sizes) - 1)
    assert synced.removed == [names[1]]
    assert [database.name for database in copy.databases()] == ["one", "three"]


def test_limit_too_small_for_a_database_is_told(store: Reading, source: Targets, copy: Targets) -> None:
    publish(store, source.resolve(*PROTEINS))
    with pytest.raises(StoreError, match=r"no room for site/example/proteins .* raise the limit"):
        sync_databases(store, copy, limit_bytes=1000)


def test_limit_below_nothing_is_refused_and_removes_nothing(store: Reading, source: Targets, copy: Targets) -> None:
    publish(store, build(source, "one"))
    publish(store, build(source, "two"))
    sync_databases(store, copy, ["site/example/one"])
    with pytest.raises(InvalidInputError, match="limit_gb: -5 is no size"):
        sync_databases(store, copy, ["site/example/two"], limit_bytes=-5_000_000_000)
    assert [database.name for database in copy.databases()] == ["one"]


def test_database_that_was_not_copied_is_never_replaced(store: Reading, source: Targets, copy: Targets) -> None:
    own = build(copy, "proteins", 3)
    publish(store, source.resolve(*PROTEINS))
    before = own.fingerprint
    with pytest.raises(ConflictError, match="was not copied"):
        sync_databases(store, copy)
    assert copy.resolve(*PROTEINS).fingerprint == before


def test_rebuilt_database_replaces_its_copy_and_its_objects(store: Reading, source: Targets, copy: Targets) -> None:
    publish(store, source.resolve(*PROTEINS))
    sync_databases(store, copy)
    rebuilt = publish(store, build(source, "proteins", 7))
    assert sync_databases(store, copy).copied == ["site/example/proteins"]
    assert copy.resolve(*PROTEINS).sequences == 7
    assert {item.key for item in store.list("databases/") if "names" not in item.key} == {f.key for f in rebuilt.files}


def test_unknown_name_is_told_what_there_is(store: Reading, source: Targets, copy: Targets) -> None:
    publish(store, source.resolve(*PROTEINS))
    with pytest.raises(NotFoundError, match="there is site/example/proteins"):
        sync_databases(store, copy, ["site/example/other"])


@pytest.mark.parametrize("site", ["..", "a/b", "", ".hidden", "a\nb"])
def test_description_that_leads_elsewhere_is_refused(store: Reading, source: Targets, copy: Targets, site: str) -> None:
    published = publish(store, source.resolve(*PROTEINS))
    (key,) = (item.key for item in store.list("databases/names/"))
    store.put(key, Published(site, *PROTEINS[1:], "protein", published.fingerprint, published.files).to_json().encode())
    with pytest.raises(StoreError, match="bad place"):
        sync_databases(store, copy)


def test_published_databases_are_listed(store: Reading, source: Targets) -> None:
    published = publish(store, source.resolve(*PROTEINS))
    assert published_databases(store) == [published]
