"""Batches run on a cluster of Dask's where one setting says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlmodel import select

from multiblast.database import BatchRun, Database
from multiblast.targets.makeblastdb import build_database
from tests.support.places import EXAMPLES, ROOT
from tests.support.processes import unset_environment, wait_for

pytestmark = pytest.mark.long

_SCRIPT = """
import asyncio, sys
from deployments.server import start_prefect

server = start_prefect()
server.wait(print)
from flows.submit_query import submit_query

job = asyncio.run(submit_query(query_file=sys.argv[1], targets=["demo/examples/proteins"]))
print(job.status, len(job.rows))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation of its own, with a demo database."""
    home = tmp_path / "home"
    source = EXAMPLES / "proteins.fasta.gz"
    build_database(source, home / "targets" / "demo" / "examples" / "blast", "proteins", molecule="protein")
    return unset_environment() | {"HOME": str(tmp_path), "MULTIBLAST_HOME": str(home), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def scheduler(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A scheduler and one worker, which keeps its temporary files in ``tmp_path / "worker"``: the address."""
    place, told = tmp_path / "worker", tmp_path / "scheduler.json"
    place.mkdir()
    dask, shared = Path(sys.executable).with_name("dask"), ["--scheduler-file", told, "--no-dashboard"]
    commands = (
        [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *shared],
        [dask, "worker", "--host", "127.0.0.1", "--no-nanny", "--nthreads", "2", *shared],
    )
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        for command in commands:
            process = subprocess.Popen(
                command, cwd=place, env=environment | {"TMPDIR": str(place)}, stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            wait_for(told.exists)
        yield str(json.loads(told.read_text())["address"])


def test_batches_run_on_a_cluster(environment: dict[str, str], scheduler: str, tmp_path: Path) -> None:
    query = EXAMPLES / "protein_query.fasta"
    runner = f"prefect_dask.DaskTaskRunner?address={scheduler}"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, query],
        cwd=tmp_path,
        env=environment | {"MULTIBLAST_TASK_RUNNER": runner},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    assert done.stdout.split()[-2:] == ["complete", "12"]
    database = Database(f"sqlite:///{tmp_path / 'home' / 'jobs.sqlite'}")
    with database.read() as session:
        commands = [run.command for run in session.exec(select(BatchRun))]
    database.close()
    assert commands
    assert all(any(word.startswith(str(tmp_path / "worker")) for word in command) for command in commands)
