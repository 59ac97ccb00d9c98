"""Notices: how a job ended is sent to a URL, signed; once for each end, and never at the job's cost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, update
from sqlmodel import Session, col, func, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.database import AnyJob, Database, JobEvent, JobKind, JobStatus, job_table, utc_now
from multiblast.errors import MultiblastError
from multiblast.ids import digest
from multiblast.jobs import ENDED, address_of
from multiblast.settings import NoticeRules
from multiblast.upkeep.notice_delivery import check_url, deliver, signature

_ATTEMPTS = 8
_FIRST_WAIT = timedelta(minutes=1)  # doubled each time: about two hours in all
_BELIEVED_GONE = timedelta(minutes=2)
_AT_A_TIME = 100


@dataclass(slots=True)
class SentNotices:
    """How many notices arrived, and by URL why others will be tried again, and why others never will arrive."""

    sent: int = 0
    later: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)


class Notices:
    """Which URLs are notified when jobs end."""

    def __init__(self, database: Database, rules: NoticeRules) -> None:
        self._database = database
        self._rules = rules

    def check(self, url: str) -> None:
        """Raise an `InvalidInputError` unless notices may go to a URL."""
        check_url(url, self._rules)

    def subscribe(self, job_id: str, url: str) -> None:
        """Notify a URL of how a job ends from now on; subscribed again, it is notified again: see `check`."""
        self.check(url)
        with self._database.write() as session:
            last = session.exec(select(func.max(JobEvent.number)).where(JobEvent.job_id == job_id)).one()
            notice = session.get(tables.Notice, (job_id, url)) or tables.Notice(job_id=job_id, url=url)
            notice.since, notice.notified, notice.attempts = last or 0, "", 0
            notice.due_at, notice.problem = utc_now(), ""
            session.add(notice)

    def send(self, secret: Callable[[], str], now: datetime | None = None, *, limit_s: float = 60) -> SentNotices:
        """Send the notices that are due by ``now``, in UTC; after ``limit_s`` seconds the rest waits for the next time.

        What to sign with is read only if there is something to send.
        """
        now, done, deadline = now or utc_now(), SentNotices(), time.monotonic() + limit_s
        for notice, message in self._due(now):
            if time.monotonic() > deadline:
                break
            if self._claim(notice, now):
                self._send(notice, message, secret(), done, now)
        return done

    def sweep(self) -> None:
        """Remove the notices of jobs that have expired: whoever has one done anew asks for another."""
        with self._database.write() as session:
            for table in map(job_table, JobKind):
                gone = select(table.id).where(col(table.status) == JobStatus.EXPIRED)
                session.connection().execute(delete(tables.Notice).where(col(tables.Notice.job_id).in_(gone)))

    def _due(self, now: datetime) -> list[tuple[tables.Notice, dict[str, Any]]]:
        last = select(func.max(JobEvent.number)).where(JobEvent.job_id == tables.Notice.job_id).scalar_subquery()
        found: list[tuple[tables.Notice, dict[str, Any]]] = []
        with self._database.read() as session:
            for kind in JobKind:
                table = job_table(kind)
                statement = (
                    select(tables.Notice, table, last)
                    .join(table, col(table.id) == tables.Notice.job_id)
                    .where(col(table.status).in_(ENDED), tables.Notice.notified != table.status)
                    .where(col(tables.Notice.due_at) <= now, last > tables.Notice.since)
                    .limit(_AT_A_TIME)
                )
                for notice, job, event in session.exec(statement):
                    found.append((notice, _message(notice, cast("AnyJob", job), kind, event)))
        return found

    def _claim(self, notice: tables.Notice, now: datetime) -> bool:
        """Take a notice to send it, unless somebody else did."""
        mine = (col(tables.Notice.job_id) == notice.job_id, col(tables.Notice.url) == notice.url)
        with self._database.write() as session:
            claim = update(tables.Notice).where(*mine, col(tables.Notice.due_at) == notice.due_at)
            changes = {"due_at": now + _BELIEVED_GONE, "attempts": notice.attempts + 1}
            return bool(session.connection().execute(claim.values(changes)).rowcount)

    def _send(
        self, notice: tables.Notice, message: dict[str, Any], secret: str, done: SentNotices, now: datetime
    ) -> None:
        body = json.dumps(message, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "multiblast",
            "Multiblast-Delivery": message["delivery"],
            "Multiblast-Signature": signature(secret, body, int(time.time())),
        }
        try:
            deliver(notice.url, body, headers, self._rules)
        except MultiblastError as error:
            last = notice.attempts + 1 >= _ATTEMPTS
            (done.given_up if last else done.later)[notice.url] = str(error)
            with self._database.write() as session:
                wait = _FIRST_WAIT * 2**notice.attempts
                _note(session, notice, message["status"] if last else notice.notified, str(error), now + wait)
        else:
            done.sent += 1
            with self._database.write() as session:
                _note(session, notice, message["status"], "", now)


def _note(session: Session, notice: tables.Notice, sent: str, problem: str, due_at: datetime) -> None:
    kept = session.get(tables.Notice, (notice.job_id, notice.url), with_for_update=True)
    if kept is None or kept.since != notice.since:  # asked again meanwhile
        return
    kept.attempts = 0 if sent != kept.notified else kept.attempts
    kept.notified, kept.problem, kept.due_at = sent, problem, due_at


def _message(notice: tables.Notice, job: AnyJob, kind: JobKind, event: int) -> dict[str, Any]:
    return {
        "event": f"{kind}.{job.status}",
        "job": job.id,
        "status": job.status,
        "reason": job.reason,
        "ended": job.finished_at.isoformat(timespec="seconds") if job.finished_at else "",
        "url": address_of(kind, job.id),
        "delivery": digest("notice/1", [job.id, notice.url, event]),
    }
