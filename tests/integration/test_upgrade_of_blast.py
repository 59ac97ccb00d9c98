"""BLAST+ is upgraded under a running installation: what was found stays readable, and no result of both is mixed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.database import JobStatus
from multiblast.installation import Installation
from multiblast.reports import Formatting, MadeReport
from multiblast.search import read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.people import ADMINISTRATOR
from tests.support.places import ROOT
from tests.support.sequences import fasta

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def newer() -> Path:
    """The directory of another version of BLAST+."""
    done = subprocess.run([ROOT / "deployments" / "install.sh", "blast", "2.17"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no other version of BLAST+ can be had here")
    directory = ROOT / ".venv" / "blast-2.17" / "bin"
    if Installation(directory).version("blastp") == Installation().version("blastp"):
        pytest.skip("the installed version is the other one")
    return directory


def searched(services: Services, query: str) -> str:
    """Submit a query and run its job, if it is not complete."""
    submission = read_submission(query=query, program="blastp", targets=["demo/examples/proteins"])
    job_id = services.queries.submit(ADMINISTRATOR, submission).job_id
    if services.queries.begin(job_id):
        services.queries.run(job_id).execute()
    assert services.queries.jobs.query(job_id).status == JobStatus.COMPLETE
    return job_id


def reported(services: Services, job_id: str) -> tuple[MadeReport, bytes]:
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job_id, Formatting.read(7))).execute()
    return made, content(services, made)


def content(services: Services, made: MadeReport) -> bytes:
    with services.reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
        return stream.read()


def plain(directory: Path, services: Services, query: Path) -> bytes:
    database = services.targets.resolve("demo", "examples", "proteins").path
    command = [directory / "blastp", "-query", query, "-db", database, "-outfmt", "7"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_upgrade_searches_anew_and_keeps_what_was_found(
    make_services: Callable[..., Services], proteins: list[Sequence], newer: Path, tmp_path: Path
) -> None:
    before, after = make_services(), make_services(directory=newer)
    query = fasta(proteins[:2])
    (file := tmp_path / "query.fasta").write_text(query)
    job_id = searched(before, query)
    made, old = reported(before, job_id)
    assert content(after, made) == old  # what was made is read as it is
    assert after.queries.jobs.query(job_id).status == JobStatus.COMPLETE
    assert searched(after, query) == job_id
    history = [event.why for event in after.queries.history(ADMINISTRATOR, job_id)]
    assert "a database or the program changed since it was searched" in history
    new = reported(after, job_id)[1]
    assert new == plain(newer, after, file) != old


def test_upgrade_mixes_no_results_of_two_versions(
    make_services: Callable[..., Services], proteins: list[Sequence], newer: Path, tmp_path: Path
) -> None:
    """One of the sequences was searched before the upgrade, and the job of the other is only recorded."""
    before, after = make_services(), make_services(directory=newer)
    searched(before, fasta(proteins[:1]))
    query = fasta(proteins[:2])
    (file := tmp_path / "query.fasta").write_text(query)
    submission = read_submission(query=query, program="blastp", targets=["demo/examples/proteins"])
    waiting = before.queries.submit(ADMINISTRATOR, submission).job_id
    assert searched(after, query) == waiting
    assert reported(after, waiting)[1] == plain(newer, after, file)
