"""The state machine of jobs: the one place where a status changes.

::

    queued ──▶ in-progress ──▶ complete ──▶ expired
      ▲  │          ├────────▶ failed         │
      │  └──────────┴────────▶ cancelled      │
      └────── submitted again, restarted ─────┘

A plugin job in progress may ask a person something: it is paused then, and queued again once it was answered.

A job is complete when its results are there, so whatever it was before, finding
them (another job may have searched the same sequences) completes it. Reports that
wait for a query job end with one that fails or is cancelled, and wait again once it is queued again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, literal, select, update
from sqlmodel import Session, col

from multiblast.database import AnyJob, JobEvent, JobStatus, QueryJob, ReportJob, UtcDateTime, among, utc_now
from multiblast.jobs.wanted import ENDED_WITH_SEARCH, ended_with_search, waits_for_search

MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.IN_PROGRESS, JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.IN_PROGRESS: frozenset(
        {JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED, JobStatus.PAUSED}
    ),
    JobStatus.PAUSED: frozenset({JobStatus.QUEUED, JobStatus.CANCELLED, JobStatus.EXPIRED}),
    JobStatus.COMPLETE: frozenset({JobStatus.EXPIRED, JobStatus.QUEUED}),
    JobStatus.FAILED: frozenset({JobStatus.QUEUED, JobStatus.COMPLETE, JobStatus.EXPIRED}),
    JobStatus.CANCELLED: frozenset({JobStatus.QUEUED, JobStatus.COMPLETE, JobStatus.EXPIRED}),
    JobStatus.EXPIRED: frozenset({JobStatus.QUEUED, JobStatus.COMPLETE}),
}

ACTIVE = frozenset({JobStatus.QUEUED, JobStatus.IN_PROGRESS})
"""Of jobs that wait or run."""

OPEN = ACTIVE | {JobStatus.PAUSED}
"""Of jobs that have not ended."""

ENDED = frozenset({JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED})
"""Of jobs that ran to some end, and have not expired since."""

RESTARTABLE = frozenset({JobStatus.EXPIRED, JobStatus.FAILED, JobStatus.CANCELLED})
"""Of jobs that have no whole result and are not about to get one."""

WAITS = "it waits for its turn behind other jobs"
"""Why a job is queued whose run waits with it."""

_EVENT_COLUMNS = ["job_id", "at", "from_status", "to_status", "why", "flow_run"]


def move(  # noqa: PLR0913 - a change of state has this many facts
    session: Session,
    table: type[AnyJob],
    which: ColumnElement[bool],
    to: JobStatus,
    why: str = "",
    *,
    run_id: str = "",
) -> int:
    """Change the status of some jobs, and write a line of history for each; return how many changed.

    Those of ``which``, a condition on the table, that have the status already or may not go there stay as they are.
    """
    now = utc_now()
    sources = [source for source, targets in MOVES.items() if to in targets]
    # Locked in the order of their ids, so that two transactions never wait for each other; what is not locked
    # here may change before the next statement sees it.
    ids = select(col(table.id)).where(which, col(table.status).in_(sources)).order_by(col(table.id)).with_for_update()
    moving = session.connection().execute(ids).scalars().all()
    if moving:
        locked = among(session, col(table.id), moving)
        facts = [literal(now, UtcDateTime), col(table.status), literal(str(to)), literal(why), literal(run_id)]
        history = select(col(table.id), *facts).where(locked)
        session.connection().execute(insert(JobEvent).from_select(_EVENT_COLUMNS, history))
        session.connection().execute(update(table).where(locked).values(_changes(to, why, now)))
    if moving and table is QueryJob:
        _take_reports_along(session, among(session, col(ReportJob.query_job_id), moving), to, run_id)
    return len(moving)


def _take_reports_along(session: Session, mine: ColumnElement[bool], to: JobStatus, run_id: str) -> None:
    """End reports that wait for a query job with it, and let them wait again once it is to run again."""
    if why := ENDED_WITH_SEARCH.get(to):
        move(session, ReportJob, mine & waits_for_search(), to, why, run_id=run_id)
    elif to is JobStatus.QUEUED:
        move(session, ReportJob, mine & ended_with_search(), to, "its query job is queued again")


def _changes(to: JobStatus, why: str, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "status": str(to),
        "reason": why if to in {JobStatus.FAILED, JobStatus.CANCELLED} else "",
    }
    if to is JobStatus.IN_PROGRESS:
        changes["started_at"] = now
    if to in ENDED:
        changes["finished_at"] = now
    if to is JobStatus.COMPLETE:
        changes["used_at"] = now
    return changes
