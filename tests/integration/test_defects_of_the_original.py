"""Defects that the original service had: one test each, under its name."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import ChildJob, Guest, JobStatus, QueryJob, ReportJob, Run, ShareGrant, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.targets import Targets
from multiblast.upkeep import expiry as expiry_module
from tests.support.sequences import fasta

Make = Callable[..., Services]
SearchWhole = Callable[..., SearchedJob]

ANN, BOB = Requester("ann"), Requester("bob")


def failing_blastp(directory: Path) -> Path:
    """Make a directory of programs in which blastp fails as if out of memory."""
    directory.mkdir()
    script = directory / "blastp"
    real = shutil.which("blastp")
    script.write_text(f'#!/bin/sh\nif [ "$1" = -query ]; then echo engine trouble >&2; exit 3; fi\nexec {real} "$@"\n')
    script.chmod(0o755)
    return directory


def test_failed_id_is_not_stuck_for_good(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    """From failed, a job goes to queued, by restart as well as by the same submission."""
    faulty = make_services(directory=failing_blastp(tmp_path / "bin"))
    job = search_whole(faulty, fasta(proteins[8:9]), user="ann")
    assert job.status == "failed"
    sound = make_services()
    sound.queries.restart(ANN, job.job_id)
    assert sound.queries.lookup(ANN, job.job_id).status == "queued"
    sound.queries.run(job.job_id).execute()
    assert sound.queries.lookup(ANN, job.job_id).status == "complete"


def test_queued_again_children_keep_their_database(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """A child that is restarted by itself has its targets, and finds what it found as a part of its parent."""
    services = make_services()
    job = search_whole(services, fasta(proteins[7:9]), user="ann")
    child = job.rows[0].job_id
    services.expiry.run(utc_now() + timedelta(days=31))
    services.queries.restart(Requester(administrator=True), child)
    services.queries.run(child).execute()
    with services.database.read() as session:
        command = session.exec(select(Run.command).where(Run.job_id == child)).one()
    assert command[command.index("-db") + 1].endswith("demo/examples/blast/proteins")
    assert services.queries.searched_job(child).rows[0].hits == job.rows[0].hits


def test_duplicate_sequence_in_one_query_is_one_child_with_two_positions(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    services = make_services()
    job = search_whole(services, fasta([proteins[8], proteins[9], proteins[8]]), user="ann")
    children = services.queries.lookup(ANN, job.job_id).children or ()
    assert [child.position for child in children] == [1, 2, 3]
    assert children[0].query_job_id == children[2].query_job_id != children[1].query_job_id
    with services.database.read() as session:
        assert len(session.exec(select(ChildJob).where(ChildJob.child_id == children[0].query_job_id)).all()) == 2
    assert services.queries.result(ANN, job.job_id, io.BytesIO()) == 3


def test_expiry_setting_is_obeyed(make_services: Make, search_whole: SearchWhole, proteins: list[Sequence]) -> None:
    services = make_services()
    services.policy = Policy(keep_days=3)
    job = search_whole(services, fasta(proteins[8:9]))
    assert services.expiry.run(utc_now() + timedelta(days=2)).query_jobs == []
    assert services.expiry.run(utc_now() + timedelta(days=4)).query_jobs == [job.job_id]


def test_one_exception_does_not_kill_the_pruner(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    ids = sorted(search_whole(services, fasta([one])).job_id for one in proteins[8:10])
    digest = expiry_module.results_digest

    def fail_for_the_first(session: Any, job: QueryJob) -> str:
        if job.id == ids[0]:
            raise ValueError("bad job")
        return digest(session, job)

    monkeypatch.setattr(expiry_module, "results_digest", fail_for_the_first)
    expired = services.expiry.run(utc_now() + timedelta(days=31))
    assert (expired.query_jobs, list(expired.errors)) == ([ids[1]], [ids[0]])


def test_listing_and_polling_do_not_count_as_access(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    services = make_services()
    job = search_whole(services, fasta(proteins[8:9]), user="ann").job_id
    before = services.queries.jobs.query(job).used_at
    services.queries.list_jobs(ANN)
    services.queries.lookup(ANN, job)
    services.queries.statuses(ANN, [job])
    services.queries.searched_job(job)
    assert services.queries.jobs.query(job).used_at == before
    services.queries.result(ANN, job, io.BytesIO())
    assert services.queries.jobs.query(job).used_at > before


def test_restart_and_status_check_who_asks(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    services = make_services()
    job = search_whole(services, fasta(proteins[8:9]), user="ann").job_id
    services.expiry.run(utc_now() + timedelta(days=31))
    with pytest.raises(NotAllowedError):
        services.queries.restart(BOB, job)
    assert services.queries.statuses(BOB, [job]) == {}
    assert services.queries.statuses(ANN, [job]) == {job: "expired"}


def test_links_a_user_already_had_do_not_stay_with_the_guest(make_services: Make, proteins: list[Sequence]) -> None:
    """Linking moves all, merges what both have, and may be repeated; the user's words win."""
    services = make_services()
    token = services.accounts.new_guest()
    guest = services.accounts.requester(guest_token=token)

    def submit(asks: Requester, number: int, summary: str = "") -> str:
        submission = read_submission(
            query=fasta([proteins[number]]), targets=["demo/examples/proteins"], summary=summary
        )
        return services.queries.submit(asks, submission).job_id

    both = submit(guest, 8, "the guest's")
    submit(ANN, 8, "the user's")
    only = submit(guest, 9, "the guest's too")
    linked = services.accounts.link_guest(token, "ann")
    assert (linked.moved, linked.merged) == (1, 1)
    assert services.queries.list_jobs(guest) == []
    listed = {item.query_job_id: item.user_meta for item in services.queries.list_jobs(ANN)}
    assert {job: meta.summary for job, meta in listed.items() if meta} == {both: "the user's", only: "the guest's too"}
    later = submit(guest, 10)
    again = services.accounts.link_guest(token, "ann")
    assert (again.moved, again.merged) == (1, 0)
    assert later in {item.query_job_id for item in services.queries.list_jobs(ANN)}
    assert services.accounts.link_guest(token, "ann").moved == 0


