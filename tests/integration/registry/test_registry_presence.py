"""What is at a remote is asked, not remembered: remotes are emptied, restored and changed by others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.errors import ConflictError
from multiblast.registry.model.rows import DataProductRow
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.sync.collection import collect, delete
from multiblast.registry.sync.commands import plan_pull, plan_push, pull, push, uncommit
from multiblast.registry.sync.registration import register
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.status import status, verify

TOKEN = "01234567" * 5  # of the served registry
READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"


def sent(registry: Any, remote: Any, name: str, content: str, namespace: str = "rich") -> Any:
    made = registry.product(name, content, namespace=namespace)
    registry.commit("object", made.object_id)
    assert push(registry, remote.open()).exit_code == 0
    return made


def states(report: Any) -> dict[str, str]:
    return {o.item: o.reason for o in report.outcomes}


def test_registry_what_was_deleted_at_the_remote_is_noticed_kept_and_sent_again(here: Any, remote: Any) -> None:
    remote.control(save=True)
    made = sent(here, remote, "params/precious", "the only copy")
    assert "synced" in states(status(here, remote.open()))["rich:params/precious@1.0.0"]
    remote.control(restore=True)
    assert "ahead" in states(status(here, remote.open()))["rich:params/precious@1.0.0"]
    assert collect(here, [remote.open()], files=True).items == ()
    assert here.files.holds(made.sha1)
    with pytest.raises(ConflictError, match="at no remote"):
        delete(here, "rich:params/precious@1.0.0", [remote.open()])
    assert [o.result for o in plan_push(here, remote.open()).outcomes] == [ItemResult.PLANNED]
    assert [o.result for o in push(here, remote.open()).outcomes] == [ItemResult.DONE]
    assert remote.counts["data_product"] == 1
    assert collect(here, [remote.open()], files=True).items == ("rich:params/precious@1.0.0",)


def test_registry_run_sent_to_a_restored_remote_has_its_own_inputs(here: Any, second: Any, remote: Any) -> None:
    """Others' rows have the numbers now that this registry's rows had."""
    remote.control(save=True)
    made = sent(here, remote, "in/x", "input")
    remote.control(restore=True)
    sent(second, remote, "other/y", "another's")
    output = here.product("out/y", "output")
    here.commit("code_run", here.run([made], [output]))
    assert push(here, remote.open()).exit_code == 0
    (run,) = httpx.get(f"{remote.url}/api/code_run/").json()["results"]
    objects = [httpx.get(httpx.get(run[side][0]).json()["object"]).json() for side in ("inputs", "outputs")]
    names = [httpx.get(item["data_products"][0]).json()["name"] for item in objects]
    assert names == ["in/x", "out/y"]


def test_registry_pull_from_a_restored_remote_brings_what_is_there_now(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    remote.control(save=True)
    sent(here, remote, "params/a", "first")
    assert pull(config(READ_ALL), second, remote.open(), second.user()).exit_code == 0
    remote.control(restore=True)
    uncommit(here, [], every=True)
    sent(here, remote, "params/b", "second")  # under the numbers that a had
    report = pull(config(READ_ALL), second, remote.open(), second.user())
    assert {o.item: o.result for o in report.outcomes}["rich:params/b@1.0.0"] == ItemResult.DONE
    assert any("not as it was" in note for note in report.notes)
    assert {row.name for row in second.since(DataProductRow, 0)} == {"params/a", "params/b"}
    assert verify(second).exit_code == 0


def test_registry_private_data_is_never_called_synced_nor_removed(here: Any, remote: Any) -> None:
    """Its masked row is at the remote; its file, name and description are here alone."""
    secret, shown = here.product("params/secret", "secret", public=False), here.product("params/out", "out")
    here.commit("code_run", here.run([secret], [shown]))
    assert push(here, remote.open()).exit_code == 0
    assert states(status(here, remote.open()))["rich:params/secret@1.0.0"] == "private"
    for options in ({}, {"files": True}, {"files": True, "every": True}):
        removed = collect(here, [remote.open()], **options)
        assert "rich:params/secret@1.0.0" not in removed.items
        assert secret.sha1 not in removed.files
    assert here.files.holds(secret.sha1)
    with pytest.raises(ConflictError, match="at no remote"):
        delete(here, "rich:params/secret@1.0.0", [remote.open()])


def test_registry_file_that_the_remote_lost_is_not_removed_here(here: Any, remote: Any) -> None:
    made = sent(here, remote, "params/a", "a")
    (remote.bucket / made.sha1).unlink()  # its row says that it is there
    assert collect(here, [remote.open()], files=True).files == ()
    with pytest.raises(ConflictError, match="given out by no remote"):
        delete(here, "rich:params/a@1.0.0", [remote.open()])
    assert here.files.holds(made.sha1)


def test_registry_remote_that_cannot_be_asked_has_nothing(here: Any, remote: Any) -> None:
    sent(here, remote, "params/a", "a")
    gone = RestRegistry("http://127.0.0.1:9/", limits=remote.open().connection.limits)
    removed = collect(here, [gone], files=True)
    assert removed.items == ()
    assert "could not be asked" in removed.notes[0]
    gone.close()
    assert collect(here, [remote.open()], files=True).items == ("rich:params/a@1.0.0",)


def test_registry_collection_without_files_leaves_them_to_a_later_one(here: Any, remote: Any) -> None:
    made = sent(here, remote, "params/a", "a")
    assert collect(here, [remote.open()]).files == ()
    assert here.files.holds(made.sha1)
    removed = collect(here, [remote.open()], files=True)
    assert (removed.items, removed.files) == ((), (made.sha1,))
    assert not here.files.holds(made.sha1)


def test_registry_working_copies_go_with_their_files(here: Any, remote: Any) -> None:
    user = here.user()
    made = sent(here, remote, "params/a", "a")
    copy = Path(user.data_store) / "rich/params/a/1.0.0.csv"
    here.files.copy(made.sha1, copy)
    changed = copy.with_name("2.0.0.csv")
    changed.write_text("mine")
    removed = collect(here, [remote.open()], files=True)
    assert removed.copies == (str(copy),)
    assert not copy.exists()
    assert changed.exists()


def test_registry_status_asks_for_many_at_once(here: Any, remote: Any) -> None:
    remote.control(fill=60)
    with here.transaction():
        for number in range(1, 61):
            here.product(f"params/p{number}", f"content {number}" if number != 60 else "other bytes")
    remote.control(forget=True)
    report = status(here, remote.open())
    assert len(remote.log) == report.requests <= 10
    assert [o.result for o in report.outcomes].count(ItemResult.CONFLICT) == 1
    assert sum(o.reason == "synced" for o in report.outcomes) == 59


@pytest.mark.long
def test_registry_status_of_800_products_takes_at_most_40_requests(here: Any, remote: Any) -> None:
    remote.control(fill=800)
    with here.transaction():
        for number in range(1, 801):
            here.product(f"params/p{number}", f"content {number}")
    remote.control(forget=True)
    report = status(here, remote.open())
    assert len(remote.log) == report.requests <= 40
    assert {o.reason for o in report.outcomes} == {"synced"}


def test_registry_dry_run_of_a_push_says_what_the_push_does(here: Any, second: Any, remote: Any) -> None:
    """Conflicts, what is there already, and the bytes; and it ends as the push does."""
    sent(second, remote, "params/a", "theirs")
    sent(second, remote, "params/known", "known")
    for name, content in (("a", "ours"), ("known", "known"), ("new", "12345")):
        here.commit("object", here.product(f"params/{name}", content).object_id)
    before = remote.counts
    planned = plan_push(here, remote.open())
    assert remote.counts == before
    done = push(here, remote.open())
    told = {o.item: (o.result, o.size_bytes) for o in planned.outcomes}
    assert told["rich:params/a@1.0.0"][0] == ItemResult.CONFLICT
    assert told["rich:params/new@1.0.0"] == (ItemResult.PLANNED, 5)
    assert planned.exit_code == done.exit_code == 1
    as_planned = {ItemResult.DONE: ItemResult.PLANNED}
    assert told == {o.item: (as_planned.get(o.result, o.result), o.size_bytes) for o in done.outcomes}


def test_registry_dry_run_of_a_pull_says_what_the_pull_does(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    sent(here, remote, "params/a", "theirs")
    sent(here, remote, "params/b", "1234567")
    second.product("params/a", "ours")
    second.product("tables/c", "old", "2.0.0")
    (tmp_path / "t.csv").write_text("123")
    text = READ_ALL + "register:\n"
    text += "".join(
        f"- {{data_product: tables/{name}, cache: {file}, file_type: csv, version: {version}, namespace_name: rich}}\n"
        for name, file, version in (("t", "t.csv", "1.0.0"), ("c", "t.csv", "2.0.0"), ("n", "none.csv", "1.0.0"))
    )
    path, user = config(text), second.user()
    planned = plan_pull(path, second, remote.open(), user)
    assert {o.item: (o.result, o.size_bytes) for o in planned.outcomes} == {
        "rich:params/a@1.0.0": (ItemResult.CONFLICT, 0),
        "rich:params/b@1.0.0": (ItemResult.PLANNED, 7),
        "rich:tables/t@1.0.0": (ItemResult.PLANNED, 3),
        "rich:tables/c@2.0.0": (ItemResult.CONFLICT, 0),
        "rich:tables/n": (ItemResult.FAILED, 0),
    }
    done = pull(path, second, remote.open(), user)
    real = {o.item: ItemResult.PLANNED if o.result == ItemResult.DONE else o.result for o in done.outcomes}
    assert {o.item: o.result for o in planned.outcomes} == real
    assert planned.exit_code == done.exit_code == 1


def test_registry_identical_bytes_at_the_remote_are_told(here: Any, remote: Any) -> None:
    """They are one object there, and look as the first of them."""
    sent(here, remote, "params/a", "same")
    here.commit("object", here.product("params/b", "same", file_type="txt").object_id)
    for report in (plan_push(here, remote.open()), push(here, remote.open())):
        reasons = {o.item: o.reason for o in report.outcomes}
        assert reasons["rich:params/a@1.0.0"] == ""
        assert "the bytes of rich:params/b@1.0.0 are there already" in reasons["rich:params/b@1.0.0"]


def test_registry_all_files_are_fetched_also_of_what_is_here(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """And whatever the remote is addressed by."""
    made = here.product("params/a", "a")
    here.commit("code_run", here.run([here.product("steps/s", "s")], [made]))
    assert push(here, remote.open()).exit_code == 0
    path, user = config(READ_ALL), second.user()
    assert len(pull(path, second, remote.open(), user).outcomes) == 1
    assert len(verify(second).outcomes) == 1
    end = RestRegistry(remote.url.replace("127.0.0.1", "localhost"), TOKEN)
    assert pull(path, second, end, user, all_files=True).exit_code == 0
    assert len(verify(second).outcomes) == 4  # with input, configuration and script
    assert not any("file not here" in o.reason for o in status(second).outcomes)
    end.close()


def test_registry_gets_no_second_root_on_its_own_site(here: Any, remote: Any) -> None:
    """A FAIR registry with one finds none of its files any more."""
    from multiblast.registry.local.records import record_object, record_place

    with here.writing() as session:
        place = record_place(session, f"{remote.url}/static/", "x.csv", "a" * 40)
        item = record_object(session, location=place, description="elsewhere")
        number = item.id or 0
    here.commit("object", number)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "second root" in report.outcomes[0].reason
    assert remote.counts["storage_root"] == 1


def test_registry_authors_of_what_is_registered_are_those_meant(here: Any, config: Callable[[str], Path]) -> None:
    """By the key of an entry, by its name, or by the identifier: one author and no other."""
    from multiblast.registry.config.document import read_document
    from multiblast.registry.config.schema import parse_config
    from multiblast.registry.views.info import info

    path = config(
        "register:\n"
        '- {author: johns, name: John Smith, identifier: "https://orcid.org/0000-0002-1825-0097"}\n'
        "- {data_product: t, cache: c.csv, file_type: csv, version: 1.0.0, namespace_name: rich,\n"
        '   authors: ["https://orcid.org/0000-0002-1825-0097", johns, John Smith, "https://orcid.org/other"]}\n'
    )
    (path.parent / "c.csv").write_text("x")
    document = read_document(path)
    assert [o.result for o in register(here, parse_config(document.data, document), path.parent)] == [ItemResult.DONE]
    (told,) = info(here, "rich:t@1.0.0")
    assert told["authors"] == ["https://orcid.org/0000-0002-1825-0097", "https://orcid.org/other"]


def test_registry_another_multiblast_is_asked_too(here: Any, second: Any) -> None:
    made = here.product("params/a", "a")
    here.commit("object", made.object_id)
    assert push(here, PublicView(second)).exit_code == 0
    assert states(status(here, PublicView(second)))["rich:params/a@1.0.0"] == "committed, synced"
    delete(second, "rich:params/a@1.0.0", [], force=True)
    assert "ahead" in states(status(here, PublicView(second)))["rich:params/a@1.0.0"]
    assert collect(here, [PublicView(second)], files=True).items == ()
    assert [o.result for o in push(here, PublicView(second)).outcomes] == [ItemResult.DONE]
