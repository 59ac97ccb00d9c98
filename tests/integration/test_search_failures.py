"""What happens to a job when BLAST+ fails, is stopped or is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import Lease
from multiblast.errors import FailureClass, JobFailedError, ProgramError
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.sequences import fasta

Make = Callable[..., Services]
SearchWhole = Callable[..., SearchedJob]


def faulty_blastp(directory: Path, when: str, then: str) -> Path:
    """Put before the real blastp one that does ``then`` if the query file ($2) holds ``when``."""
    directory.mkdir()
    real = shutil.which("blastp")
    script = directory / "blastp"
    script.write_text(f'#!/bin/sh\nif [ "$1" = -query ] && grep -q "{when}" "$2"; then {then}; fi\nexec {real} "$@"\n')
    script.chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("then", "failure"),
    [
        ("echo engine trouble >&2; exit 3", FailureClass.ENGINE),
        ("exit 4", FailureClass.OUT_OF_MEMORY),
        ("exit 0", FailureClass.BAD_QUERY_OR_OPTIONS),
        ("kill -9 $$", FailureClass.OUT_OF_MEMORY),
    ],
)
def test_sequence_that_breaks_blast_is_found_and_the_others_are_kept(  # noqa: PLR0913, PLR0917 - its fixtures
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path, then: str, failure: str
) -> None:
    """Batches are halved until the poison is alone; exit code 0 without a result is a failure too."""
    poison = proteins[3].residues[:30].decode()
    services = make_services(directory=faulty_blastp(tmp_path / "bin", poison, then), cores=1)
    job = search_whole(services, fasta(proteins[:7]))
    assert job.status == "failed"
    assert [row.status for row in job.rows] == ["complete"] * 3 + ["failed"] + ["complete"] * 3
    assert job.rows[3].note.startswith(failure)


def test_failed_job_submitted_again_runs_only_what_failed(
    make_services: Make,
    search_whole: SearchWhole,
    proteins: list[Sequence],
    tmp_path: Path,
    searches_run: Callable[[Services], list[int]],
) -> None:
    poison = proteins[3].residues[:30].decode()
    faulty = make_services(directory=faulty_blastp(tmp_path / "bin", poison, "exit 3"))
    search_whole(faulty, fasta(proteins[:5]))
    sound = make_services()
    before = searches_run(sound)
    job = search_whole(sound, fasta(proteins[:5]))
    assert job.status == "complete"
    assert searches_run(sound) == [*before, 1]


def test_time_limit_is_a_failure_with_its_name(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    slow = faulty_blastp(tmp_path / "bin", ">", "sleep 60")
    job = search_whole(make_services(directory=slow, time_limit_s=0.5), fasta(proteins[:1]))
    assert job.rows[0].note.startswith(FailureClass.TIME_LIMIT)


def test_missing_program_says_what_to_install(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    with pytest.raises(ProgramError, match="install BLAST") as caught:
        search_whole(make_services(directory=tmp_path), fasta(proteins[:1]))
    assert caught.value.failure_class is FailureClass.MISSING_PROGRAM


def test_cancel_stops_blast_at_once(make_services: Make, proteins: list[Sequence], tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    slow = faulty_blastp(tmp_path / "bin", ">", f"echo $$ > {pid_file}; exec sleep 60")
    queries = make_services(directory=slow).queries
    submission = read_submission(query=fasta(proteins[:2]), targets=["demo/examples/proteins"])
    job_id = queries.submit(Requester(administrator=True), submission).job_id
    raised: list[ProgramError] = []

    def run() -> None:
        try:
            queries.run(job_id).execute()
        except ProgramError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not pid_file.exists() or not pid_file.read_text():
        time.sleep(0.05)
    queries.cancel(Requester(administrator=True), job_id)
    thread.join(timeout=30)  # two seconds, or more on a busy machine
    assert not thread.is_alive()
    assert raised[0].failure_class is FailureClass.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert queries.searched_job(job_id).status == "cancelled"


def test_job_that_is_cancelled_while_it_is_planned_does_not_run(
    make_services: Make, proteins: list[Sequence], searches_run: Callable[[Services], list[int]]
) -> None:
    """Submitted again after that, it does."""
    services = make_services()
    submission = read_submission(query=fasta(proteins[:2]), targets=["demo/examples/proteins"])
    job_id = services.queries.submit(Requester(administrator=True), submission).job_id
    run = services.queries.run(job_id)
    plan = run.plan()
    services.queries.cancel(Requester(administrator=True), job_id)
    with pytest.raises(JobFailedError, match="cancelled by its user"):
        run.execute(plan)
    assert services.queries.searched_job(job_id).status == "cancelled"
    assert searches_run(services) == []
    assert services.queries.run(job_id).execute().status == "complete"


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
home, targets, query, out = map(Path, sys.argv[1:])
services = Services(Database(f"sqlite:///{home / 'jobs.sqlite'}"), LocalStore(home / "store"), Installation(cores=1),
                    Targets(targets), QueryLimits())
submission = read_submission(query_file=query, targets=["demo/examples/proteins"])
job = services.queries.submit(Requester(administrator=True), submission).job_id
services.queries.run(job).execute()
out.write_text(job)
"""


def submit_in_a_process(home: Path, targets_root: Path, query: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _SUBMIT, home, targets_root, query, out])


def test_killed_submission_loses_nothing_and_leaves_nothing(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], targets_root: Path, tmp_path: Path
) -> None:
    """Kill -9 in the middle, then submit again: the same result, no lease, no process."""
    query = tmp_path / "query.fasta"
    query.write_text(fasta(proteins))
    services = make_services()
    process = submit_in_a_process(tmp_path / "home", targets_root, query, tmp_path / "out")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if leases(services):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    job = search_whole(services, fasta(proteins))
    undisturbed = search_whole(make_services("other"), fasta(proteins))
    assert job.status == "complete"
    archives = [
        list(at.queries.results.archives([row.result_key for row in found.rows]))
        for at, found in ((services, job), (make_services("other"), undisturbed))
    ]
    assert archives[0] == archives[1]
    assert leases(services) == []


def leases(services: Services) -> list[Lease]:
    with services.database.read() as session:
        return list(session.exec(select(Lease)))


def test_two_processes_at_once_search_each_sequence_once(
    make_services: Make,
    proteins: list[Sequence],
    targets_root: Path,
    tmp_path: Path,
    searches_run: Callable[[Services], list[int]],
) -> None:
    """Two overlapping submissions, in two processes, at the same time."""
    distinct = list({sequence.residues: sequence for sequence in proteins}.values())
    processes = []
    for name, part in (("a", distinct[:8]), ("b", distinct[4:])):
        query = tmp_path / f"{name}.fasta"
        query.write_text(fasta(part))
        processes.append(submit_in_a_process(tmp_path / "home", targets_root, query, tmp_path / f"{name}.out"))
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    services = make_services()
    assert sum(searches_run(services)) == len(distinct)
    for name in ("a", "b"):
        assert services.queries.searched_job((tmp_path / f"{name}.out").read_text()).status == "complete"
