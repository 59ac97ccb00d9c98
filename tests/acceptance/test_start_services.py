"""`make up PROFILE=full`: all that a service consists of, on one machine and on two."""

from __future__ import annotations

import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psutil
import pytest
import yaml
from playwright.sync_api import Browser
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import BatchRun, Database, Lease
from multiblast.files import own_scratch
from multiblast.ids import digest
from multiblast.installation import Installation as Programs
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import QueryLimits, own_queue
from multiblast.targets import Targets
from multiblast.transfer import publish
from tests.support.installation import Installation
from tests.support.machines import SecondHost
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES, ROOT
from tests.support.prefect_walk import Person
from tests.support.processes import blast_processes, wait_for
from tests.support.sequences import distinct_proteins

pytestmark = [pytest.mark.postgresql, pytest.mark.long]

_PREFECT_FILE = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())
_FLOWS = [item["name"] for item in _PREFECT_FILE["deployments"]]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, network: tuple[str, str]) -> Iterator[Installation]:
    """Started services of the full profile, stopped in the end whatever happens."""
    installation = Installation(tmp_path_factory.mktemp("home"), network[0], "full")
    try:
        code, output = installation.run("up")
        assert code == 0, output
        yield installation
    finally:
        installation.run("down")


def test_prefect_asks_for_a_password_that_stands_in_no_log(installation: Installation) -> None:
    """Its pages ask for it themselves; the API, which runs everything, answers nobody without it."""
    file = installation.home / "data" / "prefect" / "login"
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(HTTPError, match="401"):
        urllib.request.urlopen(f"{installation.url}/api/admin/version", timeout=30)  # noqa: S310 - of our own server
    with urllib.request.urlopen(f"{installation.url}/ui-settings", timeout=30) as response:  # noqa: S310 - as above
        assert json.load(response)["auth"] == "BASIC"
    logs = [path.read_bytes() for path in file.parent.rglob("*.log")]
    assert logs
    secret = installation.password.partition(":")[2]
    assert len(secret) >= 30
    assert not [log for log in logs if secret.encode() in log]


def test_up_deploys_every_flow(installation: Installation) -> None:
    """Beside them are those of plugins that this machine has the programs for."""
    found = {item["name"]: item["entrypoint"] for item in installation.ask("/deployments/filter")}
    plugins = {name for name, entrypoint in found.items() if entrypoint == found["run-plugin"]}
    assert found.keys() - (plugins - {"run-plugin"}) == set(_FLOWS)


def test_up_makes_the_queues_of_the_file(installation: Installation) -> None:
    queues = {queue["name"]: queue for queue in installation.ask("/work_pools/search/queues/filter")}
    wanted = _PREFECT_FILE["definitions"]["queues"]
    found = {name: {key: queues[name][key] for key in settings} for name, settings in wanted.items()}
    assert found == wanted


def test_up_schedules_what_the_file_does(installation: Installation) -> None:
    """Every deployment waits in a queue that the file has, and runs by itself only if the file says so."""
    deployed = installation.ask("/deployments/filter")
    assert {item["work_queue_name"] for item in deployed} <= _PREFECT_FILE["definitions"]["queues"].keys()
    found = {s["slug"]: s["active"] for item in deployed for s in item["schedules"]}
    schedules = (item for listed in _PREFECT_FILE["definitions"]["schedules"].values() for item in listed)
    assert found == {item["slug"]: item.get("active", True) for item in schedules}


def test_up_gives_every_block_a_default_document(installation: Installation) -> None:
    ours = {"blast-installation", "blast-job-database", "blast-query-limits", "blast-result-storage"}
    documents = installation.ask("/block_documents/filter")
    assert {item["block_type"]["slug"] for item in documents if item["name"] == "default"} >= ours


