"""The store that the results are in is known by its mark: another in its place, or none, is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func
from sqlmodel import select

from multiblast.database import BatchRun, Database, StoreIdentity
from multiblast.errors import StoreAwayError, StoreError, WrongStoreError
from multiblast.outages import is_outage
from multiblast.search import SearchedJob
from multiblast.services import Services
from multiblast.stores import LocalStore, MemoryStore, S3Store, Store
from multiblast.stores.base import MARK
from multiblast.transfer import copy_results
from tests.support.commands import A, B
from tests.support.servers import S3Server, free_ports, rclone_command, running
from tests.support.upkeep import LATER

SearchWhole = Callable[..., SearchedJob]
REMEDY = r"is not the store that the results are in, as it .*: mount its disk, .*: multiblast accept-store"


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind, which found something already."""
    return replace(make_services(), database=database)


@pytest.fixture(params=["directory", "rclone_s3", "weed_s3"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Store]:
    """``make_store(name)``: a store of that name, of each kind."""
    if request.param == "directory":
        return lambda name: LocalStore(tmp_path / name)
    server: Any = request.getfixturevalue(request.param)
    return lambda name: server.store(f"{tmp_path.name}/{name}")


def known(services: Services) -> list[str]:
    with services.database.read() as session:
        return list(session.exec(select(StoreIdentity.mark)))


def searches(services: Services) -> int:
    with services.database.read() as session:
        return session.exec(select(func.count()).select_from(BatchRun)).one()


def forget(services: Services) -> None:
    """Make the database one of a version that knew no marks."""
    with services.database.write() as session:
        session.exec(delete(StoreIdentity))
    services.store.unguarded().delete([MARK])


def test_store_and_database_have_one_mark_from_the_first_use(
    make_services: Callable[..., Services], make_store: Callable[[str], Store], search_whole: SearchWhole
) -> None:
    services = replace(make_services(), store=make_store("store"))
    assert not services.store.exists("packs/x")
    assert (known(services), services.store.unguarded().exists(MARK)) == ([], False)  # of what only reads
    search_whole(services, A)
    assert known(services) == [services.store.unguarded().read(MARK).decode()]
    assert MARK not in {found.key for found in services.store.list()}
    with pytest.raises(StoreError, match="bad store key"):
        services.store.delete([MARK])


def test_other_store_is_refused_whatever_is_to_be_done(
    make_services: Callable[..., Services], make_store: Callable[[str], Store], search_whole: SearchWhole
) -> None:
    services = replace(make_services(), store=make_store("store"))
    job = search_whole(services, A)
    for other in (make_store("empty"), make_store("another")):
        if "another" in repr(other):
            other.put(MARK, b"0" * 32)
        wrong = replace(services, store=other)
        with pytest.raises(WrongStoreError, match=REMEDY):
            search_whole(wrong, B)
        with pytest.raises(WrongStoreError, match=REMEDY):
            wrong.queries.run(job.job_id).plan()
        with pytest.raises(WrongStoreError, match=REMEDY):
            wrong.storage_upkeep.sweep(LATER)
        with pytest.raises(WrongStoreError, match=REMEDY):
            wrong.storage_upkeep.verify(repair=True)
        assert any(check.name == "result storage" and not check.reachable for check in wrong.health())
        assert list(other.unguarded().list()) == []
    assert (searches(services), search_whole(services, A).reused) == (1, 1)


def test_directory_whose_disk_is_not_mounted_any_more_is_noticed_by_a_process_at_work(
    services: Services, search_whole: SearchWhole
) -> None:
    search_whole(services, A)
    root = services.store.root  # type: ignore[attr-defined]  # it is local
    root.rename(root.with_name("unmounted"))
    for made in (False, True):
        if made:
            root.mkdir()  # the directory that the disk was mounted on
        with pytest.raises(WrongStoreError, match="is not marked"):
            search_whole(services, A)
        assert not made or list(root.iterdir()) == []
    root.rmdir()
    root.with_name("unmounted").rename(root)
    assert search_whole(services, A).reused == 1
    assert searches(services) == 1


def test_other_store_counts_as_away_so_that_jobs_go_on_later(services: Services, search_whole: SearchWhole) -> None:
    search_whole(services, A)
    with pytest.raises(StoreAwayError) as raised:
        replace(services, store=LocalStore("/nowhere/store")).store.read("packs/x")
    assert is_outage(raised.value)


def test_store_of_an_earlier_version_is_marked_if_it_has_what_is_known(
    services: Services, search_whole: SearchWhole
) -> None:
    search_whole(services, A)
    forget(services)
    services = replace(services)
    assert search_whole(services, A + "\n>b\n" + B).reused == 1
    assert known(services) == [services.store.unguarded().read(MARK).decode()]


def test_store_without_anything_is_refused_by_a_database_of_an_earlier_version(
    services: Services, search_whole: SearchWhole, tmp_path: Path
) -> None:
    search_whole(services, A)
    forget(services)
    wrong = replace(services, store=LocalStore(tmp_path / "empty"))
    with pytest.raises(WrongStoreError, match="it has none of them: mount"):
        search_whole(wrong, A)
    assert not (tmp_path / "empty").exists()


def test_accepted_store_is_used_from_then_on(services: Services, search_whole: SearchWhole, tmp_path: Path) -> None:
    search_whole(services, A)
    new = replace(services, store=LocalStore(tmp_path / "new"))
    mark = new.store_mark.accept(new.store)
    assert known(services) == [mark]
    assert search_whole(new, A).status == "complete"
    with pytest.raises(WrongStoreError):
        replace(services, store=LocalStore(tmp_path / "home" / "store")).store.exists("packs/x")


def test_whole_copy_is_the_same_store_and_a_part_is_none(
    services: Services, make_store: Callable[[str], Store], search_whole: SearchWhole
) -> None:
    search_whole(services, A)
    copy, plain = make_store("copy"), services.store.unguarded()
    copy_results(plain, copy, "packs/")
    with pytest.raises(WrongStoreError):
        replace(services, store=make_store("copy")).store.exists("packs/x")
    copy_results(plain, copy)
    assert search_whole(replace(services, store=copy), A).reused == 1
    back, memory = LocalStore(plain.root.with_name("back")), MemoryStore()  # type: ignore[attr-defined]  # it is local
    copy_results(copy.unguarded(), back)
    copy_results(copy.unguarded(), memory)
    assert search_whole(replace(services, store=back), A).reused == 1
    assert {found.key for found in memory.list()} == {found.key for found in back.list()}


def test_copy_leaves_a_store_with_a_mark_its_own(tmp_path: Path) -> None:
    source, target = LocalStore(tmp_path / "source"), LocalStore(tmp_path / "target")
    for store, mark in ((source, b"a"), (target, b"b")):
        store.put(MARK, mark)
    copy_results(source, target)
    assert target.read(MARK) == b"b"


def test_processes_that_begin_together_agree_on_one_mark(
    make_services: Callable[..., Services], database: Database
) -> None:
    several = [replace(make_services(), database=Database(database.url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.store.put("packs/x", b"x"), several))
    assert {mark for one in several for mark in known(one)} == {several[0].store.unguarded().read(MARK).decode()}
    for one in several:
        assert one.store.read("packs/x") == b"x"
        one.database.close()


def test_store_that_cannot_be_written_to_yet_can_be_read(services: Services, search_whole: SearchWhole) -> None:
    job = search_whole(services, A)
    forget(services)
    services = replace(services)
    assert list(services.queries.results.archives([job.rows[0].result_key]))
    assert known(services) == []


def test_bucket_whose_server_comes_back_without_its_disk_is_noticed_by_a_process_at_work(
    make_services: Callable[..., Services], search_whole: SearchWhole, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    server = S3Server(f"http://127.0.0.1:{port}")
    store = S3Store(server.client(retries={"total_max_attempts": 1}), "multiblast-tests")
    services = replace(make_services(), store=store)

    def serving(name: str) -> AbstractContextManager[object]:
        (tmp_path / name).mkdir(exist_ok=True)
        command = rclone_command(tmp_path / name, port, server.access_key, server.secret_key)
        return running(command, tmp_path / f"{name}.log", server.make_bucket)

    with serving("disk"):
        search_whole(services, A)
    with pytest.raises(StoreAwayError, match="no server answers"):
        search_whole(services, A)
    with serving("none"), pytest.raises(WrongStoreError, match="is not marked"):
        search_whole(services, A)
    with serving("disk"):
        assert search_whole(services, A).reused == 1
    server.close()
