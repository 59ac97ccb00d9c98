"""Query jobs on SQLite and PostgreSQL: recorded once, settled by their results, told in numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlmodel import select

from multiblast.archive import Summary
from multiblast.database import ChildJob, Database, JobStatus, Link, QueryJob, ReportJob
from multiblast.errors import NotFoundError
from multiblast.ids import digest
from multiblast.jobs import Counts, Jobs, NewSequence
from multiblast.results import PackWriter, Results

_SUMMARY = Summary(0, 0, "", None, None, None, None, 10)
_OLD, _NEW = "a" * 32, "b" * 32


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def _child_id(name: str) -> str:
    return digest("test-child/1", name)


def _result_key(name: str, search_key: str = _OLD) -> str:
    return digest("test-result/1", [search_key, name])


def _job(names: str, search_key: str = _OLD) -> QueryJob:
    alone = len(names) == 1
    return QueryJob(
        id=_child_id(names) if alone else digest("test-parent/1", names),
        site="site",
        program="blastp",
        recipe={"targets": [], "options": {}},
        sequences=len(names),
        letters=10 * len(names),
        query_key="queries/x",
        query_bytes=15 * len(names),
        search_key=search_key,
        result_key=_result_key(names, search_key) if alone else "",
    )


def _record(jobs: Jobs, names: str, search_key: str = _OLD, *, owner: str = "") -> QueryJob:
    """Record a query whose sequences are called by one letter each."""
    sequences = [
        NewSequence(_child_id(name), _result_key(name, search_key), 15 * number, 15, 10, f"{name} title")
        for number, name in enumerate(names)
    ]
    job = _job(names, search_key)
    jobs.add(job, sequences if len(names) > 1 else [], owner=owner, summary="about" if owner else "")
    return jobs.query(job.id)


def _find(results: Results, names: Iterable[str], search_key: str = _OLD) -> None:
    """Give some sequences a result."""
    with PackWriter(results._store) as pack:
        for name in names:
            pack.add(_result_key(name, search_key), b"archive")
        results.add(pack, [_SUMMARY] * len(pack.entries), "")


def _status(jobs: Jobs, names: str) -> str:
    return jobs.query(_child_id(names) if len(names) == 1 else digest("test-parent/1", names)).status


def _moves(jobs: Jobs, job: QueryJob) -> list[tuple[str, str]]:
    return [(event.from_status, event.to_status) for event in jobs.history(job.id)]


def test_job_is_recorded_with_its_children_in_order(jobs: Jobs) -> None:
    job = _record(jobs, "abc")
    children = list(jobs.children(job))
    assert [child.position for child in children] == [1, 2, 3]
    assert [child.job_id for child in children] == [_child_id(name) for name in "abc"]
    assert [child.query_offset for child in children] == [0, 15, 30]
    child = jobs.query(_child_id("b"))
    assert (child.sequences, child.title, child.query_offset, child.status) == (1, "b title", 15, JobStatus.QUEUED)
    assert (child.recipe, child.site, child.result_key) == (job.recipe, "site", _result_key("b"))


def test_job_of_one_sequence_is_its_own_child(jobs: Jobs, database: Database) -> None:
    job = _record(jobs, "a")
    assert [(child.position, child.job_id) for child in jobs.children(job)] == [(1, job.id)]
    with database.read() as session:
        assert list(session.exec(select(ChildJob))) == []


def test_equal_sequences_are_one_child_at_two_positions(jobs: Jobs, database: Database) -> None:
    job = _record(jobs, "aba")
    assert [child.job_id for child in jobs.children(job)] == [_child_id(name) for name in "aba"]
    with database.read() as session:
        assert len(list(session.exec(select(QueryJob)))) == 1
    assert jobs.counts(job) == Counts(3, 0, 0)


def test_recording_again_changes_nothing(jobs: Jobs) -> None:
    job = _record(jobs, "abc")
    assert _record(jobs, "abc") == job
    assert _moves(jobs, job) == [("", "queued")]
    assert len(jobs.history(_child_id("a"))) == 1


def test_recording_leaves_children_that_exist_as_they_are(jobs: Jobs, results: Results) -> None:
    _record(jobs, "ab")
    _find(results, "ab")
    jobs.settle(jobs.query(digest("test-parent/1", "ab")))
    _record(jobs, "bc")
    assert (_status(jobs, "b"), _status(jobs, "c")) == ("complete", "queued")


def test_recording_after_a_change_of_the_database_queues_again(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    _find(results, "ab")
    jobs.settle(job)
    assert _record(jobs, "ab", _NEW).status == "queued"
    again = jobs.children(jobs.query(job.id))
    assert [child.result_key for child in again] == [_result_key(name, _NEW) for name in "ab"]
    assert jobs.query(_child_id("a")).result_key == _result_key("a", _NEW)
    assert jobs.history(job.id)[-1].why == "a database or the program changed since it was searched"
    assert jobs.counts(jobs.query(job.id)).done == 0


def test_other_parents_keep_their_results_when_a_shared_child_is_searched_anew(jobs: Jobs, results: Results) -> None:
    old = _record(jobs, "ab")
    _find(results, "ab")
    jobs.settle(old)
    _record(jobs, "bc", _NEW)
    assert jobs.counts(old) == Counts(2, 2, 0)
    assert jobs.query(old.id).status == "complete"
    assert _status(jobs, "b") == "queued"


def test_owner_gets_one_link_with_their_words(jobs: Jobs, database: Database) -> None:
    for _ in range(2):
        _record(jobs, "ab", owner="ada")
    _record(jobs, "ab", owner="bob")
    with database.read() as session:
        links = session.exec(select(Link).order_by(Link.owner))
        assert [(link.owner, link.summary, link.kind) for link in links] == [
            ("ada", "about", "query"),
            ("bob", "about", "query"),
        ]


def test_jobs_recorded_at_once_from_the_same_sequences_are_all_whole(jobs: Jobs) -> None:
    """In different orders, so that insertions that were not sorted would wait for each other on PostgreSQL."""
    letters = "abcdefghijklmnopqrstuvwxyz" * 8
    queries = [letters, letters[::-1], letters[7:] + letters[:7], letters[::3] + letters[1::3]] * 2
    with ThreadPoolExecutor(8) as pool:
        recorded = list(pool.map(lambda names: _record(jobs, names), queries))
    assert [len(list(jobs.children(job))) for job in recorded] == list(map(len, queries))
    assert len(jobs.history(_child_id("a"))) == 1


def test_jobs_that_share_children_settle_and_start_at_once(jobs: Jobs, results: Results) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    recorded = [_record(jobs, names) for names in (letters, letters[::-1], letters[5:] + letters[:5])]
    _find(results, letters[:20])

    def go_round(job: QueryJob) -> None:
        for _ in range(10):
            jobs.start(job)
            jobs.settle(job)
            jobs.stop(job, JobStatus.CANCELLED, "cancelled by its user")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(go_round, recorded * 2))
    assert {jobs.query(job.id).status for job in recorded} == {"cancelled"}
    assert {_status(jobs, name) for name in letters[:20]} == {"complete"}
    assert {_status(jobs, name) for name in letters[20:]} == {"cancelled"}
    for name in letters:
        moves = _moves(jobs, jobs.query(_child_id(name)))
        assert all(after[0] == before[1] for before, after in pairwise(moves))


def test_missing_jobs_are_named(jobs: Jobs) -> None:
    with pytest.raises(NotFoundError, match="no query job 'x'; submit the query first"):
        jobs.query("x")
    with pytest.raises(NotFoundError, match="no report job 'x'; make the report first"):
        jobs.report("x")


def test_counts_follow_results_and_failures(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "abca")
    _find(results, "a")
    results.fail(_result_key("b"), "out of memory", "too long", "me")
    assert jobs.counts(job) == Counts(sequences=4, done=2, failed=1)


def test_counts_of_one_sequence(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "a")
    assert jobs.counts(job) == Counts(1, 0, 0)
    _find(results, "a")
    assert jobs.counts(job) == Counts(1, 1, 0)


def test_children_come_with_results_and_failures(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "abc")
    _find(results, "a")
    results.fail(_result_key("b"), "out of memory", "too long", "me")
    found = [(child.pack is not None, child.failure_class, child.message) for child in jobs.children(job)]
    assert found == [(True, None, None), (False, "out of memory", "too long"), (False, None, None)]


def test_start_moves_the_job_and_its_unknown_children(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "abc")
    _find(results, "a")
    jobs.settle(job)
    jobs.start(job, run_id="run-1")
    assert [_status(jobs, name) for name in ("abc", "a", "b", "c")] == ["in-progress", "complete"] + ["in-progress"] * 2
    started = jobs.query(job.id)
    assert started.started_at is not None
    assert (started.attempts, jobs.history(job.id)[-1].flow_run) == (1, "run-1")


def test_settle_waits_while_something_is_missing(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    jobs.start(job)
    _find(results, "a")
    assert jobs.settle(job) is JobStatus.IN_PROGRESS
    assert (_status(jobs, "a"), _status(jobs, "b")) == ("complete", "in-progress")


def test_settle_completes_the_job_with_its_last_result(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    jobs.start(job)
    _find(results, "ab")
    assert jobs.settle(job) is JobStatus.COMPLETE
    settled = jobs.query(job.id)
    assert settled.finished_at is not None
    assert _moves(jobs, job) == [("", "queued"), ("queued", "in-progress"), ("in-progress", "complete")]


def test_settle_completes_what_others_searched(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    _find(results, "ab")
    assert jobs.settle(job) is JobStatus.COMPLETE
    assert _moves(jobs, job) == [("", "queued"), ("queued", "complete")]


def test_settle_fails_a_job_with_its_good_children_complete(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "abc")
    jobs.start(job)
    _find(results, "ac")
    results.fail(_result_key("b"), "out of memory", "too long", "me")
    assert jobs.settle(job) is JobStatus.FAILED
    assert jobs.query(job.id).reason == "1 of 3 sequences could not be searched"
    assert [_status(jobs, name) for name in "abc"] == ["complete", "failed", "complete"]


def test_settle_of_one_failed_sequence(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "a")
    jobs.start(job)
    results.fail(_result_key("a"), "out of memory", "too long", "me")
    assert jobs.settle(job) is JobStatus.FAILED


def test_failed_job_started_again_forgets_its_reason(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    jobs.start(job)
    results.fail(_result_key("a"), "out of memory", "too long", "me")
    results.fail(_result_key("b"), "out of memory", "too long", "me")
    jobs.settle(job)
    results.clear_failures([_result_key(name) for name in "ab"])
    jobs.start(job)
    again = jobs.query(job.id)
    assert (again.status, again.reason, again.attempts) == ("in-progress", "", 2)
    assert ("failed", "queued") in _moves(jobs, job)


def test_settling_twice_writes_one_line(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    _find(results, "ab")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(jobs.settle, [job] * 8))
    assert _moves(jobs, job) == [("", "queued"), ("queued", "complete")]


def test_cancelled_job_keeps_what_is_complete(jobs: Jobs, results: Results) -> None:
    job = _record(jobs, "ab")
    jobs.start(job)
    _find(results, "a")
    jobs.settle(job)
    jobs.stop(job, JobStatus.CANCELLED, "cancelled by its user")
    assert [_status(jobs, name) for name in ("ab", "a", "b")] == ["cancelled", "complete", "cancelled"]
    assert jobs.query(job.id).cancel_requested
    jobs.start(job)
    assert not jobs.query(job.id).cancel_requested


def test_report_is_recorded_once(jobs: Jobs) -> None:
    job = _record(jobs, "ab")
    for owner in ("ada", "bob"):
        jobs.record_report(ReportJob(id="f" * 32, query_job_id=job.id, formatting={"format": 5}), owner)
    assert len(jobs.history("f" * 32)) == 1
    assert jobs.report("f" * 32).formatting == {"format": 5}


def test_report_moves_with_its_values(jobs: Jobs) -> None:
    job = _record(jobs, "ab")
    report = ReportJob(id="f" * 32, query_job_id=job.id, formatting={})
    jobs.record_report(report, "")
    jobs.move_report(report.id, JobStatus.IN_PROGRESS, run_id="run-1")
    assert jobs.move_report(report.id, JobStatus.COMPLETE, files=[{"name": "report.xml", "size": 5}]) == 1
    done = jobs.report(report.id)
    assert (done.status, done.files) == ("complete", [{"name": "report.xml", "size": 5}])


def test_touch_notes_that_a_job_was_read(jobs: Jobs) -> None:
    job = _record(jobs, "ab")
    jobs.adopt(_child_id("a"))
    jobs.touch([job.id, "nothing"])
    assert timedelta() < jobs.query(job.id).used_at - job.used_at < timedelta(seconds=30)
    assert jobs.query(_child_id("a")).used_at < jobs.query(job.id).used_at


def test_readers_are_not_held_up_by_a_writer(jobs: Jobs, database: Database) -> None:
    job = _record(jobs, "ab")
    read = threading.Event()
    with database.write() as session:
        session.get_one(QueryJob, job.id).title = "changed"
        session.flush()
        thread = threading.Thread(target=lambda: (jobs.query(job.id), jobs.counts(job), read.set()))
        thread.start()
        assert read.wait(10)
        thread.join()
