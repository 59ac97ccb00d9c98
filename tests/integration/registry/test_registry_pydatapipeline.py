"""pyDataPipeline as PyPI has it, under a run of ours: what it records, and that it goes to a remote and back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import CodeRunRow, DataProductRow, IssueRow, ObjectComponentRow
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, pull, push
from multiblast.registry.sync.summary import ItemResult
from tests.support.language_clients import commit_all
from web.registry.serving import serving

pytestmark = pytest.mark.long

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "record-runs-from-languages.md"
MODEL = """\
import os
import data_pipeline_api as pipeline

token = os.environ["FDP_LOCAL_TOKEN"]
directory = os.environ["FDP_CONFIG_DIR"]
handle = pipeline.initialise(token, os.path.join(directory, "config.yaml"), os.path.join(directory, "script.sh"))
read = pipeline.link_read(handle, "a-name")
written = pipeline.link_write(handle, "results/count")
second = pipeline.link_write(handle, "results/copy")
text = open(read).read()
open(written, "w").write(f"{len(text)}\\n")
open(second, "w").write(text + "5,6\\n")
pipeline.raise_issue_by_index(handle, pipeline.get_handle_index_from_path(handle, written), "bad output", 3)
pipeline.raise_issue_by_index(handle, pipeline.get_handle_index_from_path(handle, read), "bad input", 4)
pipeline.raise_issue_by_existing_data_product(handle, "params/a", "1.0.0", "other", "bad product", 6)
pipeline.raise_issue_with_config(handle, "bad config", 1)
pipeline.raise_issue_with_submission_script(handle, "bad script", 2)
pipeline.raise_issue_with_github_repo(handle, "bad code", 5)
pipeline.finalise(token, handle)
"""

CONFIG = """\
run_metadata: {description: count, script: python3 model.py}
read: [{data_product: a-name, use: {data_product: params/a, namespace: other}}]
write:
- {data_product: results/count, description: how many, file_type: txt}
- {data_product: results/copy, description: the same, file_type: csv}
"""


SIMPLE_MODEL = """\
def readInitialParameters(path):
    rows = [line.replace('"', "").split(",") for line in open(path).read().splitlines()[1:]]
    return {name: float(value) for name, value in rows}

def SEIRS_Model(states, timesteps, years, alpha, beta, inv_gamma, inv_omega, inv_mu, inv_sigma):
    s, e, i, r = (states[name] for name in "seir")
    rows = [(0, s, e, i, r)]
    for step in range(1, timesteps):
        new = beta * s * i
        s, e, i, r = s - new, e + new - e / inv_sigma, i + e / inv_sigma - i / inv_gamma, r + i / inv_gamma
        rows.append((step, s, e, i, r))
    return rows

def SEIRS_Plot(rows, path):
    open(path, "wb").write(b"a picture of %d points" % len(rows))

