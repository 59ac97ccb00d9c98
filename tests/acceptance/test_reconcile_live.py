"""A run that is killed on a real worker, and what reconciling makes of its job."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.sequences import read_fasta
from tests.support.places import ROOT
from tests.support.processes import wait_for

pytestmark = pytest.mark.long

SEQUENCES = 150


def start(client: httpx.Client, deployment: str, *, state: str = "SCHEDULED", **parameters: Any) -> str:
    found = client.get(f"/deployments/name/{deployment}/{deployment}").raise_for_status().json()
    body = {"parameters": parameters, "state": {"type": state}}
    return str(client.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status().json()["id"])


def test_job_of_a_killed_run_is_reconciled_and_completes_with_its_reports(
    live: dict[str, str], prefect_api: httpx.Client, examples: Path
) -> None:
    with gzip.open(examples / "proteins.fasta.gz") as stream:
        query = b"".join(sequence.canonical for sequence in islice(read_fasta(stream.read()), SEQUENCES)).decode()
    jobs = f"file:{live['MULTIBLAST_HOME']}/jobs.sqlite?mode=ro"

    def statuses(statement: str) -> list[str]:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(jobs, uri=True)) as connection:
            return [row[0] for row in connection.execute(statement, [SEQUENCES])]
        return []  # there is no database before its first use

    def status() -> str:
        return next(iter(statuses("SELECT status FROM query_job WHERE sequences = ?")), "")

    def reports() -> list[str]:
        return statuses(
            "SELECT report_job.status FROM report_job JOIN query_job ON query_job.id = query_job_id WHERE sequences = ?"
        )

    def state(run: str) -> str:
        return str(prefect_api.get(f"/flow_runs/{run}").json()["state_type"])

    searched = {"targets": ["demo/examples/proteins"], "options": {"evalue": 0.003}}
    run = start(prefect_api, "submit-query", query=query, **searched, formats=["6 std stitle", "15"])
    wait_for(lambda: status() == "in-progress")
    pid = prefect_api.get(f"/flow_runs/{run}").json()["infrastructure_pid"].rpartition(":")[2]
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: state(run) == "CRASHED")
    assert (status(), reports()) == ("in-progress", ["queued"] * 2)
    reconcile = start(prefect_api, "reconcile-jobs")
    wait_for(lambda: state(reconcile) == "COMPLETED")
    wait_for(lambda: status() == "complete")
    wait_for(lambda: reports() == ["complete"] * 2)
    another, dead = follow(prefect_api, run), read(prefect_api, run)
    assert dead["state"]["message"].endswith(f" goes on with its job, at {live['UI_URL']}/v2/runs/flow-run/{another}")
    assert read(prefect_api, another)["name"] in dead["state"]["message"]
    shown = prefect_api.post("/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run]}}}).json()
    assert f"(/v2/runs/flow-run/{another})" in next(one["data"] for one in shown if one["key"].startswith("goes-on"))
    progress = {one["description"] for one in shown if one["type"] == "progress"}
    assert progress <= {"ended: the run died, and another goes on"}  # if it came to show any


@pytest.mark.usefixtures("large")
def test_run_that_waits_for_its_turn_is_cancelled_with_its_job_or_goes_on(
    prefect_api: httpx.Client, pause: Callable[[bool], Any], multiblast: Callable[..., Any], examples: Path
) -> None:
    """Nobody has to look for another run, and none that only waits is called completed."""
    query = (examples / "protein_query.fasta").read_text()

    def submit(evalue: float) -> str:
        options = {"targets": ["demo/examples/proteins"], "options": {"evalue": evalue}}
        return start(prefect_api, "submit-query", query=query, **options)

    def job_of(run: str) -> str:
        return next(tag for tag in read(prefect_api, run)["tags"] if len(tag) == 32)

    def statuses() -> list[str]:
        found = {job["queryJobID"]: job["status"] for job in json.loads(multiblast("jobs", "list", "--json").stdout)}
        return [found[job_of(run)] for run in runs]

    cancelled, dismissed, searched = runs = [submit(random.uniform(1, 2)) for _ in range(3)]
    wait_for(lambda: {read(prefect_api, run)["state_name"] for run in runs} == {"Queued"})
    assert {read(prefect_api, run)["state_type"] for run in runs} == {"SCHEDULED"}
    cancelling = {"state": {"type": "CANCELLING"}}  # as from its page
    prefect_api.post(f"/flow_runs/{cancelled}/set_state", json=cancelling).raise_for_status()
    assert multiblast("jobs", "cancel", job_of(dismissed)).returncode == 0
    reconcile = start(prefect_api, "reconcile-jobs")
    wait_for(lambda: read(prefect_api, reconcile)["state_type"] == "COMPLETED")
    assert [read(prefect_api, run)["state_type"] for run in runs] == ["CANCELLED", "SCHEDULED", "SCHEDULED"]
    assert statuses() == ["cancelled", "cancelled", "queued"]
    pause(False)
    wait_for(lambda: read(prefect_api, searched)["state_type"] == "COMPLETED")
    assert statuses() == ["cancelled", "cancelled", "complete"]
    wait_for(lambda: read(prefect_api, dismissed)["state_type"] == "CANCELLED")


def replace(live: dict[str, str], run: str) -> tuple[int, int]:
    """Return how many runs are replaced with the usual patience, and then with none."""
    call = "from datetime import timedelta; from tasks.recovery import replace_dead_runs as start"
    call += "; print(start(), start(timedelta(0)))"
    environment = {**live, "PREFECT_API_URL": f"{live['UI_URL']}/api", "PREFECT__RUNTIME__FLOW_RUN__ID": run}
    done = subprocess.run([sys.executable, "-c", call], env=environment, cwd=ROOT, capture_output=True, check=True)
    patient, impatient = map(int, done.stdout.split())
    return patient, impatient


def read(client: httpx.Client, run: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/flow_runs/{run}").raise_for_status().json()
    return found


def follow(client: httpx.Client, run: str) -> str:
    """Return the run that took another's place."""
    state = read(client, run)["state"]
    assert (state["type"], state["name"]) == ("CRASHED", "Replaced")
    return str(state["state_details"]["child_flow_run_id"])


