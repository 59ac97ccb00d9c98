"""Tables of people: how they are known, what they share, how much they have, whose turn it is, who is notified."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, numbered, utc_now


class UserToken(Table, table=True):
    """A token by which a user is known, one for each of their programs or machines.

    Attributes:
        token_hash: SHA-256 of the token, which itself is kept nowhere.
        name: What it is for; of a user's living tokens no two have the same.
        expires_at: Until when; None is until it is revoked.
        used_at: When it was last used, to the minute.
    """

    token_hash: str = Field(primary_key=True, max_length=64)
    user: str = Field(index=True, max_length=255)
    name: str = Field(max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    def facts(self) -> dict[str, Any]:
        """Return what an administrator may see of it, as plain data."""
        return self.model_dump(mode="json", exclude={"token_hash"}, exclude_none=True)


class RequestId(Table, table=True):
    """The short id by which a client of NCBI's knows a query job; everybody who has it may read the job.

    Attributes:
        owner: Who submitted; empty for nobody in particular.
    """

    id: str = Field(primary_key=True, max_length=11)
    job_id: str = Field(index=True, max_length=32)
    owner: str = Field(default="", index=True, max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Guest(Table, table=True):
    """Somebody without a name, known by an unguessable token.

    Attributes:
        id: What the guest's links are under; the token cannot be derived from it.
        token_hash: SHA-256 of the token, which itself is kept nowhere.
        user: The user that the guest turned out to be, if known; the last one.
    """

    id: str = Field(primary_key=True, max_length=32)
    token_hash: str = Field(unique=True, max_length=64)
    user: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class ShareGrant(Table, table=True):
    """The right of a token's holder to read one job.

    Attributes:
        token_hash: SHA-256 of the token, which itself is kept nowhere.
        expires_at: Until when; None is for good.
    """

    token_hash: str = Field(primary_key=True, max_length=64)
    job_id: str = Field(index=True, max_length=32)
    granted_by: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Usage(Table, table=True):
    """How many sequences an owner submitted in one hour."""

    owner: str = Field(primary_key=True, max_length=255)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    sequences: int = 0


class Turn(Table, table=True):
    """Somebody who waits for their turn to search, or has it.

    Attributes:
        holder: What waits: one batch of one job.
        started_at: When the turn came; None while waiting.
        expires_at: When the holder counts as gone, unless it renews that before.
    """

    number: int | None = numbered()
    holder: str = Field(unique=True, max_length=64)
    owner: str = Field(default="", max_length=255)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class Notice(Table, table=True):
    """A URL that is notified of how a job ends.

    Attributes:
        since: The job's last event when this was requested; only ends after it are sent.
        notified: The end that was sent last; each is sent once. The column has its earlier name.
        attempts: How often it was tried to send the present end.
        due_at: When to try next; while somebody tries, when to believe that they are gone.
        problem: Why the last attempt failed.
    """

    job_id: str = Field(primary_key=True, max_length=32)
    url: str = Field(primary_key=True, max_length=2000)
    since: int = Field(default=0, sa_type=BigInteger)
    notified: str = Field(default="", sa_column_kwargs={"name": "told"})
    attempts: int = 0
    due_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)
    problem: str = ""
