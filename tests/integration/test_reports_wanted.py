"""Reports that a submission names are recorded with its job, and made by the run that completes it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from multiblast.database import JobStatus, utc_now
from multiblast.errors import InvalidInputError, MultiblastError
from multiblast.reports import Formatting
from multiblast.search import SearchRun, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.upkeep.reconciliation import Reconciliation, RunState
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import fasta
from tests.support.upkeep import knows

RUN, ANOTHER = "run-1", "run-2"
LATER = timedelta(minutes=11)
WANTED = [Formatting.read_outfmt(text) for text in ("6 std stitle", "0")]


@pytest.fixture
def search(services: Services, proteins: list[Sequence]) -> SearchRun:
    """A job of two sequences, by a run."""
    targets = ["demo/examples/proteins"]
    submission = read_submission(query=fasta(proteins[:2]), program="blastp", targets=targets, options={})
    return services.queries.run(services.queries.submit(ADMINISTRATOR, submission).job_id, run_id=RUN)


@pytest.fixture
def wanted(services: Services, search: SearchRun) -> list[str]:
    """Reports of it."""
    return services.wanted_reports.record(ADMINISTRATOR, search.job_id, WANTED)


def statuses(services: Services, reports: list[str]) -> set[str]:
    return {services.queries.jobs.report(report).status for report in reports}


def test_reports_wait_for_their_search_and_are_then_made(
    services: Services, search: SearchRun, wanted: list[str]
) -> None:
    assert statuses(services, wanted) == {JobStatus.QUEUED}
    assert services.wanted_reports.begin(search.job_id) == []
    search.execute()
    assert [waiting.job_id for waiting in services.wanted_reports.begin(search.job_id)] == wanted
    for report in services.wanted_reports.of(search.job_id):
        services.reports.run(report.id).execute()
    assert statuses(services, wanted) == {JobStatus.COMPLETE}
    assert services.wanted_reports.begin(search.job_id) == []
    assert services.wanted_reports.record(ADMINISTRATOR, search.job_id, WANTED) == wanted
    assert services.wanted_reports.begin(search.job_id) == []  # they are there


def test_reports_of_a_search_that_ends_badly_end_with_it(
    services: Services, search: SearchRun, wanted: list[str]
) -> None:
    partial = services.reports.submit(ADMINISTRATOR, search.job_id, WANTED[0], partial=True)
    services.queries.cancel(ADMINISTRATOR, search.job_id)
    assert statuses(services, wanted) == {JobStatus.CANCELLED}
    assert services.queries.jobs.report(wanted[0]).reason == "its query job is cancelled"
    assert statuses(services, [partial]) == {JobStatus.QUEUED}  # it shows what there is


def test_reports_that_ended_with_their_search_are_made_once_it_runs_again(
    services: Services, search: SearchRun, wanted: list[str]
) -> None:
    services.reports.cancel(ADMINISTRATOR, wanted[0])
    services.queries.cancel(ADMINISTRATOR, search.job_id)
    services.queries.restart(ADMINISTRATOR, search.job_id)
    search.start(search.plan())
    search.fail(MultiblastError("no"))
    assert services.queries.jobs.report(wanted[1]).reason == "its query job is failed"
    services.queries.restart(ADMINISTRATOR, search.job_id)
    assert [services.queries.jobs.report(one).status for one in wanted] == [JobStatus.CANCELLED, JobStatus.QUEUED]
    search.execute()
    assert [waiting.job_id for waiting in services.wanted_reports.begin(search.job_id)] == wanted[1:]


def test_reports_are_left_to_the_run_of_their_search(services: Services, search: SearchRun, wanted: list[str]) -> None:
    """Those of a run that died are made by the run in its place; or, if the search was done, by runs of their own."""
    reconciliation, plan = Reconciliation(services.database), search.plan()
    services.wanted_reports.early_parts(search.job_id, run_id=RUN)
    search.start(plan)
    assert reconciliation.waiting(utc_now() + LATER) == []
    reconciled = reconciliation.run(knows(run_1=RunState.ENDED), utc_now() + LATER)
    assert [waiting.job_id for waiting in reconciled.waiting] == [search.job_id]
    assert statuses(services, wanted) == {JobStatus.QUEUED}
    services.wanted_reports.early_parts(search.job_id, run_id=ANOTHER)
    services.queries.run(search.job_id, run_id=ANOTHER).execute()
    assert reconciliation.run(knows(run_2=RunState.RUNNING), utc_now() + LATER).waiting == []
    reconciled = reconciliation.run(knows(run_2=RunState.ENDED))
    assert [waiting.job_id for waiting in reconciled.waiting] == wanted


def test_reports_that_nobody_makes_of_a_complete_search_are_found(
    services: Services, search: SearchRun, wanted: list[str]
) -> None:
    search.execute()
    reconciliation = Reconciliation(services.database)
    assert reconciliation.run(knows()).waiting == []
    assert [one.job_id for one in reconciliation.run(knows(), utc_now() + LATER).waiting] == wanted
    assert not services.wanted_reports.is_being_made(wanted[0])
    services.wanted_reports.of(search.job_id, run_id=RUN)
    assert services.wanted_reports.is_being_made(wanted[0])


def test_reports_that_a_search_cannot_have_are_refused_with_all_problems(services: Services) -> None:
    submission = read_submission(query=">a\nMKV\n", program="blastp", targets=["demo/examples/proteins"], options={})
    formattings = [Formatting.read_outfmt(text) for text in ("17", "6 qcovus", "pssm")]
    with pytest.raises(InvalidInputError) as refused:
        services.wanted_reports.check(submission.options, formattings)
    assert [problem.key for problem in refused.value.problems] == [
        "formats.formatType",
        "formats.formatFields",
        "formats.formatType",
    ]
