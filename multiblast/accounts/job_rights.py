"""Who may read and change which job: the one place where that is decided.

- To read a job: a link to it, to a job it is a sequence of, or (a report) to its query job;
  or a share of one of these. Who may read what a plugin took in may not for that read what it made.
- To restart, cancel, pin, describe, share or unlink it: a link to the job itself.
- An administrator may do everything.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, bindparam, exists, false, or_, true
from sqlalchemy import select as sa_select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from multiblast.accounts.requester import Requester
from multiblast.database import ChildJob, Database, JobKind, Link, PluginJob, QueryJob, ReportJob, among, job_table, raw
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError
from multiblast.ids import ID_LENGTH, is_id
from multiblast.jobs import child_rows, child_status

# Names of their own, so that these conditions fit statements that have the tables already.
_Position, _Parent, _Link = aliased(ChildJob), aliased(QueryJob), aliased(Link)
_SHOWN = 3


class Access:
    """Answers whether a requester may do something with a job.

    What checks raises `NotFoundError` if there is no such job, and `NotAllowedError` if they may not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_read(self, requester: Requester, job_id: str, kind: JobKind) -> None:
        """Make sure that a requester may read a job."""
        if not self._answer(job_id, kind, _read_question(requester, kind), _parent_readable(requester)):
            raise NotAllowedError(
                f"{requester} has no right to read {kind} job {job_id}: ask somebody who has it to share it"
            )

    def check_change(self, requester: Requester, job_id: str, kind: JobKind) -> None:
        """Make sure that a requester may restart, cancel, pin, describe, share or unlink a job."""
        linked = true() if requester.administrator else _linked(requester, col(job_table(kind).id))
        # What is a part of a larger job and no more is in nobody's list.
        of_child = true() if requester.administrator else false()
        if not self._answer(job_id, kind, _question(kind, linked), of_child):
            raise NotAllowedError(f"{kind} job {job_id} is not in the job list of {requester}: submit it to add it")

    def statuses(self, requester: Requester, job_ids: Collection[str], kind: JobKind) -> dict[str, str]:
        """Return id and status of those jobs that exist and that a requester may read, in the order asked for."""
        table, wanted = job_table(kind), list(dict.fromkeys(job_ids))
        with self._database.read() as session:
            mine = select(table.id, table.status).where(among(session, col(table.id), wanted))
            rows = session.connection().execute(mine.where(readable(requester, kind)))  # a session takes twice as long
            found = {job_id: status for job_id, status in rows}  # noqa: C416 - rows are no pairs to mypy
            left = [job_id for job_id in wanted if job_id not in found] if kind is JobKind.QUERY else []
            found |= _child_statuses(session, requester, left)
        return {job_id: found[job_id] for job_id in wanted if job_id in found}

    def whole_id(self, requester: Requester, beginning: str) -> str:
        """Return the id of the one job, of any kind, that a requester may read and whose id begins so.

        A whole id is returned as it is, whether or not there is such a job.

        Raises:
            NotFoundError: they may read none.
            InvalidInputError: they may read several; it names some.
        """
        text = beginning.strip().lower()
        if is_id(text):
            return text
        found: list[str] = []
        if is_id(text.ljust(ID_LENGTH, "0")) and text:
            with self._database.read() as session:
                for kind in JobKind:
                    own = col(job_table(kind).id)
                    # A range, for which the index serves: ids are of lower-case hexadecimal digits.
                    ids = select(own).where(own >= text, own < f"{text}g", readable(requester, kind)).order_by(own)
                    several = set(session.exec(ids.limit(_SHOWN + 1)))
                    if kind is JobKind.QUERY:
                        several |= _children_beginning(session, requester, text)
                    found += sorted(several)
        if not found:
            raise NotFoundError("job", beginning, "give its id, or as much of it as no other job has")
        if len(found) > 1:
            some = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
            raise InvalidInputError(f"{beginning!r} begins the ids of several jobs, {some}: give more of it")
        return found[0]

    def _answer(self, job_id: str, kind: JobKind, question: Select[bool], of_child: ColumnElement[bool]) -> bool:
        with self._database.read() as session:
            allowed = session.connection().execute(question, {"job_id": job_id}).scalar()
            if allowed is None and kind is JobKind.QUERY:
                parents = child_rows(of_child).where(col(ChildJob.child_id) == job_id)
                found = session.connection().execute(parents).scalars().all()
                allowed = any(found) if found else None
        if allowed is None:
            raise NotFoundError(f"{kind} job", job_id, "check the id, or submit it")
        return bool(allowed)


