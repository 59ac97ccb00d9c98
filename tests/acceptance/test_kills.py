"""Kill -9 at random moments, again and again: nothing that was found is lost, nothing is left behind."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlmodel import select

from multiblast.database import BatchRun, Database, Lease, Result
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.results import read_index
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES
from tests.support.processes import blast_processes

KILLS = int(os.environ.get("MULTIBLAST_TEST_KILLS", "3"))
OVERLAPS = int(os.environ.get("MULTIBLAST_TEST_OVERLAPS", "1"))
_SUBMIT = """
import sys
from pathlib import Path
from multiblast.accounts import Requester
from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
home, targets, query = map(Path, sys.argv[1:])
services = Services(Database(f"sqlite:///{home / 'jobs.sqlite'}"), LocalStore(home / "store"), Installation(cores=1),
                    Targets(targets), QueryLimits())
submission = read_submission(query_file=query, targets=["demo/examples/proteins"])
job = services.queries.submit(Requester(administrator=True), submission).job_id
services.queries.run(job).execute()
print(job, flush=True)
"""


@pytest.fixture(scope="module")
def targets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("targets")
    directory = root / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "proteins.fasta.gz", directory, "proteins", molecule="protein")
    return root


def services_in(home: Path, targets_root: Path) -> Services:
    database = Database(f"sqlite:///{home / 'jobs.sqlite'}")
    return Services(database, LocalStore(home / "store"), Installation(cores=1), Targets(targets_root), QueryLimits())


def write_query(path: Path, first: int, count: int) -> Path:
    with gzip.open(EXAMPLES / "proteins.fasta.gz") as stream:
        sequences = list(read_fasta(stream.read()))[first : first + count]
    path.write_bytes(b"".join(sequence.canonical for sequence in sequences))
    return path


def start(home: Path, targets_root: Path, query: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SUBMIT, home, targets_root, query]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return printed.strip()


def table(services: Services, job_id: str) -> bytes:
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job_id, Formatting.read("6"))).execute()
    with services.reports.file(ADMINISTRATOR, made.report_id, "report.tsv") as stream:
        return stream.read()


@pytest.mark.long
def test_job_killed_again_and_again_ends_as_if_undisturbed(targets_root: Path, tmp_path: Path) -> None:
    moments = random.Random(2)
    query, home = write_query(tmp_path / "query.fasta", 0, 200), tmp_path / "home"
    killed = 0
    for _ in range(KILLS):
        process = start(home, targets_root, query)
        try:
            process.wait(timeout=moments.uniform(0.5, 8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        time.sleep(0.2)
        assert blast_processes(targets_root) == []
    job = finish(start(home, targets_root, query))
    undisturbed = finish(start(tmp_path / "other", targets_root, query))
    services = services_in(home, targets_root)
    assert killed
    assert job == undisturbed
    assert table(services, job) == table(services_in(tmp_path / "other", targets_root), job)
    with services.database.read() as session:
        assert list(session.exec(select(Lease))) == []
        results = list(session.exec(select(Result)))
    assert len(results) == 200
    for pack in services.store.list("packs/"):
        assert read_index(services.store, pack.key)  # whole


@pytest.mark.parametrize("number", range(OVERLAPS))
def test_two_processes_with_overlapping_halves_search_each_sequence_once(
    targets_root: Path, tmp_path: Path, number: int
) -> None:
    """What BLAST+ was given in both processes together is each sequence once."""
    queries = [write_query(tmp_path / f"{part}.fasta", 40 * number + 10 * part, 20) for part in (0, 1)]
    processes = [start(tmp_path / "home", targets_root, query) for query in queries]
    jobs = [finish(process) for process in processes]
    services = services_in(tmp_path / "home", targets_root)

    with services.database.read() as session:
        assert sum(session.exec(select(BatchRun.sequences))) == 30
    assert {services.queries.searched_job(job).status for job in jobs} == {"complete"}
