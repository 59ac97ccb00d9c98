"""Ways of searching a part of a database that gave other results than the whole: not taken until somebody looked."""

from __future__ import annotations

import logging

from sqlalchemy import delete, func
from sqlmodel import col, select

from multiblast.database import Database, Pack, RefusedWay, Result, insert_missing, utc_now
from multiblast.errors import ConflictError, NotFoundError

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

    def results(self, way: str) -> int:
        """Return how many results there are that were found by a way."""
        with self._database.read() as session:
            found = select(func.count()).select_from(Result).join(Pack, col(Pack.number) == Result.pack_number)
            return session.exec(found.where(Pack.way == way)).one()

    def forget(self, way: str) -> int:
        """Forget the results that were found by a way that is switched off; return how many.

        They are searched whole when they are wanted again: a job that is complete, when it is restarted.

        Raises:
            ConflictError: it is not switched off, so that they would be found by it again.
        """
        if not self.holds(way):
            raise ConflictError(
                f"the way {way!r} is not switched off: its results would be found in the same way again"
            )
        with self._database.read() as session:
            packs = session.exec(select(Pack.number).where(Pack.way == way)).all()
        forgotten = 0
        for number in packs:  # the packs themselves go with the next clean-up
            with self._database.write() as session:
                same = select(Pack.number).where(Pack.number == number, Pack.way == way)  # that has not gone meanwhile
                mine = delete(Result).where(col(Result.pack_number).in_(same))
                forgotten += session.connection().execute(mine).rowcount
        return forgotten

    def allow(self, way: str) -> None:
        """Switch a way on again; a `NotFoundError` if it is not switched off."""
        with self._database.write() as session:
            row = session.get(RefusedWay, way)
            if row is None:
                refused = ", ".join(session.exec(select(RefusedWay.way))) or "none"
                raise NotFoundError("way that is switched off", way, f"those are: {refused}")
            session.delete(row)
