"""The tables of plugin jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Text
from sqlmodel import Field

from multiblast.database.tables import JobStatus, Table, UtcDateTime, utc_now


class PluginJob(Table, table=True):
    """A plugin's work on some inputs, in one or several rounds.

    Attributes:
        plugin, version: What does it.
        recipe: ``{"inputs": {port: [text]}, "parameters": {name: value}}``, as they were given but for defaults.
        facts: What else its id was made of: digests of the plugin's files and environment, the version of its tool;
            and where the plugin came from.
        inputs: ``[{"port", "text", "url", "sha256", "size", "name", "data", "content", "job"}]``: what the texts stood
            for when the job was recorded or restarted.
        rounds: ``[{"number", "end", "step", "title", "form", "answers", "job", "state", "seconds"}]`` of those
            that have ended: ``done``, ``ask`` or ``call``; ``answers`` are there once they were given.
        progress: ``{"value", "start", "target", "unit"}``; empty if nothing was reported.
        log: The last that it reported.
        outputs: ``[{"port", "name", "key", "sha256", "size", "data", "content", "directory"}]``, once complete.
        expired_digest: SHA-256 over the outputs it had when they expired; empty if they never did.
    """

    __table_args__ = (Index("ix_plugin_job_status_created", "status", "created_at"),)

    id: str = Field(primary_key=True, max_length=32)
    plugin: str = Field(index=True, max_length=60)
    version: str = Field(max_length=60)
    recipe: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    facts: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    inputs: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    status: str = Field(default=JobStatus.QUEUED)
    reason: str = Field(default="", sa_type=Text)
    rounds: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    progress: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    log: str = Field(default="", sa_type=Text)
    outputs: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    command: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    stderr: str = Field(default="", sa_type=Text)
    expired_digest: str = Field(default="", max_length=64)
    pinned: bool = False
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)


class PluginSource(Table, table=True):
    """Which job's outcome a plugin job takes in: a query, report or plugin job's."""

    job_id: str = Field(primary_key=True, max_length=32)
    source_id: str = Field(primary_key=True, max_length=32, index=True)


class Webhook(Table, table=True):
    """A URL that hears of what changes of a plugin job.

    Attributes:
        event: Of what: ``status``, ``steps`` or ``details``; empty for all.
        source: What the job is called there.
        seen: By event, the state that was sent last, or that there was at the beginning.
        attempts: How often it was tried to send what has changed.
        due_at: When to try next; while somebody tries, when to believe that they are gone.
        problem: Why the last attempt failed.
    """

    job_id: str = Field(primary_key=True, max_length=32)
    url: str = Field(primary_key=True, max_length=2000)
    event: str = Field(default="", primary_key=True, max_length=20)
    source: str = Field(default="", max_length=2000)
    seen: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    attempts: int = 0
    due_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)
    problem: str = Field(default="", sa_type=Text)
