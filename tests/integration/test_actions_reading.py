"""Reading actions answer for many jobs, and start nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import insert, text

from multiblast.accounts import Requester
from multiblast.database import ChildJob, Database, Link, QueryJob, utc_now
from multiblast.services import Services

ANN = Requester("ann")
PARENT = f"{10**6:032x}"
IDS = [f"{number:032x}" for number in range(10_000)]


def query_job(job_id: str, sequences: int = 1, number: int | None = None) -> dict[str, object]:
    row = QueryJob(
        id=job_id,
        site="demo",
        program="blastp",
        recipe={"targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}], "options": {}},
        status="complete",
        sequences=sequences,
        list_number=number,
        title=f"sequence {job_id}",
        query_key="queries/x",
        query_bytes=1,
        created_at=utc_now(),
    )
    return row.model_dump()


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services over a parent with 10 000 children, and 500 jobs in a list."""
    services = make_services()
    services.database = database
    with database.write() as session:
        connection = session.connection()
        connection.execute(insert(QueryJob), [query_job(PARENT, len(IDS), 1), *map(query_job, IDS[:500])])
        positions = [
            {
                "list_number": 1,
                "position": number,
                "child_id": job_id,
                "result_key": job_id,
                "query_offset": 0,
                "query_bytes": 1,
                "letters": 1,
                "title": job_id,
            }
            for number, job_id in enumerate(IDS, start=1)
        ]
        connection.execute(insert(ChildJob), positions)
        connection.execute(insert(Link), [Link(owner="ann", job_id=job).model_dump() for job in (PARENT, *IDS[:500])])
    with database.write() as session:
        session.connection().execute(text("ANALYZE"))  # as both databases do by themselves after a while
    return services


@pytest.mark.long
def test_all_of_ten_thousand_statuses_and_a_page_of_children_are_read(services: Services) -> None:
    assert len(services.queries.statuses(ANN, IDS)) == 10_000
    assert len(services.queries.lookup(ANN, PARENT).children or ()) == 1000


def test_reading_actions_do_not_import_prefect() -> None:
    code = "import sys, multiblast.services, deployments.command_line; print('prefect' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
