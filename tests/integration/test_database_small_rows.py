"""A job database from before children went without rows: everything reads the same after the upgrade."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, create_engine, func, text
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from multiblast.accounts import Requester
from multiblast.accounts.job_rights import Access
from multiblast.database import (
    Database,
    Failure,
    JobEvent,
    JobKind,
    JobStatus,
    Lease,
    Pack,
    QueryJob,
    Result,
    SequenceList,
    utc_now,
)
from multiblast.jobs import Counts, Jobs
from tests.integration.test_database_migrations import TIME, insert, migrate, url

__all__ = ["url"]  # a fixture

_BEFORE = "0011"
_FIRST, _SECOND = "a" * 32, "b" * 32
_PLAIN, _SHARED, _LINKED, _GRANTED, _REPORTED, _FAILED, _PINNED = (f"{number:032x}" for number in range(1, 8))
_CHILDREN = {_FIRST: [_PLAIN, _SHARED, _LINKED, _FAILED], _SECOND: [_SHARED, _GRANTED, _REPORTED, _SHARED, _PINNED]}
_ALL = sorted({*_CHILDREN[_FIRST], *_CHILDREN[_SECOND]})
_KEPT = {_FIRST, _SECOND, _LINKED, _GRANTED, _REPORTED, _PINNED}
_TEXTS = {"reason": "", "title": "", "search_key": "1" * 32, "result_key": "", "expired_digest": "", "notes": "[]"}


def _key(child: str) -> str:
    return f"{int(child, 16) + 100:032x}"


def _job(connection: Connection, job_id: str, **values: Any) -> None:
    facts: dict[str, Any] = {
        "site": "demo",
        "program": "blastp",
        "recipe": '{"targets": [], "options": {"evalue": 0.1}}',
    }
    facts |= {"status": "complete", "sequences": 1, "letters": 3, "query_key": "queries/a", "query_offset": 0} | _TEXTS
    facts |= {"query_bytes": 9, "attempts": 0, "pinned": False, "cancel_requested": False}
    insert(connection, "query_job", id=job_id, created_at=TIME, used_at=TIME, **(facts | values))
    for before, after, why in (("", "queued", "submitted"), ("queued", "complete", "")):
        event = {"job_id": job_id, "from_status": before, "to_status": after, "why": why, "flow_run": ""}
        insert(connection, "job_event", at=TIME, **event)


_RESULT = text(
    'INSERT INTO result (key, pack, "offset", length, digest, archive_bytes, query_length, hits, hsps, best_hit, note, '
    "created_at) VALUES (:key, :pack, :place, 10, :digest, 20, 3, :hits, 1, 'x', '', :at)"
)


def _fill(connection: Connection) -> None:
    """Put in two parents that share a child, with children of every kind."""
    for parent, children in _CHILDREN.items():
        _job(connection, parent, sequences=len(children), attempts=1)
    for number, child in enumerate(_ALL):
        values: dict[str, Any] = {"pinned": child == _PINNED, "title": f"title {number}", "result_key": _key(child)}
        if child == _FAILED:
            values |= {"status": "failed", "reason": "could not be searched"}
            failure = {"failure_class": "memory", "message": "too long", "at": TIME}
            insert(connection, "failure", key=_key(child), **failure)
        else:
            place = {"key": _key(child), "pack": f"packs/{number % 2}", "place": number, "digest": "d" * 64}
            connection.execute(_RESULT, place | {"hits": number, "at": TIME})
        _job(connection, child, **values)
    for parent, children in _CHILDREN.items():
        for position, child in enumerate(children, start=1):
            facts = {"query_offset": 9 * (position - 1), "query_bytes": 9, "letters": 3, "result_key": _key(child)}
            insert(connection, "child_job", parent_id=parent, position=position, child_id=child, **facts)
    words = {"kind": "query", "summary": "", "description": "", "client_notes": "{}", "created_at": TIME}
    for job_id in (_FIRST, _LINKED):
        insert(connection, "link", owner="ann", job_id=job_id, **words)
    insert(connection, "share_grant", token_hash="t" * 64, job_id=_GRANTED, granted_by="ann", created_at=TIME)
    report = {"status": "complete", "reason": "", "results_digest": "", "command": "[]", "stderr": "", "pinned": False}
    report |= {"formatting": '{"format": 6}', "files": '[{"name": "report.tsv", "key": "k", "size": 1}]'}
    insert(connection, "report_job", id="f" * 32, query_job_id=_REPORTED, created_at=TIME, used_at=TIME, **report)
    insert(connection, "lease", key="e" * 32, holder="me", expires_at=TIME)
    connection.commit()


def _check(database: Database) -> None:
    """Make sure that what was filled in reads as it did before."""
    jobs = Jobs(database)
    assert jobs.counts(jobs.query(_FIRST)) == Counts(4, 3, 1)
    assert jobs.counts(jobs.query(_SECOND)) == Counts(5, 5, 0)
    for parent, listed in _CHILDREN.items():
        children = list(jobs.children(jobs.query(parent)))
        assert [child.job_id for child in children] == listed
        assert [(child.position, child.query_offset) for child in children] == [
            (number + 1, 9 * number) for number in range(len(listed))
        ]
        assert [child.pack for child in children] == [
            None if child == _FAILED else f"packs/{_ALL.index(child) % 2}" for child in listed
        ]
    for number, child in enumerate(_ALL):
        job = jobs.query(child)
        assert (job.title, job.letters, job.sequences, job.result_key) == (f"title {number}", 3, 1, _key(child))
        assert (job.search_key, job.pinned, job.recipe["options"]) == ("1" * 32, child == _PINNED, {"evalue": 0.1})
        ends = ["failed"] if child == _FAILED else []
        assert [event.to_status for event in jobs.history(child)] == ["queued", "complete", *ends]
        assert jobs.kind(child) is JobKind.QUERY
        assert (job.status, job.reason) == (
            (JobStatus.FAILED, "could not be searched") if child == _FAILED else (JobStatus.COMPLETE, "")
        )
    assert set(Access(database).statuses(Requester("ann"), _ALL, JobKind.QUERY)) == set(_CHILDREN[_FIRST])
    assert (jobs.report("f" * 32).query_job_id, jobs.report("f" * 32).files[0]["name"]) == (_REPORTED, "report.tsv")
    with database.read() as session:
        _check_rows(session)


def _check_rows(session: Session) -> None:
    assert set(session.exec(select(QueryJob.id))) == _KEPT
    assert set(session.exec(select(JobEvent.job_id))) == _KEPT
    columns = [col(one) for one in (Result.key, Pack.key, Result.offset, Result.hits, Result.digest)]
    found = session.execute(sa_select(*columns).join(Pack, col(Pack.number) == Result.pack_number))
    assert sorted(map(tuple, found)) == [
        (_key(child), f"packs/{number % 2}", number, number, "d" * 64)
        for number, child in enumerate(_ALL)
        if child != _FAILED
    ]
    assert {failure.key: failure.message for failure in session.exec(select(Failure))} == {_key(_FAILED): "too long"}
    assert session.exec(select(func.count()).select_from(Lease)).one() == 0


def test_database_with_rows_of_children_reads_the_same_without_them(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrate(connection, _BEFORE)
        _fill(connection)
    engine.dispose()
    database = Database(url)
    _check(database)
    Jobs(database).adopt(_PLAIN)
    assert Jobs(database).query(_PLAIN).title == "title 0"
    with database.write() as session:  # numbers go on where the migration left off
        begun, pack = SequenceList(created_at=utc_now()), Pack(key="packs/new")
        session.add_all([begun, pack])
        session.flush()
        assert (begun.number, pack.number) == (3, 3)
    database.close()


def test_rows_of_children_come_back_and_go_again(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrate(connection, _BEFORE)
        _fill(connection)
        migrate(connection, "head")
        migrate(connection, _BEFORE, down=True)
        rows = connection.execute(text("SELECT id, title, result_key FROM query_job WHERE sequences = 1 ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            (child, f"title {number}", _key(child)) for number, child in enumerate(_ALL)
        ]
        places = connection.execute(text("SELECT parent_id, child_id FROM child_job ORDER BY parent_id, position"))
        assert [tuple(row) for row in places] == [
            (parent, child) for parent in _CHILDREN for child in _CHILDREN[parent]
        ]
    engine.dispose()
    database = Database(url)
    _check(database)
    database.close()
