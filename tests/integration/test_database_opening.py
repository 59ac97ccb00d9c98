"""Opening the job database: its schema, its migrations, its refusals, on SQLite and PostgreSQL."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, inspect, text
from sqlmodel import Session, select

from multiblast.database import Database, Speed
from multiblast.database.metadata import METADATA
from multiblast.errors import MultiblastError, NotFoundError, StoreError


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database without our schema."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.replace("postgresql:", "postgresql+psycopg:").rpartition("/")[0] + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


def test_migrations_make_the_tables_that_the_program_knows(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        own = {table.name for table in METADATA.sorted_tables}
        changes = [change for change in compare_metadata(context, METADATA) if "registry" not in str(change)]
    assert changes == []
    assert own <= set(inspect(database.engine).get_table_names())


def test_first_use_makes_the_schema(empty_url: str) -> None:
    database = Database(empty_url)
    with database.write() as session:
        session.add(Speed(key="a" * 32, letters_per_second=1.0))
    with database.read() as session:
        assert session.get_one(Speed, "a" * 32).letters_per_second == 1.0
    database.close()


def test_first_use_by_many_processes_migrates_once(empty_url: str) -> None:
    code = f"from multiblast.database import Database; print(Database({empty_url!r}).engine.dialect.name)"
    starting = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    told = [process.communicate(timeout=120)[1] for process in starting]
    assert [process.returncode for process in starting] == [0] * 8, told
    database = Database(empty_url)
    with database.engine.connect() as connection:
        assert len(list(connection.execute(text("SELECT * FROM alembic_version")))) == 1
    database.close()


def test_first_use_by_many_threads_opens_once(empty_url: str) -> None:
    database = Database(empty_url)
    engines: list[int] = []
    threads = [threading.Thread(target=lambda: engines.append(id(database.engine))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 6
    assert len(set(engines)) == 1
    database.close()


def test_newer_schema_is_refused(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(NotFoundError, match=r"no schema version '9999'; .* was made by a newer multiblast: upgrade"):
        _ = database.engine
    with pytest.raises(NotFoundError, match="9999"):  # and again: nothing was half opened
        _ = database.engine


def test_forgotten_database_closes_its_connections(database_url: str) -> None:
    """Services that are renewed drop the old ones without knowing who uses them."""
    database = Database(database_url)
    with database.read() as session:
        connection: Any = session.connection().connection.driver_connection
        assert list(connection.execute("SELECT 1")) == [(1,)]
    del database, session
    gc.collect()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        connection.execute("SELECT 1")


def test_closed_database_opens_again(database: Database) -> None:
    for _ in range(2):
        with database.read() as session:
            assert session.get(Speed, "a" * 32) is None
        database.close()


def test_transaction_is_undone_whole_by_an_error(database: Database) -> None:
    def write_and_fail(session: Session) -> None:
        session.add(Speed(key="a" * 32, letters_per_second=1.0))
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as session:
        write_and_fail(session)
    with database.read() as session:
        assert session.get(Speed, "a" * 32) is None


def test_disk_that_is_full_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
    with pytest.raises(StoreError, match=f"no space left for the job database sqlite:///{tmp_path}/jobs.sqlite: free"):
        fill(database)
    with database.read() as session:
        assert session.exec(select(func.count()).select_from(Speed)).one() == 0


def fill(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("PRAGMA max_page_count=1")  # as many as there are
        session.add_all(Speed(key=f"{number:032x}", letters_per_second=1.0) for number in range(9000))


def test_writers_wait_for_each_other(database: Database) -> None:
    """What is read in a writing transaction is still true when it is written."""
    with database.write() as session:
        session.add(Speed(key="a" * 32, letters_per_second=0.0))

    def add_one() -> None:
        for _ in range(20):
            with database.write() as session:
                speed = session.get_one(Speed, "a" * 32, with_for_update=True)
                speed.letters_per_second += 1

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(Speed, "a" * 32).letters_per_second == 80


def test_name_hides_the_password() -> None:
    database = Database("postgresql+psycopg://user:hidden@host/name")
    assert "hidden" not in repr(database)
    assert "host/name" in repr(database)


def test_server_that_is_away_is_named_without_the_password() -> None:
    database = Database("postgresql+psycopg://user:hidden@127.0.0.1:1/name")
    with pytest.raises(MultiblastError, match="cannot open the job database postgresql") as raised:
        _ = database.engine
    assert "@127.0.0.1:1/name" in str(raised.value)
    assert "check that it runs and the URL" in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_text("this is no database, but long enough to be looked at" * 20)
    with pytest.raises(MultiblastError, match=r"cannot open the job database sqlite:.*file is not a database"):
        _ = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}").engine


def test_text_that_is_no_url_is_refused() -> None:
    with pytest.raises(MultiblastError, match="'nonsense' is no URL of a database: write sqlite:///PATH or postgresql"):
        _ = Database("nonsense").engine


def test_connections_of_a_pool_are_replaced_after_a_restart_of_the_server(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.read() as session:
        session.get(Speed, "a" * 32)
    with database.engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    server = postgres_url.replace("+psycopg", "").rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    with database.read() as session:
        assert session.get(Speed, "a" * 32) is None
    database.close()


def test_version_is_another_one_exactly_after_something_was_written(database: Database) -> None:
    """Also by another connection, as of another process; what is read changes nothing."""
    first = database.version()
    with database.read() as session:
        session.connection().exec_driver_sql("SELECT count(*) FROM query_job").scalar_one()
    assert database.version() == first
    other = Database(database.url)
    with other.write() as session:
        session.add(Speed(key="k", letters_per_second=1.0))
    other.close()
    assert database.version() != first
