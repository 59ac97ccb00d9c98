"""Whose list has which job, and what they say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, false
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, Database, JobKind, JobStatus, Link, QueryJob, ReportJob, upsert
from multiblast.errors import NotFoundError, Problem

_LONGEST_SUMMARY = 512
_WORDS = ("summary", "description")


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job in somebody's list.

    Attributes:
        query_job_id: The job itself, or the query job that a report shows.
        summary, description: What the owner says about it.
    """

    job_id: str
    query_job_id: str
    status: str
    site: str
    created_at: datetime
    summary: str = ""
    description: str = ""


def summary_problems(summary: str | None, key: str = "summary") -> list[Problem]:
    """Return what is wrong with what an owner says about a job in one line; ``key`` is the field that says it."""
    if summary is None or len(summary) <= _LONGEST_SUMMARY:
        return []
    return [Problem(f"{len(summary)} characters, and at most {_LONGEST_SUMMARY} are kept: shorten it", key)]


class Links:
    """Whose list has which job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str, job_id: str) -> Link | None:
        """Return an owner's link to a job, if there is one."""
        with self._database.read() as session:
            return session.get(Link, (owner, job_id))

    def add(self, owner: str, job_id: str, kind: JobKind, *, summary: str = "", description: str = "") -> None:
        """Put a job into an owner's list; one that is there already stays as it is, but for new words about it."""
        with self._database.write() as session:
            add_link(session, Link(owner=owner, job_id=job_id, kind=kind, summary=summary, description=description))

    def describe(self, owner: str, job_id: str, *, summary: str | None = None, description: str | None = None) -> Link:
        """Change what an owner says about a job; None leaves a part as it is, an empty text clears it.

        Raises:
            NotFoundError: the job is not in the owner's list.
        """
        with self._database.write() as session:
            link = session.get(Link, (owner, job_id))
            if link is None:
                raise NotFoundError("job in this list", job_id, "look it up to add it")
            link.summary = link.summary if summary is None else summary
            link.description = link.description if description is None else description
            session.flush()
            session.refresh(link)
            session.expunge(link)
            return link

    def remove(self, owner: str, job_id: str) -> bool:
        """Take a job out of an owner's list; return whether it was there."""
        with self._database.write() as session:
            statement = delete(Link).where(col(Link.owner) == owner, col(Link.job_id) == job_id)
            return bool(session.connection().execute(statement).rowcount)

    def queries(
        self, owner: str | None, *, site: str = "", status: JobStatus | None = None, first: int = 1, count: int = 50
    ) -> list[ListedJob]:
        """Return an owner's query jobs, newest first.

        Args:
            owner: Whose; None is every job that was submitted, without what anybody says about it.
            site: Only of this site.
            status: Only of this status.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.
        """
        statement = _with_link(select(QueryJob, Link), owner, col(QueryJob.id))
        if owner is None:  # not those that are there as a part of a larger one only
            part = select(ChildJob.child_id).where(ChildJob.child_id == QueryJob.id).exists()
            statement = statement.where(~part | (col(QueryJob.attempts) > 0))
        if site:
            statement = statement.where(QueryJob.site == site)
        if status:
            statement = statement.where(QueryJob.status == status)
        statement = statement.order_by(col(QueryJob.created_at).desc(), col(QueryJob.id)).offset(first - 1)
        with self._database.read() as session:
            rows = session.exec(statement.limit(count) if count else statement)
            return [
                ListedJob(job.id, job.id, job.status, job.site, job.created_at, *_words(link)) for job, link in rows
            ]

    def reports(  # noqa: PLR0913 - filters
        self,
        owner: str | None,
        *,
        query_job_id: str = "",
        site: str = "",
        status: JobStatus | None = None,
        first: int = 1,
        count: int = 50,
    ) -> list[ListedJob]:
        """Return an owner's report jobs, newest first; arguments as `queries`, and the query job they show."""
        reports = select(ReportJob, QueryJob.site, Link).join(QueryJob, col(QueryJob.id) == ReportJob.query_job_id)
        statement = _with_link(reports, owner, col(ReportJob.id))
        if query_job_id:
            statement = statement.where(ReportJob.query_job_id == query_job_id)
        if site:
            statement = statement.where(QueryJob.site == site)
        if status:
            statement = statement.where(ReportJob.status == status)
        statement = statement.order_by(col(ReportJob.created_at).desc(), col(ReportJob.id)).offset(first - 1)
        with self._database.read() as session:
            rows = session.exec(statement.limit(count) if count else statement)
            return [
                ListedJob(job.id, job.query_job_id, job.status, of_site, job.created_at, *_words(link))
                for job, of_site, link in rows
            ]


def add_link(session: Session, link: Link) -> None:
    """Put a job into an owner's list; one that is there already stays as it is, but for new words about it."""

    def words(new: Any) -> dict[str, Any]:
        return {name: case((new[name] != "", new[name]), else_=col(getattr(Link, name))) for name in _WORDS}

    upsert(session, Link, [link.model_dump()], words)


def _with_link(statement: Any, owner: str | None, job_id: Any) -> Any:
    """Join an owner's links to a statement on jobs; no links, and all jobs, for None."""
    if owner is None:
        return statement.outerjoin(Link, false())
    return statement.join(Link, col(Link.job_id) == job_id).where(Link.owner == owner)


def _words(link: Link | None) -> tuple[str, str]:
    return (link.summary, link.description) if link else ("", "")
