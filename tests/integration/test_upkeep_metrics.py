"""Metrics counted in the job database, and the health of what services depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import select

from deployments.diagnosis import check_server
from multiblast.accounts import Requester
from multiblast.database import BatchRun, Database, JobStatus
from multiblast.installation import Installation
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.stores import LocalStore
from multiblast.targets import Targets

ANN = Requester("ann")


def values(text: str) -> dict[str, float]:
    """Every sample as it is written."""
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert list(text_string_to_metric_families(text))  # Prometheus' own reader understands it
    return {name: float(value) for name, _, value in samples}


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    return replace(make_services(), database=database)


def test_metrics_count_what_is_in_the_database(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    """Of a job with two sequences, one that failed and one that waits; several readers see the same."""
    fasta = b"".join(sequence.canonical for sequence in proteins[8:10]).decode()
    job = search_whole(services, fasta, user="ann")
    report = services.reports.create(ANN, {"queryJobID": job.job_id}).report_job_id
    services.reports.run(report).execute()
    ids = []
    for number in (1, 2):
        submission = read_submission(query=f">s\n{'MKVLAAGIV' * number}\n", targets=["demo/examples/proteins"])
        ids.append(services.queries.submit(ANN, submission).job_id)
    services.queries.jobs.move_query([ids[0]], JobStatus.FAILED, "no")
    found = values(services.metrics())
    assert found['job_successes{queue="query"}'] == 1
    assert found['job_successes{queue="report"}'] == 1
    assert found['job_failures{queue="query"}'] == 1
    assert found['job_failures{queue="report"}'] == 0
    assert found['queued_jobs{queue="query"}'] == 1
    assert found['queue_time_count{queue="query"}'] == 1
    assert 0 < found['queue_time_sum{queue="query"}'] < 60
    assert found['queue_time_bucket{le="60.0",queue="query"}'] == 1
    with services.database.read() as session:
        runs = len(session.exec(select(BatchRun)).all())
    assert found['blast_command_time_millis_count{blast_tool="blastp"}'] == runs
    assert 10 < found['blast_command_time_millis_sum{blast_tool="blastp"}'] < 60_000
    assert found['blast_command_time_millis_count{blast_tool="blast_formatter"}'] == 1
    assert values(replace(services).metrics()) == found


def test_health_tells_what_is_reachable_and_how_fast(services: Services) -> None:
    checks = {check.name: check for check in services.health()}
    assert set(checks) == {"job database", "result storage", "BLAST+ programs", "target databases"}
    assert all(check.reachable and check.latency_ms < 30_000 and check.detail for check in checks.values())


def test_health_tells_each_thing_that_is_broken(services: Services, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = replace(
        services,
        database=Database(f"sqlite:///{tmp_path / 'file'}/jobs.sqlite"),
        installation=Installation(directory=tmp_path),
        targets=Targets(tmp_path),
        store=LocalStore("/proc/1/root/none"),
    )
    checks = {check.name: check for check in [*broken.health(), check_server("http://127.0.0.1:9/api")]}
    assert {name for name, check in checks.items() if not check.reachable} >= {
        "job database",
        "BLAST+ programs",
        "target databases",
        "Prefect",
    }
    assert "install BLAST" in checks["BLAST+ programs"].detail
