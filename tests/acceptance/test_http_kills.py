"""The HTTP service killed while it takes submissions: no job lost, none doubled, nothing half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from multiblast.database import Database, JobEvent, JobStatus, QueryJob, utc_now
from multiblast.stores import LocalStore
from multiblast.targets.makeblastdb import build_database
from multiblast.upkeep.reconciliation import Reconciliation
from tests.support.http_service import config
from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.servers import free_ports

pytestmark = pytest.mark.long

JOBS, KILLS = 200, 4
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def fasta(number: int) -> str:
    return f">s{number}\n{LETTERS[number % 20 :]}{LETTERS}{LETTERS[: number // 20 + 1]}{LETTERS}\n"


def submit(client: httpx.Client, number: int) -> str:
    """Submit until there is an answer, as clients do."""
    form = {
        "config": (None, json.dumps(config()), "application/json"),
        "query": ("q.fasta", fasta(number), "text/plain"),
    }
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            answer = client.post("/query/jobs", files=form)
        except httpx.TransportError:
            time.sleep(0.3)
            continue
        assert answer.status_code == 200, answer.text
        return str(answer.json()["queryJobID"])
    raise AssertionError("the service does not answer")


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/query/targets").status_code == 200
    except httpx.TransportError:
        return False


def test_http_service_killed_while_submitting_loses_and_doubles_nothing(tmp_path: Path) -> None:
    home, work, [port] = tmp_path / "home", tmp_path / "work", free_ports(1)
    place = home / "targets" / "demo" / "examples" / "blast"
    build_database(ROOT / "examples/data/proteins.fasta.gz", place, "proteins", molecule="protein")
    work.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MULTIBLAST"))}
    environment = {**kept, "MULTIBLAST_HOME": str(home), "TMPDIR": str(work)}
    command = [sys.executable, "-m", "deployments", "web", "--port", str(port)]

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "web.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    process = start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client, ThreadPoolExecutor(8) as pool:
            submitted = [pool.submit(submit, client, number) for number in range(JOBS)]
            for kill in range(1, KILLS + 1):
                wait_for(lambda: answers(client))
                wait_for(lambda: sum(one.done() for one in submitted) >= kill * JOBS // (KILLS + 2))  # noqa: B023 - awaited here
                process.kill()
                process.wait()
                process = start()
            ids = {one.result() for one in submitted}
        assert len(list(work.iterdir())) == 1  # what killed searches had begun is gone
    finally:
        process.kill()
        process.wait()
    assert len(ids) == JOBS
    database, store = Database(f"sqlite:///{home / 'jobs.sqlite'}"), LocalStore(home / "store")
    with database.read() as session:
        jobs = session.exec(select(QueryJob)).all()
        begun = session.exec(select(JobEvent.job_id).where(JobEvent.from_status == "")).all()
    assert {job.id for job in jobs} == ids
    assert sorted(begun) == sorted(ids)
    assert {store.read(job.query_key).decode() for job in jobs} == {fasta(number) for number in range(JOBS)}
    reconciled = Reconciliation(database).run(lambda _runs: {}, utc_now() + timedelta(minutes=11))
    ended = [job.id for job in jobs if job.status == JobStatus.COMPLETE]  # small ones are searched by the service
    assert sorted([*ended, *(waiting.job_id for waiting in reconciled.waiting)]) == sorted(ids)
    database.close()
