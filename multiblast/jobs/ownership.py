"""Whose list has which job, and what they note about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, delete, false, or_
from sqlmodel import Session, col, select

from multiblast.database import (
    Database,
    JobKind,
    JobT,
    Link,
    PluginJob,
    PluginSource,
    QueryJob,
    ReportJob,
    upsert,
)
from multiblast.errors import NotFoundError, Problem
from multiblast.jobs.children import adopt, is_child

_LONGEST_SUMMARY = 512
_WORDS = ("summary", "description")


def summary_problems(summary: str | None, key: str = "summary") -> list[Problem]:
    """Return what is wrong with what an owner notes about a job in one line; ``key`` is the field with it."""
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
        """Change what an owner notes about a job; None leaves a part as it is, an empty text clears it.

        It is a `NotFoundError` if the job is not in the owner's list.
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

    def note(self, owner: str, job_id: str, notes: Mapping[str, Any]) -> None:
        """Keep what an owner's client wants to read again of a job; nothing happens if it is not in the list."""
        with self._database.write() as session:
            if (link := session.get(Link, (owner, job_id))) is not None:
                link.client_notes = dict(notes)

    def remove(self, owner: str, job_id: str) -> bool:
        """Take a job out of an owner's list; return whether it was there."""
        with self._database.write() as session:
            statement = delete(Link).where(col(Link.owner) == owner, col(Link.job_id) == job_id)
            return bool(session.connection().execute(statement).rowcount)

    def jobs(  # noqa: PLR0913 - filters, and a part of the list
        self,
        table: type[JobT],
        owner: str | None,
        filters: Mapping[str, str],
        *,
        first: int,
        count: int,
        find: str = "",
    ) -> list[tuple[JobT, Link | None]]:
        """Return an owner's jobs of one kind, newest first, with what they note about each.

        Args:
            table: Which jobs.
            owner: Whose; None is every job that was submitted, without what anybody notes about it.
            filters: What the jobs have: a ``site``, a ``status``, reports a ``query_job_id``, plugin jobs a
                ``plugin`` and a ``source``, which is a job whose outcome they take in; an empty one is any.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.
            find: Words, in any case, each of which a query job's title or id, or what the owner notes, must hold.
        """
        statement: Any = select(table, Link)
        if table is ReportJob:
            statement = statement.join(QueryJob, col(QueryJob.id) == ReportJob.query_job_id)
        if owner is not None:
            statement = statement.join(Link, col(Link.job_id) == table.id).where(Link.owner == owner)
        else:
            statement = statement.outerjoin(Link, false())
            if table is QueryJob:  # not those that are there as a part of a larger one only
                statement = statement.where(~is_child() | (col(QueryJob.attempts) > 0))
        for name, value in filters.items():
            if value and name == "source":
                taking_in = select(PluginSource.job_id).where(PluginSource.source_id == value)
                statement = statement.where(col(PluginJob.id).in_(taking_in))
            elif value:
                statement = statement.where(getattr(QueryJob if name == "site" else table, name) == value)
        for word in find.split():
            texts = [col(QueryJob.title), col(QueryJob.id), col(Link.summary), col(Link.description)]
            statement = statement.where(or_(*[text.icontains(word, autoescape=True) for text in texts]))
        statement = statement.order_by(col(table.created_at).desc(), col(table.id)).offset(first - 1)
        with self._database.read() as session:
            return list(session.exec(statement.limit(count) if count else statement))


def add_link(session: Session, link: Link) -> None:
    """Put a job into an owner's list, if there is one: see `Links.add`."""

    def words(new: Any) -> dict[str, Any]:
        # Without new words the old ones stay.
        return {name: case((new[name] != "", new[name]), else_=col(getattr(Link, name))) for name in _WORDS}

    if link.owner and link.kind == JobKind.QUERY:
        adopt(session, link.job_id)
    upsert(session, Link, [link.model_dump()] if link.owner else [], words)
