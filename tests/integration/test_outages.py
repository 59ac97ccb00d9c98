"""A server that is away for a while: it is waited for, its job is not lost, and nobody is told of a failure."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prefect.logging import disable_run_logger
from sqlalchemy.exc import OperationalError

from multiblast.accounts import Requester
from multiblast.database import JobStatus
from multiblast.errors import FailureClass, ProgramError, StoreAwayError, StoreError
from multiblast.installation import Installation
from multiblast.outages import is_transient
from multiblast.reports import Formatting
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.stores import LocalStore
from multiblast.upkeep.reconciliation import Reconciliation, RunState
from tasks.runs import best_effort
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import fasta

AWAY = StoreAwayError("no server answers")
ONE = ">one\nMKVLAAGIVGLCAKAYWQ\n"


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://server")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


class Interrupted(LocalStore):
    """A store whose server is away when something is written below one place, once."""

    place = "reports/"

    def put(self, key: str, source: Any, **more: Any) -> Any:
        if self.place and key.startswith(self.place):
            self.place = ""
            raise AWAY
        return super().put(key, source, **more)


def ended(asked: set[str]) -> Mapping[str, RunState]:
    return dict.fromkeys(asked, RunState.ENDED)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AWAY, True),
        (httpx.ConnectError("refused"), True),
        (answered(503), True),
        (answered(404), False),
        (OperationalError("SELECT 1", {}, Exception("connection refused")), True),
        (OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked")), True),
        (OperationalError("SELECT 1", {}, sqlite3.OperationalError("database or disk is full")), False),
        (ProgramError(["blastp"], -9, "", FailureClass.KILLED), True),
        (StoreError("the credentials have expired"), False),
        (ProgramError(["blastp"], 1, "", FailureClass.BAD_QUERY_OR_OPTIONS), False),
        (ValueError("no"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_outage_is_told_from_a_failure(error: BaseException, passes: bool) -> None:
    assert is_transient(error) is passes


@pytest.mark.parametrize(("error", "left"), [(AWAY, JobStatus.IN_PROGRESS), (ValueError("no"), JobStatus.FAILED)])
def test_job_whose_run_met_an_outage_is_run_again(services: Services, error: Exception, left: JobStatus) -> None:
    submission = read_submission(query=ONE, targets=["demo/examples/proteins"])
    job = services.queries.submit(Requester(administrator=True), submission).job_id
    run = services.queries.run(job, run_id="run-1")
    run.start(run.plan())
    run.fail(error)
    assert services.queries.searched_job(job).status == left
    waiting = [waiting.job_id for waiting in Reconciliation(services.database).run(ended).waiting]
    assert waiting == ([job] if error is AWAY else [])


def test_search_goes_on_while_the_store_is_away_for_a_moment(
    services: Services,
    proteins: list[Sequence],
    monkeypatch: pytest.MonkeyPatch,
    searches_run: Callable[[Services], list[int]],
) -> None:
    """What was found is stored when it is back, and not searched again."""
    monkeypatch.setattr("multiblast.outages.PAUSES_S", (0.1,))
    store = Interrupted(services.store.root)  # type: ignore[attr-defined]  # it is local
    store.place = "packs/"
    services = replace(services, store=store, installation=Installation(cores=1))
    submission = read_submission(query=fasta(proteins[8:11]), targets=["demo/examples/proteins"])
    run = services.queries.run(services.queries.submit(ADMINISTRATOR, submission).job_id)
    planned = [len(batch.positions) for batch in run.plan().to_run]
    assert run.execute().status == "complete"
    assert store.place == ""
    assert searches_run(services) == planned


def test_profile_is_kept_though_the_store_is_away_for_a_moment(
    services: Services, monkeypatch: pytest.MonkeyPatch, searches_run: Callable[[Services], list[int]]
) -> None:
    """It is stored before the result, and psiblast searches once."""
    monkeypatch.setattr("multiblast.outages.PAUSES_S", (0.1,))
    store = Interrupted(services.store.root)  # type: ignore[attr-defined]  # it is local
    store.place = "outputs/"
    services, options = replace(services, store=store), {"num_iterations": 2, "out_pssm": True}
    submission = read_submission(query=ONE, program="psiblast", targets=["demo/examples/proteins"], options=options)
    job = services.queries.submit(ADMINISTRATOR, submission).job_id
    assert services.queries.run(job).execute().status == "complete"
    assert (store.place, searches_run(services)) == ("", [1])
    assert len(list(store.list("outputs/"))) == 1


def test_report_that_met_an_outage_is_made_again(
    make_services: Callable[..., Services], search_whole: Callable[..., SearchedJob]
) -> None:
    plain = make_services()
    assert isinstance(plain.store, LocalStore)
    services = replace(plain, store=Interrupted(plain.store.root))
    job = search_whole(services, ONE).job_id
    report = services.reports.submit(ADMINISTRATOR, job, Formatting.read("6"))
    with pytest.raises(StoreAwayError):
        services.reports.run(report, run_id="run-1").execute()
    assert services.queries.jobs.report(report).status == JobStatus.IN_PROGRESS
    assert [waiting.job_id for waiting in Reconciliation(services.database).run(ended).waiting] == [report]
    assert services.reports.run(report).execute().status == JobStatus.COMPLETE


def test_page_that_cannot_be_shown_ends_no_run() -> None:
    async def show(error: Exception) -> str:
        async with best_effort():
            raise error
        return "went on"

    with disable_run_logger():
        assert asyncio.run(show(httpx.ConnectError("refused"))) == "went on"
        with pytest.raises(ValueError, match="ours"):
            asyncio.run(show(ValueError("ours")))
