"""Plugins on a real server with a real worker: a person is asked on the run's page, or on ours, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.places import ROOT
from tests.support.plugins import write_plugin
from tests.support.processes import wait_for

pytestmark = pytest.mark.long


ASKING = """
name = "asking"
version = "1.0.0"
title = "Ask twice"
outputs.words = { data = "lines", content = "text/plain" }
parameters.greeting = { pattern = "[a-z]+", default = "hello" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
ASKS = r"""
import json, os, pathlib
request = json.load(open("request.json"))
answers = request["answers"]
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
for step in ("first", "second"):
    if step not in answers:
        form = {"word": {"type": "text", "label": "A word"}, "times": {"type": "integer", "default": 2, "least": 1}}
        print(json.dumps({"ask": {"step": step, "title": f"The {step} word?", "parameters": form}}), file=events)
        raise SystemExit
words = " ".join(answers[step]["word"] * answers[step]["times"] for step in ("first", "second"))
pathlib.Path("outputs/words.txt").write_text(f"{request['parameters']['greeting']} {words}\n")
"""

SLOW = """
name = "slow"
version = "1.0.0"
title = "Take a while"
outputs.done = { data = "lines", content = "text/plain" }
parameters.greeting = { pattern = "[a-z]+" }
parameters.seconds = { type = "integer", default = 600 }
run = { command = ["python3", "-c", "import sys, time; time.sleep(int(sys.argv[2])); print(sys.argv[1])", \
                   "{parameters.greeting}", "{parameters.seconds}"], stdout = "done" }
"""

TICKING = """
name = "ticking"
version = "1.0.0"
title = "Write down the time"
outputs.time = { data = "lines", content = "text/plain" }
run = { command = ["date", "+%s"], stdout = "time", cache = false }
schedules = [{ every = "PT1M", active = true }]
"""


@pytest.fixture(scope="module")
def asking(live: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a plugin that asks two things; workers find it in a folder that was added."""
    folder = tmp_path_factory.mktemp("plugins")
    write_plugin(folder, ASKING, work=ASKS)
    write_plugin(folder, SLOW)
    command = [Path(sys.executable).with_name("multiblast"), "plugins", "add", str(folder)]
    subprocess.run(command, env=live, check=True, capture_output=True)
    return "asking"


@pytest.fixture
def url(live: dict[str, str]) -> str:
    """Where plugin jobs are over HTTP."""
    base, _, port = live["UI_URL"].rpartition(":")
    return f"{base}:{int(port) + 1}/plugin/jobs"


@pytest.fixture
def start(prefect_api: httpx.Client, asking: str) -> Callable[..., str]:
    """``start(greeting, plugin=…)``: start a run of a plugin as from the form; return its id."""

    def begin(greeting: str, plugin: str = asking, **more: int) -> str:
        found = prefect_api.get("/deployments/name/run-plugin/run-plugin").raise_for_status().json()
        parameters = {"plugin": plugin, "parameters": {"greeting": greeting, **more}}
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = prefect_api.post(f"/deployments/{found['id']}/create_flow_run", json=body)
        return str(made.raise_for_status().json()["id"])

    return begin


def state(api: httpx.Client, run: str) -> str:
    return str(api.get(f"/flow_runs/{run}").json()["state_name"])


def asked_in(api: httpx.Client, run: str) -> int:
    """Return the round in which a suspended run has asked; 0 if it is not suspended."""
    details = (api.get(f"/flow_runs/{run}").json()["state"] or {}).get("state_details", {})
    keys = details.get("run_input_keyset") or {}
    return int(keys["schema"].split("-")[2]) if keys else 0


def resume(api: httpx.Client, run: str, **answers: Any) -> None:
    """Press Resume on the run's page, and send its form."""
    body = {"run_input": answers}
    answer = api.post(f"/flow_runs/{run}/resume", json=body).raise_for_status().json()
    assert answer["status"] == "ACCEPT", answer


def job(live: dict[str, str], greeting: str) -> dict[str, Any]:
    """Return the row of the job with a greeting."""
    path = f"file:{live['MULTIBLAST_HOME']}/jobs.sqlite?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM plugin_job"):
            if json.loads(row["recipe"])["parameters"].get("greeting") == greeting:
                return dict(row)
    return {"status": "", "id": "", "rounds": "[]"}


def test_a_run_is_suspended_while_it_asks_and_goes_on_with_the_answers(
    live: dict[str, str], prefect_api: httpx.Client, start: Callable[..., str], url: str
) -> None:
    """While a person thinks no process runs; each round is done once."""
    run = start("hi")
    wait_for(lambda: state(prefect_api, run) == "Suspended")
    assert job(live, "hi")["status"] == "paused"
    resume(prefect_api, run, word="ab")
    wait_for(lambda: asked_in(prefect_api, run) == 2)
    resume(prefect_api, run, word="c", times=3)
    wait_for(lambda: state(prefect_api, run) == "Completed")
    assert httpx.get(f"{url}/{job(live, 'hi')['id']}/files/words.txt").text == "hi abab ccc\n"


def test_a_killed_run_goes_on_elsewhere_with_the_answers_it_had(
    live: dict[str, str], prefect_api: httpx.Client, start: Callable[..., str], url: str
) -> None:
    """Its process is killed as soon as it has asked: what was asked is kept, and answered elsewhere."""
    run = start("hey")
    wait_for(lambda: job(live, "hey")["status"] == "paused")
    with suppress(ProcessLookupError, ValueError):
        pid = prefect_api.get(f"/flow_runs/{run}").json()["infrastructure_pid"] or ""
        os.kill(int(pid.rpartition(":")[2]), signal.SIGKILL)
    made = f"{url}/{job(live, 'hey')['id']}"
    httpx.post(f"{made}/steps/first", json={"word": "ab"}, timeout=60).raise_for_status()
    wait_for(lambda: len(json.loads(job(live, "hey")["rounds"])) == 2)
    httpx.post(f"{made}/steps/second", json={"word": "c", "times": 3}, timeout=60).raise_for_status()
    wait_for(lambda: job(live, "hey")["status"] == "complete")
    assert httpx.get(f"{made}/files/words.txt").text == "hey abab ccc\n"


def test_a_question_is_answered_over_http_and_the_run_that_asked_ends_well(
    live: dict[str, str], prefect_api: httpx.Client, start: Callable[..., str], url: str
) -> None:
    run = start("ahoy")
    wait_for(lambda: state(prefect_api, run) == "Suspended")
    made = f"{url}/{job(live, 'ahoy')['id']}"
    with httpx.Client(timeout=60) as client:
        asked = client.get(made).raise_for_status().json()
        assert (asked["status"], asked["steps"][0]["stepId"]) == ("paused", "first")
        wrong = client.post(f"{made}/steps/first", json={"word": "x", "times": 0})
        assert "give a number from 1" in wrong.text
        client.post(f"{made}/steps/first", json={"word": "ab"}).raise_for_status()
        wait_for(lambda: len(json.loads(job(live, "ahoy")["rounds"])) == 2)
        client.post(f"{made}/steps/second", json={"word": "c", "times": 3}).raise_for_status()
        wait_for(lambda: job(live, "ahoy")["status"] == "complete")
        assert client.get(f"{made}/files/words.txt").text == "ahoy abab ccc\n"
    wait_for(lambda: state(prefect_api, run) == "Completed")


def sleepers(greeting: str) -> list[int]:
    """Return the processes of a plugin's run."""
    return [one.pid for one in psutil.process_iter(["cmdline"]) if greeting in (one.info["cmdline"] or [])]


def test_a_cancelled_run_leaves_nothing_running(
    live: dict[str, str], prefect_api: httpx.Client, start: Callable[..., str]
) -> None:
    run = start("goodbye", "slow")
    wait_for(lambda: sleepers("goodbye"))
    cancelling = {"state": {"type": "CANCELLING"}}  # as from its page
    prefect_api.post(f"/flow_runs/{run}/set_state", json=cancelling).raise_for_status()
    wait_for(lambda: job(live, "goodbye")["status"] == "cancelled")
    wait_for(lambda: not sleepers("goodbye"))
    wait_for(lambda: state(prefect_api, run) == "Cancelled")


def test_a_run_killed_in_a_round_is_done_again(
    live: dict[str, str], prefect_api: httpx.Client, start: Callable[..., str], url: str
) -> None:
    run = start("again", "slow", seconds=6)
    wait_for(lambda: sleepers("again"))
    pid = prefect_api.get(f"/flow_runs/{run}").json()["infrastructure_pid"]
    os.kill(int(pid.rpartition(":")[2]), signal.SIGKILL)
    wait_for(lambda: not sleepers("again"))  # it does not outlive its run
    wait_for(lambda: state(prefect_api, run) == "Crashed")
    found = prefect_api.get("/deployments/name/reconcile-jobs/reconcile-jobs").raise_for_status().json()
    prefect_api.post(f"/deployments/{found['id']}/create_flow_run", json={"state": {"type": "SCHEDULED"}})
    wait_for(lambda: job(live, "again")["status"] == "complete")
    assert httpx.get(f"{url}/{job(live, 'again')['id']}/files/done.txt").text == "again\n"


def test_a_schedule_starts_one_run_each_time_however_many_workers_there_are(
    live: dict[str, str], prefect_api: httpx.Client, asking: str, tmp_path: Path
) -> None:
    """Three workers; the deployment of the plugin is there as soon as its folder was added."""
    assert asking
    write_plugin(tmp_path / "timers", TICKING)
    program = Path(sys.executable).with_name("multiblast")
    subprocess.run([program, "plugins", "add", str(tmp_path / "timers")], env=live, check=True, capture_output=True)
    more = [
        subprocess.Popen(
            [sys.executable, "-m", "deployments", "worker"],
            env={**live, "PREFECT_API_URL": f"{live['UI_URL']}/api", "MULTIBLAST_WORKER": f"more-{number}"},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in (1, 2)
    ]

    def runs() -> list[dict[str, Any]]:
        body = {"deployments": {"name": {"any_": ["ticking"]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = prefect_api.post("/flow_runs/filter", json=body).raise_for_status().json()
        return [run for run in found if run["state_type"] == "COMPLETED"]

    try:
        wait_for(lambda: len(runs()) >= 3, 300)
        workers = prefect_api.post("/work_pools/search/workers/filter", json={}).raise_for_status().json()
        assert len([one for one in workers if one["status"] == "ONLINE"]) == 3
        times = [run["expected_start_time"][:16] for run in runs()]
    finally:
        subprocess.run([program, "plugins", "remove", str(tmp_path / "timers")], env=live, check=True)
        for worker in more:
            worker.terminate()
        for worker in more:
            worker.wait(60)
    assert len(set(times)) == len(times)
    path = f"file:{live['MULTIBLAST_HOME']}/jobs.sqlite?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM plugin_job WHERE plugin = 'ticking'").fetchone()
    assert count == len(times)
