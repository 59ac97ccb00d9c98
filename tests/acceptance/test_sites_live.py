"""A machine in another network searches for us: it reaches Prefect's API and the gateway, and nothing else."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import psutil
import pytest
from sqlmodel import select

from multiblast.database import BatchRun, Database
from multiblast.installation import Installation as Programs
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.support.installation import Installation
from tests.support.machines import SecondHost
from tests.support.people import ADMINISTRATOR
from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.sequences import distinct_proteins, fasta

pytestmark = [pytest.mark.long, pytest.mark.namespaces]

PAGE = (ROOT / "docs" / "how-to" / "let-another-machine-compute.md").read_text(encoding="utf-8")
HOME, AWAY = PAGE.split("## There")
SNIPPET = re.findall(r"^```python\n(.*?)^```", HOME, re.MULTILINE | re.DOTALL)[0]
COMMANDS = re.findall(r"^\$ (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, network: tuple[str, str]) -> Iterator[Installation]:
    """What `make up HOST=…` starts, with the policy of the page."""
    installation = Installation(tmp_path_factory.mktemp("home"), network[0])
    try:
        assert installation.run("up")[0] == 0
        more = {**installation.environment, "PREFECT_API_URL": f"{installation.url}/api"}
        subprocess.run([sys.executable, "-c", SNIPPET], cwd=ROOT, env=more, check=True)
        assert COMMANDS[0] == "make down && make up HOST=blast.example.org"
        installation.run("down")
        assert installation.run("up")[0] == 0
        yield installation
    finally:
        installation.run("down")


@pytest.fixture(scope="module")
def home(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    data = installation.home / "data"
    database, targets = (
        Database(f"sqlite:///{data / 'jobs.sqlite'}"),
        Targets(data / "targets", cache=tmp_path_factory.mktemp("fingerprints")),
    )
    yield Services(database, LocalStore(data / "store"), Programs(), targets, QueryLimits())
    database.close()


def multiblast(installation: Installation, command: str) -> str:
    """Run a command of the page at home."""
    program, *words = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words],
        cwd=ROOT,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def away(
    installation: Installation, network: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecondHost]:
    """The machine elsewhere, whose worker was started by the commands of the page."""
    key = multiblast(installation, COMMANDS[1])
    multiblast(installation, COMMANDS[2])
    host = SecondHost(installation, network[1], tmp_path_factory.mktemp("away"))
    here = {
        "http://blast.example.org:4200": installation.url,
        "http://blast.example.org:4201": f"http://{installation.host}:{installation.port + 1}",
        "mbs_…": key,
    }
    for command in COMMANDS:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            place = next(place for place in here if value.startswith(place))
            host.environment[name] = value.replace(place, here[place])
    (start,) = [command for command in COMMANDS if "--site" in command]
    program, *words = shlex.split(start)
    worker = host.popen(Path(sys.executable).with_name(program), *words)
    wait_for(lambda: _has_workers(installation))
    yield host
    worker.kill()
    worker.wait()
    if worker.stdout:
        worker.stdout.close()


def _has_workers(installation: Installation) -> bool:
    try:
        workers = installation.ask("/work_pools/giessen/workers/filter")
    except HTTPError:  # it has not made its pool yet
        return False
    return any(worker["status"] == "ONLINE" for worker in workers)


def begun(home: Services, sequences: list[Sequence], **options: object) -> str:
    """Return a job in progress whose batches nobody searches yet."""
    submission = read_submission(query=fasta(sequences), targets=["demo/examples/proteins"], options=options)
    job_id = home.queries.submit(ADMINISTRATOR, submission).job_id
    run = home.queries.run(job_id)
    run.start(run.plan())
    return job_id


def plain_table(home: Services, tmp_path: Path, sequences: list[Sequence], *options: str) -> bytes:
    return plain(home, tmp_path, sequences, "6", *options)


def plain(home: Services, tmp_path: Path, sequences: list[Sequence], number: str, *options: str) -> bytes:
    query = tmp_path / "query.fasta"
    query.write_text(fasta(sequences))
    database = home.targets.resolve("demo", "examples", "proteins").path
    command = ["blastp", "-query", query, "-db", database, "-outfmt", number, *options]
    return subprocess.run(command, check=True, capture_output=True).stdout


def table(home: Services, job_id: str) -> bytes:
    made = home.reports.run(home.reports.submit(ADMINISTRATOR, job_id, Formatting.read("6"))).execute()
    with home.reports.file(ADMINISTRATOR, made.report_id, "report.tsv") as stream:
        return stream.read()


def searched(home: Services, job_id: str) -> dict[str, int]:
    """Return how many sequences each machine searched."""
    hosts: dict[str, int] = {}
    with home.database.read() as session:
        for run in session.exec(select(BatchRun).where(BatchRun.job_id == job_id, BatchRun.exit_code == 0)):
            hosts[run.host] = hosts.get(run.host, 0) + run.sequences
    return hosts


def test_machine_elsewhere_searches_a_job_of_500_sequences(
    installation: Installation, away: SecondHost, home: Services, tmp_path: Path
) -> None:
    """It has no database at first, and finds nothing of ours on its disk."""
    assert away.run("ls", installation.home) == ""
    sequences = distinct_proteins()[:500]
    job_id = begun(home, sequences)
    run = installation.start("search-shard", job=job_id, site="giessen")
    assert installation.wait(run, 300)["state_type"] == "COMPLETED"
    assert searched(home, job_id) == {"second": 500}
    assert home.queries.run(job_id).finish().status == "complete"
    assert table(home, job_id) == plain_table(home, tmp_path, sequences)
    report = installation.start("make-report", job=job_id, format="5 BLAST XML", site="giessen")
    assert installation.wait(report, 120)["state_type"] == "COMPLETED"
    made = home.reports.submit(ADMINISTRATOR, job_id, Formatting.read("5"))
    formatted = [found for found in installation.runs(tags={"all_": [made]}) if found["name"].startswith("order of")]
    assert {found["state_type"] for found in formatted} == {"COMPLETED"}
    with home.reports.file(ADMINISTRATOR, made, "report.xml") as stream:
        assert stream.read() == plain(home, tmp_path, sequences, "5")
    orders = installation.runs(tags={"all_": [job_id]})
    parameters = str([found["parameters"] for found in orders])
    assert "'ticket': '" in parameters
    assert away.environment["MULTIBLAST_SITE_KEY"] not in parameters


@pytest.mark.usefixtures("away")
def test_large_job_is_shared_with_the_site_by_itself(
    installation: Installation, home: Services, tmp_path: Path
) -> None:
    installation.call_large(1)
    sequences = distinct_proteins()[500:1000]
    query = tmp_path / "all.fasta"
    query.write_text(fasta(sequences))
    options = {"word_size": 2, "threshold": 9}
    run = installation.start(
        "submit-query", query=query.read_text(), targets=["demo/examples/proteins"], options=options
    )
    assert installation.wait(run, 600)["state_type"] == "COMPLETED"
    (job_id,) = re.findall("^## Job `(.+)` is complete$", installation.artifact(run, "job"), re.MULTILINE)
    assert sum(searched(home, job_id).values()) == 500  # each once, whoever did it
    assert searched(home, job_id).get("second", 0) > 0
    assert table(home, job_id) == plain_table(home, tmp_path, sequences, "-word_size", "2", "-threshold", "9")


def test_runs_elsewhere_that_are_killed_twenty_times_lose_nothing(
    installation: Installation, away: SecondHost, home: Services, tmp_path: Path
) -> None:
    killed = 0
    for attempt in range(60):
        if killed >= 20:
            break
        sequences = distinct_proteins()[1000 + 40 * attempt : 1040 + 40 * attempt]
        job_id = begun(home, sequences, word_size=2, threshold=8)
        run = installation.start("search-shard", job=job_id, site="giessen")
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not _has_ended(installation, run):
            for process in _runs_there(away):
                killed += _kill(process)
            time.sleep(0.5)
        assert home.queries.run(job_id).finish().status == "complete"
        assert sum(searched(home, job_id).values()) == len(sequences)
        assert table(home, job_id) == plain_table(home, tmp_path, sequences, "-word_size", "2", "-threshold", "8")
    assert killed >= 20


def _has_ended(installation: Installation, run: str) -> bool:
    found = installation.ask(f"/flow_runs/{run}", method="GET")
    return found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def _runs_there(away: SecondHost) -> list[psutil.Process]:
    """Return the BLAST+ processes there, each with the run that started it."""
    found = []
    for process in psutil.process_iter(["name", "environ"]):
        environment = process.info["environ"] or {}
        if process.info["name"].startswith("blastp") and environment.get("HOME") == str(away.home):
            found.append(process)
    return found


def _kill(process: psutil.Process) -> int:
    try:
        above = process.parent()
        process.kill()
        if above is not None:
            os.kill(above.pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return 0
    return 1


def test_removed_site_is_told_so(installation: Installation, away: SecondHost, home: Services) -> None:
    multiblast(installation, "multiblast sites remove giessen")
    job_id = begun(home, distinct_proteins()[-3:])
    run = installation.start("search-shard", job=job_id, site="giessen")
    wait_for(lambda: _has_ended(installation, run))
    state = installation.ask(f"/flow_runs/{run}", method="GET")
    assert (state["state_name"], "no site 'giessen'" in state["state"]["message"]) == ("NotHere", True)
    assert home.queries.run(job_id).finish().status == "complete"
    assert away.home.exists()
