"""A worker without Prefect: runs queued jobs and makes their reports, until it is killed.

``plain_worker.py DATABASE_URL S3_ENDPOINT KEY SECRET TARGETS_ROOT RUNS_DIRECTORY``
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import boto3
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from multiblast.accounts import Requester
from multiblast.database import Database, JobStatus, Link, QueryJob
from multiblast.errors import MultiblastError
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores.s3 import S3Store, connect
from multiblast.targets import Targets


def next_job(services: Services, skip: set[str]) -> str:
    """Return a queued job that somebody submitted."""
    with services.database.read() as session:
        statement = select(QueryJob.id).join(Link, col(Link.job_id) == QueryJob.id)
        waiting = statement.where(QueryJob.status == JobStatus.QUEUED).order_by(col(QueryJob.created_at))
        return next((job for job in session.exec(waiting) if job not in skip), "")


def run(services: Services, job_id: str, run_id: str) -> None:
    """Search a job, and make a report of it."""
    services.queries.run(job_id, run_id=run_id).execute()
    services.reports.run(services.reports.submit(Requester(administrator=True), job_id, Formatting.read("7"))).execute()


def main() -> None:
    url, endpoint, key, secret, targets, runs = sys.argv[1:]
    client = connect(boto3.session.Session(key, secret, region_name="us-east-1"), endpoint_url=endpoint)
    store = S3Store(client, "chaos")
    services = Services(Database(url), store, Installation(cores=1), Targets(Path(targets)), QueryLimits())
    number, mark = 0, Path(runs) / str(os.getpid())
    while True:
        number += 1
        mark.write_text("")
        with suppress(MultiblastError, SQLAlchemyError, OSError):  # a server is away: its job is taken back, or failed
            if job_id := next_job(services, set()):
                mark.write_text(f"{os.getpid()}-{number}")
                run(services, job_id, f"{os.getpid()}-{number}")
                continue
        time.sleep(0.2)


if __name__ == "__main__":
    main()
