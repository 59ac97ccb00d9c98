"""Expiry: what goes, what stays, and how it comes back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import Session, select

from multiblast.accounts import Requester
from multiblast.database import (
    Database,
    Discarded,
    JobStatus,
    Pack,
    QueryJob,
    ReportJob,
    utc_now,
)
from multiblast.errors import ConflictError
from multiblast.ids import digest
from multiblast.results.compaction import compact
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.upkeep import expiry as expiry_module
from tests.support.results import add_results
from tests.support.sequences import fasta
from tests.support.upkeep import LATER, ME, objects, report_of, results

SearchWhole = Callable[..., SearchedJob]


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


def test_expiry_removes_results_and_keeps_recipes(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:11]), user="ann")
    report = report_of(services, job.job_id)
    expired = services.expiry.run(LATER)
    assert (expired.query_jobs, expired.report_jobs, expired.errors) == ([job.job_id], [report], {})
    assert services.queries.lookup(ME, job.job_id).status == "expired"
    assert services.reports.lookup(ME, report).status == "expired"
    assert {child.status for child in services.queries.lookup(ME, job.job_id).children or ()} == {"expired"}
    assert results(services) == set()
    with services.queries.query(ME, job.job_id) as query:
        assert query.read() == fasta(proteins[8:11]).encode()


def test_expired_result_comes_back_and_says_that_it_is_the_same(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:10]), user="ann")
    before, after = io.BytesIO(), io.BytesIO()
    services.queries.result(ME, job.job_id, before)
    services.expiry.run(LATER)
    with pytest.raises(ConflictError, match="expired"):
        services.queries.result(ME, job.job_id, after)
    services.queries.restart(ME, job.job_id)
    assert services.queries.lookup(ME, job.job_id).status == "queued"
    services.queries.run(job.job_id).execute()
    found = services.queries.lookup(ME, job.job_id)
    assert (found.status, found.results_as_before) == ("complete", True)
    services.queries.result(ME, job.job_id, after)
    assert after.getvalue() == before.getvalue()


def test_expired_result_that_is_another_now_says_so(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    services.expiry.run(LATER)
    with services.database.write() as session:
        session.get_one(QueryJob, job.job_id).expired_digest = "0" * 64
    services.queries.run(job.job_id).execute()
    assert services.queries.lookup(ME, job.job_id).results_as_before is False


def test_expiry_counts_reading_as_use_and_nothing_else(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """Listing, looking up and polling do not keep a job; reading its result or a report of it does."""
    names = ("polled", "read", "reported")
    jobs = dict(
        zip(names, (search_whole(services, fasta([one]), user="ann").job_id for one in proteins[8:11]), strict=True)
    )
    report = report_of(services, jobs["reported"])
    with services.database.write() as session:
        for job in (*session.exec(select(QueryJob)), *session.exec(select(ReportJob))):
            job.used_at = utc_now() - timedelta(days=40)
    services.queries.list_jobs(ME)
    services.queries.lookup(ME, jobs["polled"])
    services.queries.statuses(ME, list(jobs.values()))
    services.queries.result(ME, jobs["read"], io.BytesIO())
    services.reports.file(ME, report, "report.tsv").close()
    assert services.expiry.run().query_jobs == [jobs["polled"]]


def test_expiry_spares_what_is_pinned(services: Services, search_whole: SearchWhole, proteins: list[Sequence]) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    services.queries.pin(ME, job.job_id)
    assert services.expiry.run(LATER).query_jobs == []
    services.queries.pin(ME, job.job_id, pinned=False)
    assert services.expiry.run(LATER).query_jobs == [job.job_id]


def test_pinned_report_keeps_its_query_job(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    report = report_of(services, job.job_id)
    services.reports.pin(ME, report)
    expired = services.expiry.run(LATER)
    assert (expired.query_jobs, expired.report_jobs) == ([], [])


def test_expiry_keeps_what_a_living_job_shares(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """Two parents share a sequence; one goes, and the shared child and its result stay whole."""
    old = search_whole(services, fasta(proteins[7:10]), user="ann")
    live = search_whole(services, fasta(proteins[9:11]), user="ann")
    services.queries.pin(ME, live.job_id)
    shared = live.rows[0]
    expired = services.expiry.run(LATER)
    assert expired.query_jobs == [old.job_id]
    assert expired.results == 2
    assert services.queries.lookup(ME, shared.job_id).status == "complete"
    assert results(services) == {row.result_key for row in live.rows}
    assert services.queries.result(ME, live.job_id, io.BytesIO()) == 2


def test_expiry_of_one_bad_job_stops_no_other(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = sorted(search_whole(services, fasta([one]), user="ann").job_id for one in proteins[8:11])
    digest = expiry_module.results_digest

    def digest_or_fail(session: Session, job: QueryJob) -> str:
        if job.id == jobs[1]:
            raise ValueError("not a digest")
        return digest(session, job)

    monkeypatch.setattr(expiry_module, "results_digest", digest_or_fail)
    expired = services.expiry.run(LATER)
    assert expired.query_jobs == [jobs[0], jobs[2]]
    assert expired.errors == {jobs[1]: "ValueError: not a digest"}
    assert services.queries.lookup(ME, jobs[1]).status == "complete"


def test_expired_objects_go_an_hour_later(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """Whoever reads a result while it expires reads on."""
    job = search_whole(services, fasta(proteins[8:10]), user="ann")
    report_of(services, job.job_id)
    packs, reports = objects(services, "packs/"), objects(services, "reports/")
    services.expiry.run(LATER)
    services.storage_upkeep.sweep()
    assert (objects(services, "packs/"), objects(services, "reports/")) == (packs, reports)
    services.storage_upkeep.sweep(utc_now() + timedelta(hours=2))
    assert (objects(services, "packs/"), objects(services, "reports/")) == (set(), set())
    assert objects(services, "queries/")
    with services.database.read() as session:
        assert session.exec(select(Discarded)).all() == []


class _ExpiringOutput(io.BytesIO):
    """Lets everything expire, be compacted and swept, once it is written to."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services, self.expired = services, 0

    def writelines(self, lines: Iterable[Any], /) -> None:
        if not self.expired:
            self.expired = len(self._services.expiry.run(LATER).query_jobs)
            compact(self._services.database, self._services.store)
            self._services.storage_upkeep.sweep()
        super().writelines(lines)