def _question(kind: JobKind, condition: ColumnElement[bool]) -> Select[bool]:
    table = job_table(kind)
    return sa_select(condition).select_from(table).where(col(table.id) == bindparam("job_id"))


@lru_cache(256)
def _read_question(requester: Requester, kind: JobKind) -> Select[bool]:
    """Return a statement that is asked often, and takes longer to build than to run."""
    return _question(kind, readable(requester, kind))


def first_owner(database: Database, job_id: str) -> str:
    """Return who had a job in their list first; empty if nobody has it."""
    with database.read() as session:
        owners = select(Link.owner).where(Link.job_id == job_id).order_by(col(Link.created_at), Link.owner)
        return session.exec(owners).first() or ""


def readable(requester: Requester, kind: JobKind) -> ColumnElement[bool]:
    """Return the condition on the table of a kind of jobs that a requester may read one."""
    if kind is JobKind.QUERY:
        return _query_readable(requester, col(QueryJob.id))
    if requester.administrator:
        return true()
    if kind is JobKind.PLUGIN:
        return or_(_linked(requester, col(PluginJob.id)), col(PluginJob.id).in_(requester.shares))
    own = or_(_linked(requester, col(ReportJob.id)), col(ReportJob.id).in_(requester.shares))
    return or_(own, _query_readable(requester, col(ReportJob.query_job_id)))


def _query_readable(requester: Requester, job_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    if requester.administrator:
        return true()
    if not requester.owner and not requester.shares:
        return false()
    of_parent = exists().where(
        col(_Position.child_id) == raw(job_id),
        col(_Parent.list_number) == _Position.list_number,
        _linked_or_shared(requester, col(_Parent.id)),
    )
    return or_(_linked_or_shared(requester, job_id), of_parent)


def _linked_or_shared(requester: Requester, job_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    linked = _linked(requester, job_id)
    return or_(linked, job_id.in_(requester.shares)) if requester.shares else linked


def _parent_readable(requester: Requester) -> ColumnElement[bool]:
    """Return the condition that a requester may read the parent that children are joined with."""
    return true() if requester.administrator else _linked_or_shared(requester, col(QueryJob.id))


def _child_statuses(session: Session, requester: Requester, job_ids: Collection[str]) -> dict[str, str]:
    """Return the status of those children, without rows of their own, of which a requester may read a parent."""
    if not job_ids:
        return {}
    rows = child_rows(ChildJob.child_id, child_status(), _parent_readable(requester))
    statement = rows.where(among(session, col(ChildJob.child_id), job_ids))
    found: dict[str, str] = {}
    readable_ids: set[str] = set()
    for job_id, status, is_readable in session.connection().execute(statement):
        found.setdefault(job_id, status)
        if is_readable:
            readable_ids.add(job_id)
    return {job_id: status for job_id, status in found.items() if job_id in readable_ids}


def _children_beginning(session: Session, requester: Requester, text: str) -> set[str]:
    """Return some children whose ids begin so, and of which a requester may read a parent."""
    own = col(ChildJob.child_id)
    within = own.between(text.ljust(ID_LENGTH, "0"), text.ljust(ID_LENGTH, "f"))
    parents = select(own).join(QueryJob, col(QueryJob.list_number) == ChildJob.list_number)
    some = parents.where(within, _parent_readable(requester)).distinct().order_by(own).limit(_SHOWN + 1)
    return set(session.exec(some))


def _linked(requester: Requester, job_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    if not requester.owner:
        return false()
    return exists().where(col(_Link.owner) == requester.owner, col(_Link.job_id) == job_id)
