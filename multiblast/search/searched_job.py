"""A job as people see it: one row per sequence, and how much is left to search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, or_
from sqlmodel import col, select

from multiblast.database import ChildJob, Database, Failure, Pack, QueryJob, Result, Run
from multiblast.jobs import Jobs

MOST_ROWS = 10_000  # in memory; of more sequences, pages and reports are read a part at a time
_OF_RESULT = ("hits", "best_hit", "evalue", "identity_percent", "coverage_percent", "note")


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """One sequence of a job, and its result in short.

    Attributes:
        position: 1-based, in the order of the query.
        job_id: The job one would get by submitting this sequence alone.
        origin: ``searched`` by the job's last run, ``reused`` from another search, or empty.
        evalue, identity_percent, coverage_percent: Of the best hit.
    """

    position: int
    job_id: str
    result_key: str
    title: str
    length: int
    status: str
    origin: str = ""
    hits: int = 0
    best_hit: str = ""
    evalue: float | None = None
    identity_percent: float | None = None
    coverage_percent: float | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The first word of the title."""
        return self.title.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class SearchedJob:
    """What a submission came to.

    Attributes:
        searched, reused: Distinct sequences that the last run searched, and that it found searched: see `Run`.
        rows: One per sequence, in the order of the query; of the first `MOST_ROWS`, or as many as were requested.
        warnings: What is legal but should be known.
        command: What BLAST+ was called with in the last run; each batch with a query file of its own.
    """

    job_id: str
    status: str
    sequences: int
    searched: int
    reused: int
    failed: int
    rows: tuple[SequenceRow, ...]
    warnings: tuple[str, ...] = ()
    reason: str = ""
    command: tuple[str, ...] = ()


def searched_job(database: Database, job_id: str, *, count: int = MOST_ROWS) -> SearchedJob:
    """Return what became of a job, with the rows of its first ``count`` sequences."""
    jobs = Jobs(database)
    job = jobs.query(job_id)
    run = jobs.last_run(job_id)
    rows = _sequence_rows(database, job, run, count=count)
    return SearchedJob(
        job_id=job_id,
        status=job.status,
        sequences=job.sequences,
        searched=run.searched if run else 0,
        reused=run.reused if run else 0,
        failed=jobs.counts(job).failed,
        rows=tuple(rows),
        warnings=tuple(job.notes),
        reason=job.reason,
        command=tuple(run.command) if run else (),
    )


@dataclass(frozen=True, slots=True)
class RowChoice:
    """Which rows of a job somebody wants to see, and in which order.

    Attributes:
        find: What the title or the best hit must hold, in any case.
        only: ``hits``, ``none`` (without hits), ``failed`` or ``open`` (no result yet); empty is all.
        sort: ``position`` or a column of the result; rows without a value come last.
        first: Of the chosen rows, 1-based.
    """

    find: str = ""
    only: str = ""
    sort: str = "position"
    descending: bool = False
    first: int = 1
    count: int = 50


def chosen_rows(database: Database, job_id: str, choice: RowChoice) -> tuple[list[SequenceRow], int]:
    """Return rows of a job's sequences, and how many there are of the choice; the database sorts and filters.

    Where no row is left, beyond the last or since none fits, none is counted either.
    """
    jobs = Jobs(database)
    job, run = jobs.query(job_id), jobs.last_run(job_id)
    if job.list_number is None:
        return _sequence_rows(database, job, run, count=1), 1
    conditions, order = _conditions(choice), _order(choice)
    with database.read() as session:
        wanted = (ChildJob.position, func.count().over() if conditions else literal(job.sequences))
        # First only what is sorted: rows with all their columns would take many times as long.
        some = _joined(job).where(*conditions).with_only_columns(*wanted).order_by(*order)
        counted = session.execute(some.offset(choice.first - 1).limit(choice.count)).all()
        total = int(counted[0][1]) if counted else 0 if conditions else job.sequences
        page = _joined(job).where(col(ChildJob.position).in_([row[0] for row in counted])).order_by(*order)
        return [_row_of(columns, job, run) for columns in session.execute(page.with_only_columns(*_COLUMNS))], total


