"""Runs that the FAIR APIs of other languages record, through the local registry's own REST API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent
from typing import Any

import httpx
import pytest

from multiblast.errors import ConflictError, FailureClass, ProgramError
from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.local.records import RecordedProduct
from multiblast.registry.local.unfinished import undo_killed_runs
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.rows import (
    ROWS,
    CodeRunRow,
    DataProductRow,
    FileTypeRow,
    IssueRow,
    KeyValueRow,
    ObjectComponentRow,
    ObjectRow,
    StorageLocationRow,
    StorageRootRow,
)
from multiblast.registry.runs.execution import RunSummary, run
from multiblast.registry.sync.collection import collect, delete
from multiblast.registry.sync.commands import commit
from tests.support.compiled_clients import cpp, java, julia
from tests.support.language_clients import Run, called, commit_all, python, r, sha1
from web.registry.serving import serving

CONFIG = """\
run_metadata: {description: count, script: "true"}
read: [{data_product: params/a}]
write: [{data_product: results/count, description: how many, file_type: txt}]
"""
UNNAMED = """\
import os, urllib.request
config = open(os.environ["FDP_CONFIG_DIR"] + "/config.yaml").read()
address = config.partition("local_data_registry_url: ")[2].split()[0]
token = {"Authorization": "token " + os.environ["FDP_LOCAL_TOKEN"]}
urllib.request.urlopen(urllib.request.Request(address + "namespace/", b"{}", token))
"""
NAMED = UNNAMED.replace('"{}"', """'{"name": "named"}'""")
COPY = Path("data", "rich", "results", "count", "0.0.1.txt")


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """A git repository with a configuration in it, all of it committed."""

    def make(text: str) -> Path:
        directory = tmp_path / "project"
        directory.mkdir()
        (directory / "config.yaml").write_text(text)
        commit_all(directory)
        return directory / "config.yaml"

    return make


@pytest.fixture
def recorded(here: Any, project: Callable[[str], Path]) -> Callable[..., RunSummary]:
    """Runs a configuration whose script calls the API as a language does."""

    def make(client: Callable[[Run], None] = python, text: str = CONFIG, **more: Any) -> RunSummary:
        here.product("params/a", "x\ny\n")
        return run(project(text), here, here.user(), server=called(client), **more)

    return make


@pytest.mark.parametrize("client", [python, r, julia, cpp, java], ids=lambda client: client.__name__)
def test_registry_run_takes_what_a_language_recorded(
    client: Callable[[Run], None], here: Any, recorded: Callable[..., RunSummary]
) -> None:
    done = recorded(client)
    assert (done.outputs, done.notes) == (("rich:results/count@0.0.1",), ())
    (made,) = here.since(CodeRunRow, 0)
    assert made.uuid == done.uuid
    assert made.description == "count"
    at = datetime(2026, 11, 21, 12).astimezone(UTC)  # the clients' clock is this machine's
    assert made.run_date.replace(microsecond=0) == at
    parts = {row.reference: row for row in here.since(ObjectComponentRow, 0)}
    products = {row.object: row.name for row in here.since(DataProductRow, 0)}
    assert [products[parts[one].object] for one in made.inputs] == ["params/a"]
    assert [products[parts[one].object] for one in made.outputs] == ["results/count"]
    contents = {}
    roots = {row.reference: row.root for row in here.since(StorageRootRow, 0)}
    places = {row.reference: row for row in here.since(StorageLocationRow, 0)}
    for name, reference in (
        ("config", made.run_config),
        ("script", made.submission_script),
        ("output", parts[made.outputs[0]].object),
    ):
        (item,) = here.read(ObjectRow, [reference])
        contents[name] = b"".join(here.files.stream(places[item.storage_location].hash)).decode()
        assert roots[places[item.storage_location].storage_root] == here.data_root
        assert len(item.authors) == 1
    assert contents["output"] == "2\n"
    assert contents["script"] == "true\n"
    assert "local_data_registry_url: http://127.0.0.1:" in contents["config"]
    (code,) = here.read(ObjectRow, [made.code_repo])
    place = places[code.storage_location]
    assert (roots[place.storage_root], place.path) in [
        ("https://github.com/", "group/model"),
        ("https://github.com/", "group/model.git"),
    ]
    issues = {row.description: [parts[one].object for one in row.component_issues] for row in here.since(IssueRow, 0)}
    assert issues == {"bad output": [parts[made.outputs[0]].object], "bad config": [made.run_config]}
    types = {row.reference: row.extension for row in here.since(FileTypeRow, 0)}
    (output,) = here.read(ObjectRow, [parts[made.outputs[0]].object])
    assert types[output.file_type] == "txt"
    assert (here.directory / COPY).read_text() == "2\n"  # where the copies of other runs are, and there only
    assert [file.name for file in (here.directory / COPY).parent.iterdir()] == ["0.0.1.txt"]


def test_registry_api_is_not_started_for_scripts_that_do_not_call_it(
    here: Any, project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr("web.registry.serving.registry_server", lambda *parts: started.append(parts))
    done = run(project('run_metadata: {script: "true"}'), here, here.user(), server=serving)
    assert (done.outputs, started) == ((), [])
    assert len(here.since(CodeRunRow, 0)) == 1


def test_registry_api_that_nobody_calls_is_never_started(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr("web.registry.serving.registry_server", lambda *parts: started.append(parts))
    for _ in range(2000):  # who ends it and who waits for a call meet in either order
        with serving(LocalApi(here, here.user())):
            pass
    assert started == []


def test_registry_run_that_fails_leaves_nothing_of_what_its_script_recorded(
    here: Any, recorded: Callable[..., RunSummary]
) -> None:
    def fail(made: Run) -> None:
        """Record most of a run, and a file, before something goes wrong."""

        def post(kind: str, **fields: Any) -> str:
            return str(made.ask("POST", f"{made.api}{kind}/", json=fields)["url"])

        root = post("storage_root", root=f"file://{made.store}", local=True)
        place = post("storage_location", path=str(made.config), hash=sha1(made.config), storage_root=root)
        item = post("object", storage_location=place, description="configuration")
        post("data_product", name="half", version="1.0.0", object=item, namespace=f"{made.api}namespace/1/")
        part = made.ask("GET", item)["components"][0]
        post("issue", severity=1, description="bad", component_issues=[part])
        post("code_run", run_date="2026-11-21", description="half", submission_script=item, outputs=[part])
        assert len(here.since(CodeRunRow, 0)) == 1
        raise ProgramError(["sh"], 1, "late", FailureClass.UNKNOWN)

    with pytest.raises(ProgramError):
        recorded(fail)
    kept = {kind: len(here.since(ROWS[kind], 0)) for kind in KINDS}
    assert {kind: count for kind, count in kept.items() if count} == {
        "namespace": 1, "storage_root": 1, "file_type": 1, "author": 1, "storage_location": 1, "object": 1,
        "object_component": 1, "data_product": 1,
    }  # fmt: skip


HALF = """\
import hashlib, json, os, pathlib, time, urllib.request
config = pathlib.Path(os.environ["FDP_CONFIG_DIR"], "config.yaml")
address = config.read_text().partition("local_data_registry_url: ")[2].split()[0]
token = {"Authorization": "token ${{LOCAL_TOKEN}}"}
def post(kind, **fields):
    request = urllib.request.Request(address + kind + "/", json.dumps(fields).encode(), token)
    return json.load(urllib.request.urlopen(request))["url"]
