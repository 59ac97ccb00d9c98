"""The examples of the Multi-Blast 2.0 design: jobs as it has them are answered as it prints them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest

from multiblast.database import JobKind, Link, QueryJob, ReportJob
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.http_service import HereStarter, serving

_TARGETS = """
{
  "PlasmoDB": {
    "Pberghei": {
      "naTargets": [
        "PbergheiESTs"
      ]
    },
    "PfalciparumGB4": {
      "naTargets": [
        "PfalciparumGB4AnnotatedCDSs",
        "PfalciparumGB4AnnotatedTranscripts",
        "PfalciparumGB4Genome"
      ],
      "aaTargets": [
        "PfalciparumGB4AnnotatedProteins"
      ]
    }
  }
}
"""
_JOBS = """
[
  {
    "queryJobID": "9f444b23ceec3ee5588cc4c784c16696",
    "site": "PlasmoDB",
    "status": "expired",
    "createdOn": "2020-10-31T23:00:00Z"
  },
  {
    "queryJobID": "bc49f1a3bc36cd15b84890439d19d395",
    "site": "TriTrypDB",
    "status": "complete",
    "createdOn": "2020-10-31T23:00:00Z",
    "userMeta": {
      "summary": "A blast job"
    }
  },
  {
    "queryJobID": "297a61dda47317f11d8e50e6ab8508c9",
    "site": "VectorBase",
    "status": "failed",
    "createdOn": "2020-10-31T23:00:00Z",
    "userMeta": {
      "summary": "Another blast job.",
      "description": "This job will fail."
    }
  }
]
"""
_DETAILS = """
{
  "queryJobID": "9f444b23ceec3ee5588cc4c784c16696",
  "status": "complete",
  "jobConfig": {
    "site": "PlasmoDB",
    "targets": [
      {
        "targetDisplayName": "PfalciparumGB4",
        "targetFile": "PfalciparumGB4AnnotatedTranscripts"
      }
    ]
  },
  "blastConfig": {
    "tool": "blastn"
  },
  "createdOn": "2020-10-31T23:00:00Z",
  "userMeta": {
    "summary": "Some blast job"
  }
}
"""  # the design prints "..." for the configuration
_STATUSES = """
{
  "dd6060e5367622e574ffb38f32bfa049": "queued",
  "29e07b0b80181222ad33cbc8f679d672": "complete",
  "748ba381dd81bb8de615319837ffa350": "in-progress",
  "f4757ea84c455b04a1d307d4ac33049d": "expired"
}
"""
_REPORTS = """
[
  {
    "reportJobID": "37b4e2d82900d5e94b8da524fbeb33c0",
    "queryJobID": "64e8bb9742929ab718dba7bc048e6120",
    "status": "failed",
    "userMeta": {
      "summary": "some report job summary"
    }
  }
]
"""
_FILES = """
[
  {
    "name": "somefile1.txt",
    "size": 1023
  },
  {
    "name": "somefile2.json",
    "size": 58372
  },
  {
    "name": "report.zip",
    "size": 10234
  }
]
"""
_MICROSECONDS = count()


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services], tmp_path_factory: pytest.TempPathFactory) -> Services:
    root = tmp_path_factory.mktemp("plasmodb")
    for site, targets in json.loads(_TARGETS).items():
        for target, groups in targets.items():
            for group, names in groups.items():
                molecule, text = (
                    ("protein", b">s\nMKVLAAGIV\n") if group == "aaTargets" else ("nucleotide", b">s\nACGT\n")
                )
                (fasta := root / "s.fasta").write_bytes(text)
                for name in names:
                    build_database(fasta, root / site / target / "blast", name, molecule=molecule)
    return services_under(root=root)


@pytest.fixture(scope="module")
def serve(services: Services) -> Iterator[Callable[[str], httpx.Client]]:
    """``serve(user)``: a client of a user."""
    with serving(services, HereStarter(services)) as url, ExitStack() as clients:

        def client(user: str) -> httpx.Client:
            token = services.accounts.tokens.make(user, "tests")
            headers = {"Authorization": f"Bearer {token}"}
            return clients.enter_context(httpx.Client(base_url=url, headers=headers, timeout=60))

        yield client


def _add(services: Services, user: str, job: dict[str, Any], **report: Any) -> None:
    """Record a job as the design has it; of several, the last is the newest by a microsecond."""
    meta = job.get("userMeta", {})
    config = job.get("jobConfig", {"site": job.get("site", "PlasmoDB"), "targets": []})
    query = QueryJob(
        id=job["queryJobID"],
        site=config["site"],
        program="blastn",
        recipe={"targets": config["targets"], "options": {}},
        status=job["status"],
        query_key="",
        query_bytes=0,
        created_at=datetime(2020, 10, 31, 23, microsecond=next(_MICROSECONDS), tzinfo=UTC),
    )
    with services.database.write() as session:
        session.merge(query)
        session.flush()
        if report:
            session.add(ReportJob(query_job_id=query.id, formatting={"formatType": "6"}, **report))
        kind, job_id = (JobKind.REPORT, report["id"]) if report else (JobKind.QUERY, query.id)
        session.add(Link(owner=user, job_id=job_id, kind=kind, **meta))


def _same(answer: httpx.Response, example: str) -> None:
    assert answer.status_code == 200, answer.text
    assert "".join(answer.text.split()) == "".join(example.split())


def test_example_of_targets(serve: Callable[[str], httpx.Client]) -> None:
    _same(serve("ann").get("/query/targets"), _TARGETS)


def test_example_of_query_jobs(services: Services, serve: Callable[[str], httpx.Client]) -> None:
    for job in reversed(json.loads(_JOBS)):
        _add(services, "lists", job)
    _same(serve("lists").get("/query/jobs"), _JOBS)


def test_example_of_query_job_is_followed_by_what_is_ours(
    services: Services, serve: Callable[[str], httpx.Client]
) -> None:
    _add(services, "looks", json.loads(_DETAILS))
    answer = serve("looks").get("/query/jobs/9f444b23ceec3ee5588cc4c784c16696")
    ours = ',"site":"PlasmoDB","sequences":1,"pinned":false}'
    assert answer.text.endswith(ours)
    shown = answer.text.removesuffix(ours) + "}"
    assert "".join(shown.split()) == "".join(_DETAILS.split())


def test_example_of_statuses(services: Services, serve: Callable[[str], httpx.Client]) -> None:
    examples = json.loads(_STATUSES)
    for job_id, status in examples.items():
        _add(services, "asks", {"queryJobID": job_id, "status": status})
    _same(serve("asks").post("/query/statuses", json=[*examples, "no id"]), _STATUSES)


def test_example_of_report_jobs_their_files_and_statuses(
    services: Services, serve: Callable[[str], httpx.Client]
) -> None:
    (example,) = json.loads(_REPORTS)
    client = serve("reports")
    _add(services, "reports", example, id=example["reportJobID"], status="failed")
    _same(client.get("/report/jobs"), _REPORTS)
    statuses = json.loads(_STATUSES)
    for job_id, status in statuses.items():
        files = [{**file, "key": "none"} for file in json.loads(_FILES)]
        _add(services, "reports", {**example, "userMeta": {}}, id=job_id, status=status, files=files)
    _same(client.post("/report/statuses", json=[*statuses, 7]), _STATUSES)
    _same(client.get("/report/jobs/29e07b0b80181222ad33cbc8f679d672/files"), _FILES)