def test_guests_are_not_integers_that_anyone_can_claim(make_services: Make) -> None:
    services = make_services()
    tokens = {services.accounts.new_guest() for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43  # 256 bits
    for guess in ("1", "2", "20", *(token[:-1] for token in tokens)):
        with pytest.raises(NotAllowedError):
            services.accounts.requester(guest_token=guess)
    with services.database.read() as session:
        for guest in session.exec(select(Guest)):
            with pytest.raises(InvalidInputError, match="use the guest's token"):
                services.accounts.requester(f"guest:{guest.id}")


def test_tokens_are_stored_nowhere(make_services: Make, proteins: list[Sequence], tmp_path: Path) -> None:
    """Neither a guest's token nor a share's is in any row or file, whatever they were used for."""
    services = make_services()
    token = services.accounts.new_guest()
    guest = services.accounts.requester(guest_token=token)
    submission = read_submission(query=fasta(proteins[8:9]), targets=["demo/examples/proteins"])
    job = services.queries.submit(guest, submission).job_id
    services.queries.run(job).execute()
    share = services.queries.share(guest, job)
    services.queries.lookup(services.accounts.requester("bob", share_tokens=[share]), job)
    report = services.reports.create(guest, {"queryJobID": job}).report_job_id
    services.reports.run(report).execute()
    services.database.close()
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        data = path.read_bytes()
        assert token.encode() not in data
        assert share.encode() not in data
    with services.database.read() as session:
        recipe = session.get_one(QueryJob, job).recipe
        assert set(recipe) == {"targets", "options"}
        assert list(session.exec(select(ReportJob.formatting)).one()) == ["formatType"]
        assert len(session.exec(select(ShareGrant.token_hash)).one()) == 64


def test_time_limit_cancel_retry_threads_and_queue_position_exist(
    make_services: Make, proteins: list[Sequence]
) -> None:
    services = make_services()
    ids = []
    for one in proteins[8:11]:
        submission = read_submission(query=fasta([one]), targets=["demo/examples/proteins"])
        ids.append(services.queries.submit(ANN, submission).job_id)
    positions = [services.queries.lookup(ANN, job).queue_position for job in ids]
    assert positions == [1, 2, 3]
    services.queries.cancel(ANN, ids[0])
    assert services.queries.lookup(ANN, ids[0]).status == "cancelled"
    assert [services.queries.lookup(ANN, job).queue_position for job in ids] == [None, 1, 2]
    services.queries.restart(ANN, ids[0])
    assert services.queries.lookup(ANN, ids[0]).queue_position == 3


def test_exit_code_and_failure_class_are_kept(
    make_services: Make, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    services = make_services(directory=failing_blastp(tmp_path / "bin"))
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    found = services.queries.errors(ANN, job.job_id)
    assert "engine trouble" in found.stderr
    assert [(run.exit_code, run.failure_class) for run in found.programs] == [(3, "error in the BLAST+ engine")]
    assert [(one.position, one.failure_class) for one in found.sequences] == [(1, "error in the BLAST+ engine")]
    events = [event.to_json() for event in services.queries.history(ANN, job.job_id)]
    assert [event["toStatus"] for event in events] == ["queued", "in-progress", "failed"]
    assert services.queries.lookup(ANN, job.job_id).reason


@pytest.mark.parametrize("name", ["../proteins", "../../../etc/passwd", "/etc/passwd", "a/../../b", "..", "proteins\0"])
def test_path_in_a_target_name_is_refused(make_services: Make, name: str) -> None:
    services = make_services()
    for target in (
        {"targetDisplayName": "examples", "targetFile": name},
        {"targetDisplayName": name, "targetFile": "proteins"},
    ):
        config = {
            "jobConfig": {"site": "demo", "targets": [target], "query": ">a\nMKV\n"},
            "blastConfig": {"tool": "blastp"},
        }
        with pytest.raises(InvalidInputError) as caught:
            services.queries.create(ANN, config)
        assert list(caught.value.by_key) == ["jobConfig.targets[0]"]


def test_aliases_and_multi_volume_databases_are_seen(make_services: Make, targets_root: Path, tmp_path: Path) -> None:
    """An alias over the demo database stands in the tree, and can be searched."""
    root = tmp_path / "targets"
    shutil.copytree(targets_root, root)
    place = root / "demo" / "examples" / "blast"
    (place / "both.pal").write_text("TITLE Both\nDBLIST proteins\n")
    services = make_services(root=root)
    services.targets = Targets(root)
    assert services.queries.targets()["demo"]["examples"]["aaTargets"] == ["both", "proteins"]
    submission = read_submission(query=">a\nMKVLAAGIVGLLLAQWERTYIP\n", targets=["demo/examples/both"])
    job = services.queries.submit(ANN, submission).job_id
    services.queries.run(job).execute()
    assert services.queries.lookup(ANN, job).status == "complete"


def test_old_result_does_not_answer_a_new_database(make_services: Make, targets_root: Path, tmp_path: Path) -> None:
    """The same submission after a rebuild is the same job, and is searched again."""
    root = tmp_path / "targets"
    shutil.copytree(targets_root, root)
    services = make_services(root=root)
    submission = read_submission(query=">a\nMKVLAAGIVGLLLAQWERTYIP\n", targets=["demo/examples/proteins"])
    job = services.queries.submit(ANN, submission).job_id
    services.queries.run(job).execute()
    place = root / "demo" / "examples" / "blast"
    for path in place.glob("proteins.p*"):
        path.unlink()
    source = tmp_path / "other.fasta"
    source.write_text(">x\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP\n")
    from multiblast.targets.makeblastdb import build_database

    build_database(source, place, "proteins", molecule="protein")
    services = make_services(root=root)
    assert services.queries.submit(ANN, submission).job_id == job
    assert services.queries.jobs.query(job).status == JobStatus.QUEUED
    assert services.queries.run(job).plan().unknown == 1


def test_wrapping_and_line_ends_do_not_change_the_id(make_services: Make) -> None:
    services = make_services()
    texts = (">a\nMKVLAAGIV\n", ">a\r\nMKVL\r\nAAGIV\r\n", ">a\nMKV\nLAA\nGIV", "\n>a\nMKVLAAGIV\n\n")
    ids = {
        services.queries.submit(ANN, read_submission(query=text, targets=["demo/examples/proteins"])).job_id
        for text in texts
    }
    assert len(ids) == 1