def crash(client: httpx.Client, run: str) -> None:
    body = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
    client.post(f"/flow_runs/{run}/set_state", json=body).raise_for_status()


def test_run_that_was_to_start_when_its_worker_died_is_replaced(
    live: dict[str, str], prefect_api: httpx.Client
) -> None:
    run = start(prefect_api, "rescan-targets", state="PENDING")  # as the worker leaves it
    patient, impatient = replace(live, run)
    assert patient == 0
    assert impatient >= 1  # others may be about to start
    another = follow(prefect_api, run)
    wait_for(lambda: read(prefect_api, another)["state_type"] == "COMPLETED")
    body = {"state": {"type": "CANCELLED"}}  # as from a page that is a moment old
    prefect_api.post(f"/flow_runs/{another}/set_state", json=body).raise_for_status()
    assert read(prefect_api, another)["state_type"] == "COMPLETED"


def test_run_that_was_cancelled_while_a_worker_started_it_is_cancelled(
    live: dict[str, str], prefect_api: httpx.Client
) -> None:
    """Prefect leaves it Cancelling for good."""
    run = start(prefect_api, "rescan-targets", state="PENDING")  # as the worker has it
    prefect_api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    call = "from datetime import timedelta; from tasks.recovery import end_cancelled_runs as end"
    call += "; print(end(), end(timedelta(0)))"
    environment = {**live, "PREFECT_API_URL": f"{live['UI_URL']}/api", "PREFECT__RUNTIME__FLOW_RUN__ID": run}
    done = subprocess.run([sys.executable, "-c", call], env=environment, cwd=ROOT, capture_output=True, check=True)
    patient, impatient = map(int, done.stdout.split())
    assert (patient, impatient >= 1) == (0, True)
    assert read(prefect_api, run)["state_type"] == "CANCELLED"


def test_submission_that_crashed_before_its_job_began_is_replaced_twice(
    live: dict[str, str], prefect_api: httpx.Client
) -> None:
    parameters = {"query": ">lost\nMKVLAAGIVGLCAKAYQERTPSWHDNF\n", "targets": ["demo/examples/proteins"]}
    first = start(prefect_api, "submit-query", state="PENDING", **parameters)
    crash(prefect_api, first)
    replace(live, first)  # unless the schedule has just done so
    second = follow(prefect_api, first)
    wait_for(lambda: read(prefect_api, second)["state_type"] == "COMPLETED")
    crash(prefect_api, second)  # its job has begun: reconciling takes care of that
    assert replace(live, second)[0] == 0
    body = {"parameters": parameters, "state": {"type": "PENDING"}, "idempotency_key": "again-2-of-others"}
    found = prefect_api.get("/deployments/name/submit-query/submit-query").json()
    third = prefect_api.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status().json()["id"]
    crash(prefect_api, third)
    assert replace(live, first)[0] == 0
    assert read(prefect_api, third)["state_name"] == "Crashed"


def test_run_with_what_its_form_refuses_now_is_left_and_others_are_replaced(
    live: dict[str, str], prefect_api: httpx.Client
) -> None:
    """As one of an earlier version, or with a database that is gone; the flow that reconciles goes on."""
    found = prefect_api.get("/deployments/name/rescan-targets/rescan-targets").raise_for_status().json()
    body = {"parameters": {"of_old": 1}, "state": {"type": "PENDING"}, "enforce_parameter_schema": False}
    made = prefect_api.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status()
    refused, run = made.json()["id"], start(prefect_api, "rescan-targets", state="PENDING")
    assert replace(live, run)[1] >= 1
    assert follow(prefect_api, run)
    assert read(prefect_api, refused)["state"]["message"].endswith("no longer takes it: start it again.")
