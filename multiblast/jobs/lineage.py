"""What was made of a job: plugin jobs that take in its outcome, and those that take in theirs."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import col, select

from multiblast.database import Database, PluginJob, PluginSource, among


def descendants(database: Database, job_id: str) -> list[str]:
    """Return the ids of the plugin jobs that take in a job's outcome, and of those that take in theirs."""
    found: dict[str, None] = {}
    sources = [job_id]
    with database.read() as session:
        while sources:
            made = select(PluginSource.job_id).where(among(session, col(PluginSource.source_id), sources))
            sources = [one for one in dict.fromkeys(session.exec(made)) if one not in found]
            found |= dict.fromkeys(sources)
    return list(found)


def newest_plugin_jobs(database: Database, job_ids: Collection[str], most: int | None = None) -> list[PluginJob]:
    """Return plugin jobs, oldest first; of many those that were recorded last."""
    with database.read() as session:
        mine = select(PluginJob).where(among(session, col(PluginJob.id), job_ids))
        newest = mine.order_by(col(PluginJob.created_at).desc(), col(PluginJob.id)).limit(most)
        return list(session.exec(newest))[::-1]
