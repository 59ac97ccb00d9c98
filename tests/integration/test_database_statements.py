"""What the job database's statements share, on SQLite and PostgreSQL: any number of values, rows that may exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select

from multiblast.database import (
    BatchRun,
    Database,
    Failure,
    JobKind,
    Lease,
    PluginJob,
    QueryJob,
    ReportJob,
    Speed,
    among,
    database_now,
    in_portions,
    insert_missing,
    job_table,
    take,
    upsert,
    utc_now,
)
from multiblast.ids import digest

MANY = 200  # rows, which do not take the way of a few
MORE_THAN_SQLITE_TAKES = 40_000  # parameters of one statement: 32 766


def _rows(*speeds: tuple[str, float]) -> list[dict[str, object]]:
    return [{"key": key, "letters_per_second": speed, "bytes_per_letter": 0.0, "updated_at": utc_now()}
            for key, speed in speeds]  # fmt: skip


def _speeds(session: Session) -> dict[str, float]:
    return {row.key: row.letters_per_second for row in session.exec(select(Speed))}


def test_insert_missing_leaves_what_exists_as_it_is(database: Database) -> None:
    with database.write() as session:
        assert insert_missing(session, Speed, []) == 0
        assert insert_missing(session, Speed, _rows(("a", 1))) == 1
        assert insert_missing(session, Speed, _rows(("b", 3), ("a", 2))) == 1
        assert _speeds(session) == {"a": 1, "b": 3}


def test_upsert_changes_what_exists_by_what_was_to_be_inserted(database: Database) -> None:
    with database.write() as session:
        assert upsert(session, Speed, [], lambda new: {"letters_per_second": new.letters_per_second}) == 0
        upsert(session, Speed, _rows(("a", 1)), lambda new: {"letters_per_second": new.letters_per_second})
        faster = col(Speed.letters_per_second) + 10
        assert upsert(session, Speed, _rows(("a", 2), ("b", 3)), lambda _new: {"letters_per_second": faster}) == 2
        assert _speeds(session) == {"a": 11, "b": 3}


def test_many_rows_are_inserted_and_changed_as_few_are(database: Database) -> None:
    keys, now = [digest("test/1", number) for number in range(MANY)], utc_now()
    earlier = now - timedelta(days=1)

    def rows(failure_class: str, at: datetime, count: int = MANY) -> list[dict[str, object]]:
        shared = {"failure_class": failure_class, "message": "", "batch_run": None, "at": at}
        return [{"key": key, **shared} for key in keys[:count]]

    with database.write() as session:
        assert insert_missing(session, Failure, rows("first", now, MANY // 2)) == MANY // 2
        with_defaults = [{"key": key, "failure_class": "other"} for key in keys]
        assert insert_missing(session, Failure, with_defaults) == MANY // 2
        assert insert_missing(session, Failure, rows("none", now)) == 0
        new, is_other = rows("100%s :new", earlier), col(Failure.failure_class) == "other"
        changed = upsert(
            session, Failure, new, lambda new: {"message": new.failure_class, "at": new.at}, where=is_other
        )
        assert changed == MANY // 2
        found = {row.key: row for row in session.exec(select(Failure))}
        assert [found[key].failure_class for key in keys] == ["first"] * (MANY // 2) + ["other"] * (MANY // 2)
        assert [found[key].message for key in keys] == [""] * (MANY // 2) + ["100%s :new"] * (MANY // 2)
        assert {found[key].at for key in keys[: MANY // 2]} == {now}
        assert {found[key].at for key in keys[MANY // 2 :]} == {earlier}


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


def test_among_takes_ids_and_passes_over_what_is_none(database: Database) -> None:
    ids = [digest("test/1", number) for number in range(4)]
    no_ids = ["", "ab", f"{ids[2][:30]} \n", f" {ids[2][:31]}", "x" * 32, ids[2] + ids[3], "é" * 32]
    with database.write() as session:
        insert_missing(session, Failure, [{"key": key, "failure_class": "test"} for key in ids])

        def found(values: list[str]) -> set[str]:
            return set(session.exec(select(Failure.key).where(among(session, col(Failure.key), values))))

        assert found(ids[:2]) == set(ids[:2])
        assert found([*no_ids, ids[0], ids[0].upper()]) == {ids[0]}
        assert found(no_ids) == found([]) == set()
        assert found([digest("test/1", number) for number in range(2, MORE_THAN_SQLITE_TAKES)]) == set(ids[2:])


def test_take_inserts_rows_and_changes_those_that_meet_the_condition(database: Database) -> None:
    keys, shared = [digest("test/1", number) for number in range(3)], {"holder": "me", "expires_at": utc_now()}
    with database.write() as session:
        insert_missing(session, Lease, [shared | {"key": keys[0], "holder": "a"}, shared | {"key": keys[1]}])
        is_mine = col(Lease.holder) == "me"
        assert take(session, col(Lease.key), keys, shared | {"holder": "you"}, where=is_mine) == set(keys[1:])
        assert take(session, col(Lease.key), [], shared, where=is_mine) == set()
        rows = session.exec(select(Lease).order_by(col(Lease.holder))).all()
        assert [(row.key, row.holder) for row in rows] == [(keys[0], "a"), (keys[1], "you"), (keys[2], "you")]


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