store = os.environ["FDP_DATA_STORE"]
written = pathlib.Path(store, "half.txt")
written.write_text("half")
root = post("storage_root", root="file://" + store, local=True)
digest = hashlib.sha1(b"half").hexdigest()
place = post("storage_location", path="half.txt", hash=digest, storage_root=root)
item = post("object", storage_location=place, description="half of the output")
space = post("namespace", name="halves")
post("data_product", name="half", version="1.0.0", object=item, namespace=space)
code = post("code_run", run_date="2026-11-21", description="half", submission_script=item, outputs=[])
"""
KILLED = """\
import sys
from pathlib import Path
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.users import binding
from multiblast.registry.runs.execution import run
from multiblast.stores import LocalStore
from web.registry.serving import serving
place = Path(sys.argv[1])
here = Registry(open_database(f"sqlite:///{place / 'registry.sqlite'}"), LocalStore(place / "store"), place)
run(Path(sys.argv[2]), here, binding(here, "rich"), server=serving)
"""


def test_registry_run_that_fails_leaves_no_file_of_its_script_in_the_store(
    here: Any, project: Callable[[str], Path]
) -> None:
    before = here.contents()
    config = project(f"run_metadata:\n  shell: python3\n  script: |\n{indent(HALF + 'raise SystemExit(1)', '    ')}")
    with pytest.raises(ProgramError):
        run(config, here, here.user(), server=serving)
    assert here.contents() == before
    assert list(here.files.store.list("files/")) == []
    assert list((here.directory / "unfinished").iterdir()) == []


@pytest.fixture
def killed(here: Any, project: Callable[[str], Path]) -> Path:
    """The registry after a run was killed whose script had recorded half of what it did."""
    text = HALF + "written.with_name('ready').touch()\ntime.sleep(600)\n"
    config = project(f"run_metadata:\n  shell: python3\n  script: |\n{indent(text, '    ')}")
    here.user()
    with subprocess.Popen([sys.executable, "-c", KILLED, str(here.directory), str(config)]) as process:
        while not (here.directory / "data/ready").exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert undo_killed_runs(here) == 0  # it lives
        process.kill()
    return config


def left(here: Any) -> tuple[int, int, int, int]:
    """Return how many code runs and objects there are, files in the store, and scripts with the user's token."""
    token = LocalApi(here, here.user()).token
    scripts = [path for path in (here.directory / "runs").rglob("*.py") if token in path.read_text()]
    files = len(list(here.files.store.list("files/")))
    return len(here.since(CodeRunRow, 0)), len(here.since(ObjectRow, 0)), files, len(scripts)


