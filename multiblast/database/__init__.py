"""The job database: what exists, who it belongs to, and what happened to it."""

from typing import TYPE_CHECKING

from multiblast.database.engine import Database
from multiblast.database.job_tables import AnyJob, JobT, job_table
from multiblast.database.lease_renewal import LEASE, heartbeat
from multiblast.database.plugin_tables import PluginJob, PluginSource, Webhook
from multiblast.database.statements import (
    COUNTED,
    among,
    database_now,
    digits,
    in_portions,
    insert_missing,
    is_postgresql,
    raw,
    take,
    upsert,
)
from multiblast.database.tables import (
    BatchRun,
    ChildJob,
    Failure,
    HexBytes,
    JobEvent,
    JobKind,
    JobStatus,
    Link,
    Pack,
    QueryJob,
    ReportJob,
    Result,
    Run,
    SequenceList,
    UtcDateTime,
    utc_now,
)
from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:  # what most processes never use; a table takes some milliseconds to make
    from multiblast.database.account_tables import Guest, Notice, RequestId, ShareGrant, Turn, Usage, UserToken
    from multiblast.database.search_tables import Discarded, Lease, Speed, StoreIdentity
    from multiblast.database.site_tables import GrantKey, QiitaJob, Site, Ticket, Transfer
    from multiblast.database.state_tables import DatabaseState, RefusedWay

__all__ = [
    "COUNTED",
    "LEASE",
    "AnyJob",
    "BatchRun",
    "ChildJob",
    "Database",
    "DatabaseState",
    "Discarded",
    "Failure",
    "GrantKey",
    "Guest",
    "HexBytes",
    "JobEvent",
    "JobKind",
    "JobStatus",
    "JobT",
    "Lease",
    "Link",
    "Notice",
    "Pack",
    "PluginJob",
    "PluginSource",
    "QiitaJob",
    "QueryJob",
    "RefusedWay",
    "ReportJob",
    "RequestId",
    "Result",
    "Run",
    "SequenceList",
    "ShareGrant",
    "Site",
    "Speed",
    "StoreIdentity",
    "Ticket",
    "Transfer",
    "Turn",
    "Usage",
    "UserToken",
    "UtcDateTime",
    "Webhook",
    "among",
    "database_now",
    "digits",
    "heartbeat",
    "in_portions",
    "insert_missing",
    "is_postgresql",
    "job_table",
    "raw",
    "take",
    "upsert",
    "utc_now",
]

__getattr__ = lazy_exports(__name__)
