"""Reports that wait for their query job to be complete: recorded with it, so that any run makes them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from multiblast.database import JobStatus, QueryJob, ReportJob

MADE_BY_SEARCH = "it is made by the run of its query job"
"""Why a report is queued of which the run of its query job takes care."""

ENDED_WITH_SEARCH = {to: f"its query job is {to}" for to in (JobStatus.FAILED, JobStatus.CANCELLED)}
"""Why a report ended that waited for a query job, by how that ended; known by this, so other words need a migration."""


def is_wanted() -> ColumnElement[bool]:
    """Return the condition that a report job is queued and needs a complete query job, as no partial one does."""
    is_partial = col(ReportJob.formatting)["partial"].as_boolean()
    return and_(col(ReportJob.status) == JobStatus.QUEUED, is_partial.is_not(True))


def waits_for_search() -> ColumnElement[bool]:
    """Return the condition that a report job cannot be made yet."""
    query = aliased(QueryJob)
    searched = exists().where(col(query.id) == ReportJob.query_job_id, col(query.status) == JobStatus.COMPLETE)
    return and_(is_wanted(), ~searched)


def ended_with_search() -> ColumnElement[bool]:
    """Return the condition that a report job ended for no other reason than that its query job did."""
    return or_(
        *(and_(col(ReportJob.status) == to, col(ReportJob.reason) == why) for to, why in ENDED_WITH_SEARCH.items())
    )
