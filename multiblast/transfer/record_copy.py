"""Copying the records of one job database to another, such as from SQLite to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlmodel import col

from multiblast.database import Database, JobKind, among, in_portions, insert_missing, job_table
from multiblast.database.tables import Table
from multiblast.errors import InvalidInputError

_OF_PROCESSES = {"lease", "turn"}  # that work with the source


def copy_records(source: Database, target: Database) -> dict[str, int]:
    """Copy all records, in one transaction; return how many of each table were not there.

    What the target has already stays as it is, so that this may be repeated. The results themselves are
    in the store: see `copy_results`.

    Raises:
        InvalidInputError: both are the same database.
    """
    if source.engine.url == target.engine.url:
        raise InvalidInputError(f"{source!r} cannot be copied to itself: name the database to copy from")
    copied = {}
    with source.read() as reading, target.write() as writing:
        known: set[str] = set()
        for kind in JobKind:
            job_id = col(job_table(kind).id)
            ids = list(reading.connection().scalars(select(job_id)))
            known.update(writing.connection().scalars(select(job_id).where(among(writing, job_id, ids))))
        for table in Table.metadata.sorted_tables:
            if table.name in _OF_PROCESSES:
                continue
            count = select(func.count()).select_from(table)
            before = writing.connection().scalar(count) or 0
            numbered = "number" in table.primary_key.columns
            order = table.c.number if numbered else next(iter(table.primary_key.columns))
            for rows in in_portions(reading.connection().execute(select(table).order_by(order)).mappings()):
                new = [dict(row) for row in rows]
                if numbered:  # by each database for itself: these get new numbers, in the same order
                    new = [row for row in new if row["job_id"] not in known]
                    for row in new:
                        del row["number"]
                elif table.name == "failure":
                    for row in new:
                        row["batch_run"] = None  # such a number
                insert_missing(writing, table, new)
            copied[table.name] = (writing.connection().scalar(count) or 0) - before
    return copied
