"""The job database: what exists, who it belongs to, and what happened to it."""

from multiblast.database.account_tables import Discarded, Guest, ShareGrant, Turn, Usage
from multiblast.database.engine import Database
from multiblast.database.lease_renewal import LEASE, heartbeat
from multiblast.database.notice_tables import Notice
from multiblast.database.statements import among, database_now, in_portions, insert_missing, is_postgresql, upsert
from multiblast.database.tables import (
    BatchRun,
    ChildJob,
    Failure,
    JobEvent,
    JobKind,
    JobStatus,
    JobT,
    Lease,
    Link,
    QueryJob,
    ReportJob,
    Result,
    Run,
    Speed,
    UtcDateTime,
    job_table,
    utc_now,
)

__all__ = [
    "LEASE",
    "BatchRun",
    "ChildJob",
    "Database",
    "Discarded",
    "Failure",
    "Guest",
    "JobEvent",
    "JobKind",
    "JobStatus",
    "JobT",
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
    "among",
    "database_now",
    "heartbeat",
    "in_portions",
    "insert_missing",
    "is_postgresql",
    "job_table",
    "upsert",
    "utc_now",
]
