"""A child reads as a job of its own, gets a row once it is needed as one, and goes its own way from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select

from multiblast.accounts import Requester
from multiblast.accounts.job_rights import Access
from multiblast.database import (
    ChildJob,
    Database,
    JobKind,
    JobStatus,
    PluginJob,
    QueryJob,
    ReportJob,
    SequenceList,
    utc_now,
)
from multiblast.database.metadata import METADATA
from multiblast.errors import ConflictError, NotAllowedError
from multiblast.jobs import Links, child_rows
from multiblast.jobs.children import adopt
from multiblast.search import SearchedJob, read_submission
from multiblast.search.searched_job import RowChoice
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import distinct_proteins, fasta

SearchWhole = Callable[..., SearchedJob]

ANN, BOB = Requester("ann"), Requester("bob")
LATER = utc_now() + timedelta(days=31)


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


def _rows(services: Services) -> dict[str, int]:
    with services.database.read() as session:
        return {
            name: session.connection().execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in METADATA.tables.items()
        }


def _row(services: Services, job_id: str) -> QueryJob | None:
    with services.database.read() as session:
        return session.get(QueryJob, job_id)


def _submit(services: Services, sequences: list[Sequence], who: Requester = ANN) -> str:
    submission = read_submission(query=fasta(sequences), program="blastp", targets=["demo/examples/proteins"])
    return services.queries.submit(who, submission).job_id


def _children(services: Services, job_id: str) -> list[str]:
    jobs = services.queries.jobs
    return [child.job_id for child in jobs.children(jobs.query(job_id))]


def _everything(services: Services, who: Requester, job_id: str) -> dict[str, Any]:
    """Return what every reader says of a job of one sequence, without using it."""
    queries = services.queries
    job = queries.jobs.query(job_id)
    with queries.query(who, job_id) as file:
        query = file.read()
    return {
        "job": job.model_dump(exclude={"used_at"}),
        "details": queries.lookup(who, job_id, link=False).model_dump(exclude={"user_meta"}),
        "status": (queries.statuses(who, [job_id]), queries.jobs.status(JobKind.QUERY, job_id)),
        "kind": queries.jobs.kind(job_id),
        "history": _moves(services, job_id),
        "counts": queries.jobs.counts(job),
        "children": list(queries.jobs.children(job)),
        "rows": queries.rows(who, job_id, RowChoice()),
        "query": query,
        "whole_id": Access(services.database).whole_id(who, job_id[:20]),
    }


def _result(services: Services, job_id: str) -> bytes:
    output = BytesIO()
    services.queries.result(ADMINISTRATOR, job_id, output)
    return output.getvalue()


def _moves(services: Services, job_id: str) -> list[tuple[str, str, str]]:
    return [(event.from_status, event.to_status, event.why) for event in services.queries.jobs.history(job_id)]


def _status(services: Services, job_id: str) -> str:
    return services.queries.jobs.query(job_id).status


def _age(services: Services, *job_ids: str) -> None:
    """Let jobs be unused for long."""
    with services.database.write() as session:
        for job_id in job_ids:
            session.get_one(QueryJob, job_id).used_at = utc_now() - timedelta(days=40)


def test_child_reads_alike_before_and_after_it_has_a_row_and_reading_writes_nothing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    parent = search_whole(services, fasta(proteins[8:11]), user="ann").job_id
    child = _children(services, parent)[1]
    before = _rows(services)
    read = _everything(services, ANN, child)
    assert _rows(services) == before
    assert read["history"] == _moves(services, parent)
    assert (read["job"]["title"], read["job"]["letters"]) == (proteins[9].defline.decode(), proteins[9].length)
    assert read["details"]["parents"] == (parent,) or parent in str(read["details"])
    result = _result(services, child)  # this is use, and keeps it
    assert isinstance(_row(services, child), QueryJob)
    assert _everything(services, ANN, child) == read
    assert _result(services, child) == result
    alone = _submit(services, proteins[9:10])
    assert alone == child
    assert _everything(services, ANN, child)["job"] == read["job"]


@pytest.mark.parametrize("by", ["link", "share", "pin", "report", "restart", "alone", "plugin", "touch", "lookup"])
def test_child_gets_one_row_by_what_needs_one(services: Services, proteins: list[Sequence], by: str) -> None:
    parent = _submit(services, proteins[8:11])
    queries, jobs = services.queries, services.queries.jobs
    if by == "restart":
        queries.cancel(ANN, parent)
    child, other, _ = _children(services, parent)
    taking: dict[str, Callable[[], object]] = {
        "link": lambda: Links(services.database).add("ann", child, JobKind.QUERY),
        "share": lambda: queries.share(ADMINISTRATOR, child),
        "pin": lambda: queries.pin(ADMINISTRATOR, child),
        "report": lambda: jobs.record_report(ReportJob(id="f" * 32, query_job_id=child, formatting={}), "ann"),
        "restart": lambda: queries.restart(ADMINISTRATOR, child),
        "alone": lambda: _submit(services, proteins[8:9], BOB),
        "plugin": lambda: jobs.record_plugin(
            PluginJob(id="e" * 32, plugin="sort", version="1", recipe={}, facts={}), [child], "ann"
        ),
        "touch": lambda: jobs.touch([child]),
        "lookup": lambda: queries.lookup(ANN, child),
    }
    taking[by]()
    assert isinstance(_row(services, child), QueryJob)
    assert _row(services, other) is None
    moves = [("", "queued", "submitted")]
    if by == "restart":
        moves += [("queued", "cancelled", "cancelled by its user"), ("cancelled", "queued", "restarted")]
    assert _moves(services, child) == moves
    count = _rows(services)["query_job"]
    taking[by]() if by not in {"restart", "alone"} else None
    assert _rows(services)["query_job"] == count == 2


def test_part_of_a_larger_job_is_changed_by_nobody_who_has_not_got_it(
    services: Services, proteins: list[Sequence]
) -> None:
    child, *_ = _children(services, _submit(services, proteins[8:10]))
    for change in (services.queries.pin, services.queries.share, services.queries.cancel, services.queries.restart):
        with pytest.raises(NotAllowedError):
            change(ANN, child)
        with pytest.raises(NotAllowedError):
            change(BOB, child)
    assert _row(services, child) is None


def test_child_goes_with_its_last_parent_and_stays_while_it_is_used_itself(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    parent = search_whole(services, fasta(proteins[8:11]), user="ann").job_id
    used, plain, stale = _children(services, parent)
    result = _result(services, used)
    services.queries.lookup(ANN, stale)
    _age(services, parent, stale)
    expired = services.expiry.run()
    assert (expired.query_jobs, expired.errors, expired.results) == ([parent], {}, 2)
    assert [_status(services, one) for one in (parent, used, plain, stale)] == ["expired", "complete"] + ["expired"] * 2
    assert _result(services, used) == result
    assert _row(services, plain) is None
    with pytest.raises(ConflictError, match="expired"):
        _result(services, plain)
    assert services.expiry.run(LATER).query_jobs == [used]
    assert _rows(services)["result"] == 0


def test_child_that_is_old_stays_while_its_parent_does(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    parent = search_whole(services, fasta(proteins[8:10]), user="ann").job_id
    child, other = _children(services, parent)
    services.queries.lookup(ANN, child)
    services.queries.unlink(ANN, child)
    _age(services, child)
    expired = services.expiry.run()
    assert (expired.query_jobs, expired.results) == ([], 0)
    assert [_status(services, one) for one in (parent, child, other)] == ["complete"] * 3
    services.queries.unlink(ANN, parent)
    assert services.queries.statuses(ANN, [parent, child, other]) == {}
    with pytest.raises(NotAllowedError):
        services.queries.lookup(ANN, other)


def test_child_of_two_parents_reads_from_the_one_that_is_left(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    first = search_whole(services, fasta(proteins[8:10]), user="ann").job_id
    second = search_whole(services, fasta(proteins[9:11]), user="bob").job_id
    shared = _children(services, first)[1]
    assert shared == _children(services, second)[0]
    for who in (ANN, BOB):
        assert services.queries.statuses(who, [shared]) == {shared: "complete"}
    _age(services, second)
    assert services.expiry.run().query_jobs == [second]
    assert (_status(services, shared), _moves(services, shared)) == ("complete", _moves(services, first))
    assert services.queries.statuses(BOB, [shared]) == {shared: "complete"}
    assert _result(services, shared)
    _age(services, first, shared)
    assert sorted(services.expiry.run().query_jobs) == sorted([first])
    assert (_status(services, shared), _rows(services)["result"]) == ("expired", 0)


def test_equal_sequences_are_the_first_of_them(services: Services, proteins: list[Sequence]) -> None:
    parent = _submit(services, [proteins[9], proteins[8], proteins[8]])
    _, first, again = _children(services, parent)
    assert first == again
    assert services.queries.jobs.query(again).query_offset == len(proteins[9].canonical)


def test_cancel_of_a_parent_stops_its_children_and_of_a_child_itself_alone(
    services: Services, proteins: list[Sequence]
) -> None:
    parent = _submit(services, proteins[8:11])
    alone, linked, plain = _children(services, parent)
    services.queries.lookup(ANN, linked)
    services.queries.lookup(ANN, alone)
    services.queries.cancel(ANN, alone)
    assert [_status(services, one) for one in (parent, alone, linked, plain)] == ["queued", "cancelled"] + [
        "queued"
    ] * 2
    services.queries.cancel(ANN, parent)
    assert [_status(services, one) for one in (parent, alone, linked, plain)] == ["cancelled"] * 4
    assert services.queries.jobs.query(plain).reason == "cancelled by its user"
    assert _moves(services, linked) == _moves(services, plain) == _moves(services, parent)
    services.queries.restart(ANN, parent)
    services.queries.run(parent).execute()
    assert [_status(services, one) for one in (parent, alone, linked, plain)] == ["complete"] * 4


def test_adopted_at_once_by_many_it_has_one_row_and_one_history(services: Services, proteins: list[Sequence]) -> None:
    parent = _submit(services, proteins[8:11])
    services.queries.jobs.start(services.queries.jobs.query(parent))
    child = _children(services, parent)[0]
    takers = 6
    together = threading.Barrier(takers)

    def take(_number: int) -> None:
        together.wait()
        services.queries.jobs.adopt(child)

    with ThreadPoolExecutor(takers) as pool:
        list(pool.map(take, range(takers)))
    assert _moves(services, child) == _moves(services, parent)


def test_adopted_while_its_parent_ends_it_ends_too(services: Services, proteins: list[Sequence]) -> None:
    """The parent's end waits for the new row, or the row for the end."""
    parent = _submit(services, proteins[8:11])
    jobs = services.queries.jobs
    jobs.start(jobs.query(parent))
    child, *_ = _children(services, parent)
    with services.database.write() as session:
        adopt(session, child)
        stopping = threading.Thread(target=jobs.stop, args=(jobs.query(parent), JobStatus.CANCELLED, "enough"))
        stopping.start()
        stopping.join(0.3)
    stopping.join()
    assert (_status(services, parent), _status(services, child)) == ("cancelled", "cancelled")
    assert _moves(services, child) == _moves(services, parent)


