"""Reports that wait for their query job to be complete: recorded with it, so that any run makes them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists
from sqlalchemy.orm import aliased
from sqlmodel import col

from multiblast.database import JobStatus, QueryJob, ReportJob

MADE_BY_SEARCH = "it is made by the run of its query job"
"""Why a report is queued of which the run of its query job takes care."""


def is_wanted() -> ColumnElement[bool]:
    """Return the condition that a report job is queued and needs a complete query job, as no partial one does."""
    is_partial = col(ReportJob.formatting)["partial"].as_boolean()
    return and_(col(ReportJob.status) == JobStatus.QUEUED, is_partial.is_not(True))


def waits_for_search() -> ColumnElement[bool]:
    """Return the condition that a report job cannot be made yet."""
    query = aliased(QueryJob)
    searched = exists().where(col(query.id) == ReportJob.query_job_id, col(query.status) == JobStatus.COMPLETE)
    return and_(is_wanted(), ~searched)
