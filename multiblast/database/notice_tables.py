"""The table of the URLs that are notified when a job ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, utc_now


class Notice(Table, table=True):
    """A URL that is notified of how a job ends.

    Attributes:
        since: The job's last event when this was asked for; only ends after it are sent.
        told: The end that was sent last; each is sent once.
        attempts: How often it was tried to send the present end.
        due_at: When to try next; while somebody tries, when to believe that they are gone.
        problem: Why the last attempt failed.
    """

    __tablename__ = "notice"

    job_id: str = Field(primary_key=True, max_length=32)
    url: str = Field(primary_key=True, max_length=2000)
    since: int = Field(default=0, sa_type=BigInteger)
    told: str = ""
    attempts: int = 0
    due_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)
    problem: str = ""