def test_registry_gc_removes_what_a_killed_run_left(here: Any, killed: Path) -> None:
    assert left(here) == (1, 1, 1, 1)
    planned = collect(here, [], dry_run=True)
    assert planned.notes == ("6 records that killed runs left behind would be removed",)
    assert left(here) == (1, 1, 1, 1)
    assert collect(here, []).notes == ("6 records that killed runs left behind were removed",)
    assert left(here) == (0, 0, 0, 0)
    assert here.since(DataProductRow, 0) == []
    assert collect(here, []).notes == ()
    assert killed.exists()


def test_registry_run_begins_without_what_a_killed_run_left(here: Any, killed: Path) -> None:
    killed.write_text("run_metadata: {script: 'true'}")
    done = run(killed, here, here.user(), server=serving, dirty=True)
    assert [row.uuid for row in here.since(CodeRunRow, 0)] == [done.uuid]
    assert left(here)[3] == 0


@pytest.mark.parametrize("needed", ["committed", "read"])
def test_registry_what_a_killed_run_left_stays_if_it_is_needed(here: Any, killed: Path, needed: str) -> None:
    assert killed.exists()
    half = here.since(DataProductRow, 0)
    if needed == "committed":
        commit(here, ["halves:half@1.0.0"])
    else:
        read = RecordedProduct(int(half[0].reference), int(half[0].object), "", new=False)
        here.run([read], [])
    collect(here, [])
    (product,) = here.since(DataProductRow, 0)
    (item,) = here.read(ObjectRow, [product.object])
    (place,) = here.read(StorageLocationRow, [item.storage_location])
    assert b"".join(here.files.stream(place.hash)) == b"half"
    runs = {row.description for row in here.since(CodeRunRow, 0)}
    assert runs == ({"half"} if needed == "committed" else {"echo"})
    assert list((here.directory / "unfinished").iterdir()) == []


def test_registry_rows_that_have_the_number_of_one_of_a_killed_run_stay(here: Any, killed: Path) -> None:
    for run_ in here.since(CodeRunRow, 0):
        delete(here, run_.uuid, [], force=True)
    delete(here, "halves:half@1.0.0", [], force=True)
    here.product("half", "half")
    (product,) = here.since(DataProductRow, 0)
    assert product.reference == "1"
    collect(here, [])
    assert [row.name for row in here.since(DataProductRow, 0)] == ["half"]
    assert killed.exists()


