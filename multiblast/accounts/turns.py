"""Fair order between users: whose batch is searched next when there are more than can run.

Whoever has the fewest batches running comes first, then whoever's last turn was
longest ago, then whoever asked first. So a user with one job does not wait for
all the batches of a user with a hundred.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from uuid import uuid4

from sqlalchemy import delete, update
from sqlmodel import col, select

from multiblast.database import Database, Link, Turn, utc_now
from multiblast.errors import ConflictError

__all__ = ["Turns", "next_in_turn"]

_LEASE_S = 60
_HEARTBEAT_S = 15
_POLL_S = 0.5
_REMEMBERED = timedelta(hours=1)  # how long an ended turn counts for the order


def next_in_turn(turns: Sequence[Turn], slots: int) -> list[Turn]:
    """Return the waiting turns that may start now, in order.

    Args:
        turns: Those that run and those that wait; who has ended lately may be among them
            (``started_at`` and an ``expires_at`` not after it).
        slots: How many may run at a time.
    """
    waiting = [turn for turn in turns if turn.started_at is None]
    active = [turn for turn in turns if turn.started_at is not None and turn.expires_at > turn.started_at]
    running = Counter(turn.owner for turn in active)
    served: dict[str, float] = {}
    for turn in turns:
        if turn.started_at is not None:
            served[turn.owner] = max(turn.started_at.timestamp(), served.get(turn.owner, 0.0))
    chosen: list[Turn] = []
    while waiting and len(active) + len(chosen) < slots:
        turn = min(waiting, key=lambda turn: (running[turn.owner], served.get(turn.owner, 0.0), turn.number or 0))
        waiting.remove(turn)
        chosen.append(turn)
        running[turn.owner] += 1
        served[turn.owner] = math.inf
    return chosen


class Turns:
    """Gives turns to search, so many at a time, to all processes that use one job database.

    Args:
        database: The job database.
        slots: How many batches may run at a time; 0 is any number.
    """

    def __init__(self, database: Database, slots: int) -> None:
        self._database, self._slots = database, slots

    @contextmanager
    def turn(self, job_id: str, *, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for a turn, and have it while the block runs.

        Args:
            job_id: Whose batch it is; it counts for whoever had the job in their list first.
            given_up: Asked while waiting; True ends it.

        Raises:
            ConflictError: the wait was given up.
        """
        if not self._slots:
            yield
            return
        holder = self.ask(self._owner(job_id))
        stop = Event()
        thread = Thread(target=self._keep_alive, args=(holder, stop), name="turn-heartbeat", daemon=True)
        thread.start()
        try:
            while not self.is_due(holder):
                if given_up():
                    raise ConflictError("the job was cancelled while it waited for its turn")
                time.sleep(_POLL_S)
            yield
        finally:
            stop.set()
            thread.join()
            self.end(holder)

    def ask(self, owner: str, now: datetime | None = None) -> str:
        """Begin to wait for a turn; return the name to ask under whether it has come."""
        holder = uuid4().hex
        with self._database.write() as session:
            session.add(Turn(holder=holder, owner=owner, expires_at=(now or utc_now()) + timedelta(seconds=_LEASE_S)))
        return holder

    def is_due(self, holder: str, now: datetime | None = None) -> bool:
        """Tell whether a turn has come; it then is the holder's until `end`."""
        now = now or utc_now()
        with self._database.write() as session:
            gone = col(Turn.started_at).is_(None) | (col(Turn.expires_at) > col(Turn.started_at))
            session.exec(delete(Turn).where(gone, col(Turn.expires_at) <= now))
            session.exec(delete(Turn).where(col(Turn.expires_at) <= now - _REMEMBERED))
            turns = session.exec(select(Turn).order_by(col(Turn.number)).with_for_update()).all()
            for turn in next_in_turn(turns, self._slots):
                turn.started_at = now
                turn.expires_at = max(turn.expires_at, now + timedelta(seconds=_LEASE_S))
            mine = next((turn for turn in turns if turn.holder == holder), None)
            if mine is None:
                raise ConflictError("this turn was given to others because its holder seemed gone: ask again")
            return mine.started_at is not None

    def end(self, holder: str) -> None:
        """Give a turn back, or stop waiting for it."""
        with self._database.write() as session:
            session.exec(delete(Turn).where(col(Turn.holder) == holder, col(Turn.started_at).is_(None)))
            ended = update(Turn).where(col(Turn.holder) == holder)
            session.exec(ended.values(expires_at=col(Turn.started_at)))

    def _owner(self, job_id: str) -> str:
        with self._database.read() as session:
            statement = select(Link.owner).where(Link.job_id == job_id).order_by(col(Link.created_at), Link.owner)
            return session.exec(statement).first() or ""

    def _keep_alive(self, holder: str, stop: Event) -> None:
        while not stop.wait(_HEARTBEAT_S):
            with self._database.write() as session:
                expires_at = utc_now() + timedelta(seconds=_LEASE_S)
                session.exec(update(Turn).where(col(Turn.holder) == holder).values(expires_at=expires_at))