def write_model_to_csv(rows, path):
    open(path, "w").write("\\n".join(["time,S,E,I,R", *(",".join(map(str, row)) for row in rows)]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with pyDataPipeline, which nothing else needs."""
    directory, uv = tmp_path_factory.mktemp("environment"), find_uv_bin()
    subprocess.run([uv, "venv", "-q", str(directory), "--clear", "--python", sys.executable], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(directory / "bin" / "python"), "data-pipeline-api==0.9.1"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("data-pipeline-api cannot be installed")
    return directory / "bin"


@pytest.fixture(autouse=True)
def python3(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python3`` is that of the environment, as after it was activated."""
    monkeypatch.setenv("PATH", str(environment), prepend=os.pathsep)


def names(registry: Registry, components: list[str]) -> list[str]:
    """Return the data products that components are parts of."""
    objects = [part.object for part in registry.read(ObjectComponentRow, components)]
    return sorted(row.name for row in registry.since(DataProductRow, 0) if row.object in objects)


def test_registry_pydatapipeline_unmodified_records_its_run_and_it_goes_round(
    here: Any, second: Any, remote: Any, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    here.product("params/a", "1,2\n3,4\n", namespace="other")
    project = tmp_path / "project"
    project.mkdir()
    (project / "model.py").write_text(MODEL)
    (project / "config.yaml").write_text(CONFIG)
    commit_all(project)
    done = run(project / "config.yaml", here, here.user(), server=serving)
    assert sorted(done.outputs) == ["rich:results/copy@0.0.1", "rich:results/count@0.0.1"]
    assert done.notes == ()
    (made,) = here.since(CodeRunRow, 0)
    assert made.uuid == done.uuid
    assert names(here, made.inputs) == ["params/a"]
    assert names(here, made.outputs) == ["results/copy", "results/count"]
    issues = {row.description: row.severity for row in here.since(IssueRow, 0) if len(row.component_issues) == 1}
    assert issues == {
        "bad output": 3,
        "bad input": 4,
        "bad product": 6,
        "bad config": 1,
        "bad script": 2,
        "bad code": 5,
    }
    store = tmp_path / "here" / "data" / "rich" / "results"
    assert (store / "count" / "0.0.1.txt").read_text() == "8\n"
    assert (store / "copy" / "0.0.1.csv").read_text() == "1,2\n3,4\n5,6\n"

    commit(here, [done.uuid])
    assert {o.result for o in push(here, remote.open()).outcomes} == {ItemResult.DONE}
    user = second.user()
    report = pull(config("read: [{data_product: 'results/*'}]"), second, remote.open(), user, all_files=True)
    assert {o.result for o in report.outcomes} == {ItemResult.DONE}
    assert second.contents() == here.contents()

    again = run(project / "config.yaml", here, here.user(), server=serving)
    assert sorted(again.outputs) == ["rich:results/copy@0.0.2", "rich:results/count@0.0.2"]


def test_registry_pydatapipeline_example_of_its_documentation_runs(
    environment: Path, here: Any, remote: Any, tmp_path: Path
) -> None:
    """SEIRSconfig.yaml and SEIRSModelRun.py as the package ships them.

    The parameters come from the package too, since there may be no way to GitHub; the
    model and its plot, which it does not ship, are a few lines of ours.
    """
    (shipped,) = environment.parent.glob("lib/python*/site-packages/data_pipeline_api/ext")
    project = tmp_path / "project"
    scripts = project / "data_pipeline_api" / "ext"
    scripts.mkdir(parents=True)
    shutil.copy(shipped / "SEIRSModelRun.py", scripts)
    text = (shipped / "SEIRSconfig.yaml").read_text()
    place = "  root: https://raw.githubusercontent.com/\n"
    assert place in text
    (scripts / "SEIRSconfig.yaml").write_text(
        text.replace(place, f"{place}  cache: {shipped / 'static_params_SEIRS.csv'}\n")
    )
    (project / "simpleModel.py").write_text(SIMPLE_MODEL)
    commit_all(project)
    user = here.user()
    assert pull(scripts / "SEIRSconfig.yaml", here, remote.open(), user).exit_code == 0
    done = run(scripts / "SEIRSconfig.yaml", here, user, server=serving)
    assert sorted(done.outputs) == [
        "rich:SEIRS_model/results/figure/python@0.0.1",
        "rich:SEIRS_model/results/model_output/python@0.0.1",
    ]
    (made,) = here.since(CodeRunRow, 0)
    assert made.description == "SEIRS Model python"
    assert names(here, made.inputs) == ["SEIRS_model/parameters"]
    table = tmp_path / "here" / "data" / "rich" / "SEIRS_model" / "results" / "model_output" / "python" / "0.0.1.csv"
    assert table.read_text().splitlines()[0] == "time,S,E,I,R"


def test_registry_pydatapipeline_example_of_our_how_to_runs(here: Any, tmp_path: Path) -> None:
    script, config = (
        re.findall(rf"```{language}\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)[0]
        for language in ("python", "yaml")
    )
    here.product("params/a", "x,y\n1,2\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "model.py").write_text(script)
    (project / "config.yaml").write_text(config)
    commit_all(project)
    assert run(project / "config.yaml", here, here.user(), server=serving).outputs == ("rich:results/rows@0.0.1",)
    assert (tmp_path / "here" / "data" / "rich" / "results" / "rows" / "0.0.1.txt").read_text() == "2\n"
    assert [row.description for row in here.since(IssueRow, 0)] == ["the header is counted too"]
