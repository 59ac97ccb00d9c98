"""The schema of the first release, with data in it, brought to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlmodel import select

import multiblast.database
from multiblast.database import Database, Link, QueryJob, Run, ShareGrant
from multiblast.database.metadata import METADATA

NEW = {"guest", "share_grant", "usage", "turn", "discarded", "notice"}
TIME = "2026-01-02 03:04:05.000006"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    server: str = request.getfixturevalue("postgres_server")
    name = f"migrate_{tmp_path.name.lower().replace('-', '_')}"[:60]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]  # psycopg wants a literal
    return server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + f"/{name}"


def migrate(connection: Connection, to: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(multiblast.database.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, to)
    connection.commit()


def insert(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)  # noqa: S608 - of this test


def fill(connection: Connection) -> None:
    """Put in what a user of the first release may have: two jobs, one with two runs."""
    for job_id, search_key in (("a" * 32, "1" * 32), ("b" * 32, "2" * 32)):
        insert(
            connection,
            "query_job",
            id=job_id,
            site="demo",
            program="blastp",
            recipe='{"targets": [], "options": {"evalue": 0.1}}',
            status="complete",
            reason="",
            sequences=1,
            letters=3,
            title="t",
            query_key="queries/a",
            query_offset=0,
            query_bytes=9,
            search_key=search_key,
            result_key="c" * 32,
            notes="[]",
            attempts=1,
            pinned=False,
            cancel_requested=False,
            created_at=TIME,
            used_at=TIME,
        )
    for number, job_id in ((1, "a" * 32), (2, "a" * 32), (3, "b" * 32)):
        insert(
            connection,
            "run",
            number=number,
            job_id=job_id,
            started_at=TIME,
            program_version="2.12.0+",
            databases="[]",
            command='["blastp"]',
            searched=1,
            reused=0,
            flow_run="",
        )
    insert(
        connection,
        "link",
        owner="ann",
        job_id="a" * 32,
        kind="query",
        summary="s",
        description="",
        created_at=TIME,
    )
    connection.commit()


def test_first_schema_with_data_migrates_to_the_newest(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrate(connection, "0001")
        fill(connection)
    engine.dispose()
    database = Database(url)
    with database.read() as session:
        jobs = session.exec(select(QueryJob).order_by(QueryJob.id)).all()
        assert [(job.id[0], job.recipe["options"], job.expired_digest) for job in jobs] == [
            ("a", {"evalue": 0.1}, ""),
            ("b", {"evalue": 0.1}, ""),
        ]
        assert jobs[0].created_at.isoformat().startswith("2026-01-02T03:04:05.000006")
        keys = {run.number: run.search_key for run in session.exec(select(Run))}
        assert keys == {1: "", 2: "1" * 32, 3: "2" * 32}
        assert session.exec(select(ShareGrant)).all() == []
        assert [(link.summary, link.client_notes) for link in session.exec(select(Link))] == [("s", {})]
    database.close()


def test_newest_schema_is_the_one_of_the_tables(url: str) -> None:
    database = Database(url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    database.close()


def test_migration_can_be_taken_back_and_done_again(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrate(connection, "0001")
        fill(connection)
        migrate(connection, "head")
        migrate(connection, "0001", down=True)
        tables = set(engine.dialect.get_table_names(connection))
        assert not NEW & tables
        assert "query_job" in tables
        migrate(connection, "head")
        assert set(engine.dialect.get_table_names(connection)) >= NEW
    engine.dispose()
