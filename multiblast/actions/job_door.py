"""What the doors of query and report jobs have in common: a requester's list of jobs, and what they note about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update
from sqlmodel import col, select

from multiblast.accounts import Access, Accounts, Requester
from multiblast.actions.answers import Event, UserMeta
from multiblast.actions.catalogue import action
from multiblast.database import (
    Database,
    JobEvent,
    JobKind,
    JobStatus,
    JobT,
    Link,
    PluginJob,
    QueryJob,
    ReportJob,
    among,
    job_table,
)
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, Problem
from multiblast.ids import is_id
from multiblast.jobs import ACTIVE, RESTARTABLE, Jobs, Links, summary_problems
from multiblast.results.holders import process_lives

if TYPE_CHECKING:
    from multiblast.upkeep.reconciliation import Waiting

ABANDONED = "the process that worked on it has ended, and nobody else does: restarted, it goes on from there"
"""Why a job that nobody works on goes no further."""

_LONGEST_BULK = 100_000


class JobDoor:
    """The actions that do not depend on what a job makes.

    Every action raises `NotFoundError` if there is no such job, and `NotAllowedError` if the requester may
    not read it, or, where it changes the job, if it is not in their list; `InvalidInputError` has every problem
    of the other arguments, by key.

    Attributes:
        kind: What the jobs behind this door make.
        jobs: All jobs, query and report, without a question of rights.
    """

    def __init__(self, kind: JobKind, database: Database, jobs: Jobs, accounts: Accounts) -> None:
        self.kind = kind
        self.jobs = jobs
        self._database = database
        self._accounts = accounts
        self._access = Access(database)
        self._links = Links(database)

    @action("update")
    def update(
        self, requester: Requester, job_id: str, *, summary: str | None = None, description: str | None = None
    ) -> UserMeta | None:
        """Change the requester's summary and description of a job; what is not given stays as it is.

        Args:
            requester: Whose words these are.
            job_id: The job.
            summary: One line about it, at most 512 characters; "" clears it.
            description: More about it; "" clears it.

        Returns:
            What they say now; None if nothing.
        """
        if problems := summary_problems(summary):
            raise InvalidInputError(problems)
        self._check_change(requester, job_id)
        if not requester.owner:
            raise InvalidInputError(Problem("give a user name: summary and description belong to a user", "user"))
        if requester.administrator:
            self._links.add(requester.owner, job_id, self.kind)
        link = self._links.describe(requester.owner, job_id, summary=summary, description=description)
        return UserMeta.of(link)

    def note(self, requester: Requester, job_id: str, notes: Mapping[str, Any]) -> None:
        """Keep what the requester's client wants to read again of a job in their list; nothing here depends on it."""
        self._links.note(requester.owner, job_id, notes)

    def notes(self, requester: Requester, job_id: str) -> dict[str, Any]:
        """Return what the requester's client noted of a job; nothing if it is not in their list."""
        link = self._links.get(requester.owner, job_id)
        return link.client_notes if link else {}

    def link(self, requester: Requester, job_id: str) -> None:
        """Have a job in the list of a requester, who may do everything with it from then on; checks no rights."""
        if self._links.get(requester.owner, job_id) is None:
            self._links.add(requester.owner, job_id, self.kind)

    def may_change(self, requester: Requester, job_id: str) -> bool:
        """Whether a requester may restart, cancel, pin, describe or share a job."""
        try:
            self._access.check_change(requester, job_id, self.kind)
        except NotAllowedError:
            return False
        return True

    @action("unlink", answer="whether it was in the list", done="job {job_id} is not in the list any more")
    def unlink(self, requester: Requester, job_id: str) -> bool:
        """Remove a job from the requester's list; the job itself stays until it expires.

        Returns whether it was in the list; an administrator may try with any job.
        """
        self._access.check_change(requester, job_id, self.kind)
        return self._links.remove(requester.owner, job_id)

    @action("status", answer="`{id: status}`, unknown ids left out")
    def statuses(self, requester: Requester, job_ids: Collection[str]) -> dict[str, str]:
        """Get the status of many jobs; unknown ids, and those of jobs that the requester may not read, are left out.

        Args:
            requester: The person who makes the request.
            job_ids: Ids of jobs.
        """
        if len(job_ids) > _LONGEST_BULK:
            raise InvalidInputError(Problem(f"{len(job_ids):,} ids are too many: ask for {_LONGEST_BULK:,} at a time"))
        return self._access.statuses(requester, [job_id for job_id in job_ids if is_id(job_id)], self.kind)

    @action("pin", done="job {job_id}: kept for good: {pinned}", spelled={"pinned": "--pin/--unpin"})
    def pin(self, requester: Requester, job_id: str, *, pinned: bool = True) -> None:
        """Keep a job's result for good, or let it expire again.

        Args:
            requester: Who decides.
            job_id: The job.
            pinned: Whether to keep it for good.
        """
        self._check_change(requester, job_id)
        table = job_table(self.kind)
        with self._database.write() as session:
            session.exec(update(table).where(col(table.id) == job_id).values(pinned=pinned))

    @action("share", answer="a token, shown once", spelled={"lasts": "--days"})
    def share(self, requester: Requester, job_id: str, *, lasts: timedelta | None = None) -> str:
        """Make a token with which anybody may read a job; it is not kept, and cannot be shown again.

        Args:
            requester: Who shares it.
            job_id: The job.
            lasts: For how long.
        """
        if lasts is not None and lasts <= timedelta():
            raise InvalidInputError(Problem(f"{lasts} is no time to share a job for: give a positive one", "lasts"))
        self._check_change(requester, job_id)
        return self._accounts.share(job_id, granted_by=requester.owner, lasts=lasts)

    @action("end-shares", answer="how many", done="{answer} tokens are revoked")
    def end_shares(self, requester: Requester, job_id: str) -> int:
        """Revoke all share tokens of a job; return how many there were."""
        self._access.check_change(requester, job_id, self.kind)
        return self._accounts.end_shares(job_id)

    @action("history", columns=("at", "fromStatus", "toStatus", "why", "flowRun"))
    def history(self, requester: Requester, job_id: str) -> list[Event]:
        """List what happened to a job, oldest first."""
        self._access.check_read(requester, job_id, self.kind)
        return [Event.model_validate(event, from_attributes=True) for event in self.jobs.history(job_id)]

    def abandoned(self, job_ids: Collection[str]) -> set[str]:
        """Return those of some jobs that run or wait but on which nobody works, since the process that did has ended.

        Of runs of Prefect, and of processes of other machines, only the flow reconcile-jobs finds out.
        """
        with self._database.read() as session:
            mine = among(session, col(JobEvent.job_id), job_ids)
            last = select(func.max(JobEvent.number)).where(mine).group_by(col(JobEvent.job_id))
            is_active = col(JobEvent.to_status).in_(ACTIVE)
            active = session.exec(select(JobEvent).where(col(JobEvent.number).in_(last), is_active)).all()
        return {event.job_id for event in active if process_lives(event.flow_run) is False}

    def reason(self, job: QueryJob | ReportJob) -> str:
        """Return why a job failed, was cancelled or goes no further; else nothing."""
        return ABANDONED if self._is_abandoned(job) else job.reason

    def _is_abandoned(self, job: QueryJob | ReportJob) -> bool:
        return job.status in ACTIVE and bool(self.abandoned([job.id]))

    def _may_restart(self, job: QueryJob | ReportJob) -> bool:
        return job.status in RESTARTABLE or self._is_abandoned(job)

    def waiting(self, job_id: str) -> Waiting:
        """Return what a run of a queued job is started for."""
        from multiblast.upkeep.reconciliation import Waiting

        queued = [event.number for event in self.jobs.history(job_id) if event.to_status == JobStatus.QUEUED]
        return Waiting(job_id, self.kind, queued[-1] or 0)

    def still_waits(self, waiting: Waiting) -> bool:
        """Return whether nothing has happened to a job since it was queued, not even that it has a run."""
        return [event.number for event in self.jobs.history(waiting.job_id)][-1:] == [waiting.event]

    def _check_change(self, requester: Requester, job_id: str) -> None:
        """Make sure that a requester may change a job; a sequence of a larger one is then a job of its own."""
        self._access.check_change(requester, job_id, self.kind)
        if self.kind is JobKind.QUERY:
            self.jobs.adopt(job_id)

    def _listed(  # noqa: PLR0913 - filters, and a part of the list
        self,
        table: type[JobT],
        requester: Requester,
        filters: Mapping[str, str],
        *,
        first: int,
        count: int,
        find: str = "",
    ) -> list[tuple[JobT, Link | None]]:
        _check_page(filters["status"], first, count)
        owner = None if requester.administrator and not requester.owner else requester.owner
        return self._links.jobs(table, owner, filters, first=first, count=count, find=find)

    def _look_up(self, requester: Requester, job_id: str, *, link: bool) -> UserMeta | None:
        """Check that a requester may read a job, add it to their list, and return what they say about it."""
        self._access.check_read(requester, job_id, self.kind)
        known = self._links.get(requester.owner, job_id) if requester.owner else None
        if link and requester.owner and known is None and self._may_list(requester, job_id, self.kind):
            self.link(requester, job_id)
        return UserMeta.of(known)

    def _may_list(self, requester: Requester, job_id: str, kind: JobKind) -> bool:
        """Whether a requester may have in their list, for good, what they may read: not by a share, which may end."""
        try:
            self._access.check_read(replace(requester, shares=frozenset()), job_id, kind)
        except NotAllowedError:
            return False
        return True


def check_complete(kind: JobKind, job: QueryJob | PluginJob) -> None:
    """Make sure that a job is complete; `ConflictError` if not."""
    if job.status != JobStatus.COMPLETE:
        raise ConflictError(f"{kind} job {job.id} is {job.status}: wait until it is complete, or restart it")


def _check_page(status: str, first: int, count: int) -> None:
    problems = []
    if status and status not in list(JobStatus):
        problems.append(Problem(f"there is no status {status!r}: use {', '.join(JobStatus)}", "status"))
    if first < 1:
        problems.append(Problem(f"{first} is no place in a list: the first is 1", "first"))
    if count < 0:
        problems.append(Problem(f"{count} is no number of jobs: use 0 for all", "count"))
    if problems:
        raise InvalidInputError(problems)