def test_up_has_two_workers_ready_that_share_no_home_and_no_core(installation: Installation) -> None:
    workers = installation.ask("/work_pools/search/workers/filter")
    assert [worker["status"] for worker in workers] == ["ONLINE", "ONLINE"]
    started = [pid for name, pid in installation.processes.items() if name.startswith("worker")]
    variables = [psutil.Process(pid).environ() for pid in started]
    for name in ("MULTIBLAST_HOME", "PREFECT_HOME", "TMPDIR"):
        assert len({own[name] for own in variables}) == 2
    if len(os.sched_getaffinity(0)) > 1:
        assert not os.sched_getaffinity(started[0]) & os.sched_getaffinity(started[1])


def test_doctor_looks_at_the_servers_that_were_started(installation: Installation) -> None:
    """It has their password, and starts no server of its own beside them, which would know other blocks."""
    command = [Path(sys.executable).with_name("multiblast"), "doctor", "--json"]
    done = subprocess.run(command, env=installation.environment, capture_output=True, text=True, check=False)
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert found["job database"]["detail"].startswith("Database('postgresql")
    assert "S3Store" in found["result storage"]["detail"]
    assert not (installation.home / "data" / "prefect" / "prefect.db").exists()
    assert done.returncode == (found["free disk"]["verdict"] == "fail")


def test_ui_asks_the_server_it_came_from(installation: Installation) -> None:
    """Prefect's pages ask port 4200 of the browser's machine unless configured otherwise, and then cannot connect."""
    with urllib.request.urlopen(f"{installation.url}/ui-settings", timeout=30) as response:  # noqa: S310 - as above
        settings = json.load(response)
    assert settings["api_url"] == "/api"


@pytest.mark.browser
def test_second_person_walks_from_login_to_results(installation: Installation, browser: Browser) -> None:
    """At this machine's own address, by clicks, where Prefect's pages ask for a password."""
    with browser.new_context() as context:
        person = Person(context.new_page(), installation.url, installation.password)
        person.open_form("submit-blastp")
        person.submit()
        person.see("'targets' is a required property")
        person.open_form("submit-blastp")
        person.choose("demo/examples/proteins")
        person.type_query(f">mine\n{''.join(random.choices('ACDEFGHIKLMNPQRSTVWY', k=60))}\n")
        person.submit()
        person.open_run()
        person.see_state("Completed")
        person.open_artifact("job-")
        assert person.hosts == {f"{installation.host}:{installation.port}"}
        for link in ("Query", "result", "hits", "details"):
            address = person.page.get_by_role("link", name=link, exact=True).get_attribute("href")
            assert str(address).startswith(f"http://{installation.host}:{installation.port + 1}/")


def test_up_again_says_that_it_runs(installation: Installation) -> None:
    before = installation.pids
    code, output = installation.run("up")
    assert (code, installation.pids) == (0, before)
    assert f"Already running: open http://{installation.host}:{installation.port + 1} to search" in output
    assert f"{installation.url}/v2/deployments" in output


def test_command_uses_the_running_server(installation: Installation) -> None:
    code = "from deployments.server import start_prefect; print(start_prefect())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"api_url='{installation.url}/api', process=None" in done.stdout


def test_commands_of_the_registry_know_the_password_and_say_nothing_of_prefects(installation: Installation) -> None:
    for command in ("status", "list", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "multiblast", "registry", command],
            cwd=ROOT,
            env=installation.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_up_on_a_taken_port_says_what_to_type(installation: Installation, tmp_path: Path) -> None:
    other = Installation(tmp_path, installation.host)
    other.port = installation.port
    code, output = other.run("up")
    assert code == 1
    assert f"Port {other.port} is taken by another Prefect server" in output
    assert f"make up PORT={other.port + 1}" in output


@dataclass(frozen=True)
class LargeJob:
    """What a submission came to that the policy calls large.

    Attributes:
        run, report: The flow runs.
        waited: The states that the run had before it was completed, oldest first.
        helpers: The flow runs that were asked to help.
    """

    run: dict[str, Any]
    waited: list[dict[str, Any]]
    helpers: list[dict[str, Any]]
    report: str