def test_result_that_expires_while_it_is_read_is_read_whole(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """Its batches are in different packs, the second one not open yet when the job expires."""
    for part in (proteins[7:9], proteins[9:11]):
        search_whole(services, fasta(part))
    job = search_whole(services, fasta(proteins[7:11]), user="ann")
    whole, expiring = io.BytesIO(), _ExpiringOutput(services)
    services.queries.result(ME, job.job_id, whole)
    services.queries.result(ME, job.job_id, expiring)
    assert expiring.expired > 0
    assert expiring.getvalue() == whole.getvalue()
    with pytest.raises(ConflictError, match="expired"):
        services.queries.result(ME, job.job_id, io.BytesIO())


def test_report_made_again_is_not_swept(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """A report of the same results has the same files as the one that expired."""
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    report = report_of(services, job.job_id)
    services.queries.pin(ME, job.job_id)
    assert services.expiry.run(LATER).report_jobs == [report]
    services.reports.restart(ME, report)
    services.reports.run(report).execute()
    services.storage_upkeep.sweep(utc_now() + timedelta(hours=2))
    with services.reports.file(ME, report, "report.tsv") as file:
        assert file.read()
    assert services.storage_upkeep.verify().is_nothing


def test_compaction_drops_what_expired_from_a_pack(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(replace(services, installation=replace(services.installation, cores=1)), fasta(proteins[:4]))
    kept = job.rows[-1]
    before = list(services.queries.results.archives([kept.result_key]))
    services.queries.pin(Requester(administrator=True), kept.job_id)
    services.expiry.run(LATER)
    assert results(services) == {kept.result_key}
    done = compact(services.database, services.store)
    assert (done.packs, done.errors) == (1, {})
    assert done.bytes_freed > 0
    services.storage_upkeep.sweep(utc_now() + timedelta(hours=2))
    assert len(objects(services, "packs/")) == 1
    assert list(services.queries.results.archives([kept.result_key])) == before


def test_results_of_an_older_database_go_when_they_are_old(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """What no job refers to any more, because its job was searched anew, stays for a time to compare with."""
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    with services.database.write() as session:
        row = session.get_one(QueryJob, job.job_id)
        row.result_key, row.pinned = "f" * 32, True
    assert services.expiry.run().results == 0
    assert services.expiry.run(LATER).results == 1


def test_running_jobs_do_not_expire(services: Services, search_whole: SearchWhole, proteins: list[Sequence]) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    services.queries.jobs.move_query([job.job_id], JobStatus.QUEUED, "submitted again")
    assert services.expiry.run(datetime(2100, 1, 1, tzinfo=UTC)).query_jobs == []
    assert len(results(services)) == 1


def test_expiry_keep_days_are_those_of_the_policy(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    week = replace(services, policy=Policy(keep_days=7))
    assert week.expiry.run(utc_now() + timedelta(days=6)).query_jobs == []
    assert week.expiry.run(utc_now() + timedelta(days=8)).query_jobs == [job.job_id]


def test_nothing_goes_since_the_clock_of_one_machine_is_ahead(
    make_services: Callable[..., Services],
    postgres_url: str,
    search_whole: SearchWhole,
    proteins: list[Sequence],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is a server, its clock counts."""
    services = replace(make_services(), database=Database(postgres_url))
    search_whole(services, fasta(proteins[:1]))
    services.store.put("packs/aa/being-recorded", b"")
    before = objects(services, "packs/")
    for module in ("expiry", "storage"):
        monkeypatch.setattr(f"multiblast.upkeep.{module}.utc_now", lambda: LATER, raising=False)
    monkeypatch.setattr("multiblast.database.statements.utc_now", lambda: LATER)
    done = services.clean_up()
    assert (done.expired.query_jobs, done.expired.results, objects(services, "packs/")) == ([], 0, before)
    services.database.close()


@pytest.fixture(params=["local", "weed"])
def services_on(request: pytest.FixtureRequest, services: Services) -> Services:
    """Services on a store of each kind."""
    if request.param == "local":
        return services
    return replace(services, store=request.getfixturevalue(f"{request.param}_s3").store())


def test_expiry_on_every_store_and_back(
    services_on: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    services = services_on
    job, pinned = (search_whole(services, fasta([one]), user="ann").job_id for one in proteins[8:10])
    services.queries.pin(ME, pinned)
    before, kept, after = io.BytesIO(), objects(services, "packs/"), io.BytesIO()
    services.queries.result(ME, job, before)
    services.expiry.run(LATER)
    services.storage_upkeep.sweep(LATER + timedelta(hours=2))
    assert len(objects(services, "packs/")) == len(kept) - 1
    assert len(objects(services, "queries/")) == 2
    services.queries.result(ME, pinned, io.BytesIO())
    services.queries.restart(ME, job)
    services.queries.run(job).execute()
    services.queries.result(ME, job, after)
    assert after.getvalue() == before.getvalue()
    assert services.storage_upkeep.verify().is_nothing


def test_job_read_during_expiry_is_whole_or_expired(
    services_on: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    services = services_on
    job = search_whole(services, fasta(proteins[8:11]), user="ann").job_id
    whole = io.BytesIO()
    services.queries.result(ME, job, whole)
    reading, expired = Event(), Event()

    def read() -> list[bytes]:
        """Read again and again, until it is told that the job is expired."""
        seen = []
        with pytest.raises(ConflictError, match="expired"):  # noqa: PT012 - until then
            while True:
                output = io.BytesIO()
                services.queries.result(ME, job, output)
                seen.append(output.getvalue())
                reading.set()
        expired.set()
        return seen

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(read)
        assert reading.wait(30)
        services.expiry.run(LATER)
        assert expired.wait(30)
    assert set(seen.result()) == {whole.getvalue()}


def test_expiry_and_compaction_at_a_time_do_not_wait_for_each_other(services: Services) -> None:
    """As of two clean-ups, which change the rows of the same results."""
    for number in range(5):
        keys = [digest("test/1", [number, one]) for one in range(1000)]
        add_results(services.queries.results, keys)
        with services.database.write() as session:
            session.exec(update(Pack).values(created_at=utc_now() - timedelta(days=90)))
        with ThreadPoolExecutor() as pool:
            compacting = pool.submit(compact, services.database, services.store, 2)
            expired = services.expiry.run()
            assert compacting.result().errors == {}
        assert expired.errors == {}
    services.expiry.run()
    assert results(services) == set()
