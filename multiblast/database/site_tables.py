"""The tables of machines elsewhere: who they are, what they may fetch and push, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field

from multiblast.database.tables import Table, UtcDateTime, numbered, utc_now


class Site(Table, table=True):
    """A place elsewhere whose machines take part.

    Attributes:
        key_hash: SHA-256 of its key, which itself is kept nowhere.
        pool: Prefect's work pool in which its workers look for work.
        removed_at: Since when its key is revoked.
        used_at: When its key was last used, to the minute.
    """

    name: str = Field(primary_key=True, max_length=255)
    key_hash: str = Field(unique=True, max_length=64)
    pool: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    def facts(self) -> dict[str, Any]:
        """Return what an administrator may see of it, as plain data."""
        return self.model_dump(mode="json", exclude={"key_hash"}, exclude_none=True)


class Ticket(Table, table=True):
    """What one run elsewhere may fetch and push; worth nothing without the key of its site.

    Attributes:
        id: Unguessable, but no secret: it stands among a run's parameters.
        job_id: The job whose files these are; empty if there is none.
        site: Whose key it works with; empty for a grant that an administrator signs by hand.
        reads, writes: Keys, and prefixes of keys that end in ``/``.
        max_bytes: How much may be pushed in all.
        pushed_bytes: How much was.
        replaces: Whether what is pushed may replace other bytes, and be deleted.
        refusals: How often it was used for what it is not for.
        revoked_at: Since when it is revoked; ``why`` says why.
    """

    id: str = Field(primary_key=True, max_length=32)
    job_id: str = Field(default="", index=True, max_length=32)
    site: str = Field(default="", index=True, max_length=255)
    reads: list[str] = Field(sa_column=Column(JSON, nullable=False))
    writes: list[str] = Field(sa_column=Column(JSON, nullable=False))
    max_bytes: int = Field(sa_type=BigInteger)
    pushed_bytes: int = Field(default=0, sa_type=BigInteger)
    replaces: bool = False
    refusals: int = 0
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    why: str = ""


class Transfer(Table, table=True):
    """One request of a machine elsewhere for a file, or its refusal.

    Attributes:
        verb: ``fetch``, ``push``, ``list``, ``delete`` or ``grant``.
        start, size: The bytes that travelled, 0-based.
        sha256: Of the whole object, if it was pushed whole with this request.
        outcome: ``done``, ``refused`` or ``failed``; ``reason`` says why.
    """

    number: int | None = numbered()
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    ticket: str = Field(default="", index=True, max_length=32)
    job_id: str = Field(default="", index=True, max_length=32)
    site: str = Field(default="", max_length=255)
    address: str = Field(default="", max_length=64)
    verb: str = Field(max_length=16)
    key: str = Field(default="", index=True, max_length=1024)
    start: int = Field(default=0, sa_type=BigInteger)
    size: int = Field(default=0, sa_type=BigInteger)
    sha256: str = Field(default="", max_length=64)
    seconds: float = 0.0
    outcome: str = Field(max_length=16)
    reason: str = Field(default="", max_length=500)


class GrantKey(Table, table=True):
    """A key that signs grants; the newest signs, older ones are still read until they are removed."""

    id: str = Field(primary_key=True, max_length=16)
    secret: str = Field(max_length=64)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class QiitaJob(Table, table=True):
    """What a plugin of Qiita is to do for the holder of a ticket, and what it said of it.

    Attributes:
        ticket: Whose files these are; also what the plugin calls its job.
        base: The directory under which the plugin sees our keys.
        command, parameters: What is to be done.
        artifacts: By number: type, name, and keys by type of file.
        preparations: By number: the keys of ``prep-file`` and ``sample-file``.
        status: ``queued``, ``running``, ``success`` or ``error``; ``message`` says why.
        outputs: As the plugin said at its end, with keys for paths; empty before.
        summaries: Keys of the summaries of artifacts, by their numbers.
    """

    ticket: str = Field(primary_key=True, max_length=32)
    base: str
    command: str
    parameters: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    artifacts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    preparations: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    status: str = Field(default="queued", max_length=16)
    step: str = ""
    message: str = ""
    outputs: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    summaries: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
