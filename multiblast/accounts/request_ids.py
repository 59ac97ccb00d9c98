"""Request ids: what a client of NCBI's calls a query job, and may read it by."""

from __future__ import annotations

import secrets
import string

from sqlalchemy import delete
from sqlmodel import col, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.database import Database
from multiblast.errors import NotFoundError

_LETTERS = string.ascii_uppercase + string.digits
_LENGTH = 11  # as at NCBI: readers of columns count on it; 57 random bits


class RequestIds:
    """The request ids of all query jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def new(self, job_id: str, owner: str) -> str:
        """Return a new id of a job, for its submitter."""
        made = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        with self._database.write() as session:
            session.add(tables.RequestId(id=made, job_id=job_id, owner=owner))
        return made

    def job(self, request_id: str) -> str:
        """Return the job that an id stands for; `NotFoundError` if it stands for none."""
        with self._database.read() as session:
            row = session.get(tables.RequestId, request_id)
        if row is None:
            raise NotFoundError("request id", request_id[:60], "it is unknown, or was deleted")
        return row.job_id

    def of(self, owner: str) -> list[tables.RequestId]:
        """Return the ids that somebody was given, newest first."""
        statement = (
            select(tables.RequestId)
            .where(tables.RequestId.owner == owner)
            .order_by(col(tables.RequestId.created_at).desc())
        )
        with self._database.read() as session:
            return list(session.exec(statement))

    def forget(self, request_id: str, owner: str) -> bool:
        """Forget an id of one's own; return whether it was there."""
        with self._database.write() as session:
            mine = delete(tables.RequestId).where(
                col(tables.RequestId.id) == request_id, col(tables.RequestId.owner) == owner
            )
            return bool(session.connection().execute(mine).rowcount)
