"""What machines elsewhere left goes in time: tickets, transfers, uploads, and jobs of plugins of Qiita."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from multiblast.database import (
    Database,
    Ticket,
    Transfer,
    utc_now,
)
from multiblast.gateway.qiita import QiitaJobs, QiitaWork
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.sequences import fasta
from tests.support.upkeep import LATER

SearchWhole = Callable[..., SearchedJob]


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


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
