"""The three kinds of jobs, and their tables."""

from __future__ import annotations

from typing import TypeVar

from multiblast.database.plugin_tables import PluginJob
from multiblast.database.tables import JobKind, QueryJob, ReportJob

AnyJob = QueryJob | ReportJob | PluginJob
JobT = TypeVar("JobT", QueryJob, ReportJob, PluginJob)

_TABLES: dict[JobKind, type[AnyJob]] = {
    JobKind.QUERY: QueryJob,
    JobKind.REPORT: ReportJob,
    JobKind.PLUGIN: PluginJob,
}


def job_table(kind: JobKind) -> type[AnyJob]:
    """Return the table of a kind of jobs."""
    return _TABLES[kind]
