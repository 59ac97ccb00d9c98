"""Plugins of QHAna run here: the real ones, where their repository is at hand.

``MULTIBLAST_TEST_QHANA`` names it: a git directory, or a directory with a checkout, of ``qhana-plugin-runner``.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobStatus
from multiblast.errors import InvalidInputError
from multiblast.plugins.qhana import adapter, fields, import_plugins
from multiblast.plugins.qhana.runner import requirements_of_runner
from multiblast.plugins.qhana.tables import table_of, written
from multiblast.plugins.rounds import PluginError
from multiblast.plugins.table_files import read_table
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy

ANN = Requester("ann")
REPOSITORY = os.environ.get("MULTIBLAST_TEST_QHANA", "")
PARTS = ("qhana_plugin_runner", "pyproject.toml", "poetry.lock", "LICENSE", "stable_plugins/demo")
PARTS += ("stable_plugins/file_utils",)

needs_qhana = pytest.mark.skipif(
    not REPOSITORY, reason="MULTIBLAST_TEST_QHANA does not say where QHAna's repository is"
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The git line of a repository with the runner and some of its plugins, as they are in QHAna's."""
    place = tmp_path_factory.mktemp("qhana")
    tree, given = place / "tree", Path(REPOSITORY)
    tree.mkdir()
    git_directory = given if (given / "HEAD").exists() else given / ".git"
    if git_directory.exists():
        command = ["git", f"--git-dir={git_directory}", "archive", "HEAD", *PARTS]
        packed = subprocess.run(command, check=False, capture_output=True).stdout
        # What is asked for is in it, though other files may be missing from a partial copy.
        subprocess.run(["tar", "x", "-C", str(tree)], input=packed, check=True)
    else:
        shutil.copytree(given, tree, dirs_exist_ok=True)
    commit = ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "as it is"]
    for words in (["init", "--quiet"], ["add", "--all"], commit):
        subprocess.run(["git", "-C", str(tree), *words], check=True)
    return f"git+file://{tree}#subdirectory=/stable_plugins"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, repository: str) -> Iterator[Path]:
    """A home with the imported plugins."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBLAST_HOME", str(home))
        imported = {one.plugin: one for one in import_plugins(repository)}
        assert {"hello-world@0.2.1", "hello-world-multi-step@0.2.1", "zip-merger@0.2.0"} <= set(imported)
        assert not any(one.problem for one in imported.values())
        yield home


@pytest.fixture
def jobs(home: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> PluginJobs:
    """The door of plugin jobs, with the imported plugins."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(home))
    services.policy = Policy(plugins=PluginRules(folders=(str(home / "plugins" / "qhana"),)))
    return services.plugin_jobs


def read(jobs: PluginJobs, job_id: str, name: str) -> bytes:
    with jobs.file(ANN, job_id, name) as stream:
        return stream.read()


@needs_qhana
@pytest.mark.long
def test_hello_world_completes(jobs: PluginJobs) -> None:
    job_id = jobs.submit(ANN, "hello-world", parameters={"inputStr": "two lines\n- of input"})
    made = jobs.execute(job_id)
    assert made.status == JobStatus.COMPLETE
    [output] = made.outputs
    assert (output["name"], output["data"], output["content"]) == ("out.txt", "custom/hello-world-output", "text/plain")
    assert read(jobs, job_id, "out.txt") == b"two lines\n- of output"
    assert "result: 'two lines" in made.log