def _conditions(choice: RowChoice) -> list[Any]:
    """Return what the rows of a choice fulfil; nothing if it is all of them."""
    searched = (ChildJob.title, Result.best_hit)
    found = [
        or_(*(col(column).icontains(word, autoescape=True) for column in searched)) for word in choice.find.split()
    ]
    states = {
        "hits": col(Result.hits) > 0,
        "none": col(Result.hits) == 0,
        "failed": col(Failure.key).is_not(None) & col(Result.key).is_(None),
        "open": col(Failure.key).is_(None) & col(Result.key).is_(None),
    }
    return [*found, states[choice.only]] if choice.only in states else found


def _order(choice: RowChoice) -> list[Any]:
    """Return the columns that the rows of a choice are sorted by; what has no value comes last."""
    columns: dict[str, Any] = {"title": ChildJob.title, "length": ChildJob.letters}
    columns |= {name: getattr(Result, name) for name in _OF_RESULT}
    position = col(ChildJob.position)
    if choice.sort not in columns:
        return [position.desc() if choice.descending and choice.sort == "position" else position]
    column = col(columns[choice.sort])
    return [column.is_(None), column.desc() if choice.descending else column, position]


def left_to_search(database: Database, job_id: str) -> tuple[int, int]:
    """Return how many distinct sequences of a job have no result yet, and their letters."""
    job = Jobs(database).query(job_id)
    with database.read() as session:
        if job.list_number is None:
            return (0, 0) if session.get(Result, job.result_key) else (1, job.letters)
        left = (
            select(ChildJob.result_key, ChildJob.letters)
            .outerjoin(Result, col(Result.key) == ChildJob.result_key)
            .where(ChildJob.list_number == job.list_number, col(Result.key).is_(None))
            .distinct()
            .subquery()
        )
        count, letters = session.exec(select(func.count(), func.coalesce(func.sum(left.c.letters), 0))).one()
    return int(count), int(letters)


def _sequence_rows(database: Database, job: QueryJob, run: Run | None, *, count: int) -> list[SequenceRow]:
    """Return the rows of a job's sequences; results that the run found count as searched, others as reused."""
    with database.read() as session:
        if job.list_number is None:
            result, failure = session.get(Result, job.result_key), session.get(Failure, job.result_key)
            found = (failure.failure_class, failure.message) if failure else (None, None)
            pack = session.get(Pack, result.pack_number) if result else None
            of_pack = (pack.created_at, pack.run_number) if pack else (None, None)
            of_result = [getattr(result, name) for name in _OF_RESULT] if result else []
            own = (1, job.id, job.result_key, job.title, job.letters)
            return [_row_of((*own, *found, *of_pack, *of_result), job, run)]
        statement = _joined(job).order_by(col(ChildJob.position)).limit(count)
        rows = session.connection().execute(statement.with_only_columns(*_COLUMNS)).all()
        return [_row_of(columns, job, run) for columns in rows]


def _joined(job: QueryJob) -> Any:
    return (
        select(ChildJob)
        .outerjoin(Result, col(Result.key) == ChildJob.result_key)
        .outerjoin(Pack, col(Pack.number) == Result.pack_number)
        .outerjoin(Failure, col(Failure.key) == ChildJob.result_key)
        .where(ChildJob.list_number == job.list_number)
    )


_COLUMNS = (
    *(col(column) for column in (ChildJob.position, ChildJob.child_id, ChildJob.result_key, ChildJob.title)),
    *(col(column) for column in (ChildJob.letters, Failure.failure_class, Failure.message)),
    *(col(Pack.created_at), col(Pack.run_number)),
    *(col(getattr(Result, name)) for name in _OF_RESULT),
)
"""What a row is made of: objects of 10 000 rows with all their columns would take seconds."""


def _row_of(columns: Any, job: QueryJob, run: Run | None) -> SequenceRow:
    """Return a row of `_COLUMNS`; what has neither result nor failure is as its job is."""
    position, child_id, key, title, letters, failure_class, message, created_at, number, *of_result = columns
    if created_at is None:
        if failure_class is None:
            return SequenceRow(position, child_id, key, title, letters, job.status)
        return SequenceRow(position, child_id, key, title, letters, "failed", note=f"{failure_class}: {message}")
    # Of older packs only the time is known.
    is_own = run is not None and (created_at >= run.started_at if number is None else number == run.number)
    values = dict(zip(_OF_RESULT, of_result, strict=True))
    return SequenceRow(
        position, child_id, key, title, letters, "complete", origin="searched" if is_own else "reused", **values
    )