@pytest.fixture(scope="module")
def large_job(installation: Installation) -> LargeJob:
    """The demo's sequences, submitted from a form where the policy calls everything large, and reported."""
    installation.call_large(1)
    query = (EXAMPLES / "protein_query.fasta").read_text()
    parameters: dict[str, Any] = {"query": query, "targets": ["demo/examples/proteins"]}
    run = installation.wait(installation.start("submit-blastp", user="ann", **parameters))
    installation.call_large(600)
    waited = installation.ask(f"/flow_run_states/?flow_run_id={run['id']}", method="GET")
    helpers = installation.runs(parent_flow_run_id={"any_": [run["id"]]})
    report = installation.start("make-report", job=job_of(run), format="6 tabular")
    installation.wait(report)
    return LargeJob(run, sorted(waited, key=lambda state: state["timestamp"]), helpers, report)


def job_of(run: dict[str, Any]) -> str:
    """Return the id of a run's job, which is among its tags."""
    (job,) = (tag for tag in run["tags"] if re.fullmatch("[0-9a-f]{32}", tag))
    return str(job)


def test_run_of_a_large_job_waits_in_the_queue_for_these_and_goes_on(large_job: LargeJob) -> None:
    assert (large_job.run["state_type"], large_job.run["work_queue_name"]) == ("COMPLETED", "large")
    names = [state["name"] for state in large_job.waited if state["name"] in {"Running", "Queued", "Completed"}]
    assert names == ["Running", "Queued", "Running", "Completed"]
    (queued,) = (state for state in large_job.waited if state["name"] == "Queued")
    assert queued["type"] == "SCHEDULED"
    assert f"Job {job_of(large_job.run)} waits behind other jobs; this run searches it" in queued["message"]


def test_runs_of_a_job_bear_its_id_and_its_user_as_tags(large_job: LargeJob) -> None:
    job = job_of(large_job.run)
    assert "ann" in large_job.run["tags"]
    assert all(job in run["tags"] for run in large_job.helpers)


def test_large_job_asks_the_other_worker_to_help(installation: Installation, large_job: LargeJob) -> None:
    """It goes to the queue that only the other worker looks into, and holds nothing up if it comes late."""
    (helper,) = large_job.helpers
    workers = {worker["name"] for worker in installation.ask("/work_pools/search/workers/filter")}
    assert helper["work_queue_name"].removeprefix("on-") in workers
    assert installation.wait(helper["id"])["state_type"] in {"COMPLETED", "CANCELLED"}


def test_report_read_by_its_link_is_that_of_blast(installation: Installation, large_job: LargeJob) -> None:
    found = table_by_link(installation, large_job.report, f"{installation.port + 1}/report/jobs/")
    assert found == plain_table(installation, EXAMPLES / "protein_query.fasta")


def test_tasks_keep_their_results_in_the_same_storage(installation: Installation, large_job: LargeJob) -> None:
    assert large_job.run["state_type"] == "COMPLETED"
    cached = {found.key.partition("-")[2].partition("-")[0] for found in installation.store().list("multiblast-")}
    assert {"batch", "report"} <= cached


def table_by_link(installation: Installation, report: str, place: str) -> bytes:
    """Download a report by the first link on its run's page, which leads to a port and a path there."""
    link = re.findall(r"\((http[^)]*/report\.tsv\?[^)]*)\)", installation.artifact(report, "report"))[0]
    assert link.startswith(f"http://{installation.host}:{place}")
    with urllib.request.urlopen(link, timeout=30) as response:  # noqa: S310 - of our own server
        content: bytes = response.read()
    return content


