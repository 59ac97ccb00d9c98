"""Fair order between users: whose batch is searched next when there are more than can run.

The user with the fewest batches running comes first; among equals the one whose last turn
was longest ago, then the one who came first. So a user with one job does not wait for
all the batches of a user with a hundred.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from sqlalchemy import delete, update
from sqlmodel import col, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.accounts.job_rights import first_owner
from multiblast.database import LEASE, Database, database_now, heartbeat, upsert, utc_now
from multiblast.errors import ConflictError

_POLL_S = 0.5
_REMEMBERED = timedelta(hours=1)  # how long an ended turn counts for the order


def next_in_turn(turns: Sequence[tables.Turn], slots: int) -> list[tables.Turn]:
    """Return the waiting turns that may start now, in order, so that at most ``slots`` run at a time.

    Turns that ended lately (``started_at``, and an ``expires_at`` not after it) may be among those given.
    """
    waiting = [turn for turn in turns if turn.started_at is None]
    active = [turn for turn in turns if turn.started_at is not None and turn.expires_at > turn.started_at]
    running = Counter(turn.owner for turn in active)
    served: dict[str, float] = {}
    for turn in turns:
        if turn.started_at is not None:
            served[turn.owner] = max(turn.started_at.timestamp(), served.get(turn.owner, 0.0))
    chosen: list[tables.Turn] = []
    while waiting and len(active) + len(chosen) < slots:
        turn = min(waiting, key=lambda turn: (running[turn.owner], served.get(turn.owner, 0.0), turn.number or 0))
        waiting.remove(turn)
        chosen.append(turn)
        running[turn.owner] += 1
        served[turn.owner] = math.inf  # now the last among those with as many batches
    return chosen


class FairQueue:
    """Gives turns to search, so many at a time (0: any number), to all processes that use one job database."""

    def __init__(self, database: Database, slots: int) -> None:
        self._database = database
        self._slots = slots

    @contextmanager
    def turn(self, job_id: str, *, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for a turn, and have it while the block runs.

        It counts for the user who had the job in their list first. ``given_up`` is asked while waiting; True ends it.

        Raises:
            ConflictError: the wait was given up.
        """
        if not self._slots:
            yield
            return
        turn = self.enqueue(first_owner(self._database, job_id))
        with heartbeat(partial(self.renew, turn), partial(self.release, turn)):
            while not self.try_acquire(turn):
                if given_up():
                    raise ConflictError("the job was cancelled while it waited for its turn")
                time.sleep(_POLL_S)
            yield

    def enqueue(self, owner: str, now: datetime | None = None) -> tables.Turn:
        """Begin to wait for a turn."""
        turn = tables.Turn(holder=uuid4().hex, owner=owner, expires_at=utc_now())
        self.renew(turn, now)
        return turn

    def try_acquire(self, turn: tables.Turn, now: datetime | None = None) -> bool:
        """Return whether a turn has come; it then lasts until `release`, or until nobody renews it."""
        with self._database.write() as session:
            now = now or database_now(session)
            has_no_end = col(tables.Turn.started_at).is_(None) | (
                col(tables.Turn.expires_at) > col(tables.Turn.started_at)
            )
            session.exec(delete(tables.Turn).where(has_no_end, col(tables.Turn.expires_at) <= now))
            session.exec(delete(tables.Turn).where(col(tables.Turn.expires_at) <= now - _REMEMBERED))
            rows = session.exec(select(tables.Turn).order_by(col(tables.Turn.number)).with_for_update()).all()
            for due in next_in_turn(rows, self._slots):
                due.started_at = now
                due.expires_at = max(due.expires_at, now + LEASE)
            turn.started_at = next((row.started_at for row in rows if row.holder == turn.holder), None)
            return turn.started_at is not None

    def renew(self, turn: tables.Turn, now: datetime | None = None) -> None:
        """Let a turn, or the wait for it, last for another 60 s.

        One whose holder counted as gone meanwhile, as after an outage, is put back: what runs must count.
        """
        with self._database.write() as session:
            row = turn.model_dump(exclude={"number"}) | {"expires_at": (now or database_now(session)) + LEASE}
            upsert(session, tables.Turn, [row], lambda new: {"expires_at": new.expires_at}, key=["holder"])

    def release(self, turn: tables.Turn) -> None:
        """Give a turn back, or stop waiting for it; one that was had is remembered for the order."""
        with self._database.write() as session:
            session.exec(
                delete(tables.Turn).where(col(tables.Turn.holder) == turn.holder, col(tables.Turn.started_at).is_(None))
            )
            ended = update(tables.Turn).where(col(tables.Turn.holder) == turn.holder)
            session.exec(ended.values(expires_at=col(tables.Turn.started_at)))
