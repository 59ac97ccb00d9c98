"""What a data steward does: register, run, look, export, collect."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from prov.model import ProvDocument
from rocrate.rocrate import ROCrate
from sqlalchemy import event
from sqlmodel import select
from typer.testing import CliRunner

from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, ProgramError
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.local.users import bind, binding, bound_users
from multiblast.registry.model.rows import (
    CodeRunRow,
    DataProductRow,
    ExternalObjectRow,
    KeyValueRow,
    ObjectRow,
    StorageLocationRow,
)
from multiblast.registry.model.tables import StorageLocation
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.runs.execution import generate, plan_run, run
from multiblast.registry.sync.collection import collect, delete
from multiblast.registry.sync.commands import commit, plan_pull, pull, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.export import write_crate, write_prov
from multiblast.registry.views.graph import provenance, provenance_svg
from multiblast.registry.views.info import info
from multiblast.registry.views.status import status, verify

RUN = """\
run_metadata:
  description: count
  script: |
    wc -c < "$FDP_DATA_STORE/rich/params/a/1.0.0.csv" > "$FDP_DATA_STORE/rich/results/n/0.0.1.txt"
    env | grep ^FDP_ > "$FDP_CONFIG_DIR/environment"
read: [{data_product: params/a}]
write: [{data_product: results/n, file_type: txt, description: how many}]
"""


def test_registry_dry_run_tells_what_is_here_and_what_is_missing(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    user = here.user()
    here.product("params/a", "12345")
    gone = here.product("params/gone", "gone")
    here.files.store.delete([here.files.key(here.files.get(gone.sha1).sha256)])
    text = RUN.replace(
        "[{data_product: params/a}]", "[{data_product: params/a}, {data_product: params/gone}, {data_product: no/x}]"
    )
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    report = plan_run(config(text), here, user)
    assert [(o.item, o.result, o.size_bytes) for o in report.outcomes] == [
        ("script", ItemResult.PLANNED, 0),
        ("rich:params/a@1.0.0", ItemResult.KNOWN, 5),
        ("rich:params/gone@1.0.0", ItemResult.FAILED, 0),
        ("config.yaml: read[2]", ItemResult.FAILED, 0),
        ("rich:results/n@0.0.1", ItemResult.PLANNED, 0),
    ]
    assert report.outcomes[0].reason.startswith("sh: wc -c")
    assert report.outcomes[2].reason == "its file is not here: pull it first"
    assert report.outcomes[3].reason == "line 6: rich:no/x is not in the local registry: pull it first"
    assert report.exit_code == 1
    assert {path for path in tmp_path.rglob("*") if path.is_file()} - before <= {tmp_path / "config.yaml"}
    assert here.newest("code_run") == 0
    nothing = plan_run(config("read: [{data_product: params/a}]"), here, user)
    assert [o.result for o in nothing.outcomes] == [ItemResult.FAILED, ItemResult.KNOWN]
    assert "nothing to run" in nothing.outcomes[0].reason


def test_registry_run_records_everything(here: Any, config: Callable[[str], Path]) -> None:
    user = here.user()
    here.product("params/a", "12345")
    done = run(config(RUN), here, user)
    assert done.outputs == ("rich:results/n@0.0.1",)
    told = info(here, done.uuid)[0]
    assert told["description"] == "count"
    (made,) = info(here, "rich:results/n@0.0.1")
    assert (made["description"], made["size_bytes"], made["authors"]) == ("how many", 2, ["https://orcid.org/rich"])
    assert made["code_runs"][0]["uuid"] == done.uuid
    (row,) = here.since(CodeRunRow, 0)
    assert (len(row.inputs), len(row.outputs)) == (1, 1)


def test_registry_run_gives_the_script_its_environment(here: Any, config: Callable[[str], Path]) -> None:
    user = here.user()
    here.product("params/a", "12345")
    run(config(RUN), here, user)
    (directory,) = (here.directory / "runs").iterdir()
    told = dict(line.split("=", 1) for line in (directory / "environment").read_text().splitlines())
    assert set(told) == {
        "FDP_CONFIG_DIR", "FDP_CONFIG_NAME", "FDP_DATA_STORE", "FDP_LOCAL_REPO", "FDP_LOCAL_TOKEN", "FDP_SCRIPT",
    }  # fmt: skip
    assert (told["FDP_CONFIG_DIR"], told["FDP_CONFIG_NAME"]) == (str(directory), "config.yaml")
    assert (directory / told["FDP_CONFIG_NAME"]).is_file()


def test_registry_run_that_fails_records_nothing(here: Any, config: Callable[[str], Path]) -> None:
    with pytest.raises(ProgramError, match="exit 3"):
        run(config("run_metadata: {script: 'echo no >&2; exit 3'}"), here, here.user())
    assert here.newest("code_run") == 0


def test_registry_run_without_anything_to_run_says_so(here: Any, config: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInputError, match="nothing to run"):
        run(config("run_metadata: {description: x}"), here, here.user())


def test_registry_run_again_makes_the_next_version(here: Any, config: Callable[[str], Path]) -> None:
    user = here.user()
    text = "run_metadata: {script: 'date +%s%N > $FDP_DATA_STORE/rich/r/n/VERSION.txt'}\n"
    text += "write: [{data_product: r/n, file_type: txt}]\n"
    for version in ("0.0.1", "0.0.2"):
        assert run(config(text.replace("VERSION", version)), here, user).outputs == (f"rich:r/n@{version}",)


REGISTER = """\
register:
- {namespace: who, full_name: World Health, website: "https://who.int"}
- {author: Ann, identifier: "https://orcid.org/ann"}
- {data_product: tables/t, root: "ROOT", path: t.csv, file_type: csv, version: "${{PATCH}}", namespace_name: who,
   authors: [Ann], hash: "HASH"}
