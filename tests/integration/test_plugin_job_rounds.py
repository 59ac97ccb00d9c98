"""Rounds of plugin jobs: questions to people and to other plugins, and what happens to a job while it runs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobStatus, Lease, utc_now
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    JobFailedError,
    NotAllowedError,
    NotFoundError,
)
from multiblast.plugins.rounds import PluginError
from multiblast.services import Services
from multiblast.upkeep.reconciliation import Reconciliation
from tests.support.people import ADMINISTRATOR
from tests.support.plugin_tables import CALLING, CALLS
from tests.support.plugins import SORT, write_plugin

ANN, BOB = Requester("ann"), Requester("bob")


def read(jobs: PluginJobs, job_id: str, name: str, who: Requester = ADMINISTRATOR) -> str:
    with jobs.file(who, job_id, name) as stream:
        return stream.read().decode()


def test_a_person_is_asked_and_the_job_goes_on_with_the_answers(jobs: PluginJobs) -> None:
    """Each round sees the answers so far and the state of the one before; a finished round is not done again."""
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    details = jobs.lookup(ANN, job)
    assert (details.status, [step.step_id for step in details.steps]) == ("paused", ["first"])
    assert details.steps[0].title == "The first word?"
    with pytest.raises(InvalidInputError, match=r"answers.word: this is needed[\s\S]*times"):
        jobs.answer(ANN, job, "first", {"times": 0})
    with pytest.raises(ConflictError, match="answer its step 'first'"):
        jobs.files(ANN, job)
    with pytest.raises(ConflictError, match="at step 'first'"):
        jobs.answer(ANN, job, "second", {"word": "x"})
    with pytest.raises(NotAllowedError):
        jobs.answer(BOB, job, "first", {"word": "x"})
    assert jobs.answer(ANN, job, "first", {"word": "ab"}) is not None
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "second", {"word": "c", "times": 3})
    jobs.execute(job)
    assert read(jobs, job, "words.txt") == "abab ccc 1,2,3,"
    assert [step.cleared for step in jobs.lookup(ANN, job).steps] == [True, True]
    with pytest.raises(ConflictError, match="is complete, and step 'second' asks nothing now"):
        jobs.answer(ANN, job, "second", {"word": "c"})


def test_answers_stay_where_a_later_question_is_not_answered(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "first", {"word": "ab"})
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.cancel(ANN, job)
    jobs.restart(ANN, job)
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    assert [step.step_id for step in jobs.lookup(ANN, job).steps] == ["first", "second"]


def test_what_is_gone_of_answered_rounds_is_done_again(jobs: PluginJobs, services: Services) -> None:
    """A failed job keeps its answers, but not for ever what its rounds left behind."""
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "first", {"word": "ab"})
    jobs.cancel(ANN, job)
    services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
    jobs.restart(ANN, job)
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    assert [step.step_id for step in jobs.lookup(ANN, job).steps] == ["first"]


def test_a_job_that_runs_is_left_alone_and_one_whose_process_died_is_not(jobs: PluginJobs, services: Services) -> None:
    """It is held by a lease, whoever runs it and however long; two do not run it at once."""
    job = jobs.submit(ANN, "sleeping")
    run, other = jobs.run(job), jobs.run(job)
    assert run.begin()
    reconciliation = Reconciliation(services.database)
    assert reconciliation.run(lambda _: {}, utc_now() + timedelta(seconds=30)).queued == []
    later = utc_now() + timedelta(hours=1)
    with services.database.write() as session:
        session.exec(update(Lease).values(expires_at=later + timedelta(minutes=1)))
    assert reconciliation.run(lambda _: {}, later).queued == []
    run.close()
    assert other.begin()  # at once, where nobody holds it
    other.close()
    assert reconciliation.run(lambda _: {}, later).queued == [job]


def test_of_two_answers_at_once_one_counts(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(jobs.answer, ANN, job, "first", {"word": word}) for word in "abcdefgh"]
        problems = [answer.exception() for answer in answers]
    assert [type(problem) for problem in problems if problem] == [ConflictError] * 7
    assert "abcdefgh"[problems.index(None)] == jobs.jobs.plugin(job).rounds[0]["answers"]["word"]
    assert [event.to_status for event in jobs.history(ANN, job)][-1] == "queued"


def test_a_cancelled_job_takes_the_one_that_it_called_with_it(jobs: PluginJobs, lines: str) -> None:
    """And what an old run still brings then is not taken."""
    job = jobs.submit(ANN, "calling", [lines])
    run = jobs.run(job)
    with closing(run):
        assert run.begin()
        stop = run.round(1)
        child = jobs.called(job, stop)
        jobs.cancel(ANN, job)
        assert jobs.jobs.plugin(child).status == JobStatus.CANCELLED
        with pytest.raises(ConflictError, match="was cancelled while it ran"):
            run.answer(1, {}, child=child)
    assert jobs.jobs.plugin(job).status == JobStatus.CANCELLED


def test_a_need_that_several_fit_is_not_guessed(jobs: PluginJobs, lines: str, folder: Path) -> None:
    by_tag = CALLING.replace('name = "sort-lines", version = ">=1,<2"', 'tags = ["sorter", "!slow"]')
    write_plugin(folder, by_tag.replace('"calling"', '"by-tag"'), work=CALLS)
    with pytest.raises(NotFoundError, match="by-tag needs it"):
        jobs.submit(ANN, "by-tag", [lines])
    for name, tags in (("one", '"sorter"'), ("two", '"sorter"'), ("three", '"sorter", "slow"')):
        write_plugin(
            folder, SORT.replace("sort-lines", name).replace("inputs.text", f"tags = [{tags}]\ninputs.text", 1)
        )
    with pytest.raises(ConflictError, match="several fit: one, two"):
        jobs.submit(ANN, "by-tag", [lines])
    table = folder / "two" / "plugin.toml"
    table.write_text(table.read_text().replace('"sorter"', '"sorter", "usual"'))
    assert jobs.jobs.plugin(jobs.submit(ANN, "by-tag", [lines])).facts["needs"] == {"sorter": "two@1.0.0"}


def test_a_plugin_calls_another_one_that_it_needs(jobs: PluginJobs, lines: str) -> None:
    """The called job is a job like any other, found again, and the first is made of it, too."""
    job = jobs.submit(ANN, "calling", [lines])
    jobs.execute(job)
    assert read(jobs, job, "numbered.txt") == "1 PEAR\n2 FIG\n3 APPLE\n"
    child = jobs.lookup(ANN, job).steps[0].plugin_job_id
    assert child is not None
    assert jobs.lookup(ANN, child).plugin == "sort-lines@1.0.0"
    assert read(jobs, child, "sorted.txt", ANN) == "PEAR\nFIG\nAPPLE\n"


def test_a_job_is_cancelled_while_it_runs(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "sleeping")
    ended: list[BaseException] = []

    def execute() -> None:
        try:
            jobs.execute(job)
        except (PluginError, JobFailedError) as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    while jobs.jobs.plugin(job).status != JobStatus.IN_PROGRESS:
        time.sleep(0.02)
    jobs.cancel(ANN, job)
    thread.join(20)
    assert ended
    assert not thread.is_alive()
    assert jobs.jobs.plugin(job).status == JobStatus.CANCELLED
    with pytest.raises(ConflictError, match="cancelled"):
        jobs.cancel(ANN, job)


def test_what_a_living_job_has_is_not_swept(jobs: PluginJobs, lines: str, services: Services) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError):
        jobs.execute(job)
    taking = jobs.submit(ANN, "sort-lines", [lines])
    services.storage_upkeep.sweep(utc_now() + timedelta(days=9))
    jobs.answer(ANN, job, "first", {"word": "a"})
    with pytest.raises(JobFailedError):
        jobs.execute(job)
    jobs.execute(taking)
    services.storage_upkeep.sweep(utc_now() + timedelta(days=9))
    assert services.storage_upkeep.verify().is_nothing
    assert read(jobs, taking, "sorted.txt") == "apple\nfig\npear\n"


@pytest.mark.parametrize("value", [[], {}, 10**400, -(10**400)])
def test_values_of_any_kind_are_refused_by_name(jobs: PluginJobs, value: object) -> None:
    job_id = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError):
        jobs.execute(job_id)
    with pytest.raises(InvalidInputError, match=r"answers\.times: .* is not a whole number"):
        jobs.answer(ANN, job_id, "first", {"word": "a", "times": value})
