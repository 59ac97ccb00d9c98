"""Webhooks: a URL hears of each change of a plugin job's status, steps or details, in QHAna's manner, and signed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Row, Select, delete, or_, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select

from multiblast.database import Database, JobStatus, PluginJob, Webhook, utc_now
from multiblast.errors import InvalidInputError, MultiblastError, NotFoundError, Problem
from multiblast.ids import digest
from multiblast.jobs import ENDED
from multiblast.settings import NoticeRules
from multiblast.upkeep.notice_delivery import check_url, deliver, signature

EVENTS = ("status", "steps", "details")
"""What changes of a job: its status, the questions it asks and their answers, and its progress, log and outputs."""

_ATTEMPTS = 8
_FIRST_WAIT = timedelta(minutes=1)  # doubled each time: about two hours in all
_BELIEVED_GONE = timedelta(minutes=2)
_CLOCKS_DIFFER = timedelta(minutes=10)  # at most, between the machine that ends a job and the one that sends
_AT_A_TIME = 100
_MOST = 20  # of one job


class Webhooks:
    """Which URLs hear of what changes of plugin jobs."""

    def __init__(self, database: Database, rules: NoticeRules) -> None:
        self._database, self._rules = database, rules

    def subscribe(self, job_id: str, url: str, event: str, source: str) -> None:
        """Let a URL hear of what changes of a job from now on; the same again changes nothing.

        Args:
            job_id: The plugin job.
            url: Where a POST is sent.
            event: One of `EVENTS`; empty for all.
            source: What the job is called there: the address of its task.

        Raises:
            InvalidInputError: nothing may be sent to this URL, there is no such event, or the job has too many.
        """
        check_url(url, self._rules)
        if event not in {"", *EVENTS}:
            raise InvalidInputError(
                Problem(f"{event!r} is no event: use {', '.join(EVENTS)}, or none for all", "event")
            )
        with self._database.write() as session:
            job = session.get(PluginJob, job_id)
            if job is None:
                raise NotFoundError("plugin job", job_id)
            there = session.exec(select(Webhook).where(Webhook.job_id == job_id)).all()
            if any((one.url, one.event) == (url, event) for one in there):
                return
            if len(there) >= _MOST:
                raise InvalidInputError(Problem(f"a job has at most {_MOST} webhooks", "webhookHref"))
            due = utc_now() - _CLOCKS_DIFFER
            session.add(Webhook(job_id=job_id, url=url, event=event, source=source, seen=_state(job), due_at=due))

    def unsubscribe(self, job_id: str, url: str, event: str | None) -> None:
        """Let a URL hear no more of an event of a job, or of any if it is None; nothing happens if it did not."""
        with self._database.write() as session:
            mine = delete(Webhook).where(col(Webhook.job_id) == job_id, col(Webhook.url) == url)
            session.connection().execute(mine if event is None else mine.where(col(Webhook.event) == event))

    def send(self, secret: Callable[[], str], now: datetime | None = None, *, limit_s: float = 30) -> int:
        """Send what has changed, each change once; return how many arrived. What does not is tried again later.

        Args:
            secret: Returns what to sign with; called only if there is something to send.
            now: The time, in UTC.
            limit_s: Seconds after which the rest waits for the next time.
        """
        now, sent, deadline = now or utc_now(), 0, time.monotonic() + limit_s
        for hook, state in self._due(now):
            if time.monotonic() > deadline:
                break
            if self._claim(hook, now):
                sent += self._send(hook, state, secret(), now)
        return sent

    def _due(self, now: datetime) -> list[tuple[Webhook, dict[str, str]]]:
        """Return what is to be sent; of a job that has ended nothing, once its end was looked at, until it goes on."""
        names = ("status", "progress", "log", "outputs", "rounds", "finished_at")
        columns = [col(getattr(PluginJob, name)) for name in names]  # a whole row has much more
        changing = or_(
            col(PluginJob.status).not_in(ENDED),
            col(Webhook.attempts) > 0,
            col(PluginJob.finished_at) >= col(Webhook.due_at),
        )
        statement = (
            sa_select(Webhook, *columns)
            .join(PluginJob, col(PluginJob.id) == Webhook.job_id)
            .where(col(Webhook.due_at) <= now, changing)
            .order_by(*(col(name) for name in (Webhook.due_at, Webhook.job_id, Webhook.url, Webhook.event)))
            .limit(_AT_A_TIME)
        )
        found: list[tuple[Webhook, dict[str, str]]] = []
        done: list[Webhook] = []
        gone: list[Webhook] = []
        for hook, *values in map(tuple, self._pages(statement, found)):
            job = SimpleNamespace(**dict(zip(names, values, strict=True)))
            if _changed(hook, state := _state(job)):
                found.append((hook, state))
            elif job.status == JobStatus.EXPIRED:
                gone.append(hook)
            elif job.status in ENDED and job.finished_at < now - _CLOCKS_DIFFER:
                done.append(hook)
        if done or gone:
            self._leave(done, gone, now)
        return found[:_AT_A_TIME]

    def _pages(self, statement: Select[Any], found: Sized) -> Iterator[Row[Any]]:
        """Yield what a statement selects, a page at a time, until so much was found that the rest may wait."""
        with self._database.read() as session:
            for page in count():
                rows = session.execute(statement.offset(page * _AT_A_TIME)).all()
                yield from rows
                if len(rows) < _AT_A_TIME or len(found) >= _AT_A_TIME:
                    return

    def _leave(self, done: Sequence[Webhook], gone: Sequence[Webhook], now: datetime) -> None:
        """Look no more at webhooks that have heard all, of jobs that have ended; and remove those of expired jobs."""
        values = {"due_at": now - _CLOCKS_DIFFER, "attempts": 0}
        with self._database.write() as session:
            for hook in done:
                session.connection().execute(update(Webhook).where(*_as_read(hook)).values(values))
            for hook in gone:
                session.connection().execute(delete(Webhook).where(*_as_read(hook)))

    def _claim(self, hook: Webhook, now: datetime) -> bool:
        """Take a webhook to send it, unless somebody else did."""
        with self._database.write() as session:
            claim = update(Webhook).where(*_as_read(hook))
            values = {"due_at": now + _BELIEVED_GONE, "attempts": hook.attempts + 1}
            return bool(session.connection().execute(claim.values(values)).rowcount)

    def _send(self, hook: Webhook, state: Mapping[str, str], secret: str, now: datetime) -> int:
        seen, sent, problem = dict(hook.seen), 0, ""
        for event in _changed(hook, state):
            try:
                self._deliver(hook, event, state, secret)
            except MultiblastError as error:
                problem = str(error)
                break
            seen[event], sent = state[event], sent + 1
        attempts = hook.attempts + 1 if problem else 0
        due = now + _FIRST_WAIT * 2**hook.attempts if problem else now - _CLOCKS_DIFFER
        if attempts >= _ATTEMPTS:  # what has changed until now is given up
            seen, attempts, due = dict(state), 0, now - _CLOCKS_DIFFER
        values = {"seen": seen, "attempts": attempts, "due_at": due, "problem": problem}
        with self._database.write() as session:
            session.connection().execute(update(Webhook).where(*_mine(hook)).values(values))
        return sent

    def _deliver(self, hook: Webhook, event: str, state: Mapping[str, str], secret: str) -> None:
        parts = urlsplit(hook.url)
        query = "&".join(filter(None, (parts.query, urlencode({"source": hook.source, "event": event}))))
        facts = {"source": hook.source, "event": event, "job": hook.job_id, "status": state["status"]}
        facts["delivery"] = digest("webhook/1", [hook.job_id, hook.url, event, state[event]])
        body = json.dumps(facts, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "multiblast",
            "Multiblast-Delivery": facts["delivery"],
            "Multiblast-Signature": signature(secret, body, int(time.time())),
        }
        deliver(parts._replace(query=query, fragment="").geturl(), body, headers, self._rules)


def _mine(hook: Webhook) -> tuple[Any, ...]:
    return col(Webhook.job_id) == hook.job_id, col(Webhook.url) == hook.url, col(Webhook.event) == hook.event


def _as_read(hook: Webhook) -> tuple[Any, ...]:
    """Return the condition that nobody has taken a webhook since it was read."""
    return *_mine(hook), col(Webhook.due_at) == hook.due_at


def _changed(hook: Webhook, state: Mapping[str, str]) -> list[str]:
    """Return the events that a webhook has not heard of."""
    return [event for event in EVENTS if hook.event in {"", event} and hook.seen.get(event) != state[event]]


def _state(job: PluginJob | SimpleNamespace) -> dict[str, str]:
    """Return what tells each state of a job, or of its columns that are asked here, from the others."""
    steps = [[one["step"], one["answers"] is not None] for one in job.rounds if one["end"] == "ask"]
    details = [job.status, job.progress, job.log, job.outputs, len(steps)]
    return {
        "status": job.status,
        "steps": digest("webhook-steps/1", json.dumps(steps)),
        "details": digest("webhook-details/1", json.dumps(details, sort_keys=True)),
    }
