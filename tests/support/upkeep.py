"""What tests of upkeep look at: results and objects that are there, at a time when all is old."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import Result, utc_now
from multiblast.services import Services
from multiblast.upkeep.reconciliation import RunState

LATER = utc_now() + timedelta(days=31)
ME = Requester("ann")


def results(services: Services) -> set[str]:
    """Return the keys of all results."""
    with services.database.read() as session:
        return set(session.exec(select(Result.key)))


def objects(services: Services, prefix: str) -> set[str]:
    """Return the keys of all objects below a prefix."""
    return {item.key for item in services.store.list(prefix)}


def report_of(services: Services, job_id: str) -> str:
    """Make a tabular report of a query job, and return its id."""
    config = {"queryJobID": job_id, "blastConfig": {"formatType": 6}}
    report = services.reports.create(ME, config).report_job_id
    services.reports.run(report).execute()
    return report


def knows(**states: RunState) -> Callable[[set[str]], Mapping[str, RunState]]:
    """Return what answers as Prefect does, where it knows these runs."""
    known = {name.replace("_", "-"): state for name, state in states.items()}
    return lambda asked: {name: known[name] for name in asked & known.keys()}
