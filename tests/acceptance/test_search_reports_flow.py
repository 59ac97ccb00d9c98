"""Reports that a submission names, made by its flow: beside the run's event loop, each a task, and seen in its log."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, TaskRunFilter
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.services import using
from flows.submit_query import submit_query
from multiblast.database import JobStatus
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.flow_runs import last_run
from tests.support.places import EXAMPLES
from tests.support.processes import wait_for

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


# Fails for XML; of all else it begins only once somebody has seen that it runs.
FORMATTER = """#!/bin/sh
case "$*" in *-version*) exec {real} "$@";; *"-outfmt 5"*) exit 3;; esac
touch {place}/runs
for _ in $(seq 600); do [ -e {place}/seen ] && exec {real} "$@"; sleep 0.1; done
exit 4
"""


@pytest.fixture
def services(tmp_path: Path, temporary_prefect: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services with a formatter of their own, which flows use."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("blastp", "blastdbcmd"):
        (programs / name).symlink_to(Installation().program(name))
    formatter = programs / "blast_formatter"
    formatter.write_text(FORMATTER.format(real=Installation().program(formatter.name), place=tmp_path))
    formatter.chmod(0o755)
    directory = tmp_path / "targets" / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "proteins.fasta.gz", directory, "proteins", molecule="protein")
    services = replace(Services.embedded(), installation=Installation(programs), targets=Targets(tmp_path / "targets"))
    with temporary_settings({PREFECT_API_URL: temporary_prefect}), using(services):
        yield services
    services.database.close()
    gc.collect()


def test_reports_are_made_beside_the_loop_and_what_fails_is_said(services: Services, tmp_path: Path) -> None:
    query = (EXAMPLES / "protein_query.fasta").read_text()

    async def see() -> None:
        while not (tmp_path / "runs").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.1)
        (tmp_path / "seen").touch()

    async def search() -> str:
        seeing = asyncio.create_task(see())
        job = await submit_query(query=query, targets=["demo/examples/proteins"], user="ann", formats=["5", "6", "0"])
        await seeing
        return job.job_id

    reports = services.reports.found(services.accounts.requester("ann"), asyncio.run(search()))
    statuses = {report.formatting["formatType"]: report.status for report in reports}
    assert statuses == {"5": JobStatus.FAILED, "6": JobStatus.COMPLETE, "0": JobStatus.COMPLETE}
    run = last_run()
    assert run.state_name == "Completed"
    mine = {"flow_run_id": {"any_": [run.id]}}

    def formatted() -> list[str]:
        with get_client(sync_client=True) as client:
            tasks = client.read_task_runs(task_run_filter=TaskRunFilter.model_validate(mine))
        return sorted(str(task.state_name) for task in tasks if task.name == "format the report")

    def said() -> list[str]:
        with get_client(sync_client=True) as client:
            logs = client.read_logs(LogFilter.model_validate(mine))
        return [log.message for log in logs if log.message.startswith("There is no report in format 5")]

    wait_for(lambda: formatted() == ["Completed", "Completed", "Failed"], 60)
    wait_for(said, 60)