def test_registry_run_says_what_its_registry_refused(here: Any, project: Callable[[str], Path]) -> None:
    config = project(f"run_metadata:\n  shell: python3\n  script: |\n{indent(UNNAMED, '    ')}")
    with pytest.raises(ProgramError, match=r"the registry refused POST /api/namespace/: 400 .*This field is required"):
        run(config, here, here.user(), server=serving)


def test_registry_run_puts_right_what_language_apis_do_not_look_at(here: Any, project: Callable[[str], Path]) -> None:
    """Whether the run is private, whether the code is that of the commit, and whether all that was to come has come."""
    here.product("params/a", "x\n")
    config = project(CONFIG)
    text = CONFIG.replace("description: count", "public: false, description: count")
    config.write_text(text.replace("txt}]", "txt}, {data_product: results/more, file_type: txt}]"))
    done = run(config, here, here.user(), server=called(python), dirty=True)
    (made,) = here.since(CodeRunRow, 0)
    assert (made.uuid, made.code_repo, done.notes) == (done.uuid, None, ("results/more was not written",))
    assert [(row.object, row.key, row.value) for row in here.since(KeyValueRow, 0)] == [
        (made.run_config, "uncommitted_changes", "true")
    ]
    places = {row.reference: row.public for row in here.since(StorageLocationRow, 0)}
    (part,) = here.read(ObjectComponentRow, made.outputs)
    items = here.read(ObjectRow, [part.object, made.run_config, made.submission_script])
    assert [places[item.storage_location] for item in items] == [False, False, False]


def test_registry_run_refuses_another_content_of_a_version(here: Any, recorded: Callable[..., RunSummary]) -> None:
    """The API of Python takes the data product that there is, whatever it has just written."""

    def overwrite(made: Run) -> None:
        here.product("results/count", "other\n", "0.0.1")
        with pytest.raises(AssertionError):  # by our restatement; the original goes on
            python(made)
        products = here.products("rich", ["results/count"])
        parts = here.details(ObjectComponentRow, "object", here.read(ObjectRow, [products[0].object]))
        (started,) = here.since(CodeRunRow, 0)
        address = f"{made.api}code_run/{started.reference}/"
        made.ask("PATCH", address, json={"outputs": [f"{made.api}object_component/{parts[0].reference}/"]})

    with pytest.raises(ConflictError, match=r"rich:results/count@0\.0\.1 exists, with another content"):
        recorded(overwrite)
    assert here.since(CodeRunRow, 0) == []


def test_registry_run_refuses_a_code_run_that_is_not_here(here: Any, project: Callable[[str], Path]) -> None:
    config = project('run_metadata: {script: "echo 0b44b2bc > $FDP_CONFIG_DIR/coderuns.txt"}')
    with pytest.raises(ConflictError, match=r"coderuns\.txt' names the code run '0b44b2bc', which is not"):
        run(config, here, here.user(), server=serving)


@pytest.mark.long
def test_registry_serve_and_run_as_commands(project: Callable[[str], Path], tmp_path: Path) -> None:
    """From one registry in multiblast's home: `serve` in one terminal, `run` in another, on another port."""
    command = [sys.executable, "-m", "multiblast", "registry"]
    surroundings = {**os.environ, "MULTIBLAST_HOME": str(tmp_path / "home"), "PREFECT_HOME": str(tmp_path / "prefect")}

    def done(*words: str) -> str:
        return subprocess.run(
            [*command, *words], env=surroundings, capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout

    done("config", "rich", "--data-store", str(tmp_path / "data"))
    token = done("token").strip()
    with subprocess.Popen([*command, "serve"], env=surroundings, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            pages, address = (server.stdout.readline().split()[1] for _ in range(2))
            with httpx.Client(headers={"Authorization": f"token {token}"}, follow_redirects=True) as client:
                assert "There is none" in client.get(pages).text
                assert client.post(f"{address}namespace/", json={"name": "made"}).status_code == 201
                text = f"run_metadata:\n  shell: python3\n  script: |\n{indent(NAMED, '    ')}"
                told = json.loads(done("run", "--json", str(project(text))))
                assert client.get(f"{address}code_run/").json()["results"][0]["uuid"] == told["uuid"]
                assert {row["name"] for row in client.get(f"{address}namespace/").json()["results"]} == {
                    "rich",
                    "made",
                    "named",
                }
                assert told["uuid"] in client.get(pages).text
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