- {external_object: papers/p, cache: "ROOT/t.csv", file_type: csv, version: 1.0.0, namespace_name: who, title: A paper,
   release_date: 2026-01-01, primary: false, identifier: "https://doi.org/10/x"}
"""


def registering(here: Any, config: Callable[[str], Path], tmp_path: Path, content: str, sha: str = "") -> Any:
    from multiblast.registry.config.document import Document
    from multiblast.registry.config.schema import parse_config
    from multiblast.registry.sync.registration import register

    (tmp_path / "t.csv").write_text(content)
    text = REGISTER.replace("ROOT", str(tmp_path)).replace("HASH", sha)
    from multiblast.registry.config.document import read_document

    document: Document = read_document(config(text))
    return register(here, parse_config(document.data, document))


def test_registry_register_keeps_a_patch_while_the_file_is_unchanged(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    results = [registering(here, config, tmp_path, content)[0] for content in ("a", "a", "b")]
    assert [(o.item, o.result) for o in results] == [
        ("who:tables/t@0.0.1", ItemResult.DONE),
        ("who:tables/t@0.0.1", ItemResult.KNOWN),
        ("who:tables/t@0.0.2", ItemResult.DONE),
    ]


def test_registry_register_refuses_another_digest_and_goes_on(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    results = registering(here, config, tmp_path, "a", "0" * 40)
    assert [o.result for o in results] == [ItemResult.FAILED, ItemResult.DONE]
    assert "not the file" in results[0].reason


def test_registry_register_same_version_with_other_bytes_is_a_conflict(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    registering(here, config, tmp_path, "a")
    assert registering(here, config, tmp_path, "b")[1].result == ItemResult.CONFLICT


def test_registry_register_records_what_it_is_of(here: Any, config: Callable[[str], Path], tmp_path: Path) -> None:
    registering(here, config, tmp_path, "a")
    (paper,) = here.since(ExternalObjectRow, 0)
    assert (paper.title, paper.release_date) == ("A paper", datetime(2026, 1, 1, tzinfo=UTC))
    assert paper.primary_not_supplement is False


@pytest.mark.parametrize("where", ["root: sub, path: t.csv", "cache: sub/t.csv"])
def test_registry_pull_registers_what_lies_beside_the_configuration(
    here: Any, remote: Any, config: Callable[[str], Path], where: str
) -> None:
    path = config(f"register: [{{data_product: tables/t, {where}, file_type: csv, version: 1.0.0}}]")
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "t.csv").write_text("beside")
    assert [o.result for o in pull(path, here, remote.open(), here.user()).outcomes] == [ItemResult.DONE]
    assert info(here, "rich:tables/t@1.0.0")[0]["size_bytes"] == 6


def test_registry_pull_uses_a_copy_that_is_here(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """A plan only asks for its length; nothing is downloaded."""
    here.commit("object", here.product("params/a", "content").object_id)
    push(here, remote.open())
    path = config("read: [{data_product: params/a, use: {namespace: rich, cache: copy.csv}}]")
    user = second.user()
    assert "no file" in pull(path, second, remote.open(), user).outcomes[0].reason
    delete(second, "rich:params/a@1.0.0", [], force=True)
    (path.parent / "copy.csv").write_text("content")
    remote.control(forget=True)
    plan_pull(path, second, remote.open(), user)
    assert list(second.files.store.list("files/")) == []
    assert pull(path, second, remote.open(), user).exit_code == 0
    assert [line for line in remote.log if line.startswith("GET /data/")] == [
        "GET /data/" + here.product("params/a", "content").sha1
    ]


def test_registry_pull_registers_from_the_web(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    one = here.product("params/a", "web")
    here.commit("object", one.object_id)
    push(here, remote.open())
    text = f"register: [{{data_product: from/web, root: '{remote.url}/data/', path: {one.sha1}, file_type: txt}}]"
    user = second.user()
    report = pull(config(text), second, remote.open(), user)
    assert [(o.item, o.result) for o in report.outcomes] == [("rich:from/web@0.0.1", ItemResult.DONE)]
    made = generate(config(text), second.directory / "working.yaml", second, user)
    assert [str(one.name) for one in made.inputs] == ["rich:from/web@0.0.1"]


def test_registry_status_tells_ahead_synced_behind_and_conflict(here: Any, second: Any, remote: Any) -> None:
    for name in ("synced", "behind", "conflict"):
        here.commit("object", here.product(f"params/{name}", name).object_id)
    push(here, remote.open())
    second.commit("object", second.product("params/behind", "newer", "2.0.0").object_id)
    push(second, remote.open())
    here.product("params/ahead", "ahead")
    (row,) = here.products("rich", ["params/conflict"])
    delete(here, "rich:params/conflict@1.0.0", [], force=True)
    here.product("params/conflict", "other")
    said = {o.item[12:-6]: o.reason for o in status(here, remote.open()).outcomes}
    assert said["synced"] == "committed, synced"
    assert said["ahead"] == "ahead: not at the remote"
    assert said["behind"] == "committed, synced, behind: 2.0.0 is at the remote"
    assert said["conflict"] == "conflict: other bytes at the remote"
    assert row.name == "params/conflict"


@pytest.mark.parametrize("change", ["missing file", "changed file"])
def test_registry_status_and_verify_tell_of_files(here: Any, change: str) -> None:
    here.product("params/a", "content")
    (kept,) = here.files.store.list("files/")
    path = here.files.store.root / kept.key
    path.unlink() if change == "missing file" else path.write_text("other content")
    assert status(here).outcomes[0].reason == change
    assert verify(here).exit_code == 1


def test_registry_verify_finds_a_change_of_the_same_length(here: Any) -> None:
    here.product("params/a", "content")
    (kept,) = here.files.store.list("files/")
    (here.files.store.root / kept.key).write_text("CONTENT")
    assert "not the file" in verify(here).outcomes[0].reason


def test_registry_gc_keeps_the_provenance_of_what_is_not_synced(here: Any, remote: Any) -> None:
    first, middle, other = (here.product(f"params/{n}", n) for n in ("first", "middle", "other"))
    for one in (first, other):
        here.commit("object", one.object_id)
    push(here, remote.open())
    here.run([first], [middle])
    end = remote.open()
    planned = collect(here, [end], files=True, dry_run=True)
    assert here.newest("data_product") == 3
    assert collect(here, [end], files=True) == planned
    assert planned.items == ("rich:params/other@1.0.0",)
    assert {row.name for row in here.since(DataProductRow, 0)} == {"params/first", "params/middle"}
    assert verify(here).exit_code == 0
    assert collect(here, [end], files=True).rows == 0


def test_registry_gc_keeps_restricted_files_unless_told(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """Those that a remote gives out, that is: private data is nowhere else, and stays whatever is told."""
    made = here.product("params/a", "restricted")
    here.commit("object", made.object_id)
    push(here, remote.open())
    pull(config("read: [{data_product: params/a, use: {namespace: rich}}]"), second, remote.open(), second.user())
    with second.writing() as session:
        for place in session.exec(select(StorageLocation).where(StorageLocation.hash == made.sha1)):
            place.public = False
    end = remote.open()
    assert made.sha1 not in collect(second, [end], files=True, dry_run=True).files
    assert made.sha1 in collect(second, [end], files=True, every=True, dry_run=True).files


def test_registry_delete_needs_force_for_what_is_nowhere_else(here: Any) -> None:
    here.product("params/a", "a")
    with pytest.raises(ConflictError, match="at no remote"):
        delete(here, "rich:params/a@1.0.0", [])
    done = delete(here, "rich:params/a@1.0.0", [], force=True)
    assert (len(done.files), list(here.files.store.list("files/"))) == (1, [])
    with pytest.raises(NotFoundError):
        info(here, "rich:params/a@1.0.0")


def test_registry_delete_keeps_what_a_run_needs_and_bytes_that_others_have(here: Any) -> None:
    one, same = here.product("params/a", "same"), here.product("params/b", "same")
    here.run([one], [])
    with pytest.raises(ConflictError, match="needs it"):
        delete(here, "rich:params/a@1.0.0", [], force=True)
    assert delete(here, "rich:params/b@1.0.0", [], force=True).files == ()
    assert here.files.holds(same.sha1)


def test_registry_commit_takes_a_path(here: Any, tmp_path: Path) -> None:
    here.product("params/a", "a")
    (tmp_path / "same").write_text("a")
    assert [o.item for o in commit(here, [str(tmp_path / "same")]).outcomes] == ["rich:params/a@1.0.0"]
    with pytest.raises(NotFoundError, match="no item 'nothing'"):
        commit(here, ["nothing"])


def test_registry_users_share_a_data_store(here: Any, tmp_path: Path) -> None:
    bind(here, "ann", tmp_path, namespace="group")
    bind(here, "bob", tmp_path, namespace="group")
    assert [(u.username, u.namespace, u.data_store) for u in bound_users(here)] == [
        ("ann", "group", str(tmp_path)),
        ("bob", "group", str(tmp_path)),
    ]
    assert binding(here).username == "bob"
    first, second = (Secrets(here.directory).get(f"user {name}") for name in ("ann", "bob"))
    assert len(first) == len(second) == 40
    assert first != second


def test_registry_tokens_are_for_their_owner_only(here: Any) -> None:
    Remotes(here).set("origin", "https://example.org/", "secret-token")
    path = here.directory / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"secret-token" not in (here.directory / "registry.sqlite").read_bytes()


@pytest.fixture
def chain(here: Any) -> Any:
    first, middle, last = (
        here.product(f"params/{n}", n, authors=[here.author("Ann")]) for n in ("first", "middle", "last")
    )
    here.product("params/secret", "secret", public=False)
    here.run([first], [middle], "make <middle>")
    here.run([middle], [last], "make last")
    return here


def test_registry_prov_is_read_by_the_library(chain: Any, tmp_path: Path) -> None:
    write_prov(chain, "rich:params/last@1.0.0", tmp_path / "prov.json")
    document = ProvDocument.deserialize(str(tmp_path / "prov.json"), format="json")
    names = [type(record).__name__ for record in document.get_records()]
    assert names.count("ProvActivity") == names.count("ProvGeneration") == names.count("ProvDerivation") == 2
    assert "first" in (tmp_path / "prov.json").read_text()


def test_registry_crate_is_read_by_the_library(chain: Any, tmp_path: Path) -> None:
    write_crate(chain, "rich:params/last@1.0.0", tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    names = {entity.get("name") for entity in crate.get_entities()}
    assert {"rich:params/first@1.0.0", "rich:params/middle@1.0.0", "rich:params/last@1.0.0", "make last"} <= names
    files = [entity for entity in crate.data_entities if entity.type == "File"]
    assert files
    assert all((tmp_path / "crate" / file.id).is_file() for file in files)
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert {len(action["result"]) for action in actions} == {1}


@pytest.mark.long
def test_registry_crate_is_valid_by_the_validator(here: Any, tmp_path: Path) -> None:
    """With all that can be said of a product, a private one, a file that is gone, and two runs."""
    authors = [here.author("Ann"), here.author(None, "https://orcid.org/0000-0002-1825-0097")]
    first = here.product("params/first", "first", authors=authors)
    here.describe(first)
    middle = here.product("params/middle", "middle")
    here.run([first, here.product("params/secret", "secret", public=False)], [middle], "make <middle>")
    here.run([middle], [here.product("params/last", "last")], "make last")
    (place,) = here.find(StorageLocationRow, [{"storage_root": "1", "hash": first.sha1, "public": True}])
    here.files.store.delete([place.path])
    write_crate(here, "rich:params/last@1.0.0", tmp_path / "crate")
    assert first.sha1 in (tmp_path / "crate" / "ro-crate-metadata.json").read_text()
    command = [sys.executable, str(Path(__file__).with_name("validate_crate.py")), "cache", "crate"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    rules, broken = json.loads(done.stdout.splitlines()[-1])
    assert broken == []
    assert rules > 50


def test_registry_crate_and_prov_show_nothing_private(here: Any, tmp_path: Path) -> None:
    secret = here.product("params/secret", "secret bytes", public=False, description="secret words")
    here.run([secret], [here.product("params/out", "out")])
    write_crate(here, "rich:params/out@1.0.0", tmp_path / "crate")
    write_prov(here, "rich:params/out@1.0.0", tmp_path / "prov.json")
    told = b"".join(path.read_bytes() for path in [*tmp_path.glob("crate/**/*.*"), tmp_path / "prov.json"])
    assert b"params/secret" in told
    for word in (b"secret bytes", b"secret words", secret.sha1.encode()):
        assert word not in told


def test_registry_graph_goes_from_left_to_right(chain: Any) -> None:
    nodes, edges, asked = provenance(chain, "rich:params/last@1.0.0")
    assert sorted(node.title for node in nodes if node.kind == "code_run") == ["make <middle>", "make last"]
    assert (len(nodes), len(edges), len(asked)) == (5, 4, 1)
    svg = ET.fromstring(provenance_svg(chain, "rich:params/last@1.0.0"))  # noqa: S314 - our own
    columns = sorted({float(box.get("x") or 0) for box in svg.iter("{http://www.w3.org/2000/svg}rect")})
    assert len(columns) == 6  # the background, and five steps


@pytest.mark.long
def test_registry_command_line_goes_from_config_to_export(tmp_path: Path) -> None:
    text = "run_metadata: {script: 'echo hello > $FDP_DATA_STORE/rich/r/n/0.0.1.txt'}\n"
    (tmp_path / "config.yaml").write_text(text + "write: [{data_product: r/n, file_type: txt}]\n")
    environment = {**os.environ, "MULTIBLAST_HOME": str(tmp_path / "home")}

    def command(*words: str) -> str:
        code = "from deployments.command_line.registry import app; app()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(command("config", "rich", "--json"))["namespace"] == "rich"
    done = json.loads(command("run", "config.yaml", "--json"))
    assert done["outputs"] == ["rich:r/n@0.0.1"]
    assert json.loads(command("commit", done["uuid"], "--json"))["exit_code"] == 0
    assert json.loads(command("status", "--json"))["items"][0]["item"] == "rich:r/n@0.0.1"
    command("export", "rich:r/n@0.0.1", "picture.svg")
    assert (tmp_path / "picture.svg").read_text().startswith("<svg")


def test_registry_run_claims_no_commit_that_did_not_run(here: Any, tmp_path: Path) -> None:
    """Refused unless told, and then marked; what git says wins over a commit that somebody wrote down."""
    project, user = tmp_path / "project", here.user()
    project.mkdir()

    def git(*words: str) -> str:
        command = ["git", "-C", str(project), "-c", "user.name=r", "-c", "user.email=r@example.org", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    config, model = project / "config.yaml", project / "model.sh"
    config.write_text(
        "run_metadata: {script: 'sh model.sh > $FDP_DATA_STORE/rich/results/n/0.0.1.txt', latest_commit: abc,\n"
        "  remote_repo: 'https://example.org/group/model'}\n"
        "write: [{data_product: results/n, file_type: txt, use: {version: 0.0.1}}]\n"
    )
    model.write_text("echo 1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit_ = git("rev-parse", "HEAD")
    model.write_text("echo 2\n")
    with pytest.raises(ConflictError, match="run it with --dirty"):
        run(config, here, user)
    assert plan_run(config, here, user).exit_code == 1
    assert here.newest("code_run") == 0
    assert plan_run(config, here, user, dirty=True).exit_code == 0
    dirty = run(config, here, user, dirty=True)
    (marked,) = here.find(CodeRunRow, [{"uuid": dirty.uuid}])
    assert marked.code_repo is None
    facts = here.details(KeyValueRow, "object", here.read(ObjectRow, [marked.run_config]))
    assert [(one.key, one.value) for one in facts] == [("uncommitted_changes", "true")]
    git("checkout", "-q", "model.sh")
    (project / "notes.txt").write_text("not tracked: no part of the code")
    config.write_text(config.read_text().replace("0.0.1", "0.0.2"))
    git("commit", "-q", "-a", "-m", "second")
    clean = run(config, here, user)
    (recorded,) = here.find(CodeRunRow, [{"uuid": clean.uuid}])
    (repository,) = here.read(ObjectRow, [recorded.code_repo])
    (place,) = here.read(StorageLocationRow, [repository.storage_location])
    assert place.hash == git("rev-parse", "HEAD") != commit_


def test_registry_takes_any_number_of_rows(here: Any, second: Any) -> None:
    """SQLite takes 32 766 values in a statement; here it takes 30, so that few rows are many."""

    @event.listens_for(here.database.engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 30)

    here.database.engine.dispose()
    end, names = PublicView(second), [f"p/{number:02}" for number in range(40)]
    for name in names:
        here.commit("object", here.product(name, name).object_id)
    assert push(here, end).exit_code == 0
    assert status(here, end).exit_code == verify(here).exit_code == 0
    removed = collect(here, [end], files=True)
    assert (len(removed.files), len(removed.items)) == (40, 40)
    assert here.newest("storage_location") == 0


def test_registry_info_prints_json_or_text(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.command_line.registry import app

    here.user()
    made = here.product("params/a", "1,2")
    monkeypatch.setattr("deployments.command_line.registry._registry", lambda: contextlib.nullcontext(here))
    told = CliRunner().invoke(app, ["info", "rich:params/a@1.0.0", "--json"], catch_exceptions=False)
    assert json.loads(told.stdout) == info(here, "rich:params/a@1.0.0")
    text = CliRunner().invoke(app, ["info", "rich:params/a@1.0.0"], catch_exceptions=False).stdout
    assert yaml.safe_load(text)["sha1"] == made.sha1
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text)
