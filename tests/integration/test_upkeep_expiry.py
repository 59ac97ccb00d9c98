"""Expiry: what goes, what stays, and how it comes back."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from multiblast.accounts import Requester
from multiblast.database import (
    ChildJob,
    Database,
    Discarded,
    JobStatus,
    Pack,
    QueryJob,
    ReportJob,
    Result,
    Run,
    Ticket,
    Transfer,
    utc_now,
)
from multiblast.errors import ConflictError
from multiblast.gateway.qiita import QiitaJobs, QiitaWork
from multiblast.object_kinds import ObjectKind, subject_names_key
from multiblast.results.compaction import compact
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.stores import LocalStore
from multiblast.upkeep import Expiry
from multiblast.upkeep import expiry as expiry_module
from multiblast.upkeep.storage import KEPT_BY
from tests.support.sequences import fasta

SearchWhole = Callable[..., SearchedJob]

LATER = utc_now() + timedelta(days=31)
ME = Requester("ann")


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


def report_of(services: Services, job_id: str) -> str:
    config = {"queryJobID": job_id, "blastConfig": {"formatType": 6}}
    report = services.reports.create(ME, config).report_job_id
    services.reports.run(report).execute()
    return report


def results(services: Services) -> set[str]:
    with services.database.read() as session:
        return set(session.exec(select(Result.key)))


def objects(services: Services, prefix: str) -> set[str]:
    return {item.key for item in services.store.list(prefix)}


def run_again(services: Services, job_id: str) -> None:
    services.queries.run(job_id).execute()


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
    run_again(services, job.job_id)
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
    run_again(services, job.job_id)
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


def test_expiry_dry_run_tells_all_and_changes_nothing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:10]), user="ann")
    report_of(services, job.job_id)
    before = services.queries.jobs.history(job.job_id), results(services)
    told = services.expiry.run(LATER, dry_run=True)
    assert (services.queries.jobs.history(job.job_id), results(services)) == before
    done = services.expiry.run(LATER)
    assert told == replace(done, dry_run=True)


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


def random_world(services: Services, seed: int) -> None:
    """Write jobs of all kinds with results of all ages, as no run of BLAST+ would make so many of."""
    choose = random.Random(seed)
    old, new = LATER - timedelta(days=60), LATER - timedelta(days=1)

    def row(job_id: str, sequences: int = 1, number: int | None = None) -> QueryJob:
        status = choose.choice([JobStatus.COMPLETE] * 5 + [JobStatus.EXPIRED, JobStatus.FAILED, JobStatus.IN_PROGRESS])
        return QueryJob(
            id=job_id, site="s", program="blastp", recipe={}, status=status, sequences=sequences, query_key="q",
            query_bytes=1, result_key="" if sequences > 1 else f"{choose.randrange(4):032x}", list_number=number,
            pinned=choose.random() < 0.1, used_at=choose.choice([old, old, old, new]),
        )  # fmt: skip

    singles = [row(f"{number + 100:032x}") for number in range(14)]
    parents = [row(f"{number + 200:032x}", 3, number) for number in range(5)]
    with services.database.write() as session:
        for table in (ChildJob, ReportJob, QueryJob, Result, Pack):
            session.exec(delete(table))
        session.add_all([*singles, *parents])
        session.flush()
        for parent in parents:
            for position, child in enumerate(choose.sample(singles, 3), start=1):
                key = child.result_key if choose.random() < 0.8 else f"{choose.randrange(4):032x}"
                values = {"query_offset": 0, "query_bytes": 1, "letters": 1}
                values |= {"list_number": parent.list_number, "position": position}
                session.add(ChildJob(child_id=child.id, result_key=key, **values))
        session.add_all(
            Pack(number=number, key=f"p{number}", created_at=choose.choice([old, new])) for number in (1, 2)
        )
        for number in range(4):
            place = {"pack_number": 1 + number // 3, "offset": 0, "length": 10**number}
            session.add(Result(key=f"{number:032x}", digest="", archive_bytes=1, **place))
        for number in range(6):
            of = choose.choice([*singles, *parents]).id
            kept = {"pinned": choose.random() < 0.3, "used_at": choose.choice([old, new])}
            session.add(ReportJob(id=f"report{number}", query_job_id=of, formatting={}, status="complete", **kept))


@pytest.mark.parametrize("seed", range(4))
def test_expiry_dry_run_foresees_what_goes(services: Services, seed: int) -> None:
    random_world(services, seed)
    foreseen = services.expiry.run(LATER, dry_run=True)
    done = services.expiry.run(LATER)
    assert done.errors == {}
    assert foreseen == replace(done, dry_run=True)


class _ReadByOthers(Database):
    """A job database in which something is submitted while others read it."""

    def __init__(self, url: str, submit: Callable[[], object]) -> None:
        super().__init__(url)
        self._submit = submit

    @contextmanager
    def read(self) -> Iterator[Session]:
        with super().read() as session:
            yield session
            self._submit()

    @contextmanager
    def write(self) -> Iterator[Session]:
        raise AssertionError("a dry run writes")
        yield


def test_submission_goes_through_while_a_dry_run_reads(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    submission = read_submission(query=fasta(proteins[9:10]), targets=["demo/examples/proteins"], user="ann")
    submitted: list[str] = []
    database = _ReadByOthers(
        services.database.url, lambda: submitted.append(services.queries.submit(ME, submission).job_id)
    )
    expired = Expiry(database, 30).run(LATER, dry_run=True)
    database.close()
    assert expired.query_jobs == [job.job_id]
    assert services.queries.lookup(ME, submitted[0]).status == "queued"


def test_every_kind_of_objects_is_known_to_sweeping() -> None:
    assert set(KEPT_BY) == set(ObjectKind)


def test_sweep_leaves_names_of_databases_while_results_can_be_compared(services: Services) -> None:
    """Names are needed as long as a result of that database may be there, also of one that was rebuilt since."""
    keys = {name: subject_names_key([name]) for name in ("alive", "shared", "lately", "old", "nobody's")}
    for key in keys.values():
        services.store.put(key, b"names")
    old = utc_now() - timedelta(days=60)
    with services.database.write() as session:
        for name, status, at in (
            ("alive", JobStatus.COMPLETE, old), ("lately", JobStatus.EXPIRED, utc_now()),
            ("old", JobStatus.EXPIRED, old), ("shared", JobStatus.EXPIRED, old), ("other", JobStatus.COMPLETE, old),
        ):  # fmt: skip
            search = "shared" if name == "other" else name
            values = {"site": "s", "program": "blastp", "recipe": {}, "query_key": "q", "query_bytes": 1}
            session.add(QueryJob(id=name, status=status, search_key=search, **values))
            made = {"program_version": "2", "command": [], "databases": [{"fingerprint": name}]}
            if name != "other":
                session.add(Run(job_id=name, search_key=name, started_at=at, finished_at=at, **made))
    services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
    assert objects(services, "names/") == {keys["alive"], keys["shared"], keys["lately"]}


def test_sweep_leaves_young_objects_and_removes_old_ones_without_reference(services: Services) -> None:
    for key in ("packs/aa/lost", "queries/aa/lost.fasta", "reports/aa/lost/1/report.tsv", "uploads/mine.fasta"):
        services.store.put(key, b"lost")
    assert services.storage_upkeep.sweep().unknown == 0
    assert services.storage_upkeep.sweep(utc_now() + timedelta(days=2)).unknown == 3
    assert objects(services, "") == {"uploads/mine.fasta"}


def test_verify_finds_references_without_object(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    assert services.storage_upkeep.verify().is_nothing
    packs = objects(services, "packs/")
    services.store.delete(packs)
    assert set(services.storage_upkeep.verify().packs) == packs
    assert services.queries.run(job.job_id).plan().unknown == 1


def test_wrong_store_that_was_planned_with_once_destroys_nothing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    """The storage block names another place for a while; then all is as before, and the next sweep takes nothing."""
    job = search_whole(services, fasta(proteins[:3]), user="ann")
    before, packs = results(services), objects(services, "packs/")
    wrong = replace(services, store=LocalStore(tmp_path / "wrong"))
    plan = wrong.queries.run(job.job_id).plan()
    assert (plan.known, plan.unknown, len(plan.lost)) == (0, 3, len(packs))
    assert any("not in the store" in warning for warning in plan.warnings)
    assert services.queries.run(job.job_id).plan().known == 3
    services.storage_upkeep.sweep(LATER)
    assert (results(services), objects(services, "packs/")) == (before, packs)
    assert services.storage_upkeep.verify().is_nothing


def test_repair_forgets_what_is_lost_and_a_restart_brings_it_back(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    jobs = [search_whole(services, fasta(proteins[number : number + 1]), user="ann") for number in range(3)]
    lost = services.queries.results.known([jobs[0].rows[0].result_key])[jobs[0].rows[0].result_key].pack
    services.store.delete([lost])
    repaired = services.storage_upkeep.verify(repair=True)
    assert (repaired.packs, repaired.forgotten, repaired.results) == ([lost], 1, [jobs[0].job_id])
    services.queries.restart(ME, jobs[0].job_id)
    run_again(services, jobs[0].job_id)
    assert services.storage_upkeep.verify().is_nothing


def test_repair_is_refused_where_most_is_missing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    search_whole(services, fasta(proteins[:3]), user="ann")
    before = results(services)
    wrong = replace(services, store=LocalStore(tmp_path / "wrong"))
    with pytest.raises(ConflictError, match=r"(\d) of \1 packs are missing .* the block BLAST result"):
        wrong.storage_upkeep.verify(repair=True)
    assert results(services) == before
    assert services.storage_upkeep.verify(repair=True).is_nothing


def test_lost_pack_is_searched_again(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], searches_run: Callable[..., list[int]]
) -> None:
    job = search_whole(services, fasta(proteins[:3]), user="ann")
    before = list(services.queries.results.archives([row.result_key for row in job.rows]))
    services.store.delete(objects(services, "packs/"))
    again = search_whole(services, fasta(proteins[:3]), user="ann")
    assert (again.status, again.searched, sum(searches_run(services))) == ("complete", 3, 6)
    assert list(services.queries.results.archives([row.result_key for row in job.rows])) == before


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
    run_again(services, job)
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


def test_tickets_and_transfers_go_with_their_job(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[:1]), user="ann")
    gateway, lasts = services.gateway, timedelta(hours=1)
    mine = gateway.tickets.make(site="x", reads=["a"], max_bytes=0, lasts=lasts, job_id=job.job_id).id
    by_hand = gateway.tickets.make(site="", reads=["a"], max_bytes=0, lasts=lasts).id
    for ticket, job_id in ((mine, job.job_id), (by_hand, ""), (by_hand, "")):
        gateway.tickets.record(Transfer(ticket=ticket, job_id=job_id, verb="fetch", key="a", outcome="done"))
    early, late = utc_now() - timedelta(days=1), LATER
    kept, swept = gateway.sweep(early), gateway.sweep(late)
    assert (kept.tickets, kept.transfers, swept.tickets, swept.transfers) == (0, 0, 1, 2)
    assert len(gateway.tickets.transfers(job.job_id)) == 1
    services.expiry.run(LATER)
    swept = gateway.sweep(late)
    assert (swept.tickets, swept.transfers, gateway.tickets.transfers(job.job_id)) == (1, 1, [])


def test_jobs_of_plugins_go_with_their_ticket(services: Services) -> None:
    jobs, lasts = QiitaJobs(services.database), timedelta(hours=1)
    old, living = (
        services.gateway.tickets.make(site="", writes=[f"{name}/"], max_bytes=0, lasts=lasts) for name in ("a", "b")
    )
    for ticket in (old, living):
        jobs.add(ticket.id, "/base", QiitaWork("Reverse"))
    with services.database.write() as session:
        long_ago = utc_now() - timedelta(days=services.policy.keep_days + 1)
        session.exec(update(Ticket).where(col(Ticket.id) == old.id).values(expires_at=long_ago))
    services.clean_up()
    assert (jobs.find(old.id), jobs.get(living.id).command) == (None, "Reverse")


def test_cleaning_up_removes_uploads_and_records_of_machines_elsewhere(services: Services) -> None:
    gateway, old = services.gateway, utc_now() - timedelta(days=services.policy.keep_days + 1)
    gateway.spool = services.store.root.with_name("spool")  # type: ignore[attr-defined]  # it is local
    given_up, going_on = (gateway.uploads.begin("t" * 32, key, 5, "0" * 64)[0] for key in ("a", "b"))
    begun_only = gateway.spool / ("0" * 32)
    begun_only.mkdir()
    for place in (gateway.spool / given_up.id / "data", begun_only):
        os.utime(place, (old.timestamp(), old.timestamp()))
    for at in (old, utc_now()):
        gateway.tickets.record(Transfer(at=at, ticket="t" * 32, verb="fetch", key="a", outcome="done"))
    assert services.clean_up(dry_run=True).gateway is None
    swept = services.clean_up().gateway
    assert swept is not None
    assert (swept.tickets, swept.transfers, swept.uploads) == (0, 1, 2)
    assert [place.name for place in gateway.spool.iterdir()] == [going_on.id]
