"""The job database: what exists, who it belongs to, and what happened to it."""

from multiblast.database.account_tables import Discarded, Guest, ShareGrant, Turn, Usage
from multiblast.database.engine import Database
from multiblast.database.notice_tables import Notice
from multiblast.database.tables import (
    BatchRun,
    ChildJob,
    Failure,
    JobEvent,
    JobKind,
    JobStatus,
    Lease,
    Link,
    QueryJob,
    ReportJob,
    Result,
    Run,
    Speed,
    UtcDateTime,
    utc_now,
)

__all__ = [
    "BatchRun",
    "ChildJob",
    "Database",
    "Discarded",
    "Failure",
    "Guest",
    "JobEvent",
    "JobKind",
    "JobStatus",
    "Lease",
    "Link",
    "Notice",
    "QueryJob",
    "ReportJob",
    "Result",
    "Run",
    "ShareGrant",
    "Speed",
    "Turn",
    "Usage",
    "UtcDateTime",
    "utc_now",
]
