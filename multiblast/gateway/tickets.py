"""Tickets: what one run elsewhere may fetch and push; and the record of what it did."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, or_, update
from sqlmodel import col, select

from multiblast.database import (
    AnyJob,
    Database,
    JobKind,
    JobStatus,
    QiitaJob,
    Site,
    Ticket,
    Transfer,
    among,
    job_table,
    utc_now,
)
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError, Problem
from multiblast.gateway.grants import ALL, GRANT_S, Grant
from multiblast.jobs import ACTIVE
from multiblast.stores.base import is_key

MOST_REFUSALS = 20
ALIEN_FILES = "asked for files that are not its own"
_LONGEST = timedelta(days=30)
_ROWS_AT_A_TIME = 1000
_LOOK_AGAIN_S = 2.0  # until when a ticket that was taken back may still be used


class Tickets:
    """Makes tickets, turns them into grants, and takes them back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, tuple[float, bool]] = {}

    def make(  # noqa: PLR0913 - what a ticket says
        self,
        *,
        site: str,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        max_bytes: int,
        lasts: timedelta,
        job_id: str = "",
        replaces: bool = False,
    ) -> Ticket:
        """Return a new ticket for a site.

        Args:
            site: Whose key it works with.
            reads: Keys, and prefixes of keys that end in ``/``; ``/`` alone is all there is.
            writes: Likewise; no two tickets should share any, unless they continue each other's work.
            max_bytes: How much may be pushed in all.
            lasts: For how long; at most 30 days.
            job_id: With the end of this job the ticket ends.
            replaces: Whether what is pushed may replace other bytes, and be deleted.

        Raises:
            InvalidInputError: a key that can be none, or no time, or nothing to read or write.
        """
        reads, writes = list(dict.fromkeys(reads)), list(dict.fromkeys(writes))
        problems = [
            Problem(f"{key!r} is no key of the store, nor a prefix that ends in '/'", field)
            for field, keys in (("reads", reads), ("writes", writes))
            for key in keys
            if key != ALL and not is_key(key.removesuffix("/"))
        ]
        if not reads and not writes:
            problems.append(Problem("name what may be read or written", "reads"))
        if not timedelta() < lasts <= _LONGEST:
            problems.append(Problem(f"it can last up to {_LONGEST.days} days", "lasts"))
        if max_bytes < 0:
            problems.append(Problem("less than nothing cannot be pushed", "max_bytes"))
        if problems:
            raise InvalidInputError(problems)
        ticket_id = secrets.token_hex(16)
        ticket = Ticket(
            id=ticket_id,
            job_id=job_id,
            site=site,
            reads=reads,
            writes=writes,
            max_bytes=max_bytes,
            replaces=replaces,
            expires_at=utc_now() + lasts,
        )
        with self._database.write() as session:
            session.add(ticket)
        return self.get(ticket_id)

    def get(self, ticket_id: str) -> Ticket:
        """Return a ticket.

        Raises:
            NotFoundError: there is none, or no more.
        """
        with self._database.read() as session:
            ticket = session.get(Ticket, ticket_id)
        if ticket is None:
            raise NotFoundError("ticket", ticket_id, "it was of a job that is gone")
        return ticket

    def grant(self, ticket_id: str, site: str) -> Grant:
        """Return what a site may do by a ticket, for ten minutes, or as long as the ticket lasts if that is less.

        Raises:
            NotAllowedError: it is not a ticket of this site, or a revoked one; the message is the same.
        """
        try:
            ticket = self.get(ticket_id)
        except NotFoundError:
            ticket = None
        if ticket is None or ticket.site != site:
            raise NotAllowedError("this ticket is not one of this site")
        if why := self._problem(ticket):
            raise NotAllowedError(f"this ticket is no longer valid: {why}")
        return grant_of(ticket)

    def check(self, grant: Grant, *, has_expired: bool = False) -> None:
        """Make sure that a grant and the ticket behind it are still good; looked up every two seconds at most.

        Raises:
            NotAllowedError: it has expired or was taken back, or its job has ended.
        """
        if has_expired:
            raise NotAllowedError("this grant has expired: ask for another one")
        at, is_good = self._seen.get(grant.ticket, (-_LOOK_AGAIN_S, False))
        if time.monotonic() - at > _LOOK_AGAIN_S:
            try:
                why = self._problem(self.get(grant.ticket))
            except NotFoundError:
                why = "it is gone"
            is_good = not why
            self._seen = {ticket: seen for ticket, seen in self._seen.items() if time.monotonic() - seen[0] < GRANT_S}
            self._seen[grant.ticket] = time.monotonic(), is_good
        if not is_good:
            raise NotAllowedError("the ticket of this grant is no longer valid: its job ended, or it was taken back")

    def take_space(self, ticket_id: str, size: int) -> bool:
        """Count bytes that are to be pushed; return False, and count nothing, if they would be more than allowed."""
        with self._database.write() as session:
            fits = col(Ticket.pushed_bytes) + size <= col(Ticket.max_bytes)
            counted = update(Ticket).where(col(Ticket.id) == ticket_id, fits)
            return bool(session.exec(counted.values(pushed_bytes=col(Ticket.pushed_bytes) + size)).rowcount)

    def refuse(self, ticket_id: str) -> None:
        """Count a refusal; with the last that is borne, the ticket dies."""
        with self._database.write() as session:
            counted = update(Ticket).where(col(Ticket.id) == ticket_id)
            session.exec(counted.values(refusals=col(Ticket.refusals) + 1))
            dying = update(Ticket).where(
                col(Ticket.id) == ticket_id, col(Ticket.refusals) >= MOST_REFUSALS, col(Ticket.revoked_at).is_(None)
            )
            session.exec(dying.values(revoked_at=utc_now(), why=ALIEN_FILES))

    def revoke(self, ticket_id: str, why: str) -> None:
        """Revoke a ticket; one that is revoked already keeps its reason."""
        with self._database.write() as session:
            living = update(Ticket).where(col(Ticket.id) == ticket_id, col(Ticket.revoked_at).is_(None))
            session.exec(living.values(revoked_at=utc_now(), why=why))
        self._seen.pop(ticket_id, None)

    def record(self, transfer: Transfer) -> None:
        """Keep what was done, or refused."""
        with self._database.write() as session:
            session.add(transfer)

    def transfers(self, job_id: str) -> list[Transfer]:
        """Return what was done for a job, oldest first."""
        with self._database.read() as session:
            rows = select(Transfer).where(Transfer.job_id == job_id).order_by(col(Transfer.number))
            return list(session.exec(rows))

    def has_broken_off(self, ticket_id: str, key: str) -> bool:
        """Return whether the last push of a ticket to a key ended after some bytes, before it was whole."""
        with self._database.read() as session:
            pushes = select(Transfer).where(Transfer.ticket == ticket_id, Transfer.key == key, Transfer.verb == "push")
            last = session.exec(pushes.order_by(col(Transfer.number).desc()).limit(1)).first()
        return last is not None and last.outcome == "failed" and last.size > 0

    def sweep(self, cutoff: datetime) -> tuple[int, int]:
        """Remove tickets that ended, and transfers that were made, before a time, unless their job is there.

        What a plugin of Qiita was to do goes with its ticket.

        Returns:
            How many tickets, and how many transfers.
        """
        tickets = self._remove(Ticket, col(Ticket.id), (col(Ticket.expires_at) < cutoff) & _is_of_no_job(Ticket))
        has_ticket = select(Ticket.id).where(col(Ticket.id) == col(QiitaJob.ticket)).exists()
        self._remove(QiitaJob, col(QiitaJob.ticket), ~has_ticket)
        return tickets, self._remove(
            Transfer, col(Transfer.number), (col(Transfer.at) < cutoff) & _is_of_no_job(Transfer)
        )

    def _remove(self, table: Any, number: Any, is_old: ColumnElement[bool]) -> int:
        """Remove old rows a portion at a time, so that nobody waits long to write; return how many."""
        removed = 0
        while True:
            with self._database.write() as session:
                old = session.exec(select(number).where(is_old).limit(_ROWS_AT_A_TIME)).all()
                session.exec(delete(table).where(among(session, number, old)))
            removed += len(old)
            if len(old) < _ROWS_AT_A_TIME:
                return removed

    def pushed_digest(self, key: str, modified: datetime) -> str:
        """Return the SHA-256 of an object that was pushed whole; empty if that is not known.

        What was written since a push was noted is something else, of which nobody may have lived to note the digest.
        """
        with self._database.read() as session:
            whole = select(Transfer.sha256).where(
                Transfer.key == key, Transfer.sha256 != "", col(Transfer.at) >= modified
            )
            return session.exec(whole.order_by(col(Transfer.number).desc()).limit(1)).first() or ""

    def _problem(self, ticket: Ticket) -> str:
        """Return why a ticket is revoked or has expired; empty if it is valid."""
        if ticket.revoked_at is not None:
            return ticket.why or "it was taken back"
        if ticket.expires_at <= utc_now():
            return "it has expired"
        with self._database.read() as session:
            site = session.get(Site, ticket.site)
            found = [session.get(job_table(kind), ticket.job_id) for kind in JobKind if ticket.job_id]
            job = cast("AnyJob | None", next(filter(None, found), None))
        if ticket.job_id and (job is None or job.status not in ACTIVE or getattr(job, "cancel_requested", False)):
            return "its job has ended"
        if ticket.site and (site is None or site.removed_at is not None):
            return "its site was removed"
        return ""


def _is_of_no_job(table: Any) -> ColumnElement[bool]:
    """Return the condition that the job of a row is gone, or that it has none."""
    kept = [
        select(job.id).where(col(job.id) == table.job_id, col(job.status) != JobStatus.EXPIRED).exists()
        for job in map(job_table, JobKind)
    ]
    return ~or_(*kept)


def grant_of(ticket: Ticket, lasts_s: float = GRANT_S) -> Grant:
    """Return what a ticket grants, for as long as it lasts itself at most."""
    return Grant(
        ticket=ticket.id,
        job=ticket.job_id,
        site=ticket.site,
        reads=tuple(ticket.reads),
        writes=tuple(ticket.writes),
        max_bytes=ticket.max_bytes,
        replaces=ticket.replaces,
        expires=int(min(time.time() + lasts_s, ticket.expires_at.timestamp())),
    )
