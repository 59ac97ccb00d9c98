"""Several machines at one job, each with programs and databases of its own; only store and job database are shared."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.database import Database
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError
from multiblast.installation import Installation
from multiblast.options import parse_options
from multiblast.search import Batch, read_submission, speeds
from multiblast.search.speeds import Pace, Speeds, usual_pace
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.places import EXAMPLES

COUNT = 60

Machine = Callable[..., Services]


@pytest.fixture
def machine(database_url: str, tmp_path: Path, targets_root: Path) -> Iterator[Machine]:
    """``machine("name", root, cores)``: services with targets of their own over the one store and job database."""
    databases = []

    def make(name: str, root: Path = targets_root, cores: int = 1) -> Services:
        databases.append(Database(database_url))
        targets = Targets(root, cache=tmp_path / name)
        return Services(
            databases[-1], LocalStore(tmp_path / "store"), Installation(cores=cores), targets, QueryLimits()
        )

    yield make
    for database in databases:
        database.close()


@pytest.fixture(scope="module")
def query() -> str:
    with gzip.open(EXAMPLES / "proteins.fasta.gz") as stream:
        return b"".join(sequence.canonical for sequence in islice(read_fasta(stream.read()), COUNT)).decode()


def begin(services: Services, query: str) -> str:
    submission = read_submission(query=query, targets=["demo/examples/proteins"], options={"evalue": 1e-3})
    job: str = services.queries.submit(Requester(administrator=True), submission).job_id
    run = services.queries.run(job)
    run.start(run.plan())
    return job


def in_portions(batches: tuple[Batch, ...]) -> Iterator[Batch]:
    """Cut batches into some of ten sequences, as a larger job has them."""
    for batch in batches:
        for start in range(0, len(batch.positions), 10):
            yield Batch(batch.id, batch.job_id, 1, 1, batch.positions[start : start + 10], 0)


def search(services: Services, batches: tuple[Batch, ...]) -> int:
    return sum(services.queries.run(batch.job_id).search(batch).searched for batch in in_portions(batches))


def test_two_machines_search_each_sequence_of_a_job_once(
    machine: Machine, query: str, tmp_path: Path, targets_root: Path, searches_run: Callable[[Services], list[int]]
) -> None:
    shutil.copytree(targets_root, tmp_path / "targets", dirs_exist_ok=True)  # as on another disk
    first, second = machine("first"), machine("second", tmp_path / "targets")
    job = begin(first, query + ">again\n" + query.split("\n")[1] + "\n")
    plans = first.queries.run(job).plan(), second.queries.run(job).plan_part(1, 1)
    with ThreadPoolExecutor() as pool:
        searched = [pool.submit(search, *work) for work in zip((first, second), (p.to_run for p in plans), strict=True)]
        counts = [future.result() for future in searched]
    assert first.queries.run(job).finish().status == "complete"
    assert sum(counts) == sum(searches_run(first)) == COUNT
    assert min(counts) > 0
    done = first.queries.searched_job(job)
    assert (done.searched, done.reused) == (COUNT, 0)  # by whichever machine


def test_parts_begin_at_different_batches_and_go_through_all(machine: Machine, query: str) -> None:
    services = machine("one", cores=6)
    job = begin(services, query)
    plan = services.queries.run(job).plan()
    parts = [services.queries.run(job).plan_part(part, 2).to_run for part in (1, 2)]
    of = len(plan.to_run)
    assert [part[0].number for part in (plan.to_run, *parts)] == [1, 1 + of // 3, 1 + 2 * of // 3]
    assert all({batch.id for batch in part} == {batch.id for batch in plan.to_run} for part in parts)


def test_left_counts_what_has_no_result(machine: Machine, query: str) -> None:
    services = machine("one")
    job = begin(services, query + ">again\n" + query.split("\n")[1] + "\n")
    plan = services.queries.run(job).plan()
    assert services.queries.left_to_search(job) == (plan.unknown, plan.letters)
    first = next(in_portions(plan.to_run))
    services.queries.run(first.job_id).search(first)
    assert services.queries.left_to_search(job)[0] == plan.unknown - 10


def test_job_that_ended_is_not_helped(machine: Machine, query: str) -> None:
    services = machine("one")
    job = begin(services, query)
    services.queries.run(job).fail(MultiblastError("for a test"))
    with pytest.raises(ConflictError, match="only a job that runs can be helped"):
        services.queries.run(job).plan_part(1, 1)


def test_machine_without_the_database_leaves_the_work(machine: Machine, query: str, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    job = begin(machine("first"), query)
    with pytest.raises(InvalidInputError, match="no site 'demo'"):
        machine("second", tmp_path / "none").queries.run(job).plan_part(1, 1)


def test_machine_with_another_database_of_the_name_leaves_the_work(
    machine: Machine, query: str, tmp_path: Path
) -> None:
    directory = tmp_path / "other" / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "protein_query.fasta", directory, "proteins", molecule="protein")
    job = begin(machine("first"), query)
    with pytest.raises(ConflictError, match="restart it"):
        machine("second", tmp_path / "other").queries.run(job).plan_part(1, 1)


def test_speeds_measured_at_the_same_time_are_blended(machine: Machine) -> None:
    """Batches of one job often end together, and the first of them on two machines at once."""
    speeds = [Speeds(machine(f"machine {number}").database) for number in range(6)]
    with ThreadPoolExecutor(len(speeds)) as pool:
        for ended in [pool.submit(one.record, Pace(2000), "search", 1000, 10.0, 10_000) for one in speeds]:
            ended.result()
    speeds[0].record(Pace(2000), "search", 3000, 10.0, 30_000)
    speed = speeds[0].get("search")
    assert speed is not None
    assert (speed.letters_per_second, speed.bytes_per_letter) == (200, 10)


def test_start_of_a_process_does_not_teach_that_a_search_is_slow(machine: Machine) -> None:
    """Ten letters in half a second say nothing of how long a million take."""
    speeds = Speeds(machine("first").database)

    def known() -> float:
        speed = speeds.get("search")
        assert speed is not None
        return speed.letters_per_second

    speeds.record(Pace(2000), "search", 10, 0.5, 100)
    assert known() == 2000  # as usual for the program
    speeds.record(Pace(2000), "search", 5000, 0.5, 50_000)
    assert known() == 10_000  # at least
    speeds.record(Pace(2000), "search", 10, 0.5, 100)
    assert known() == 10_000
    speeds.record(Pace(2000), "search", 100_000, 25.0, 1_000_000)
    assert known() == 7000


def test_speed_of_a_process_that_may_have_one_thread_is_that_of_one(machine: Machine) -> None:
    """What others left of a job is searched by one process, for which all cores are."""
    speeds = Speeds(machine("first").database)
    speeds.record(usual_pace(parse_options("blastp", {"culling_limit": 1})), "culled", 10_000, 10.0, 100, threads=8)
    speeds.record(usual_pace(parse_options("blastp", {})), "plain", 10_000, 10.0, 100, threads=8)
    found = [speeds.get(name) for name in ("culled", "plain")]
    assert [speed.letters_per_second for speed in found if speed] == [1000, 125]


def test_large_database_is_gone_through_once_for_many_sequences(
    machine: Machine, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As is known from its size before the first search, and later from how long searches took."""
    services = machine("first", cores=2)
    job = begin(services, "".join(query.splitlines(keepends=True)[:8]))  # four sequences

    def batches() -> list[int]:
        return [batch.threads for batch in services.queries.run(job).plan().to_run]

    assert batches() == [1, 1]
    monkeypatch.setitem(speeds._USUAL, "blastp", (2_000, 1))
    assert batches() == [2]
    monkeypatch.undo()
    key = services.queries.jobs.query(job).search_key
    Speeds(services.database).record(Pace(2_000), key, 2_000_000, 2e9, 0)
    assert batches() == [2]
