"""What actions on jobs mean: a model of jobs, reports and lists, and the services beside it, which must agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import delete

from multiblast.accounts import Requester
from multiblast.database import QueryJob
from multiblast.database.metadata import METADATA
from multiblast.errors import ConflictError, NotAllowedError, NotFoundError
from multiblast.object_kinds import ObjectKind
from multiblast.services import Services

PEOPLE = {"ann": Requester("ann"), "bob": Requester("bob"), "root": Requester("root", administrator=True)}
ENDED = {"complete", "failed", "cancelled"}
WAITING = {"queued", "in-progress"}


@dataclass
class Job:
    """What the model knows of a job; ``parts`` are the sequences it consists of."""

    parts: tuple[int, ...]
    status: str = "queued"
    pinned: bool = False


@dataclass
class Model:
    """What there is: jobs and reports by their sequences, results and failures by sequence, words by owner and job."""

    jobs: dict[tuple[int, ...], Job] = field(default_factory=dict)
    reports: dict[tuple[int, ...], Job] = field(default_factory=dict)
    results: set[int] = field(default_factory=set)
    failures: set[int] = field(default_factory=set)
    links: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)
    report_links: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)

    def children(self, job: Job) -> list[Job]:
        return [self.jobs[part,] for part in dict.fromkeys(job.parts)] if len(job.parts) > 1 else []

    def said_by_parents(self, part: int) -> str:
        """Return the status of a sequence that is no job of its own: that of its newest parent, unless it is done."""
        parents = [job.status for job in self.jobs.values() if len(job.parts) > 1 and part in job.parts]
        newest = ([status for status in parents if status != "expired"] or parents)[-1]
        if newest == "expired":
            return newest
        return "complete" if part in self.results else "failed" if part in self.failures else newest

    def has_live_parent(self, job: Job) -> bool:
        parents = [other for other in self.jobs.values() if len(other.parts) > 1 and job.parts[0] in other.parts]
        return len(job.parts) == 1 and any(parent.status != "expired" for parent in parents)

    def may_expire(self, job: Job) -> bool:
        report = self.reports.get(job.parts)
        kept = report is not None and report.pinned and report.status != "expired"
        return job.status in ENDED and not job.pinned and not kept and not self.has_live_parent(job)

    def expire(self, job: Job) -> None:
        job.status = "expired"
        report = self.reports.get(job.parts)
        if report is not None and report.status in ENDED:
            report.status = "expired"

    def can_read(self, who: str, parts: tuple[int, ...]) -> bool:
        owned = [of for owner, of in self.links if owner == who]
        of_parent = len(parts) == 1 and any(len(own) > 1 and parts[0] in own for own in owned)
        return who == "root" or parts in owned or of_parent

    def can_change(self, who: str, parts: tuple[int, ...]) -> bool:
        return who == "root" or (who, parts) in self.links

    def can_read_report(self, who: str, parts: tuple[int, ...]) -> bool:
        return (who, parts) in self.report_links or self.can_read(who, parts)

    def can_change_report(self, who: str, parts: tuple[int, ...]) -> bool:
        return who == "root" or (who, parts) in self.report_links


class CheckedActions(RuleBasedStateMachine):
    """The real services beside the model: whatever was done, both say the same."""

    services: Services

    def __init__(self) -> None:
        super().__init__()
        with self.services.database.write() as session:
            for table in reversed(METADATA.sorted_tables):
                session.connection().execute(delete(table))
        self.model = Model()
        self.ids: dict[tuple[int, ...], str] = {}
        self.report_ids: dict[tuple[int, ...], str] = {}

    def act(self, allowed: bool, fits: bool, act: Callable[[], object]) -> bool:
        """Do something, and tell whether it was done: exactly if it is allowed and fits."""
        try:
            act()
        except NotAllowedError:
            assert not allowed
            return False
        except ConflictError:
            assert allowed
            assert not fits
            return False
        assert allowed
        assert fits
        return True

    @invariant()
    def a_child_without_a_row_is_what_its_parents_say(self) -> None:
        """The first invariant, by its name: the model follows, as it does not know which child has a row."""
        with self.services.database.read() as session:
            for parts, job in self.model.jobs.items():
                if len(parts) == 1 and session.get(QueryJob, self.ids[parts]) is None:
                    job.status = self.model.said_by_parents(parts[0])

    @invariant()
    def statuses_are_those_of_the_model(self) -> None:
        told = self.services.queries.statuses(PEOPLE["root"], list(self.ids.values()))
        assert told == {self.ids[parts]: job.status for parts, job in self.model.jobs.items()}

    @invariant()
    def everybody_sees_their_own(self) -> None:
        for who, asks in PEOPLE.items():
            listed = {item.query_job_id: item for item in self.services.queries.list_jobs(asks, count=0)}
            expected = {self.ids[parts]: said for (owner, parts), said in self.model.links.items() if owner == who}
            assert {job: item.user_meta.summary if item.user_meta else "" for job, item in listed.items()} == expected
            told = self.services.queries.statuses(asks, list(self.ids.values()))
            assert set(told) == {self.ids[parts] for parts in self.model.jobs if self.model.can_read(who, parts)}

    @invariant()
    def reports_are_those_of_the_model(self) -> None:
        service, model = self.services.reports, self.model
        told = service.statuses(PEOPLE["root"], list(self.report_ids.values()))
        assert told == {self.report_ids[parts]: report.status for parts, report in model.reports.items()}
        for who, asks in PEOPLE.items():
            said = {
                item.report_job_id: item.user_meta.summary if item.user_meta else ""
                for item in service.list_jobs(asks, count=0)
            }
            own = {parts: words for (owner, parts), words in model.report_links.items() if owner == who}
            assert said == {self.report_ids[parts]: words for parts, words in own.items()}
            readable = {self.report_ids[parts] for parts in model.reports if model.can_read_report(who, parts)}
            assert set(service.statuses(asks, list(self.report_ids.values()))) == readable

    @invariant()
    def history_ends_with_the_status(self) -> None:
        jobs = [(self.ids[parts], job) for parts, job in self.model.jobs.items()]
        for job_id, job in [*jobs, *((self.report_ids[parts], job) for parts, job in self.model.reports.items())]:
            history = self.services.queries.jobs.history(job_id)
            assert history[-1].to_status == job.status
            assert all(old.to_status == new.from_status for old, new in pairwise(history))

    @invariant()
    def what_is_recorded_is_there(self) -> None:
        missing = self.services.storage_upkeep.verify()
        assert missing.is_nothing, missing

    @invariant()
    def what_is_stored_is_known_to_sweeping(self) -> None:
        kinds = {stored.key.partition("/")[0] for stored in self.services.store.list("")}
        assert kinds <= set(ObjectKind)

    @invariant()
    def results_are_those_of_the_model(self) -> None:
        for (part,), job_id in ((parts, job_id) for parts, job_id in self.ids.items() if len(parts) == 1):
            with suppress(NotFoundError):
                child = next(self.services.queries.jobs.children(self.services.queries.jobs.query(job_id)))
                assert (child.pack is not None) == (part in self.model.results)
