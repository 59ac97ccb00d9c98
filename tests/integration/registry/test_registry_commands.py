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
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import event
from sqlmodel import select
from typer.testing import CliRunner

from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, ProgramError
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.local.users import bind, binding, bound_users
from multiblast.registry.model.rows import CodeRunRow, DataProductRow, KeyValueRow, ObjectRow, StorageLocationRow
from multiblast.registry.model.tables import StorageLocation
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.runs.execution import plan_run, run
from multiblast.registry.sync.collection import collect, delete
from multiblast.registry.sync.commands import commit, pull, push
from multiblast.registry.sync.summary import ItemResult
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
    assert report.outcomes[3].reason == "line 6: rich:no/x is not in the local registry: pull it first, or register it"
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
