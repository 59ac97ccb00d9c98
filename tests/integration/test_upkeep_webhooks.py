"""Webhooks and what plugin jobs print, on both kinds of database; what is sent is in `test_http_qhana`."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from multiblast.database import Database, JobStatus, PluginJob, Webhook, utc_now
from multiblast.jobs import Jobs, descendants, newest_plugin_jobs
from multiblast.programs import printed_text
from multiblast.settings import NoticeRules
from multiblast.upkeep.webhooks import Webhooks

JOBS = [f"{number:032x}" for number in range(1, 4)]
SOURCE = "f" * 32


def record(database: Database) -> Jobs:
    """Record three plugin jobs, each made of the one before, that have ended an hour ago."""
    jobs, before = Jobs(database), SOURCE
    for number, job_id in enumerate(JOBS):
        created = utc_now() + timedelta(seconds=number)
        job = PluginJob(id=job_id, plugin="some", version="1", recipe={}, facts={}, created_at=created)
        jobs.record_plugin(job, [before], "")
        jobs.move_plugin(job_id, JobStatus.IN_PROGRESS)
        jobs.move_plugin(job_id, JobStatus.FAILED, stderr=printed_text(b"a\0b"))
        jobs.note_plugin(job_id, finished_at=utc_now() - timedelta(hours=1))
        before = job_id
    return jobs


def no_secret() -> str:
    raise AssertionError("something is sent")


def test_webhooks_of_ended_jobs_rest_and_those_of_expired_jobs_go(database: Database) -> None:
    jobs, hooks = record(database), Webhooks(database, NoticeRules())
    jobs.move_plugin(JOBS[2], JobStatus.EXPIRED)
    for job_id in JOBS:
        hooks.subscribe(job_id, "https://example.org/hear", "", "task")
    before = utc_now()
    assert hooks.send(no_secret) == 0
    for job_id in JOBS[:2]:
        jobs.note_plugin(job_id, log="later")  # at which nobody looks
    assert hooks.send(no_secret) == 0
    with database.read() as session:
        left = session.exec(select(Webhook).order_by(col(Webhook.job_id))).all()
        assert [one.job_id for one in left] == JOBS[:2]
        assert all(one.due_at > before - timedelta(minutes=11) and not one.attempts for one in left)


def test_what_was_made_of_a_job_is_found_newest_last(database: Database) -> None:
    record(database)
    assert sorted(descendants(database, SOURCE)) == JOBS
    assert [job.id for job in newest_plugin_jobs(database, JOBS, 2)] == JOBS[1:]
    assert newest_plugin_jobs(database, JOBS, 1)[0].stderr == "a\N{REPLACEMENT CHARACTER}b"
