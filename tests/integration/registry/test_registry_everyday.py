"""What stewards do every day beside exchanging: register, find, describe, mend, take back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.config.document import read_document
from multiblast.registry.config.reader import load_config
from multiblast.registry.local.descriptions import Description, describe
from multiblast.registry.local.items import find_items
from multiblast.registry.local.users import bind
from multiblast.registry.model.rows import DataProductRow, ExternalObjectRow, StorageLocationRow
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, plan_pull, pull, push, register_alone, uncommit
from multiblast.registry.sync.mending import mend
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.catalogue import item_page
from multiblast.registry.views.info import info
from multiblast.registry.views.listing import list_items
from multiblast.registry.views.status import verify
from tests.support.small_servers import QuietHandler, listening_with

READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"


def test_registry_registers_without_a_remote(here: Any, config: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("123")
    path = config("register: [{data_product: tables/t, cache: t.csv, file_type: csv, version: 1.0.0, authors: Ann}]")
    user = here.user()
    planned = register_alone(path, here, user, dry_run=True)
    assert [(o.item, o.result, o.size_bytes) for o in planned.outcomes] == [
        ("rich:tables/t@1.0.0", ItemResult.PLANNED, 3)
    ]
    assert here.since(DataProductRow, 0) == []
    assert [o.result for o in register_alone(path, here, user).outcomes] == [ItemResult.DONE]
    assert info(here, "rich:tables/t@1.0.0")[0]["authors"] == ["Ann"]  # one author may be given as text


def test_registry_commit_can_be_taken_back(here: Any, remote: Any) -> None:
    for name in "abc":
        here.product(f"params/{name}", name)
    commit(here, [f"rich:params/{name}@1.0.0" for name in "abc"])
    assert [o.result for o in uncommit(here, ["rich:params/a@1.0.0"]).outcomes] == [ItemResult.DONE]
    assert [o.result for o in uncommit(here, ["rich:params/a@1.0.0"]).outcomes] == [ItemResult.KNOWN]
    assert len(push(here, remote.open()).outcomes) == 2
    assert len(uncommit(here, [], every=True).outcomes) == 2
    assert push(here, remote.open()).outcomes == []
    with pytest.raises(NotFoundError):
        uncommit(here, ["nothing"])


def test_registry_things_are_described_found_and_exchanged(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    made = here.product("params/a", "a")
    here.product("params/b", "b", "2.0.0")
    document = here.product("reports/check", "all right")
    said = Description(
        ["salmon"], ["CC0"], {"unit": "kg"}, ["table/part"], ["one row twice"], "table/part", 3,
        "rich:reports/check@1.0.0",
    )  # fmt: skip
    assert describe(here, "rich:params/a@1.0.0", said) == [
        "keyword salmon", "licence CC0", "key value unit", "object component table/part",
        f"quality controlled {document.object_id}", "issue one row twice",
    ]  # fmt: skip
    assert describe(here, "rich:params/a@1.0.0", Description(["salmon"], ["CC0"], {"unit": "kg"})) == []
    with pytest.raises(InvalidInputError, match="already"):
        describe(here, "rich:params/a@1.0.0", Description(values={"unit": "g"}))
    with pytest.raises(InvalidInputError, match="keyphrase"):
        describe(here, "rich:params/a@1.0.0", Description(["sal\x00mon"]))
    with pytest.raises(NotFoundError, match="component"):
        describe(here, "rich:params/a@1.0.0", Description(issues=["x"], component="no"))
    assert [one.item for one in list_items(here, ["SALMON"])] == ["rich:params/a@1.0.0"]
    assert [one.item for one in list_items(here, ["params/*"])] == ["rich:params/a@1.0.0", "rich:params/b@2.0.0"]
    assert [one.item for one in list_items(here, ["params", "@2"])] == ["rich:params/b@2.0.0"]
    here.commit("object", made.object_id)
    assert push(here, remote.open()).exit_code == 0
    assert pull(config(READ_ALL), second, remote.open(), second.user()).exit_code == 0
    told = info(second, "rich:params/a@1.0.0")[0]
    assert (told["keywords"], told["licences"], told["key_values"]) == (["salmon"], ["CC0"], {"unit": "kg"})
    assert told["issues"] == [{"severity": 3, "description": "one row twice"}]


@pytest.mark.parametrize("change", ["missing", "changed"])
def test_registry_file_that_is_missing_or_changed_is_mended(here: Any, remote: Any, change: str) -> None:
    """Also one of the same length, which only its digest gives away."""
    for name in ("content", "another"):
        here.commit("object", here.product(f"params/{name}", name).object_id)
    assert push(here, remote.open()).exit_code == 0
    local = here.product("params/local", "local only")
    for kept in list(here.files.store.list("files/")):
        path = here.files.store.root / kept.key
        path.unlink() if change == "missing" else path.write_text("x" * kept.size_bytes)
    report = mend(here, verify(here), [remote.open()])
    assert sorted(o.result for o in report.outcomes) == [ItemResult.FAILED, *[ItemResult.RESTORED] * 2]
    assert [o.item for o in verify(here).outcomes if o.result == ItemResult.FAILED] == [local.sha1]


def test_registry_mending_says_which_file_cannot_be_written(here: Any, remote: Any) -> None:
    """As on a full disk: what is there stays, and the command ends in its own words."""
    here.commit("object", here.product("params/a", "a").object_id)
    assert push(here, remote.open()).exit_code == 0
    (kept,) = here.files.store.list("files/")
    (here.files.store.root / kept.key).write_text("x")
    (here.directory / "incoming").write_text("in the way of what comes")
    (outcome,) = mend(here, verify(here), [remote.open()]).outcomes
    assert (outcome.result, outcome.reason.partition(" '")[0]) == (ItemResult.FAILED, "cannot write")


def test_registry_info_of_a_run_names_what_it_read_and_wrote(here: Any) -> None:
    here.run([here.product("params/a", "a")], [here.product("results/b", "b")])
    (uuid,) = [one.item for one in list_items(here) if one.kind == "code run"]
    (told,) = info(here, uuid)
    assert (told["inputs"], told["outputs"]) == (["rich:params/a@1.0.0"], ["rich:results/b@1.0.0"])
    assert told["code_repo"].startswith("https://example.org/group/model at 2370924")


def test_registry_info_and_page_say_what_was_published(here: Any) -> None:
    made = here.product("params/a", "a")
    here.describe(made)
    doi = f"https://doi.org/{made.sha1}"
    (told,) = info(here, "rich:params/a@1.0.0")
    assert told["published"] == [
        {"title": "title", "identifier": doi, "version": "1.0.0", "release_date": "2026-01-01T00:00:00Z"}
    ]
    page = item_page(here, *find_items(here, "rich:params/a@1.0.0"))
    assert page.facts["published"] == f"title, {doi}, 1.0.0, 2026-01-01T00:00:00Z"


def test_registry_user_who_chooses_another_remote_stays_who_they_are(here: Any, tmp_path: Path) -> None:
    bind(here, "rich", tmp_path, namespace="group", full_name="Rich Data")
    again = bind(here, "rich", tmp_path, remote="origin")
    assert (again.namespace, again.remote) == ("group", "origin")
    made = here.product("params/a", "a", authors=[here.author("Rich Data")])
    assert made.new
    assert bind(here, "rich", tmp_path).identifier == again.identifier


def test_registry_one_of_several_remotes_is_to_be_chosen(here: Any, tmp_path: Path) -> None:
    for name in ("origin", "group"):
        Remotes(here).set(name, f"sqlite:///{tmp_path / name}", store=str(tmp_path))
    with pytest.raises(NotFoundError, match=r"there are group, origin: choose one with --remote"):
        Remotes(here).open()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(9)]), "aliases"),
        ("[" * 5000 + "]" * 5000, "nested"),
        ("a: " + "[" * 60 + "]" * 60, "nested"),
    ],
    ids=["aliases", "brackets", "levels"],
)
def test_registry_configuration_of_endless_yaml_is_refused_at_once(
    config: Callable[[str], Path], text: str, said: str
) -> None:
    started = time.process_time()
    with pytest.raises(InvalidInputError, match=said):
        read_document(config(text))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read: params/a", "write a list here"),
        ("run_metadata: [a]", "write keys with values here"),
        ("run_metadata: {public: perhaps}", "write true or false here"),
    ],
)
def test_registry_configuration_errors_are_in_plain_words(
    here: Any, config: Callable[[str], Path], text: str, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        load_config(config(text), here, here.user())


def test_registry_pattern_that_matches_nothing_is_said_so(
    here: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    report = plan_pull(config(READ_ALL), here, remote.open(), here.user())
    assert [o.reason.startswith("nothing at") for o in report.outcomes] == [True]


def test_registry_relative_data_store_is_beside_the_configuration(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    path = Path("sub/config.yaml")
    path.write_text(
        "run_metadata: {write_data_store: out, script: 'echo x > $FDP_DATA_STORE/rich/o/0.0.1.txt'}\n"
        "write: [{data_product: o, file_type: txt}]\n"
    )
    run(path, here, here.user())
    assert (tmp_path / "sub/out/rich/o/0.0.1.txt").read_text() == "x\n"


def test_registry_root_with_a_query_goes_on_with_the_path(here: Any, config: Callable[[str], Path]) -> None:
    asked: list[str] = []

    class Answering(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ab")

    with listening_with(Answering) as server:
        root = f"http://joe:pass-word@127.0.0.1:{server.server_port}/sparql.csv?query="
        text = f"register: [{{external_object: s, root: '{root}', path: 'PREFIX', file_type: csv, version: 1.0.0,\n"
        text += " title: T, release_date: 2026-01-01, identifier: 'https://doi.org/10/x', namespace_name: rich}]"
        report = register_alone(config(text), here, here.user())
    assert [(o.result, o.reason) for o in report.outcomes] == [(ItemResult.DONE, "")]
    assert asked == ["/sparql.csv?query=PREFIX"]
    (external,) = here.since(ExternalObjectRow, 0)
    (place,) = here.read(StorageLocationRow, [external.original_store])
    assert "pass-word" not in repr(here.contents())
    assert place.path == "PREFIX"


def test_registry_commands_list_what_they_removed_and_show_any_text(
    here: Any, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.command_line.registry import app

    monkeypatch.setattr("deployments.command_line.registry._registry", lambda: contextlib.nullcontext(here))
    monkeypatch.setattr("deployments.command_line.registry.running_server", lambda: "")
    monkeypatch.setenv("COLUMNS", "200")
    Remotes(here).set("origin", remote.url, remote.token)
    made = here.product("params/a", "a", description="[/red] [bold]")
    here.commit("object", made.object_id)

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "[/red] [bold]" in said("list")
    assert "planned" in said("push", "--dry-run")
    assert "done" in said("push")
    assert "synced" in said("status")
    told = said("gc", "--files", "--dry-run")
    assert "rich:params/a@1.0.0" in told
    assert f"file {made.sha1}" in told
    assert "1 file removed" in said("gc", "--files", "--yes").replace("\n", " ")
