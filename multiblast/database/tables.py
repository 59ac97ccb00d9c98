"""The tables of the job database.

Objects themselves live in a store; rows say which exist and where. All times
are UTC. Ids are 32 hexadecimal digits (`multiblast.ids`). Tables with a row for
each sequence (`ChildJob`, `Result`) are kept small: a job may have a million.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

from multiblast.ids import ID_LENGTH


class JobStatus(StrEnum):
    """Where a job is on its way; `multiblast.jobs.states` has the moves between them."""

    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class JobKind(StrEnum):
    """What a job makes."""

    QUERY = "query"
    REPORT = "report"
    PLUGIN = "plugin"


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A time that comes back with its zone, also from SQLite, which keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Write UTC."""
        return value.astimezone(UTC) if value else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Read UTC."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class HexBytes(TypeDecorator[str]):
    """Hexadecimal digits, kept as bytes, which are half as many.

    What is no such text equals no row: it is NULL to the database.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, size_bytes: int = ID_LENGTH // 2) -> None:
        super().__init__()
        self.size_bytes = size_bytes

    # Processors themselves, rather than what SQLAlchemy's would call: there are many ids.
    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], bytes | None]:  # noqa: ARG002 - as above
        """Return what writes bytes."""
        return bytes_of

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[bytes | None], str | None]:  # noqa: ARG002 - as above
        """Return what reads digits."""
        return _digits_of

    def packed(self, values: Collection[str]) -> bytes:
        """Return the bytes of values one after the other, but for what cannot equal any row."""
        with suppress(ValueError):
            if set(map(len, values)) == {2 * self.size_bytes}:
                data = bytes.fromhex("".join(values))
                if len(data) == self.size_bytes * len(values):  # there was no space between digits
                    return data
        return b"".join(one for one in map(bytes_of, values) if one and len(one) == self.size_bytes)


def bytes_of(digits: str | None) -> bytes | None:
    """Return what hexadecimal digits stand for; None if it is something else."""
    try:
        return None if digits is None else bytes.fromhex(digits)
    except ValueError:
        return None


def _digits_of(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def numbered() -> Any:
    """Return a key that the database counts up; SQLite does so with its own kind of integers only."""
    return Field(default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True))


class Table(SQLModel):
    """Base of the job database's tables, apart from any other SQLModel tables in the process."""

    # Rows are hardly ever validated or dumped, and what does that takes a third of the time of making the tables.
    model_config = ConfigDict(defer_build=True)  # type: ignore[assignment]  # SQLModel's own type of it is private
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy calls it with the class
        return re.sub(r"\B(?=[A-Z])", "_", cls.__name__).lower()  # QueryJob: query_job


class QueryJob(Table, table=True):
    """One submission's configuration, and how far it is.

    A child is the job one would get by submitting its sequence alone. It has a row here only once it is needed as a
    job of its own; until then it is what its parent and its `ChildJob` make it: see `multiblast.jobs.children`.

    Attributes:
        recipe: Everything needed to run it again: targets and options as given.
        query_key: Store object with the canonical FASTA; this job's part of it is
            ``query_bytes`` from byte ``query_offset``.
        sequences: How many; 1 for a job without children.
        search_key: Digest of program, version, options and database fingerprints it is searched with.
        result_key: Of a job with one sequence; empty for a parent.
        list_number: Of a parent, which children it has.
        notes: What is legal but should be known, e.g. residues that BLAST+ replaces.
        expired_digest: SHA-256 over the results it had when they expired; empty if they never did.
    """

    __table_args__ = (Index("ix_query_job_status_created", "status", "created_at"),)

    id: str = Field(primary_key=True, max_length=32)
    site: str = Field(index=True)
    program: str
    recipe: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(default=JobStatus.QUEUED)
    reason: str = Field(default="", sa_type=Text)
    sequences: int = 1
    letters: int = Field(default=0, sa_type=BigInteger)
    title: str = Field(default="", sa_type=Text)
    query_key: str
    query_offset: int = Field(default=0, sa_type=BigInteger)
    query_bytes: int = Field(sa_type=BigInteger)
    search_key: str = Field(default="", max_length=32)
    result_key: str = Field(default="", index=True, sa_type=HexBytes)
    list_number: int | None = Field(default=None, index=True, sa_type=BigInteger)
    notes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    attempts: int = 0
    expired_digest: str = Field(default="", max_length=64)
    pinned: bool = False
    cancel_requested: bool = False
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)


class SequenceList(Table, table=True):
    """The children of a parent, which are written before the parent itself.

    One to which no job refers is one that is being written, or what a killed process left, or what a job had before
    its databases changed; upkeep removes it after a time.
    """

    number: int | None = numbered()
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class ChildJob(Table, table=True):
    """A parent's sequence at one position (1-based): where in its query it stands, and the result it has there.

    The result key stands here, because a database may have been rebuilt between two
    parents that share a child.
    """

    # Rows of a list lie together, in order, and take a fifth less than with numbers of their own.
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_number: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(primary_key=True)
    child_id: str = Field(index=True, sa_type=HexBytes)
    result_key: str = Field(index=True, sa_type=HexBytes)
    query_offset: int = Field(sa_type=BigInteger)
    query_bytes: int = Field(sa_type=BigInteger)
    letters: int
    title: str = Field(default="", sa_type=Text)


