"""Store and job database are kept in step: what has no reference is swept, what is lost is found and forgotten."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from multiblast.database import (
    Database,
    JobStatus,
    QueryJob,
    Run,
    utc_now,
)
from multiblast.errors import ConflictError, DamagedResultError, ObjectMissingError
from multiblast.object_kinds import ObjectKind, subject_names_key
from multiblast.reports import Formatting
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.stores import LocalStore
from multiblast.transfer import copy_records, copy_results
from multiblast.upkeep.storage import KEPT_BY
from tests.support.sequences import fasta
from tests.support.upkeep import LATER, ME, objects, results

SearchWhole = Callable[..., SearchedJob]


@pytest.fixture
def services(make_services: Callable[..., Services], database: Database) -> Services:
    """Services on a job database of each kind."""
    return replace(make_services(), database=database, policy=Policy(trust_unnamed=False))


def test_every_kind_of_objects_is_known_to_sweeping() -> None:
    assert set(KEPT_BY) == set(ObjectKind)


def test_sweep_leaves_names_of_databases_while_results_can_be_compared(services: Services) -> None:
    """Names are needed as long as a result of that database may be there, also of one that was rebuilt since."""
    keys = {name: subject_names_key([name]) for name in ("alive", "shared", "lately", "old", "nobody's")}
    for key in keys.values():
        services.store.put(key, b"names")
    old = utc_now() - timedelta(days=60)
    with services.database.write() as session:
        for name, status, at in (
            ("alive", JobStatus.COMPLETE, old), ("lately", JobStatus.EXPIRED, utc_now()),
            ("old", JobStatus.EXPIRED, old), ("shared", JobStatus.EXPIRED, old), ("other", JobStatus.COMPLETE, old),
        ):  # fmt: skip
            search = "shared" if name == "other" else name
            values = {"site": "s", "program": "blastp", "recipe": {}, "query_key": "q", "query_bytes": 1}
            session.add(QueryJob(id=name, status=status, search_key=search, **values))
            made = {"program_version": "2", "command": [], "databases": [{"fingerprint": name}]}
            if name != "other":
                session.add(Run(job_id=name, search_key=name, started_at=at, finished_at=at, **made))
    services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
    assert objects(services, "names/") == {keys["alive"], keys["shared"], keys["lately"]}


def test_sweep_leaves_young_objects_and_removes_old_ones_without_reference(services: Services) -> None:
    for key in ("packs/aa/lost", "queries/aa/lost.fasta", "reports/aa/lost/1/report.tsv", "uploads/mine.fasta"):
        services.store.put(key, b"lost")
    assert services.storage_upkeep.sweep().unknown == 0
    assert services.storage_upkeep.sweep(utc_now() + timedelta(days=2)).unknown == 3
    assert objects(services, "") == {"uploads/mine.fasta"}


def test_database_that_begins_anew_takes_nothing_from_the_store_whose_records_come_later(
    services: Services, make_services: Callable[..., Services], search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """As after the loss of a database, or when one moves; a clean-up runs each day."""
    job = search_whole(services, fasta(proteins[:1]), user="ann")
    was = (utc_now() - timedelta(minutes=2)).timestamp()  # as where what is down is begun anew at once
    for found in services.store.list():
        os.utime(services.store.locate(found.key), (was, was))
    anew = replace(make_services("anew"), store=LocalStore(services.store.locate("packs")[: -len("/packs")]))
    search_whole(anew, fasta(proteins[1:2]))
    anew.storage_upkeep.sweep(utc_now() + timedelta(days=2))
    copy_records(services.database, anew.database)
    assert anew.storage_upkeep.verify().is_nothing
    assert search_whole(anew, fasta(proteins[:1])).reused == 1
    assert job.status == "complete"


def test_sweep_removes_what_is_as_old_as_the_database_though_its_store_was_marked_later(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    """As where an earlier version, which knew no marks, had made it."""
    search_whole(services, fasta(proteins[:1]), user="ann")
    with services.database.write() as session:
        session.exec(update(QueryJob).values(created_at=utc_now() - timedelta(days=9)))
    services.store.put("packs/aa/lost", b"lost")
    services.store.put("packs/aa/older", b"of another")
    for key, days in (("packs/aa/lost", 8), ("packs/aa/older", 10)):
        was = (utc_now() - timedelta(days=days)).timestamp()
        os.utime(services.store.locate(key), (was, was))
    before = objects(services, "packs/")
    assert services.storage_upkeep.sweep().unknown == 1
    assert before - objects(services, "packs/") == {"packs/aa/lost"}


class _SweptStore(LocalStore):
    """Is swept two days later, as soon as somebody has found a query there."""

    services: Services

    def exists(self, key: str) -> bool:
        found = super().exists(key)
        if found and key.startswith("queries/"):
            self.services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
        return found


def test_query_that_a_killed_submission_left_is_there_for_the_next_one_whenever_it_is_swept(
    services: Services, make_services: Callable[..., Services], proteins: list[Sequence], tmp_path: Path
) -> None:
    """The next one takes it as it is, and may take a minute to be recorded."""
    submission = read_submission(query=fasta(proteins[8:9]), targets=["demo/examples/proteins"])
    killed = make_services("killed")
    killed.queries.submit(ME, submission)
    store = _SweptStore(tmp_path / "home" / "store")
    store.services = replace(services, store=store)
    copy_results(killed.store, store, "queries/")
    job = store.services.queries.submit(ME, submission).job_id
    assert services.queries.run(job).execute().status == "complete"


def test_verify_finds_references_without_object(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    assert services.storage_upkeep.verify().is_nothing
    packs = objects(services, "packs/")
    services.store.delete(packs)
    assert set(services.storage_upkeep.verify().packs) == packs
    assert services.queries.run(job.job_id).plan().unknown == 1


def test_wrong_store_that_was_planned_with_once_destroys_nothing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    """The storage block names another place for a while; then all is as before, and the next sweep takes nothing."""
    job = search_whole(services, fasta(proteins[:3]), user="ann")
    before, packs = results(services), objects(services, "packs/")
    wrong = replace(services, store=LocalStore(tmp_path / "wrong"))
    wrong.store_mark.accept(wrong.store)
    plan = wrong.queries.run(job.job_id).plan()
    assert (plan.known, plan.unknown, len(plan.lost)) == (0, 3, len(packs))
    assert any("not in the store" in warning for warning in plan.warnings)
    services.store_mark.accept(services.store)
    assert services.queries.run(job.job_id).plan().known == 3
    services.storage_upkeep.sweep(LATER)
    assert (results(services), objects(services, "packs/")) == (before, packs)
    assert services.storage_upkeep.verify().is_nothing


def test_repair_forgets_what_is_lost_and_a_restart_brings_it_back(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence]
) -> None:
    jobs = [search_whole(services, fasta(proteins[number : number + 1]), user="ann") for number in range(3)]
    lost = services.queries.results.known([jobs[0].rows[0].result_key])[jobs[0].rows[0].result_key].pack
    services.store.delete([lost])
    repaired = services.storage_upkeep.verify(repair=True)
    assert (repaired.packs, repaired.forgotten, repaired.results) == ([lost], 1, [jobs[0].job_id])
    services.queries.restart(ME, jobs[0].job_id)
    services.queries.run(jobs[0].job_id).execute()
    assert services.storage_upkeep.verify().is_nothing


@pytest.mark.parametrize("damage", ["other bytes", "cut"])
def test_damaged_result_is_found_forgotten_and_searched_again(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], damage: str
) -> None:
    """Until then only a report of it shows that it is damaged; the others of its pack stay."""
    job = search_whole(services, fasta(proteins[:3]), user="ann")
    found = services.queries.results.known([row.result_key for row in job.rows]).values()
    bad = max(found, key=lambda one: (one.pack, one.offset))
    whole = services.store.read(bad.pack)
    end = bad.offset + bad.length // 2
    services.store.delete([bad.pack])
    services.store.put(
        bad.pack, io.BytesIO(whole[:end] + (b"damaged" + whole[end + 7 :] if damage == "other bytes" else b""))
    )
    report = services.reports.submit(ME, job.job_id, Formatting.read("5"))
    with pytest.raises(DamagedResultError, match=r"is damaged: .*; multiblast verify --contents --repair"):
        services.reports.run(report).execute()
    assert services.storage_upkeep.verify().is_nothing
    assert services.storage_upkeep.verify(contents=True).damaged == [bad.key]
    repaired = services.storage_upkeep.verify(contents=True, repair=True)
    assert (repaired.damaged, repaired.forgotten, repaired.results) == ([bad.key], 1, [job.job_id])
    services.queries.restart(ME, job.job_id)
    assert services.queries.run(job.job_id).plan().unknown == 1
    services.queries.run(job.job_id).execute()
    assert services.storage_upkeep.verify(contents=True).is_nothing
    services.reports.restart(ME, report)
    assert services.reports.run(report).execute().status == "complete"


def test_repair_is_refused_where_most_is_missing(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    search_whole(services, fasta(proteins[:3]), user="ann")
    before = results(services)
    wrong = replace(services, store=LocalStore(tmp_path / "wrong"))
    wrong.store_mark.accept(wrong.store)
    with pytest.raises(ConflictError, match=r"(\d) of \1 packs are missing .* the block BLAST result"):
        wrong.storage_upkeep.verify(repair=True)
    services.store_mark.accept(services.store)
    assert results(services) == before
    assert services.storage_upkeep.verify(repair=True).is_nothing


def test_all_goes_on_with_an_empty_store_in_place_of_one_that_was_lost(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], tmp_path: Path
) -> None:
    """Each error on the way says what to do next."""
    job = search_whole(services, fasta(proteins[:3]), user="ann").job_id
    new = replace(services, store=LocalStore(tmp_path / "new"))
    new.store_mark.accept(new.store)
    report = new.reports.submit(ME, job, Formatting.read("6"))
    with pytest.raises(ObjectMissingError, match=r"no object 'queries/.*: multiblast verify lists what was lost"):
        new.reports.run(report).execute()
    with pytest.raises(ConflictError, match="are not in the storage: submit them again"):
        new.queries.restart(ME, job)
    with pytest.raises(ConflictError, match="verify --repair --even-most"):
        new.storage_upkeep.verify(repair=True)
    assert new.storage_upkeep.verify(repair=True, even_most=True).forgotten == 3
    assert search_whole(new, fasta(proteins[:3]), user="ann").searched == 3
    assert new.storage_upkeep.verify().is_nothing
    new.reports.restart(ME, report)
    assert new.reports.run(report).execute().status == "complete"


def test_lost_pack_is_searched_again(
    services: Services, search_whole: SearchWhole, proteins: list[Sequence], searches_run: Callable[..., list[int]]
) -> None:
    job = search_whole(services, fasta(proteins[:3]), user="ann")
    before = list(services.queries.results.archives([row.result_key for row in job.rows]))
    services.store.delete(objects(services, "packs/"))
    again = search_whole(services, fasta(proteins[:3]), user="ann")
    assert (again.status, again.searched, sum(searches_run(services))) == ("complete", 3, 6)
    assert list(services.queries.results.archives([row.result_key for row in job.rows])) == before
