"""What the job database's statements share, on SQLite and PostgreSQL: any number of values, rows that may exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select

from multiblast.database import (
    BatchRun,
    Database,
    JobKind,
    PluginJob,
    QueryJob,
    ReportJob,
    Speed,
    among,
    database_now,
    in_portions,
    insert_missing,
    job_table,
    upsert,
    utc_now,
)

MORE_THAN_SQLITE_TAKES = 40_000  # parameters of one statement: 32 766


def _rows(*speeds: tuple[str, float]) -> list[dict[str, object]]:
    return [{"key": key, "letters_per_second": speed, "bytes_per_letter": 0.0, "updated_at": utc_now()}
            for key, speed in speeds]  # fmt: skip


def _speeds(session: Session) -> dict[str, float]:
    return {row.key: row.letters_per_second for row in session.exec(select(Speed))}


def test_insert_missing_leaves_what_exists_as_it_is(database: Database) -> None:
    with database.write() as session:
        insert_missing(session, Speed, [])
        insert_missing(session, Speed, _rows(("a", 1)))
        insert_missing(session, Speed, _rows(("a", 2), ("b", 3)))
        assert _speeds(session) == {"a": 1, "b": 3}


def test_upsert_changes_what_exists_by_what_was_to_be_inserted(database: Database) -> None:
    with database.write() as session:
        upsert(session, Speed, [], lambda new: {"letters_per_second": new.letters_per_second})
        upsert(session, Speed, _rows(("a", 1)), lambda new: {"letters_per_second": new.letters_per_second})
        faster = col(Speed.letters_per_second) + 10
        upsert(session, Speed, _rows(("a", 2), ("b", 3)), lambda _new: {"letters_per_second": faster})
        assert _speeds(session) == {"a": 11, "b": 3}


def test_upsert_leaves_rows_that_do_not_meet_the_condition(database: Database) -> None:
    with database.write() as session:
        insert_missing(session, Speed, _rows(("slow", 1), ("fast", 9)))
        slow = col(Speed.letters_per_second) < 5
        rows = _rows(("slow", 7), ("fast", 7))
        upsert(session, Speed, rows, lambda new: {"letters_per_second": new.letters_per_second}, where=slow)
        assert _speeds(session) == {"slow": 7, "fast": 9}


def test_among_takes_any_number_of_values(database: Database) -> None:
    names = [f'key "{number}" \'ä' for number in range(MORE_THAN_SQLITE_TAKES)]
    with database.write() as session:
        insert_missing(session, Speed, _rows((names[7], 1), ("other", 2)))
        assert session.exec(select(Speed.key).where(among(session, col(Speed.key), names))).all() == [names[7]]
        assert session.exec(select(Speed.key).where(among(session, col(Speed.key), []))).all() == []


def test_among_takes_numbers(database: Database) -> None:
    with database.write() as session:
        for number in (1, 2, 3):
            session.add(BatchRun(number=number, job_id="j", command=[], sequences=number, letters=0))
        session.flush()
        found = session.exec(select(BatchRun.number).where(among(session, col(BatchRun.number), {1, 3, 2**40})))
        assert sorted(number or 0 for number in found) == [1, 3]


def test_portions_hold_all_items_in_order() -> None:
    assert list(in_portions(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_portions([])) == []


def test_time_of_the_database_is_now(database: Database) -> None:
    with database.read() as session:
        now = database_now(session)
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=30)


def test_each_kind_of_job_has_its_table() -> None:
    assert [job_table(kind) for kind in JobKind] == [QueryJob, ReportJob, PluginJob]