def plain_table(installation: Installation, query: Path) -> bytes:
    database = installation.home / "data" / "targets" / "demo" / "examples" / "blast" / "proteins"
    command = ["blastp", "-query", query, "-db", database, "-outfmt", "6", "-num_threads", "2"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def first(installation: Installation, tmp_path: Path) -> Iterator[Services]:
    """What the first host's workers work with."""
    database, targets = Database(installation.database_url), installation.home / "data" / "targets"
    cache = tmp_path / "fingerprints"
    yield Services(database, installation.store(), Programs(), Targets(targets, cache=cache), QueryLimits())
    database.close()


@pytest.fixture(scope="module")
def proteins() -> list[Sequence]:
    """The distinct proteins of the demo database, shortest first."""
    return distinct_proteins()


def write(path: Path, sequences: list[Sequence]) -> Path:
    path.write_bytes(b"".join(sequence.canonical for sequence in sequences))
    return path


def queue_of(host: str, home: Path) -> str:
    """Return the queue of the worker of a home."""
    return own_queue(f"{host}-{digest('worker/1', str(home))[:6]}")


@pytest.mark.namespaces
def test_second_host_that_shares_no_directory_runs_a_submission_of_200_sequences(
    installation: Installation, network: tuple[str, str], first: Services, proteins: list[Sequence], tmp_path: Path
) -> None:
    """Database, query, results and report travel through S3, and what is known of them through PostgreSQL."""
    query = write(tmp_path / "query.fasta", proteins[:200])
    second = SecondHost(installation, network[1], tmp_path / "second")
    publish(first.store, first.targets.resolve("demo", "examples", "proteins"))
    with second.popen(sys.executable, "-m", "deployments", "worker") as worker:
        try:
            assert second.run("ls", installation.home) == ""
            second.run(Path(sys.executable).with_name("multiblast"), "sync-targets")
            queue = queue_of("second", second.home / "data")
            parameters = {"query": query.read_text(), "targets": ["demo/examples/proteins"]}
            run = installation.start("submit-blastp", queue, **parameters)
            assert installation.wait(run)["state_type"] == "COMPLETED"
            (job,) = re.findall("^## Job `(.+)` is complete$", installation.artifact(run, "job"), re.MULTILINE)
            with first.database.read() as session:
                runs = session.exec(select(BatchRun).where(BatchRun.job_id == job)).all()
            assert {batch.host for batch in runs} == {"second"}
            assert sum(batch.sequences for batch in runs) > 190  # all but those that an earlier test searched
            report = installation.start("make-report", queue, job=job, format="6 tabular")
            assert installation.wait(report)["state_type"] == "COMPLETED"
            # Nobody has named the HTTP service to that worker: the link leads to the bucket, for a day.
            found = table_by_link(installation, report, f"{installation.port + 11}/multiblast/reports/")
            assert found == plain_table(installation, query)
        finally:
            worker.kill()  # it has nothing to do


def test_what_a_killed_shard_searched_is_taken_over(
    installation: Installation,
    first: Services,
    proteins: list[Sequence],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its worker and its run are killed -9 while BLAST+ runs; the run that asked it for help finds what they held."""
    query = write(tmp_path / "query.fasta", proteins[-40:])
    job = first.queries.submit(
        Requester(), read_submission(query_file=query, targets=["demo/examples/proteins"])
    ).job_id
    run = first.queries.run(job)
    run.start(run.plan())
    home = installation.home / "data" / "worker-2"
    installation.start("search-shard", queue_of(platform.node(), home), job=job)
    wait_for(lambda: blast_processes(home))
    (holder,) = {lease.holder for lease in leases(first)}
    searching = int(holder.split("-")[1])
    opened = {file.resolve() for file in Path(f"/proc/{searching}/fd").iterdir()}
    (scratch,) = {path for path in opened if path.name.startswith("multiblast-scratch-")}
    for pid in (installation.processes["worker-2"], searching):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not blast_processes(home))
    assert {lease.holder for lease in leases(first)} == {holder}
    assert first.queries.run(job).finish().status == "complete"
    assert leases(first) == []
    assert list(scratch.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.parent))
    with own_scratch():
        assert not scratch.exists()
    with first.database.read() as session:
        searched = session.exec(select(BatchRun.sequences).where(BatchRun.job_id == job)).all()
    assert sum(searched) == 40
    made = first.reports.run(first.reports.submit(ADMINISTRATOR, job, Formatting.read("6"))).execute()
    with first.reports.file(ADMINISTRATOR, made.report_id, "report.tsv") as stream:
        assert stream.read() == plain_table(installation, query)


def leases(services: Services) -> list[Lease]:
    with services.database.read() as session:
        return list(session.exec(select(Lease)))
