"""Copying the records of one job database to another, such as from SQLite to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Table as TableClause
from sqlalchemy import func, select
from sqlmodel import Session, col

from multiblast.database import (
    Database,
    JobKind,
    Pack,
    QueryJob,
    SequenceList,
    among,
    in_portions,
    insert_missing,
    job_table,
)
from multiblast.database.metadata import METADATA
from multiblast.errors import InvalidInputError

_OF_PROCESSES = {"lease", "turn"}  # that work with the source
_PACK = METADATA.tables["pack"]


def copy_records(source: Database, target: Database) -> dict[str, int]:
    """Copy all records as they are when it begins, in one transaction; return how many of each table were not there.

    What the target has already stays as it is, so that this may be repeated. The results themselves are
    in the store: see `copy_results`.

    Raises:
        InvalidInputError: both are the same database.
    """
    if source.engine.url == target.engine.url:
        raise InvalidInputError(f"{source!r} cannot be copied to itself: name the database to copy from")
    copied = {}
    with source.read_at_once() as reading, target.write() as writing:
        known: set[str] = set()
        for kind in JobKind:
            job_id = col(job_table(kind).id)
            ids = list(reading.connection().scalars(select(job_id)))
            known.update(writing.connection().scalars(select(job_id).where(among(writing, job_id, ids))))
        copying = _Copying(reading, writing, known)
        # First what others refer to by numbers.
        for table in sorted(METADATA.sorted_tables, key=lambda table: table.name not in copying.referred):
            if table.name not in _OF_PROCESSES:
                count = select(func.count()).select_from(table)
                before = writing.connection().scalar(count) or 0
                copying.referred.get(table.name, lambda table=table: copying.rows(table))()
                copied[table.name] = (writing.connection().scalar(count) or 0) - before
    return copied


class _Copying:
    """Copies records, except those of ``known`` jobs, which are there; numbers are given anew, in the same order.

    Attributes:
        referred: What copies the tables to whose numbers others refer.
    """

    def __init__(self, reading: Session, writing: Session, known: set[str]) -> None:
        self._reading, self._writing, self._known = reading, writing, known
        self._numbers: dict[str, dict[int | None, int | None]] = {}
        self.referred = {"pack": self._packs, "sequence_list": self._lists}

    def rows(self, table: TableClause) -> None:
        """Copy a table."""
        numbered = "number" in table.primary_key.columns
        order = table.c.number if numbered else next(iter(table.primary_key.columns))
        for rows in in_portions(self._reading.connection().execute(select(table).order_by(order)).mappings()):
            new = [dict(row) for row in rows]
            if numbered:
                new = [row for row in new if row["job_id"] not in self._known]
                for row in new:
                    del row["number"]
            elif table.name == "failure":
                for row in new:
                    row["batch_run"] = None  # such a number
            for name in self._numbers.keys() & table.columns.keys():
                there = self._numbers[name]
                new = [row | {name: there[row[name]]} for row in new if row[name] in there]
            insert_missing(self._writing, table, new)

    def _packs(self) -> None:
        """Copy which packs there are."""
        numbers = self._numbers["pack_number"] = {}
        for some in in_portions(self._reading.connection().execute(select(_PACK).order_by(_PACK.c.number)).mappings()):
            insert_missing(self._writing, Pack, [{name: row[name] for name in row if name != "number"} for row in some])
            keys = among(self._writing, _PACK.c.key, [row["key"] for row in some])
            there = self._writing.connection().execute(select(_PACK.c.key, _PACK.c.number).where(keys))
            found = {key: number for key, number in there}  # noqa: C416 - rows are no pairs to mypy
            numbers |= {row["number"]: found[row["key"]] for row in some}

    def _lists(self) -> None:
        """Begin a list of children there for each job that is copied."""
        numbers = self._numbers["list_number"] = {None: None}
        jobs = select(col(QueryJob.id), col(SequenceList.number), col(SequenceList.created_at))
        jobs = jobs.join(SequenceList, col(SequenceList.number) == QueryJob.list_number)
        for job_id, number, created_at in self._reading.connection().execute(jobs.order_by(col(SequenceList.number))):
            if job_id not in self._known:
                begun = SequenceList(created_at=created_at)
                self._writing.add(begun)
                self._writing.flush()
                numbers[number] = begun.number