class ReportJob(Table, table=True):
    """A query job's result in one format.

    Attributes:
        formatting: The formatter's options as given.
        results_digest: What it was made of: see `multiblast.reports.run`.
        files: ``[{"name", "size", "key", "sha256"}]``, once complete.
    """

    id: str = Field(primary_key=True, max_length=32)
    query_job_id: str = Field(index=True, max_length=32, foreign_key="query_job.id")
    formatting: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(default=JobStatus.QUEUED, index=True)
    reason: str = Field(default="", sa_type=Text)
    results_digest: str = Field(default="", max_length=32)
    files: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    command: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    stderr: str = Field(default="", sa_type=Text)
    pinned: bool = False
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)


class Link(Table, table=True):
    """A user's (or guest's) relation to a job, with what they say about it.

    Attributes:
        client_notes: What their client wants to read again; nothing here depends on it.
    """

    owner: str = Field(primary_key=True, max_length=255)
    job_id: str = Field(primary_key=True, max_length=32, index=True)
    kind: str = Field(default=JobKind.QUERY)
    summary: str = Field(default="", sa_type=Text)
    description: str = Field(default="", sa_type=Text)
    client_notes: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False, server_default="{}")
    )
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class JobEvent(Table, table=True):
    """One change of a job's status: when, from what, to what, why, and in which run."""

    number: int | None = numbered()
    job_id: str = Field(index=True, max_length=32)
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    from_status: str = ""
    to_status: str
    why: str = Field(default="", sa_type=Text)
    flow_run: str = ""


class Run(Table, table=True):
    """One time a query job was run: what a data steward needs years later.

    Attributes:
        databases: ``[{"target", "database", "fingerprint", "sequences", "letters", "date"}]``.
        searched: Distinct sequences that this run has found the results of so far, by whichever of its processes.
        reused: Those that were known at its start; once it has ended, those that others searched meanwhile, too.
        known_before: Sequences to search whose results of an earlier state of the databases were known at its start.
        search_key: As the job's at that time; with it the result keys of that time can be computed again.
    """

    number: int | None = numbered()
    job_id: str = Field(index=True, max_length=32)
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    program_version: str
    databases: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    command: list[str] = Field(sa_column=Column(JSON, nullable=False))
    searched: int = 0
    reused: int = 0
    known_before: int = 0
    flow_run: str = ""
    search_key: str = Field(default="", max_length=32)


class Pack(Table, table=True):
    """A stored object with results.

    Attributes:
        key: Where it is in the store.
        created_at: When its results were found; compaction, which moves them to another pack, changes nothing of that.
        way: By which way of searching a part of the databases its results were found; empty if in the whole.
        run_number: The `Run` that found its results; None where that was not noted yet.
    """

    number: int | None = numbered()
    key: str = Field(unique=True)
    way: str = Field(default="", max_length=32)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)
    run_number: int | None = Field(default=None, sa_type=BigInteger)


class Result(Table, table=True):
    """One sequence's result: where its archive lies, and what is in it in short.

    Attributes:
        pack_number: The pack; the compressed archive is ``length`` bytes from ``offset``.
        digest: SHA-256 of the uncompressed archive.
        identity_percent, coverage_percent: Of the best hit's first HSP; coverage is of the query.
        counted: What a sample of the databases showed of its candidates, as `multiblast.grown` writes it, if one was
            searched.
    """

    key: str = Field(primary_key=True, sa_type=HexBytes)
    pack_number: int = Field(index=True, sa_type=BigInteger)
    offset: int = Field(sa_type=BigInteger)
    length: int = Field(sa_type=BigInteger)
    digest: str = Field(sa_type=HexBytes(32))
    archive_bytes: int = Field(sa_type=BigInteger)
    hits: int = 0
    best_hit: str = Field(default="", sa_type=Text)
    evalue: float | None = None
    identity_percent: float | None = None
    coverage_percent: float | None = None
    note: str = Field(default="", sa_type=Text)
    counted: int | None = None


class Failure(Table, table=True):
    """A sequence that could not be searched, with the reason; a restart removes it."""

    key: str = Field(primary_key=True, sa_type=HexBytes)
    failure_class: str
    message: str = Field(default="", sa_type=Text)
    batch_run: int | None = None
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class BatchRun(Table, table=True):
    """One BLAST+ process: what it ran and how it ended.

    Attributes:
        part: Of what part of the databases it was a search, and by which way; empty if of the whole.
    """

    number: int | None = numbered()
    job_id: str = Field(index=True, max_length=32)
    command: list[str] = Field(sa_column=Column(JSON, nullable=False))
    host: str = ""
    sequences: int
    letters: int = Field(sa_type=BigInteger)
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    seconds: float = 0.0
    exit_code: int = 0
    failure_class: str = ""
    stderr: str = Field(default="", sa_type=Text)
    part: str = Field(default="", sa_type=Text)
