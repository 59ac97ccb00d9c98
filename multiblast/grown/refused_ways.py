"""Ways of searching a part of a database that gave other results than the whole: not taken until somebody looked."""

from __future__ import annotations

import logging

from sqlmodel import col, select

from multiblast.database import Database, RefusedWay, insert_missing, utc_now
from multiblast.errors import NotFoundError

_log = logging.getLogger(__name__)


class RefusedWays:
    """The rows of the table of ways that are switched off."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[RefusedWay]:
        """Return them, the first one that was found first."""
        with self._database.read() as session:
            return list(session.exec(select(RefusedWay).order_by(col(RefusedWay.at))))

    def holds(self, way: str) -> bool:
        """Whether a way is switched off."""
        with self._database.read() as session:
            return session.get(RefusedWay, way) is not None

    def refuse(self, way: str, *, result_key: str, job_id: str, reason: str) -> None:
        """Switch a way off, and log an error; the first reason is kept."""
        _log.error(
            "%s is searched whole from now on: %s. Look at it, then: multiblast ways --allow %s",
            way,
            reason,
            way,
            extra={"job": job_id, "child": result_key},
        )
        row = {"way": way, "result_key": result_key, "job_id": job_id, "reason": reason, "at": utc_now()}
        with self._database.write() as session:
            insert_missing(session, RefusedWay, [row])

    def allow(self, way: str) -> None:
        """Switch a way on again; a `NotFoundError` if it is not switched off."""
        with self._database.write() as session:
            row = session.get(RefusedWay, way)
            if row is None:
                refused = ", ".join(session.exec(select(RefusedWay.way))) or "none"
                raise NotFoundError("way that is switched off", way, f"those are: {refused}")
            session.delete(row)
