"""The tables of what is known of databases from one state to the next."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, utc_now


class DatabaseState(Table, table=True):
    """One content that a database had under its name; digests of its sequences are in the result storage.

    Attributes:
        sequences: Of all its volumes, as `letters`.
        first_at: When it was first seen; the newest state is the one that was seen last.
        seen_at: When it was last scanned, or a search of it began.
    """

    site: str = Field(primary_key=True, max_length=255)
    target: str = Field(primary_key=True, max_length=255)
    name: str = Field(primary_key=True, max_length=255)
    molecule: str = Field(primary_key=True, max_length=20)
    fingerprint: str = Field(primary_key=True, max_length=32, index=True)
    sequences: int = Field(sa_type=BigInteger)
    letters: int = Field(sa_type=BigInteger)
    first_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    seen_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class RefusedWay(Table, table=True):
    """A way of searching a part of a database that was found to give other results than the whole.

    Attributes:
        way: What the table of ways calls it; it is not taken any more until somebody allows it again.
        result_key: The result by which it was found, and the job whose it is.
        reason: What was different.
    """

    way: str = Field(primary_key=True, max_length=255)
    result_key: str = Field(max_length=32)
    job_id: str = Field(max_length=32)
    reason: str = Field(default="", sa_type=Text)
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
