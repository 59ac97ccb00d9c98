"""Push to a served registry, pull into another local one: everything goes along, and nothing goes twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.rows import DataProductRow, KeywordRow, ObjectRow, StorageLocationRow
from multiblast.registry.model.tables import Keyword
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.sync.collection import collect, delete
from multiblast.registry.sync.commands import plan_pull, plan_push, pull, push, update
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.status import status, verify

TOKEN = "01234567" * 5  # of the served registry
READ_ALL = "read:\n- {data_product: '*/*', use: {namespace: rich}}\n"


@pytest.fixture
def filled(here: Any) -> Any:
    """A registry with a chain of two code runs, and everything said about the first product."""
    return fill(here)


def fill(registry: Any) -> Any:
    ann = registry.author("Ann", "https://orcid.org/0000-0001")
    first = registry.product("params/a", "first", authors=[ann, registry.author("Bob")])
    registry.describe(first)
    middle = registry.product("steps/b", "middle")
    last = registry.product("results/c", "last")
    registry.run([first], [middle], "make middle")
    registry.commit("code_run", registry.run([middle, first], [last], "make last"))
    return registry


def test_registry_round_trip_keeps_everything(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    end = remote.open()
    pushed = push(filled, end)
    assert [(o.result, o.reason) for o in pushed.outcomes] == [(ItemResult.DONE, "")]
    pulled = pull(config(READ_ALL), second, end, second.user(), all_files=True)
    assert {o.result for o in pulled.outcomes} == {ItemResult.DONE}
    assert second.contents() == filled.contents()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_registry_keeps_in_step_on_either_database(
    locals_: Callable[..., Any],
    new_database: Callable[[str], str],
    remote: Any,
    config: Callable[[str], Path],
    kind: str,
) -> None:
    """Push, pull, a newer version, a conflict, and room made."""
    here, second = fill(locals_("one", new_database(kind))), locals_("two", new_database(kind))
    end, user, path = remote.open(), second.user(), config(READ_ALL)
    assert push(here, end).exit_code == 0
    assert pull(path, second, end, user, all_files=True).exit_code == 0
    assert second.contents() == here.contents()
    assert {o.result for o in pull(path, second, end, user).outcomes} == {ItemResult.KNOWN}
    here.commit("object", here.product("params/a", "newer", "1.1.0").object_id)
    second.product("params/a", "other", "1.1.0")
    assert push(here, end).exit_code == 0
    assert {o.item: o.result for o in update(second, end).outcomes}["rich:params/a@1.1.0"] == ItemResult.CONFLICT
    assert delete(second, "rich:params/a@1.1.0", [], force=True).items == ("rich:params/a@1.1.0",)
    assert update(second, end).exit_code == 0
    assert (status(second, end).exit_code, verify(second).exit_code) == (0, 0)
    collect(second, [end], files=True)
    assert second.since(DataProductRow, 0) == []


def test_registry_round_trip_brings_the_bytes(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    push(filled, remote.open())
    pull(config(READ_ALL), second, remote.open(), second.user())
    for name, content in (("params/a", b"first"), ("steps/b", b"middle"), ("results/c", b"last")):
        (row,) = second.products("rich", [name])
        (item,) = second.read(ObjectRow, [row.object])
        (place,) = second.read(StorageLocationRow, [item.storage_location])
        with second.files.open(place.hash) as file:
            assert file.read() == content


def test_registry_calls_are_the_documented_ones(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """Those of all commands, that is: the fixture holds them against the list, here and wherever it is used."""
    push(filled, remote.open())
    pull(config(READ_ALL), second, remote.open(), second.user(), all_files=True)
    second.commit("object", second.product("params/a", "newer", "1.1.0").object_id)
    status(second, remote.open())
    push(second, remote.open())
    update(filled, remote.open())
    asked = {"/".join(line.split("/")[:3]) for line in remote.log if "/data/" not in line}
    assert len(remote.log) > 50
    assert {"GET /api/code_run", "GET /api/object", "POST /api/code_run", "POST /api/issue"} <= asked


def test_registry_second_push_sends_nothing(filled: Any, remote: Any) -> None:
    push(filled, remote.open())
    remote.control(forget=True)
    report = push(filled, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.KNOWN]
    assert {line.split()[0] for line in remote.log} == {"GET"}  # whether all is there still
    assert len(remote.log) < 60


def test_registry_plans_change_nothing(filled: Any, second: Any, remote: Any, config: Callable[[str], Path]) -> None:
    planned = plan_push(filled, remote.open())
    assert planned.count(ItemResult.PLANNED) == 1
    assert {line.split()[0] for line in remote.log} == {"GET"}
    assert planned.size_bytes > len("firstmiddlelast")
    push(filled, remote.open())
    planned = plan_pull(config(READ_ALL), second, remote.open(), second.user())
    assert {o.item: o.size_bytes for o in planned.outcomes} == {
        "rich:params/a@1.0.0": 5,
        "rich:steps/b@1.0.0": 6,
        "rich:results/c@1.0.0": 4,
    }
    assert second.newest("data_product") == 0


def test_registry_pull_brings_what_was_said_since(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    push(filled, remote.open())
    pull(config(READ_ALL), second, remote.open(), second.user())
    (row,) = filled.products("rich", ["params/a"])
    with filled.writing() as session:
        session.add(Keyword(object_id=int(row.object), keyphrase="later"))
    push(filled, remote.open())
    pull(config(READ_ALL), second, remote.open(), second.user())
    assert {row.keyphrase for row in second.since(KeywordRow, 0)} == {"word", "later"}


def test_registry_update_pulls_newer_versions(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    push(filled, remote.open())
    pull(config(READ_ALL), second, remote.open(), second.user())
    filled.commit("object", filled.product("params/a", "newer", "1.1.0").object_id)
    push(filled, remote.open())
    assert update(second, remote.open(), dry_run=True).count(ItemResult.PLANNED) == 1
    report = update(second, remote.open())
    assert [o.item for o in report.outcomes if o.result == ItemResult.DONE] == ["rich:params/a@1.1.0"]
    assert [row.version for row in second.products("rich", ["params/a"])] == ["1.0.0", "1.1.0"]


def test_registry_another_multiblast_is_a_remote(
    filled: Any, second: Any, locals_: Callable[[str], Any], config: Callable[[str], Path]
) -> None:
    between = locals_("between")
    assert push(filled, PublicView(between)).exit_code == 0
    report = pull(config(READ_ALL), second, PublicView(between), second.user(), all_files=True)
    assert {o.result for o in report.outcomes} == {ItemResult.DONE}
    assert second.contents() == filled.contents()


@pytest.mark.parametrize("shared", [True, False], ids=["same content", "other content"])
def test_registry_identical_bytes_can_be_downloaded(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path], shared: bool
) -> None:
    for name in ("a", "b"):
        here.commit("object", here.product(f"params/{name}", "same" if shared else name).object_id)
    assert push(here, remote.open()).exit_code == 0
    report = pull(config(READ_ALL), second, remote.open(), second.user())
    assert [o.result for o in report.outcomes] == [ItemResult.DONE, ItemResult.DONE]
    assert len(list(second.files.store.list("files/"))) == (1 if shared else 2)


def test_registry_pushes_what_is_committed_only(here: Any, remote: Any) -> None:
    here.product("params/a", "a")
    here.commit("object", here.product("params/b", "b").object_id)
    push(here, remote.open())
    assert remote.counts["data_product"] == 1
    with here.session() as session:
        assert session.get(Staged, ("object", 1)) is None


def test_registry_another_multiblast_shows_nothing_private(
    second: Any, locals_: Callable[[str], Any], config: Callable[[str], Path]
) -> None:
    """Neither at once nor in what was said later."""
    between = locals_("between")
    secret, shown = between.product("params/secret", "bytes", public=False), between.product("params/open", "open")
    between.run([secret], [shown])
    text = "read: [{data_product: params/open, use: {namespace: rich}}]"
    pull(config(text), second, PublicView(between), second.user())
    between.describe(secret, "secretword")
    report = pull(config(text), second, PublicView(between), second.user(), all_files=True)
    assert report.exit_code == 0
    told = repr(second.contents())
    assert "params/secret" in told
    for word in ("secretword", "worse", "doi.org", "about params/secret", secret.sha1):
        assert word not in told


def test_registry_refuses_a_hash_that_is_none(second: Any, remote: Any, config: Callable[[str], Path]) -> None:
    """What a remote says becomes no path."""
    end = remote.open()
    (space,) = end.create("namespace", [{"name": "rich"}])
    place = {"path": "p", "hash": "../../evil", "public": True, "storage_root": f"{remote.url}/api/storage_root/1/"}
    (location,) = end.create("storage_location", [place])
    assert space.row is not None
    assert "is no hash" in str(location.error)
    assert remote.counts["storage_location"] == 1
    (item,) = end.create("object", [{"storage_location": f"{remote.url}/api/storage_location/1/"}])
    assert item.row is not None
    product = {"name": "params/a", "version": "1.0.0", "namespace": space.row.reference, "object": item.row.reference}
    end.create("data_product", [product])
    report = pull(config(READ_ALL), second, end, second.user())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "is no hash" in report.outcomes[0].reason


def test_registry_knows_the_root_of_a_site_by_another_name(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """A site that calls itself 127.0.0.1 and is asked for as localhost gets no second root for its files."""
    end = RestRegistry(remote.url.replace("127.0.0.1", "localhost"), TOKEN)
    here.commit("object", here.product("params/a", "a").object_id)
    assert push(here, end).exit_code == 0
    assert remote.counts["storage_root"] == 1
    assert pull(config(READ_ALL), second, end, second.user()).exit_code == 0
    end.close()
