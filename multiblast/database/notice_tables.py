"""The table of who wants to be told when a job ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, utc_now

__all__ = ["Notice"]


class Notice(Table, table=True):
    """The wish that a URL be told how a job ends.

    Attributes:
        since: The job's last event when this was asked; only ends after it are told.
        told: The end that was told last; each is told once.
        attempts: How often the present end was tried to be told.
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
