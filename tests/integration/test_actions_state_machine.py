"""All actions by two users and an administrator, in any order, against a model of what they mean.

Searches were made once, before; what a worker does then is to store the results they gave.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from multiblast.accounts import Requester
from multiblast.archive import Summary
from multiblast.database import Database, Result, utc_now
from multiblast.errors import JobFailedError, MultiblastError, NotAllowedError
from multiblast.results import PackWriter
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.action_model import ENDED, PEOPLE, WAITING, CheckedActions, Job

QUERIES = ((0,), (1,), (0, 1), (1, 2), (0, 1, 2), (2, 2))

EXAMPLES = int(os.environ.get("MULTIBLAST_TEST_EXAMPLES", "5"))

people, queries = st.sampled_from(sorted(PEOPLE)), st.sampled_from(QUERIES)


class Actions(CheckedActions):
    """Every action, as somebody may come upon it."""

    archives: dict[int, tuple[bytes, Summary]]
    sequences: list[Sequence]

    @rule(who=people, query=queries, summary=st.sampled_from(["", "one", "two"]))
    def submit(self, who: str, query: tuple[int, ...], summary: str) -> None:
        self._submit(PEOPLE[who], query, summary)
        self.model.links[who, query] = summary or self.model.links.get((who, query), "")

    @rule(who=people, query=queries, summary=st.sampled_from(["", "one"]))
    def submit_as_a_guest_who_becomes_a_user(self, who: str, query: tuple[int, ...], summary: str) -> None:
        accounts = self.services.accounts
        token = accounts.new_guest()
        self._submit(accounts.requester(guest_token=token), query, summary)
        linked = accounts.link_guest(token, who)
        has = (who, query) in self.model.links
        assert (linked.moved, linked.merged) == (0 if has else 1, 1 if has else 0)
        self.model.links.setdefault((who, query), summary)
        again = accounts.link_guest(token, who)
        assert (again.moved, again.merged) == (0, 0)

    def _submit(self, asks: Requester, query: tuple[int, ...], summary: str) -> None:
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
        self.ids[query] = self.services.queries.create(asks, config).query_job_id
        self.model.jobs.setdefault(query, Job(query))
        if len(query) > 1:
            children = self.services.queries.lookup(PEOPLE["root"], self.ids[query], link=False).children or ()
            for child in children:
                part = (query[child.position - 1],)
                assert self.ids.setdefault(part, child.query_job_id) == child.query_job_id
                self.model.jobs.setdefault(part, Job(part))

    @rule(who=people, query=queries)
    def submit_and_work(self, who: str, query: tuple[int, ...]) -> None:
        self._submit(PEOPLE[who], query, "")
        self.model.links.setdefault((who, query), "")
        self._work(query, None)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), broken=st.sampled_from([None, None, None, 0, 1, 2]))
    def work(self, data: st.DataObject, broken: int | None) -> None:
        """A worker plans a job, searches what is not known, and finishes; ``broken`` cannot be searched."""
        self._work(data.draw(st.sampled_from(sorted(self.ids))), broken)

    def _work(self, query: tuple[int, ...], broken: int | None) -> None:
        queries, job_id = self.services.queries, self.ids[query]
        run, job = queries.run(job_id), queries.jobs.query(job_id)
        plan = run.plan()
        run.start(plan)
        unknown = {part for part in query if part not in self.model.results}
        assert plan.unknown == len(unknown)
        keys = {part: child.result_key for part, child in zip(query, queries.jobs.children(job), strict=True)}
        with PackWriter(self.services.store) as pack:
            found = sorted(unknown - {broken})
            for part in found:
                pack.add(keys[part], self.archives[part][0])
            queries.results.add(pack, [self.archives[part][1] for part in found], "a worker")
        for part in unknown & {broken}:
            queries.results.fail(keys[part], "engine error", "broken", "a worker")
        with suppress(JobFailedError):
            run.finish()
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
        if self.act(allowed, job.status in WAITING, lambda: self.services.queries.cancel(PEOPLE[who], self.ids[query])):
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
        if self.act(allowed, fits, lambda: self.services.queries.restart(PEOPLE[who], self.ids[query])):
            job.status = "queued"

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people, pinned=st.booleans())
    def pin(self, data: st.DataObject, who: str, pinned: bool) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        service, allowed = self.services.queries, self.model.can_change(who, query)
        if self.act(allowed, True, lambda: service.pin(PEOPLE[who], self.ids[query], pinned=pinned)):
            self.model.jobs[query].pinned = pinned

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people, summary=st.sampled_from(["", "other"]))
    def update(self, data: st.DataObject, who: str, summary: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        service, allowed = self.services.queries, self.model.can_change(who, query)
        if self.act(allowed, True, lambda: service.update(PEOPLE[who], self.ids[query], summary=summary)):
            self.model.links[who, query] = summary

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def unlink(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        allowed = self.model.can_change(who, query)
        if self.act(allowed, True, lambda: self.services.queries.unlink(PEOPLE[who], self.ids[query])):
            self.model.links.pop((who, query), None)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def look_up(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.ids)))
        allowed = self.model.can_read(who, query)
        if self.act(allowed, True, lambda: self.services.queries.lookup(PEOPLE[who], self.ids[query])):
            self.model.links.setdefault((who, query), "")

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def share(self, data: st.DataObject, who: str) -> None:
        """Who has the token reads the job, its sequences and its report, and no more, until it is taken back."""
        query = data.draw(st.sampled_from(sorted(self.ids)))
        service, accounts, tokens = self.services.queries, self.services.accounts, list[str]()
        allowed = self.model.can_change(who, query)
        if not self.act(allowed, True, lambda: tokens.append(service.share(PEOPLE[who], self.ids[query]))):
            return
        holder = accounts.requester(share_tokens=tokens)
        seen = {query, *((part,) for part in query)}
        assert set(service.statuses(holder, list(self.ids.values()))) == {self.ids[parts] for parts in seen}
        reports = self.services.reports.statuses(holder, list(self.report_ids.values()))
        assert set(reports) == {self.report_ids[parts] for parts in seen & set(self.report_ids)}
        with pytest.raises(NotAllowedError):
            service.pin(holder, self.ids[query])
        service.end_shares(PEOPLE[who], self.ids[query])
        with pytest.raises(NotAllowedError):
            accounts.requester(share_tokens=tokens)

    @precondition(lambda self: self.complete)
    @rule(data=st.data(), who=people, pinned=st.booleans())
    def make_a_report_at_once(self, data: st.DataObject, who: str, pinned: bool) -> None:
        query = data.draw(st.sampled_from(self.complete))
        self._ask_for_a_report(who, query)
        if query in self.report_ids:
            self._make_a_report(query)
        if (who, query) in self.model.report_links:
            self.services.reports.pin(PEOPLE[who], self.report_ids[query], pinned=pinned)
            self.model.reports[query].pinned = pinned

    @property
    def complete(self) -> list[tuple[int, ...]]:
        return sorted(parts for parts, job in self.model.jobs.items() if job.status == "complete")

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def ask_for_a_report(self, data: st.DataObject, who: str) -> None:
        self._ask_for_a_report(who, data.draw(st.sampled_from(sorted(self.ids))))

    def _ask_for_a_report(self, who: str, query: tuple[int, ...]) -> None:
        request = {"queryJobID": self.ids[query], "blastConfig": {"formatType": 6}}
        made: list[str] = []
        service, model = self.services.reports, self.model
        fits = model.jobs[query].status == "complete"
        if self.act(
            model.can_read(who, query), fits, lambda: made.append(service.create(PEOPLE[who], request).report_job_id)
        ):
            assert self.report_ids.setdefault(query, made[0]) == made[0]
            model.reports.setdefault(query, Job(query))
            model.report_links.setdefault((who, query), "")

    @precondition(lambda self: self.report_ids)
    @rule(data=st.data())
    def make_a_report(self, data: st.DataObject) -> None:
        self._make_a_report(data.draw(st.sampled_from(sorted(self.report_ids))))

    def _make_a_report(self, query: tuple[int, ...]) -> None:
        report, fits = self.model.reports[query], self.model.jobs[query].status == "complete"
        if self.act(True, fits, lambda: self.services.reports.run(self.report_ids[query]).execute()):
            report.status = "complete"
        elif report.status == "queued":
            report.status = "failed"

    @precondition(lambda self: self.report_ids)
    @rule(data=st.data(), who=people, action=st.sampled_from(["cancel", "restart", "pin", "unpin", "update", "unlink"]))
    def change_a_report(self, data: st.DataObject, who: str, action: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.report_ids)))
        service, report_id, asks = self.services.reports, self.report_ids[query], PEOPLE[who]
        model, report = self.model, self.model.reports[query]
        restartable = report.status in {"expired", "failed", "cancelled"} and model.jobs[query].status == "complete"
        acts: dict[str, tuple[bool, Callable[[], object]]] = {
            "cancel": (report.status in WAITING, lambda: service.cancel(asks, report_id)),
            "restart": (restartable, lambda: service.restart(asks, report_id)),
            "pin": (True, lambda: service.pin(asks, report_id)),
            "unpin": (True, lambda: service.pin(asks, report_id, pinned=False)),
            "update": (True, lambda: service.update(asks, report_id, summary="other")),
            "unlink": (True, lambda: service.unlink(asks, report_id)),
        }
        if not self.act(model.can_change_report(who, query), *acts[action]):
            return
        report.status = {"cancel": "cancelled", "restart": "queued"}.get(action, report.status)
        report.pinned = {"pin": True, "unpin": False}.get(action, report.pinned)
        if action == "update":
            model.report_links[who, query] = "other"
        if action == "unlink":
            model.report_links.pop((who, query), None)

    @precondition(lambda self: self.report_ids)
    @rule(data=st.data(), who=people)
    def look_up_a_report(self, data: st.DataObject, who: str) -> None:
        query = data.draw(st.sampled_from(sorted(self.report_ids)))
        allowed, service = self.model.can_read_report(who, query), self.services.reports
        if self.act(allowed, True, lambda: service.lookup(PEOPLE[who], self.report_ids[query])):
            self.model.report_links.setdefault((who, query), "")
            complete = self.model.reports[query].status == "complete"
            self.act(True, complete, lambda: service.file(PEOPLE[who], self.report_ids[query], "report.tsv").close())

    @rule()
    def expire(self) -> None:
        """A month passes in which nobody reads anything."""
        expired = self.services.expiry.run(utc_now() + timedelta(days=31))
        assert expired.errors == {}
        model = self.model
        for report in model.reports.values():
            report.status = "expired" if report.status in ENDED and not report.pinned else report.status
        for job in sorted(model.jobs.values(), key=lambda job: -len(job.parts)):
            if model.may_expire(job):
                model.expire(job)
                for child in filter(model.may_expire, model.children(job)):
                    model.expire(child)
        for job in filter(model.may_expire, model.jobs.values()):  # sequences whose last parent went
            model.expire(job)
        live = [job.parts for job in model.jobs.values() if job.status != "expired"]
        model.results &= {part for parts in live for part in parts}

    @rule()
    def sweep(self) -> None:
        self.services.storage_upkeep.sweep(utc_now() + timedelta(days=2))

    @precondition(lambda self: self.ids)
    @rule(who=people, query=queries)
    def ask_for_what_is_not_there(self, who: str, query: tuple[int, ...]) -> None:
        """Nothing of this changes anything: the invariants would see it."""
        job_id = self.ids.get(query, "0" * 32)
        reports, asks = self.services.reports, PEOPLE[who]
        for act in (
            lambda: self.services.queries.lookup(asks, "f" * 32),
            lambda: self.services.queries.update(asks, job_id, summary="x" * 513),
            lambda: reports.files(asks, job_id),
            lambda: self.services.queries.list_jobs(asks, status="done"),
        ):
            with pytest.raises(MultiblastError):
                act()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
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
    with searched.database.read() as session:
        rows = [session.get_one(Result, key) for key in keys]
    summaries = [Summary(hits=row.hits, best_hit=row.best_hit, evalue=row.evalue, **_OTHERS) for row in rows]
    archives = dict(enumerate(zip(searched.queries.results.archives(keys), summaries, strict=True)))
    database = Database(request.getfixturevalue(f"{kind}_url"))
    services = replace(make_services(), database=database, policy=Policy(trust_unnamed=False))

    class Here(Actions):
        pass

    Here.services, Here.archives, Here.sequences = services, archives, proteins[8:11]
    checks: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}
    run_state_machine_as_test(Here, settings=settings(max_examples=EXAMPLES, stateful_step_count=20, **checks))
    database.close()


_OTHERS: dict[str, Any] = {
    "hsps": 1,
    "bit_score": 50.0,
    "identity_percent": 100.0,
    "coverage_percent": 100.0,
    "query_length": 100,
}
