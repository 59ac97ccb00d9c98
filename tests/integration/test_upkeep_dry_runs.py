"""A dry run of expiry says all that would go, and neither changes nor holds up anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete
from sqlmodel import Session

from multiblast.database import (
    ChildJob,
    Database,
    JobStatus,
    Pack,
    QueryJob,
    ReportJob,
    Result,
)
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.upkeep import Expiry
from tests.support.sequences import fasta
from tests.support.upkeep import LATER, ME, report_of, results

SearchWhole = Callable[..., SearchedJob]


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


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