@needs_qhana
@pytest.mark.long
def test_zip_merger_merges_files_with_its_own_requirement(jobs: PluginJobs, tmp_path: Path) -> None:
    for name, text in (("first", "a"), ("second", "b")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.txt", text)
    inputs = {"zip1Url": [str(tmp_path / "first.zip")], "zip2Url": [str(tmp_path / "second.zip")]}
    job_id = jobs.submit(ANN, "zip-merger", inputs)
    made = jobs.execute(job_id)
    [output] = made.outputs
    assert output["name"].startswith("merged_")
    assert output["content"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(read(jobs, job_id, output["name"]))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"first.txt": b"a", "second.txt": b"b"}


@needs_qhana
@pytest.mark.long
def test_hello_world_multi_step_asks_once(jobs: PluginJobs) -> None:
    """Its question has what its page has filled in already, and its second step knows of the first."""
    job_id = jobs.submit(ANN, "hello-world-multi-step", parameters={"inputStr": "one"})
    run = jobs.run(job_id)
    with closing(run):
        assert run.begin()
        stop = run.round(1)
    assert (stop.end, stop.step) == ("ask", "demo-step")
    assert stop.form["inputStr"]["default"] == "Input from preprocessing: one"
    waiting = jobs.jobs.plugin(job_id)
    assert waiting.status == JobStatus.PAUSED
    assert waiting.progress == {
        "value": 50.0,
        "start": 0.0,
        "target": 100.0,
        "unit": "%",
    }
    jobs.answer(ANN, job_id, "demo-step", {"inputStr": "two"})
    made = jobs.execute(job_id)
    assert made.status == JobStatus.COMPLETE
    assert read(jobs, job_id, "output1.txt") == b"Processed in the preprocessing step: one"
    assert read(jobs, job_id, "output2.txt") == b"Processed in the processing step: one two"
    assert {(one["port"], one["data"]) for one in made.outputs} == {("more", "hello-world-output")}


@needs_qhana
@pytest.mark.long
def test_what_a_plugin_raises_is_the_reason(jobs: PluginJobs, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_text("no zip")
    inputs = {port: [str(tmp_path / "no.zip")] for port in ("zip1Url", "zip2Url")}
    job_id = jobs.submit(ANN, "zip-merger", inputs)
    with pytest.raises(PluginError, match="code 1") as raised:
        jobs.execute(job_id)
    assert "BadZipFile" in raised.value.stderr


RUNNER = """
[tool.poetry.dependencies]
python = "^3.10"
flask = { extras = ["dotenv"], version = "^2.0.0" }
sqlalchemy = "^2.0.8"
flask-smorest = "^0.42"
jsonschema = "~4.6"
celery = "*"
psycopg = { version = "^3.1.17", optional = true }
"""
LOCK = '[[package]]\nname = "sqlalchemy"\nversion = "2.0.31"\n'


def test_requirements_of_the_runner_are_cut_at_what_it_was_tried_with(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(RUNNER)
    (tmp_path / "poetry.lock").write_text(LOCK)
    assert requirements_of_runner(tmp_path) == (
        [
            "flask[dotenv]>=2.0.0,<3",
            "sqlalchemy>=2.0.8,<3,<2.1",
            "flask-smorest>=0.42,<0.43",
            "jsonschema>=4.6,<4.7",
            "celery",
        ],
        ">=3.10,<4",
    )
    (tmp_path / "pyproject.toml").write_text("nothing")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        requirements_of_runner(tmp_path)


def field(**facts: object) -> dict[str, object]:
    plain = {"type": "text", "required": True, "file": False, "secret": False, "default": None, "label": "", "help": ""}
    return {**plain, "data": "*", "content": "*", **facts}


def test_metadata_of_qhana_become_a_table() -> None:
    """Names, types, content types, dependencies and tags map one to one, and fields become parameters or inputs."""
    entry = {
        "href": "/plugins/Some_Plugin@v1-0-0/process/",
        "uiHref": "/plugins/Some_Plugin@v1-0-0/ui/",
        "dataInput": [
            {"parameter": "entitiesUrl", "dataType": "entity/list", "contentType": ["text/csv"], "required": True}
        ],
        "dataOutput": [
            {"dataType": "entity/*", "contentType": ["text/csv", "application/json"], "required": True},
            {"dataType": "entity/vector", "contentType": ["image/svg+xml"], "required": False, "name": "Plot 1"},
        ],
        "pluginDependencies": [
            {"parameter": "executor", "required": False, "tags": ["qasm-2", "!Remote"], "version": ">=v1.0.0 <v2.0.0"}
        ],
    }
    metadata = {"title": 'A "title"', "type": "processing", "tags": ["Some Tag", "b"], "entryPoint": entry}
    metadata["links"] = [{"type": "docs", "href": "https://example.org/docs"}]
    declared = {
        "entitiesUrl": field(file=True, label="Entities"),
        "extraUrl": field(file=True, required=False, data="any", content=["text/csv"]),
        "executor": field(required=False),
        "shots": field(type="integer", least=1, most=None, default=100),
        "kind": field(type="choice", choices=["", "a", "b"], required=False),
        "isQuick": field(type="flag", required=False),
        "token": field(secret=True, required=False),
    }
    facts = {"identifier": "i", "name": "Some_Plugin", "version": "v1.0.0", "metadata": metadata, "fields": declared}
    read = read_table(written(table_of(facts)), "plugin.toml")
    assert read.identifier == "some-plugin@1.0.0"
    assert read.title == 'A "title"'
    assert read.tags == ("some-tag", "b")
    assert read.links[0].type == "docs"
    assert {name: (one.data, one.content, one.required) for name, one in read.inputs.items()} == {
        "entitiesUrl": ("entity/list", ("text/csv",), True),
        "extraUrl": ("*", ("text/csv",), False),
    }
    assert {name: (one.data, one.content, one.required, one.many) for name, one in read.outputs.items()} == {
        "output": ("entity", "*", True, False),
        "Plot_1": ("entity/vector", "image/svg+xml", False, False),
        "more": ("*", "*", False, True),
    }
    types = {name: (one.type, one.default) for name, one in read.parameters.items()}
    assert types["shots"] == ("integer", 100)
    assert types["kind"] == ("choice", "a")
    assert types["executor"] == ("text", "")
    assert types["isQuick"] == ("flag", False)
    assert types["token"] == ("secret", "")
    assert read.needs["executor"].tags == ("qasm-2", "!remote")
    assert read.needs["executor"].version == ">=1.0.0,<2.0.0"


def test_what_a_page_has_filled_in_is_the_default_of_a_question() -> None:
    page = fields.FilledForm()
    page.feed(
        '<form><textarea name="text">a &amp; b</textarea><input name="count" value="3"><input type="submit" name="go">'
        '<select name="kind"><option value="x"><option value="y" selected></select></form>'
    )
    assert page.values == {"text": "a & b", "count": "3", "kind": "y"}
    count = field(type="integer", least=1, most=None)
    assert fields.parameter(count, page.values["count"])["default"] == 3
    assert "default" not in fields.parameter(count)  # it has to be given
    assert fields.parameter({**count, "required": False})["default"] == ""
    assert fields.parameter(field(type="choice", choices=["x", "y"]), "y")["default"] == "y"
    assert fields.parameter(field(), "a & b") == {"type": "text", "label": "", "help": "", "lines": True} | {
        "default": "a & b"
    }


def test_outputs_go_to_the_ports_that_they_fit() -> None:
    """By name and types; a plugin that declares other types than it makes fills what has to be filled."""
    made = [
        {"name": "a.json", "dataType": "Entity_Stuff", "contentType": "application/json"},
        {"name": "b.csv", "dataType": "entity/list", "contentType": "text/csv"},
        {"name": "c.txt", "dataType": "note", "contentType": "text/plain"},
    ]
    ports = [
        {"port": "entities", "name": "", "data": "entity/*", "content": ["text/csv"], "required": True},
        {"port": "plot", "name": "plot", "data": "*", "content": ["*"], "required": False},
        {"port": "stuff", "name": "", "data": "other", "content": ["text/html"], "required": True},
    ]
    placed = adapter._placed(made, ports)
    assert [port and port["port"] for _, port in placed] == ["stuff", "entities", None]
    assert adapter._kinds(*placed[0]) == {"content": "application/json"}
    assert adapter._kinds(*placed[2]) == {"data": "note", "content": "text/plain"}
