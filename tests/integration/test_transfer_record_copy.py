"""Copying job records between databases, SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from deployments.command_line import main, upkeep
from multiblast.accounts import Requester
from multiblast.database import Database, Pack, Result, in_portions
from multiblast.database.metadata import METADATA
from multiblast.errors import InvalidInputError
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.transfer import copy_records

TWO = ">a\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP\n>b\nSLSTRNLTSKSNNKRAFLISTADARIAWAEVKDELSLQLTYYW\n"
ANN = Requester("ann")


def contents(database: Database) -> dict[str, list[Any]]:
    """Return all rows of a database but for the numbers that each counts up for itself."""
    found = {}
    with database.read() as session:
        for table in METADATA.sorted_tables:
            columns = [column for column in table.c if column.name != "number"]
            rows = session.connection().execute(select(*columns).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
    return found


@pytest.fixture
def full(services: Services, submit: Callable[..., Any]) -> Services:
    """Services with a job, a report, a user, a guest and a share."""
    job = submit(TWO, user="ann").job_id
    services.reports.run(services.reports.submit(ANN, job, Formatting.read("6"))).execute()
    services.accounts.tokens.make("ann", "laptop")
    services.accounts.new_guest()
    services.queries.share(ANN, job)
    with services.database.write() as session:
        session.connection().execute(update(Pack).values(way="blastp"))  # as if a part had been searched
        session.connection().execute(update(Result).values(counted=7))
    return services


def test_records_are_copied_whole_and_reports_and_jobs_read_there(full: Services, database: Database) -> None:
    """To SQLite and to PostgreSQL; repeated, nothing is copied twice."""
    copied = copy_records(full.database, database)
    assert copied["query_job"] == 1
    assert contents(database) == contents(full.database)
    assert set(copy_records(full.database, database).values()) == {0}
    assert contents(database) == contents(full.database)
    moved = replace(full, database=database)
    (job,) = moved.queries.list_jobs(ANN)
    (report,) = moved.reports.list_jobs(ANN)
    assert moved.queries.searched_job(job.query_job_id) == full.queries.searched_job(job.query_job_id)
    where = (ANN, report.report_job_id, "report.tsv")
    with moved.reports.file(*where) as there, full.reports.file(*where) as here:
        assert there.read() == here.read()
    assert moved.queries.history(ANN, job.query_job_id)[-1].to_status == "complete"


def test_records_of_a_database_in_use_stay_and_count_on(full: Services, database: Database) -> None:
    there = replace(full, database=database)
    query = there.queries
    other = read_submission(query=TWO.replace("MKVL", "MKVA"), targets=["demo/examples/proteins"])
    job = query.submit(ANN, other).job_id
    query.run(job).execute()
    before = query.history(ANN, job)
    copy_records(full.database, database)
    assert query.history(ANN, job) == before
    assert len(query.list_jobs(ANN)) == 2
    job = query.submit(ANN, replace(other, query=">c\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP\n")).job_id
    query.run(job).execute()


def test_jobs_that_are_submitted_meanwhile_are_copied_whole_or_not_at_all(
    full: Services, database: Database, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From SQLite and from PostgreSQL: else the next copy would pass over what is missing of them."""
    submitted = itertools.count(1)
    services = replace(full, database=database)

    def interrupted(rows: Iterable[Any]) -> Iterator[list[Any]]:
        query = f">a\n{'MKVLAAGIVGLLLAQWERTYIP' * next(submitted)}\n"
        services.queries.submit(ANN, read_submission(query=query, targets=["demo/examples/proteins"]))
        return in_portions(rows)

    monkeypatch.setattr("multiblast.transfer.record_copy.in_portions", interrupted)
    with closing(Database(sqlite_url.replace("jobs", "copy"))) as target:
        copy_records(database, target)
        monkeypatch.undo()
        assert next(submitted) > 10
        copy_records(database, target)
        assert {name: len(rows) for name, rows in contents(target).items()} == {
            name: len(rows) for name, rows in contents(database).items()
        }


def test_records_are_not_copied_to_where_they_are(full: Services) -> None:
    with closing(Database(full.database.url)) as same, pytest.raises(InvalidInputError, match="to itself"):
        copy_records(full.database, same)


def test_copy_records_takes_those_of_this_home(
    full: Services, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(upkeep, "local_services", lambda: replace(full, database=database))
    monkeypatch.setattr(sys, "argv", ["multiblast", "copy-records", "--json"])
    assert main() == 0
    assert {"table": "query_job", "copied": 1} in json.loads(capsys.readouterr().out)
    monkeypatch.setattr(sys, "argv", ["multiblast", "copy-records", "nothing.sqlite"])
    assert main() == 2
