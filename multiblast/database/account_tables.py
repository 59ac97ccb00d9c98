"""The tables of guests, shares, use and turns: who may see what, and whose turn it is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, utc_now


class Guest(Table, table=True):
    """Somebody without a name, known by an unguessable token.

    Attributes:
        id: What the guest's links are under; the token cannot be derived from it.
        token_hash: SHA-256 of the token, which itself is kept nowhere.
        user: The user that the guest turned out to be, if known; the last one.
    """

    __tablename__ = "guest"

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

    __tablename__ = "share_grant"

    token_hash: str = Field(primary_key=True, max_length=64)
    job_id: str = Field(index=True, max_length=32)
    granted_by: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Usage(Table, table=True):
    """How many sequences an owner submitted in one hour."""

    __tablename__ = "usage"

    owner: str = Field(primary_key=True, max_length=255)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    sequences: int = 0


class Turn(Table, table=True):
    """Somebody who waits for their turn to search, or has it.

    Attributes:
        holder: Whoever waits: one batch of one job.
        started_at: When the turn came; None while waiting.
        expires_at: When the holder counts as gone, unless it says before that it lives.
    """

    __tablename__ = "turn"

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    )
    holder: str = Field(unique=True, max_length=64)
    owner: str = Field(default="", max_length=255)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class Discarded(Table, table=True):
    """A stored object that nothing refers to any more; it goes once nobody can still be reading it."""

    __tablename__ = "discarded"

    key: str = Field(primary_key=True)
    since: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
