"""All actions by two users and an administrator, in any order, against a model of what they mean.

Searches were made once, before; what a worker does then is to store the results they gave.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete

from multiblast.accounts import Requester
from multiblast.archive import Summary
from multiblast.database import Database, utc_now
from multiblast.database.tables import Table
from multiblast.errors import ConflictError, MultiblastError, NotAllowedError, NotFoundError
from multiblast.results import PackWriter
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy

PEOPLE = {"ann": Requester("ann"), "bob": Requester("bob"), "root": Requester("root", administrator=True)}
QUERIES = ((0,), (1,), (0, 1), (1, 2), (0, 1, 2), (2, 2))
ENDED = {"complete", "failed", "cancelled"}
WAITING = {"queued", "in-progress"}

people, queries = st.sampled_from(sorted(PEOPLE)), st.sampled_from(QUERIES)


@dataclass
class Job:
    """What the model knows of a job; ``parts`` are the sequences it consists of."""

    parts: tuple[int, ...]
    status: str = "queued"
    pinned: bool = False


@dataclass
class Model:
    """What there is: jobs by their sequences, results and failures by sequence, words by owner and job."""

    jobs: dict[tuple[int, ...], Job] = field(default_factory=dict)
    results: set[int] = field(default_factory=set)
    failures: set[int] = field(default_factory=set)
    links: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)

    def children(self, job: Job) -> list[Job]:
        return [self.jobs[part,] for part in dict.fromkeys(job.parts)] if len(job.parts) > 1 else []

    def has_live_parent(self, job: Job) -> bool:
        parents = [other for other in self.jobs.values() if len(other.parts) > 1 and job.parts[0] in other.parts]
        return len(job.parts) == 1 and any(parent.status != "expired" for parent in parents)

    def may_expire(self, job: Job) -> bool:
        return job.status in ENDED and not job.pinned and not self.has_live_parent(job)

    def can_read(self, who: str, parts: tuple[int, ...]) -> bool:
        owned = [of for owner, of in self.links if owner == who]
        of_parent = len(parts) == 1 and any(len(own) > 1 and parts[0] in own for own in owned)
        return who == "root" or parts in owned or of_parent

    def can_change(self, who: str, parts: tuple[int, ...]) -> bool:
        return who == "root" or (who, parts) in self.links


class Actions(RuleBasedStateMachine):
    """The real services beside the model."""

    services: Services
    archives: dict[int, tuple[bytes, Summary]]
    sequences: list[Sequence]

    def __init__(self) -> None:
        super().__init__()
        with self.services.database.write() as session:
            for table in reversed(Table.metadata.sorted_tables):
                session.connection().execute(delete(table))
        self.model = Model()
        self.ids: dict[tuple[int, ...], str] = {}

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

    @rule(who=people, query=queries, summary=st.sampled_from(["", "one", "two"]))
    def submit(self, who: str, query: tuple[int, ...], summary: str) -> None:
        fasta = b"".join(self.sequences[part].canonical for part in query).decode()
        config = {
            "jobConfig": {
                "site": "demo",
                "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
                "query": fasta,
            },
            "blastConfig": {"tool": "blastp"},
            "userMeta": {"summary": summary},
        }
        self.ids[query] = self.services.query_service.create(PEOPLE[who], config).query_job_id
        self.model.jobs.setdefault(query, Job(query))
        if len(query) > 1:
            children = self.services.query_service.lookup(PEOPLE["root"], self.ids[query], link=False).children or ()
            for child in children:
                part = (query[child.position - 1],)
                assert self.ids.setdefault(part, child.query_job_id) == child.query_job_id
                self.model.jobs.setdefault(part, Job(part))
        self.model.links[who, query] = summary or self.model.links.get((who, query), "")

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), broken=st.sampled_from([None, None, None, 0, 1, 2]))
    def work(self, data: st.DataObject, broken: int | None) -> None:
        """A worker plans a job, searches what is not known, and finishes; ``broken`` cannot be searched."""
        query = data.draw(st.sampled_from(sorted(self.ids)))
        search, job_id = self.services.search, self.ids[query]
        job = search.jobs.query(job_id)
        plan = search.plan(job_id)
        search.start(plan)
        unknown = {part for part in query if part not in self.model.results}
        assert plan.unknown == len(unknown)
        keys = {part: child.result_key for part, child in zip(query, search.jobs.children(job), strict=True)}
        with PackWriter(self.services.store) as pack:
            found = sorted(unknown - {broken})
            for part in found:
                pack.add(keys[part], self.archives[part][0])
            search.results.add(pack, [self.archives[part][1] for part in found], "a worker")
        for part in unknown & {broken}:
            search.results.fail(keys[part], "engine error", "broken")
        search.finish(job_id)
        model = self.model
        model.results |= set(found)
        model.failures = (model.failures - set(query)) | (unknown & {broken})
        for child in model.children(model.jobs[query]):
            child.status = "failed" if child.parts[0] in model.failures else "complete"
        model.jobs[query].status = "failed" if set(query) & model.failures else "complete"

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def cancel(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        job = self.model.jobs[query]
        allowed = self.model.can_change(who, query)
        if self.act(
            allowed, job.status in WAITING, lambda: self.services.query_service.cancel(PEOPLE[who], self.ids[query])
        ):
            without = [child for child in self.model.children(job) if child.parts[0] not in self.model.results]
            for stopped in (job, *without):
                stopped.status = "cancelled" if stopped.status in WAITING else stopped.status

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def restart(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        job = self.model.jobs[query]
        fits = job.status in {"expired", "failed", "cancelled"}
        allowed = self.model.can_change(who, query)
        if self.act(allowed, fits, lambda: self.services.query_service.restart(PEOPLE[who], self.ids[query])):
            job.status = "queued"

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people, pinned=st.booleans())
    def pin(self, data: st.DataObject, who: str, pinned: bool) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        service, allowed = self.services.query_service, self.model.can_change(who, query)
        if self.act(allowed, True, lambda: service.pin(PEOPLE[who], self.ids[query], pinned=pinned)):
            self.model.jobs[query].pinned = pinned

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people, summary=st.sampled_from(["", "other"]))
    def update(self, data: st.DataObject, who: str, summary: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        service, allowed = self.services.query_service, self.model.can_change(who, query)
        if self.act(allowed, True, lambda: service.update(PEOPLE[who], self.ids[query], summary=summary)):
            self.model.links[who, query] = summary

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def unlink(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        allowed = self.model.can_change(who, query)
        if self.act(allowed, True, lambda: self.services.query_service.unlink(PEOPLE[who], self.ids[query])):
            self.model.links.pop((who, query), None)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def look_up(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        allowed = self.model.can_read(who, query)
        if self.act(allowed, True, lambda: self.services.query_service.lookup(PEOPLE[who], self.ids[query])):
            self.model.links.setdefault((who, query), "")

    @rule()
    def expire(self) -> None:
        """A month passes in which nobody reads anything."""
        expired = self.services.expiry.run(utc_now() + timedelta(days=31))
        assert expired.errors == {}
        model = self.model
        for job in sorted(model.jobs.values(), key=lambda job: -len(job.parts)):
            if model.may_expire(job):
                job.status = "expired"
                for child in model.children(job):
                    child.status = "expired" if model.may_expire(child) else child.status
        for job in model.jobs.values():  # sequences whose last parent went
            job.status = "expired" if model.may_expire(job) else job.status
        live = [job.parts for job in model.jobs.values() if job.status != "expired"]
        model.results &= {part for parts in live for part in parts}

    @rule()
    def sweep(self) -> None:
        self.services.sweeping.sweep(utc_now() + timedelta(days=2))

    @precondition(lambda self: self.ids)
    @rule(who=people, query=queries)
    def ask_for_what_is_not_there(self, who: str, query: tuple[int, ...]) -> None:
        """Nothing of this changes anything: the invariants would see it."""
        job_id = self.ids.get(query, "0" * 32)
        reports, asks = self.services.report_service, PEOPLE[who]
        for act in (
            lambda: self.services.query_service.lookup(asks, "f" * 32),
            lambda: self.services.query_service.update(asks, job_id, summary="x" * 513),
            lambda: reports.files(asks, job_id),
            lambda: self.services.query_service.list_jobs(asks, status="done"),
        ):
            with pytest.raises(MultiblastError):
                act()

    @invariant()
    def statuses_are_those_of_the_model(self) -> None:
        told = self.services.query_service.statuses(PEOPLE["root"], list(self.ids.values()))
        assert told == {self.ids[parts]: job.status for parts, job in self.model.jobs.items()}

    @invariant()
    def everybody_sees_their_own(self) -> None:
        for who, asks in PEOPLE.items():
            listed = {item.query_job_id: item for item in self.services.query_service.list_jobs(asks, count=0)}
            expected = {self.ids[parts]: said for (owner, parts), said in self.model.links.items() if owner == who}
            assert {job: item.user_meta.summary if item.user_meta else "" for job, item in listed.items()} == expected
            told = self.services.query_service.statuses(asks, list(self.ids.values()))
            assert set(told) == {self.ids[parts] for parts in self.model.jobs if self.model.can_read(who, parts)}

    @invariant()
    def history_ends_with_the_status(self) -> None:
        for parts, job in self.model.jobs.items():
            history = self.services.search.jobs.history(self.ids[parts])
            assert history[-1].to_status == job.status
            assert all(old.to_status == new.from_status for old, new in pairwise(history))

    @invariant()
    def what_is_recorded_is_there(self) -> None:
        missing = self.services.sweeping.verify()
        assert missing.is_nothing, missing

    @invariant()
    def results_are_those_of_the_model(self) -> None:
        for (part,), job_id in ((parts, job_id) for parts, job_id in self.ids.items() if len(parts) == 1):
            with suppress(NotFoundError):
                child = next(self.services.search.jobs.children(self.services.search.jobs.query(job_id)))
                assert (child.result is not None) == (part in self.model.results)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_actions_in_any_order_do_what_the_model_says(
    kind: str,
    request: pytest.FixtureRequest,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
) -> None:
    searched = make_services("searched")
    fasta = b"".join(sequence.canonical for sequence in proteins[8:11]).decode()
    keys = [row.result_key for row in search_whole(searched, fasta).rows]
    rows = searched.search.results.known(keys)
    summaries = [Summary(**{name: getattr(rows[key], name) for name in _SHARED}) for key in keys]
    archives = dict(enumerate(zip(searched.search.results.archives(keys), summaries, strict=True)))
    database = Database(request.getfixturevalue(f"{kind}_url"))
    services = replace(make_services(), database=database, policy=Policy(trust_unnamed=False))

    class Here(Actions):
        pass

    Here.services, Here.archives, Here.sequences = services, archives, proteins[8:11]
    checks: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}
    run_state_machine_as_test(Here, settings=settings(max_examples=10, stateful_step_count=20, **checks))
    database.close()


_SHARED = (
    "hits",
    "hsps",
    "best_hit",
    "evalue",
    "bit_score",
    "identity_percent",
    "coverage_percent",
    "query_length",
)
