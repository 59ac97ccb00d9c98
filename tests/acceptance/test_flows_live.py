"""What the flows do on a real server with a real worker."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.places import EXAMPLES, ROOT
from tests.support.processes import blast_processes, is_running, wait_for

pytestmark = pytest.mark.long


class Api:
    """Prefect's API, as the UI uses it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def start(self, deployment: str, environment: dict[str, str] | None = None, **parameters: Any) -> dict[str, Any]:
        """Start a deployment as the UI does, with variables of the environment beside those of the worker."""
        found = self.client.get(f"/deployments/name/{deployment}/{deployment}").raise_for_status().json()
        variables = {"job_variables": {"env": environment}} if environment else {}
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, **variables}
        return dict(
            self.client.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status().json()
        )

    def run(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """Start a deployment, wait for its end, and return the flow run."""
        return self.ended(self.start(deployment, **parameters))

    def ended(self, run: dict[str, Any]) -> dict[str, Any]:
        """Wait for the end of a flow run, and return it."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            run = self.client.get(f"/flow_runs/{run['id']}").json()
            if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
                return dict(run)
            time.sleep(0.3)
        raise TimeoutError(run["state_type"])

    def _of_run(self, what: str, run: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        body = {"flow_runs": {"id": {"any_": [run["id"]]}}, **more}
        return list(self.client.post(f"/{what}/filter", json=body).raise_for_status().json())

    def tasks(self, run: dict[str, Any], children: int = 0) -> dict[str, str]:
        """Return the names of a run's tasks and how they ended, once the recorder has a batch and so many children.

        It may be some seconds behind, and it does not record tasks in their order.
        """
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            found = {task["name"]: task["state_name"] for task in self._of_run("task_runs", run)}
            recorded = sum(name[0].isdigit() for name in found), any(name.startswith("search ") for name in found)
            if (not children or recorded == (children, True)) and not {"Running", "Pending"} & {*found.values()}:
                return found
            time.sleep(0.5)
        return found

    def artifacts(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a run's artifacts by the first word of their key."""
        body = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
        found = self.client.post("/artifacts/filter", json=body).raise_for_status().json()
        return {artifact["key"].split("-")[0]: artifact["data"] for artifact in found if artifact["key"]}


@pytest.fixture(scope="session")
def api(prefect_api: httpx.Client) -> Api:
    return Api(prefect_api)


@pytest.fixture(scope="session")
def proteins(examples: Path) -> str:
    return (examples / "protein_query.fasta").read_text()


def test_submission_from_the_form_shows_plan_table_and_job(api: Api, proteins: str) -> None:
    run = api.run(
        "submit-blastp",
        query=proteins,
        targets=["demo/examples/proteins"],
        options={"program": "blastp", "evalue": 0.001},
        summary="from a form",
    )
    assert run["state_type"] == "COMPLETED"
    assert run["name"] == "blastp · proteins · from a form"
    shown = api.artifacts(run)
    assert "| to search | 11 " in shown["plan"]
    assert '"sequence": "sp|Q9DC28|KC1D_MOUSE"' in shown["sequences"]
    assert "Make a report" in shown["job"]


def test_repeated_submission_is_shown_as_cached(api: Api, proteins: str) -> None:
    parameters: dict[str, Any] = {
        "query": proteins,
        "targets": ["demo/examples/proteins"],
        "options": {"evalue": 0.002},
    }
    first = api.tasks(api.run("submit-query", **parameters), children=12)
    again = api.tasks(api.run("submit-query", **parameters), children=12)
    batches = {name: state for name, state in first.items() if name.startswith("search ")}
    assert set(batches.values()) == {"Completed"}
    assert {state for name, state in again.items() if name.startswith("search ")} == {"Cached"}
    children = {name: state for name, state in again.items() if name[0].isdigit()}
    assert set(children.values()) == {"Cached"}


@pytest.mark.parametrize("deployment", ["submit-query", "plan-query"])
def test_bad_submission_fails_with_a_plain_message(api: Api, deployment: str) -> None:
    run = api.run(deployment, query=">a\nMKV\n", targets=["demo/examples/proteins"], options={"evalue": "abc"})
    assert run["state_type"] == "FAILED"
    assert "evalue: 'abc'" in run["state"]["message"]
    assert "- evalue: 'abc'" in api.artifacts(run)["problems"]


def test_parameter_that_a_flow_does_not_have_is_refused_before_a_run_crashes_by_it(api: Api) -> None:
    for deployment in ("submit-blastp", "make-report", "reconcile-jobs"):
        found = api.client.get(f"/deployments/name/{deployment}/{deployment}").json()
        given = {"job": "x", "query": ">a\nMKV\n", "targets": ["demo/examples/proteins"]}
        fields = found["parameter_openapi_schema"]["properties"]
        parameters = {name: given[name] for name in given.keys() & fields.keys()} | {"file": "x"}
        answer = api.client.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
        assert answer.status_code == 409
        assert "('file' was unexpected)" in answer.json()["detail"]


def test_deployment_reads_no_file_outside_the_uploads(api: Api) -> None:
    run = api.run("submit-query", query_file="/etc/passwd", targets=["demo/examples/proteins"])
    assert run["state_type"] == "FAILED"
    assert "is not under" in run["state"]["message"]


def test_plan_of_a_query_searches_nothing(api: Api) -> None:
    run = api.run("plan-query", query=">a\nMKVLA\n", targets=["demo/examples/proteins"])
    assert run["state_type"] == "COMPLETED"
    plan = api.artifacts(run)["plan"]
    assert "| to search | 1 (5 letters) |" in plan
    assert "task blastp-short is meant for them" in plan


def test_report_from_the_form_lists_its_files(api: Api, answer: Callable[..., Any], examples: Path) -> None:
    job = answer("search", examples / "protein_query.fasta", "--target", "demo/examples/proteins")["job"]["job_id"]
    run = api.run("make-report", job=job, format="5 BLAST XML")
    assert run["state_type"] == "COMPLETED"
    assert "report.xml" in api.artifacts(run)["report"]
    again = api.run("make-report", job=job, format="5 BLAST XML")
    assert wait_for(lambda: api.tasks(again).get("format the report")) == "Cached"  # once it is recorded


def test_targets_are_choices_in_the_forms(api: Api) -> None:
    found = api.client.get("/deployments/name/submit-blastn/submit-blastn").json()
    assert found["parameter_openapi_schema"]["properties"]["targets"]["items"]["enum"] == ["demo/examples/nucleotides"]


def searching(api: Api, live: dict[str, str], evalue: float) -> dict[str, Any]:
    """Start a search of many sequences that nobody has searched; return its run once BLAST+ runs."""
    with gzip.open(EXAMPLES / "proteins.fasta.gz", "rt") as file:
        query = "".join(f">{record}" for record in file.read().split(">")[1:200])
    run = api.start("submit-query", query=query, targets=["demo/examples/proteins"], options={"evalue": evalue})
    wait_for(lambda: blast_processes(live["MULTIBLAST_HOME"]))
    return run


def test_cancelling_in_the_ui_stops_blast_and_cancels_the_job(
    api: Api, live: dict[str, str], multiblast: Callable[..., Any]
) -> None:
    """What the UI's Cancel button does, while BLAST+ runs: no process is left, and the job says so."""
    run, mark = searching(api, live, evalue=0.37), live["MULTIBLAST_HOME"]
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    api.client.post(f"/flow_runs/{run['id']}/set_state", json=cancelling).raise_for_status()
    wait_for(lambda: not blast_processes(mark))
    wait_for(lambda: api.client.get(f"/flow_runs/{run['id']}").json()["state_type"] == "CANCELLED")
    cancelled: list[dict[str, str]] = []

    def job_is_cancelled() -> bool:
        cancelled[:] = json.loads(multiblast("jobs", "list", "--status", "cancelled", "--json").stdout)
        return bool(cancelled)

    wait_for(job_is_cancelled)  # the run says so a moment before
    job = cancelled[0]
    artifacts = api.client.post("/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}).json()
    assert not [one for one in artifacts if " left" in str(one["description"])]
    with closing(sqlite3.connect(f"file:{mark}/jobs.sqlite?mode=ro", uri=True)) as jobs:
        ends = jobs.execute("SELECT failure_class FROM batch_run WHERE job_id = ?", [job["queryJobID"]]).fetchall()
    assert set(ends) == {("cancelled",)}  # and none searched its last sequence first


def test_run_whose_job_is_cancelled_elsewhere_is_cancelled_too(
    api: Api, live: dict[str, str], multiblast: Callable[..., Any]
) -> None:
    """It has not failed: who watches runs need not look at it. Its page no longer says how long it will take."""
    run = searching(api, live, evalue=0.41)
    job = next(tag for tag in api.client.get(f"/flow_runs/{run['id']}").json()["tags"] if len(tag) == 32)
    assert multiblast("jobs", "cancel", job).returncode == 0
    ended = api.ended(run)
    assert (ended["state_type"], ended["state_name"]) == ("CANCELLED", "Cancelled")
    assert f"Job {job} was cancelled: cancelled by its user. What was found is kept" in ended["state"]["message"]
    body = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    shown = api.client.post("/artifacts/filter", json=body).json()
    assert not [one for one in shown if " left" in str(one["description"])]
    assert not blast_processes(live["MULTIBLAST_HOME"])


def test_run_that_is_stopped_leaves_its_job_in_progress(
    api: Api, live: dict[str, str], multiblast: Callable[..., Any]
) -> None:
    """As by `make down`: nobody has cancelled the job, and reconcile-jobs lets it go on."""
    run = searching(api, live, evalue=0.43)
    found = api.client.get(f"/flow_runs/{run['id']}").json()
    os.kill(int(found["infrastructure_pid"].rpartition(":")[2]), signal.SIGTERM)
    assert api.ended(run)["state_type"] == "CRASHED"
    wait_for(lambda: not blast_processes(live["MULTIBLAST_HOME"]))
    job = next(tag for tag in found["tags"] if len(tag) == 32)
    running = json.loads(multiblast("jobs", "list", "--status", "in-progress", "--json").stdout)
    assert job in [one["queryJobID"] for one in running]
    assert multiblast("jobs", "cancel", job).returncode == 0


def zygote(live: dict[str, str]) -> psutil.Process | None:
    """Return the process from which the worker's runs are forked, which has not been forked itself."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, home = process.info["cmdline"] or [], (process.info["environ"] or {}).get("MULTIBLAST_HOME")
        if "deployments.zygote" in words and home == live["MULTIBLAST_HOME"] and os.getsid(process.pid) != process.pid:
            return process
    return None


def test_runs_at_once_are_forked_each_with_its_own_environment(api: Api, live: dict[str, str], tmp_path: Path) -> None:
    parent = zygote(live)
    assert parent
    elsewhere = {"MULTIBLAST_HOME": str(tmp_path)}
    query = ">a\nMKVLAAGIVGLCAKAYQERTPSWHDNF\n"
    runs = [
        api.start("plan-query", more, query=query, targets=["demo/examples/proteins"]) for more in ({}, elsewhere, {})
    ]
    ended = [api.ended(run) for run in runs]
    assert [run["state_type"] for run in ended] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert "no site 'demo'" in ended[1]["state"]["message"]
    assert len({run["infrastructure_pid"] for run in ended}) == 3
    assert parent.is_running()


def test_killed_zygote_is_replaced_and_its_run_goes_on(api: Api, live: dict[str, str]) -> None:
    killed = zygote(live)
    assert killed
    run = api.start("rescan-targets")
    wait_for(killed.children)
    killed.kill()
    assert api.ended(run)["state_type"] == "COMPLETED"
    assert api.run("rescan-targets")["state_type"] == "COMPLETED"
    replaced = zygote(live)
    assert replaced
    assert replaced.pid != killed.pid


def test_changed_code_is_imported_anew(api: Api, live: dict[str, str]) -> None:
    before = zygote(live)
    assert before
    (ROOT / "tasks" / "maintenance.py").touch()
    assert api.run("rescan-targets")["state_type"] == "COMPLETED"
    wait_for(lambda: not is_running(before.pid))
    after = zygote(live)
    assert after


def test_run_killed_by_force_is_seen_as_crashed(api: Api) -> None:
    run = api.start("rescan-targets")
    where = wait_for(lambda: api.client.get(f"/flow_runs/{run['id']}").json()["infrastructure_pid"])
    os.kill(int(where.rpartition(":")[2]), signal.SIGKILL)
    ended = api.ended(run)
    assert ended["state_type"] == "CRASHED"
    assert "-9" in ended["state"]["message"]


def test_schedules_stay_as_somebody_has_switched_them(api: Api, live: dict[str, str]) -> None:
    """When the flows are deployed again, as at each start; what they have added stays, too."""

    def schedule(name: str, *, ours: bool = True) -> dict[str, Any]:
        found = api.client.get(f"/deployments/name/{name}/{name}").raise_for_status().json()
        (one,) = [one for one in found["schedules"] if bool(one["slug"]) is ours]
        return {**one, "path": f"/deployments/{found['id']}/schedules/{one['id']}"}

    changed = {
        "pull-registry": {"active": True, "parameters": {"config": "mine.yaml"}},
        "push-registry": {"active": True},
        "verify-storage": {"active": False},
    }
    before = {name: schedule(name) for name in changed}
    for name, change in changed.items():
        api.client.patch(before[name]["path"], json=change).raise_for_status()
    own = {"active": True, "parameters": {"config": "other.yaml"}, "schedule": {"interval": 7200.0}}
    api.client.post(before["pull-registry"]["path"].rpartition("/")[0], json=[own]).raise_for_status()
    own["schedule"] = schedule("pull-registry", ours=False)["schedule"]
    code = "from deployments.register import deploy; deploy()"
    environment = {**live, "PREFECT_API_URL": f"{live['UI_URL']}/api", "MULTIBLAST_CHECKOUT": str(ROOT)}
    try:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
        for name, change in changed.items():
            again = schedule(name)
            assert {key: again[key] for key in change} == change
            assert again["schedule"] == before[name]["schedule"]
        again = schedule("pull-registry", ours=False)
        assert {key: again[key] for key in own} == own
    finally:
        for name, found in before.items():
            was = {key: found[key] for key in ("active", "parameters")}
            api.client.patch(schedule(name)["path"], json=was).raise_for_status()
        api.client.delete(schedule("pull-registry", ours=False)["path"]).raise_for_status()


def test_deployments_of_an_earlier_version_are_removed(api: Api, live: dict[str, str]) -> None:
    """Their flows are gone, so runs of them would only fail; what is not ours stays."""
    ours = api.client.get("/deployments/name/submit-blastp/submit-blastp").raise_for_status().json()
    for name, entrypoint in (("list-jobs", "flows/read_jobs.py:list_jobs"), ("theirs", "other/flow.py:theirs")):
        new = {"flow_id": ours["flow_id"], "name": name, "entrypoint": entrypoint, "work_pool_name": "search"}
        api.client.post("/deployments/", json=new).raise_for_status()
    code = "from tasks import plugin_deployments; plugin_deployments._PAGE = 5  # as where there are many\n"
    code += "from deployments.register import remove_old_deployments; remove_old_deployments()"
    environment = {**live, "PREFECT_API_URL": f"{live['UI_URL']}/api"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    names = {found["name"] for found in api.client.post("/deployments/filter", json={}).raise_for_status().json()}
    assert {"submit-blastp", "theirs"} <= names
    assert "list-jobs" not in names