@pytest.mark.parametrize("parents", [3, 300])
def test_child_of_many_parents_is_found_by_indexes(services: Services, parents: int) -> None:
    child = "c" * 32
    with services.database.write() as session:
        for number in range(1, parents + 1):
            job = QueryJob(
                id=f"{number:032x}", site="s", program="blastp", recipe={}, query_key="q", query_bytes=9, sequences=2
            )
            job.list_number = number
            session.add_all([SequenceList(number=number), job])
            facts: dict[str, Any] = {"list_number": number, "query_offset": 0, "query_bytes": 9, "letters": 3}
            session.add(ChildJob(**facts, position=1, child_id=child, result_key=f"{number:032x}", title=str(number)))
            session.add(ChildJob(**facts, position=2, child_id=f"{number + 999:032x}", result_key="d" * 32))
    assert services.queries.jobs.query(child).title == str(parents)
    with services.database.read() as session:
        if session.get_bind().dialect.name == "sqlite":
            condition = ChildJob.child_id == child
            statement = child_rows(ChildJob.child_id).where(condition).compile(session.connection())
            plan = session.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", (bytes.fromhex(child), "expired")
            )
            steps = [row[3] for row in plan]
            assert not [step for step in steps if step.startswith("SCAN")], steps
            assert "ix_child_job_child_id" in steps[0]


def test_cancelled_job_of_several_batches_resumes_where_it_was(
    make_services: Callable[..., Services], searches_run: Callable[[Services], list[int]]
) -> None:
    services = make_services(cores=1)
    parent = _submit(services, distinct_proteins()[300:400])
    child_ids = _children(services, parent)
    run = services.queries.run(parent)
    plan = run.plan()
    assert len(plan.to_run) > 1
    run.start(plan)
    run.search(plan.to_run[0])
    services.queries.cancel(ADMINISTRATOR, parent)
    services.queries.jobs.settle(services.queries.jobs.query(parent))
    [searched] = searches_run(services)
    statuses = list(services.queries.statuses(ADMINISTRATOR, child_ids).values())
    assert (statuses.count("complete"), statuses.count("cancelled")) == (searched, 100 - searched)
    found = [one for one, status in zip(child_ids, statuses, strict=True) if status == "complete"]
    assert _result(services, found[0])
    services.queries.restart(ADMINISTRATOR, parent)
    statuses = list(services.queries.statuses(ADMINISTRATOR, child_ids).values())
    assert (statuses.count("complete"), statuses.count("queued")) == (searched, 100 - searched)
    assert services.queries.run(parent).execute().status == "complete"
    assert sum(searches_run(services)) == 100
