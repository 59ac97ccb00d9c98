"""Which door a job belongs to, by its id alone."""

from __future__ import annotations

from multiblast.database import Database, JobKind, QueryJob, ReportJob
from multiblast.errors import NotFoundError


def kind_of(database: Database, job_id: str) -> JobKind:
    """Return what a job makes.

    Raises:
        NotFoundError: there is no such job.
    """
    with database.read() as session:
        if session.get(QueryJob, job_id) is not None:
            return JobKind.QUERY
        if session.get(ReportJob, job_id) is not None:
            return JobKind.REPORT
    raise NotFoundError("job", job_id, "check the id")
