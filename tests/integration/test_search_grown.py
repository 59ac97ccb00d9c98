"""A database grew: known sequences are searched in what is new only, checked, and found as in the whole."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, func, select, update

from multiblast.database import BatchRun, Database, Pack, Result, Run
from multiblast.errors import ConflictError, JobFailedError
from multiblast.grown import Counted
from multiblast.grown.refused_ways import RefusedWays
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.search import SearchedJob, SearchRun, read_submission
from multiblast.services import Services
from multiblast.settings import GrownRules, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from multiblast.upkeep.diagnosis import diagnose
from tests.integration.test_search_failures import faulty_blastp
from tests.support.places import EXAMPLES

QUERIES = 12
BEFORE = 398  # sequences of the earlier state: so few are new that no least score of the queries changes


@pytest.fixture(scope="module")
def subjects() -> list[str]:
    with gzip.open(EXAMPLES / "proteins.fasta.gz", "rt") as file:
        return [f">{one}" for one in file.read().split(">")[1:]][:400]


@pytest.fixture(scope="module")
def query(subjects: list[str]) -> str:
    """Some of the subjects, in pieces."""
    residues = ["".join(one.splitlines()[1:]) for one in subjects[5 : 5 + QUERIES]]
    return "".join(f">q{number}\n{one[: len(one) * 3 // 4]}\n" for number, one in enumerate(residues))


@dataclass
class Place:
    """A database ``db``, services that search it, and others that know nothing of what these found."""

    root: Path
    services: Services
    others: Services

    def build(self, records: Sequence[str], name: str = "db") -> None:
        """Make a database in place of what had its name."""
        fasta = self.root / "in.fasta"
        fasta.write_text("".join(records))
        build_database(fasta, self.root / "demo" / "examples" / "blast", name, molecule="protein")

    def rules(self, **rules: Any) -> None:
        self.services.queries._engine.grown = GrownRules(**rules)


@pytest.fixture
def place(make_services: Callable[..., Services], tmp_path: Path, subjects: list[str]) -> Place:
    root = tmp_path / "root"
    root.mkdir()
    found = Place(root, make_services(root=root), make_services("other", root=root))
    found.build(subjects[:BEFORE])
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def either_place(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[Place]:
    """The same place with a job database of either kind."""
    database = Database(request.getfixturevalue(f"{request.param}_url"))
    store, others = LocalStore(tmp_path / "of-either"), place.others
    yield Place(place.root, Services(database, store, Installation(), Targets(place.root), QueryLimits()), others)
    database.close()


def prepared(services: Services, query: str, targets: Sequence[str] = ("db",), **options: object) -> SearchRun:
    names = [f"demo/examples/{name}" for name in targets]
    submission = read_submission(query=query, program="blastp", targets=names, options=options)
    job_id = services.queries.submit(services.accounts.requester(""), submission).job_id
    return services.queries.run(job_id)


def archives(services: Services, job: SearchedJob) -> list[bytes]:
    return list(services.queries._engine.results.archives([row.result_key for row in job.rows]))


def parts(services: Services) -> list[str]:
    """Return of what part each search was, in order; nothing is the whole."""
    with services.database.read() as session:
        return list(session.exec(select(BatchRun.part).order_by(col(BatchRun.number))))


def test_known_sequences_are_searched_in_what_is_new(either_place: Place, subjects: list[str], query: str) -> None:
    """Their results are those of a whole search to the byte, and what is said is what was done."""
    place = either_place
    place.rules(checked_share=0)
    prepared(place.services, query).execute()
    place.build(subjects)
    run = prepared(place.services, query + ">other\n" + subjects[300].split("\n", 1)[1])
    plan = run.plan()
    assert (plan.unknown, plan.known_before) == (QUERIES + 1, QUERIES)
    assert {bool(batch.earlier) for batch in plan.to_run} == {False, True}
    assert plan.before.startswith("12 known before the update")
    done = run.execute(plan)
    assert any(part.startswith("blastp: ") for part in parts(place.services))
    with place.services.database.read() as session:
        last = session.exec(select(Run).where(Run.job_id == done.job_id)).one()
        assert (last.searched, last.known_before) == (QUERIES + 1, QUERIES)
    record = place.services.provenance.searched(done.job_id)
    assert list(record.parts) == [part for part in parts(place.services) if part]
    assert {Path(command[command.index("-db") + 1]).name for command in record.commands} == {"db"}
    whole = prepared(place.others, query + ">other\n" + subjects[300].split("\n", 1)[1]).execute()
    assert not any(parts(place.others))
    assert [row.result_key for row in done.rows] == [row.result_key for row in whole.rows]
    assert archives(place.services, done) == archives(place.others, whole)


def test_sequences_whose_least_score_changes_are_planned_whole(place: Place, subjects: list[str], query: str) -> None:
    place.rules(checked_share=0)
    place.build(subjects[:350])
    prepared(place.services, query).execute()
    place.build(subjects)
    run = prepared(place.services, query)
    plan = run.plan()
    in_part = sum(len(batch.positions) for batch in plan.to_run if batch.earlier)
    assert 0 < plan.known_before == in_part < QUERIES
    done = run.execute(plan)
    with place.services.database.read() as session:
        assert sum(session.exec(select(BatchRun.sequences).where(BatchRun.part != ""))) == in_part
    assert archives(place.services, done) == archives(place.others, prepared(place.others, query).execute())


def test_what_a_sample_showed_is_used_after_the_next_growth(
    either_place: Place, subjects: list[str], query: str
) -> None:
    """A list of 256 subjects may be full in 400, so a sample is searched; the next state takes over what it showed."""
    place, options = either_place, {"comp_based_stats": 0, "max_target_seqs": 206}
    place.rules(checked_share=0)
    results = place.services.queries._engine.results
    for size in (BEFORE - 1, BEFORE):
        place.build(subjects[:size])
        job = prepared(place.services, query, **options).execute()
    keys = [row.result_key for row in job.rows]
    full, none, *_ = (keys.index(key) for key in results.counted(keys))
    with place.services.database.write() as session:
        for at, counted in ((full, Counted(1000, 3)), (none, Counted(0, 3))):
            values = update(Result).where(col(Result.key) == keys[at]).values(counted=counted.number)
            session.connection().execute(values)
    place.build(subjects)
    run, others = prepared(place.services, query, **options), prepared(place.others, query, **options)
    assert run.plan().core_seconds < others.plan().core_seconds * 0.4
    job = run.execute()
    keys = [row.result_key for row in job.rows]
    found = {keys.index(key): Counted.of(number) for key, number in results.counted(keys).items()}
    assert (found[full].halvings, found[none].halvings) == (3, 3)
    assert (found[none].hits <= 1, found[full].hits >= 1000) == (True, True)
    with place.services.database.read() as session:
        ways = dict(session.exec(select(Result.key, Pack.way).join(Pack, col(Pack.number) == Result.pack_number)).all())
    assert (ways[keys[full]], ways[keys[none]]) == ("", "blastp")
    assert archives(place.services, job) == archives(place.others, prepared(place.others, query, **options).execute())


def test_second_database_is_searched_with_what_the_first_gave(place: Place, subjects: list[str], query: str) -> None:
    """``db`` is known, now ``db`` and ``more`` are searched together."""
    place.build(subjects[BEFORE:], "more")
    place.rules(checked_share=0)
    prepared(place.services, query).execute()
    run = prepared(place.services, query, ["db", "more"])
    plan = run.plan()
    assert plan.known_before == QUERIES
    done = run.execute(plan)
    assert any(parts(place.services))
    assert archives(place.services, done) == archives(
        place.others, prepared(place.others, query, ["db", "more"]).execute()
    )


def test_preview_says_what_is_known_of_an_earlier_state(place: Place, subjects: list[str], query: str) -> None:
    prepared(place.services, query).execute()
    place.build(subjects)
    submission = read_submission(query=query, program="blastp", targets=["demo/examples/db"], options={})
    assert place.services.queries.preview(submission).known_before == QUERIES


@pytest.mark.parametrize(
    ("rules", "options"),
    [({"enabled": False}, {}), ({"new_share": 0.001}, {}), ({}, {"culling_limit": 1})],
    ids=["switched off", "too much is new", "not in the table"],
)
def test_whole_is_searched(
    place: Place, subjects: list[str], query: str, rules: dict[str, Any], options: dict[str, Any]
) -> None:
    place.rules(**rules)
    prepared(place.services, query, **options).execute()
    place.build(subjects)
    run = prepared(place.services, query, **options)
    assert run.plan().known_before == 0
    run.execute()
    assert not any(parts(place.services))


def test_checked_results_are_searched_twice_and_kept_once(place: Place, subjects: list[str], query: str) -> None:
    place.rules(checked_share=1)
    prepared(place.services, query).execute()
    place.build(subjects)
    run = prepared(place.services, query)
    done = run.execute()
    compared = [part.rpartition("; ")[2] for part in parts(place.services) if part]
    assert compared
    assert all(int(part.split()[0]) for part in compared)
    assert {row.status for row in done.rows} == {"complete"}
    assert not RefusedWays(place.services.database).list()


def test_sequence_that_breaks_blast_fails_once(
    place: Place, make_services: Callable[..., Services], subjects: list[str], query: str, tmp_path: Path
) -> None:
    """Searched whole to be compared, it is not searched whole again because it has no result."""
    prepared(place.services, query).execute()
    place.build(subjects)
    poison = query.splitlines()[7][:30]
    faulty = faulty_blastp(tmp_path / "bin", poison, "exit 3")
    services = make_services(root=place.root, directory=faulty, cores=1)
    services.queries._engine.grown = GrownRules(checked_share=1)
    run = prepared(services, query)
    with pytest.raises(JobFailedError):
        run.execute()
    with services.database.read() as session:
        alone = session.exec(select(BatchRun.exit_code).where(BatchRun.sequences == 1, BatchRun.exit_code == 3)).all()
        assert len(alone) == 1
        assert session.exec(select(func.count()).select_from(Result)).one() == 2 * QUERIES - 1


def test_changed_sequence_under_an_unchanged_digest_is_caught(
    either_place: Place, subjects: list[str], query: str
) -> None:
    """The lie: what is kept of the earlier state says that it had the sequences of the new one.

    The way is then switched off, which `doctor` says, until somebody allows it again.
    """
    place = either_place
    place.rules(checked_share=1)
    prepared(place.services, query).execute()
    residues = "".join(subjects[5].splitlines()[1:])
    lie = f"{subjects[200].splitlines()[0]}\n{residues}\n"
    changed = [*subjects[:200], lie, *subjects[201:]]
    place.build(changed[:BEFORE])
    states = place.services.queries._engine.states
    [database] = place.services.queries._engine.targets.resolve_all("demo", [("examples", "db")])
    earlier = states.earlier([database])[0].fingerprints[0]
    states._put_digests(database, database.fingerprint)
    digests = place.services.store.read(ObjectKind.DIGESTS.spread_key(database.fingerprint, ".1"))
    place.services.store.put(ObjectKind.DIGESTS.spread_key(earlier, ".1"), digests)
    place.build(changed)
    run = prepared(place.services, query)
    assert run.plan().known_before == QUERIES
    done = run.execute()
    [refused] = RefusedWays(place.services.database).list()
    assert (refused.way, refused.job_id) == ("blastp", done.job_id)
    assert refused.result_key in {row.result_key for row in done.rows}
    services = place.services
    findings = diagnose(services.database, services.store, services.installation, services.targets)
    assert any("blastp is switched off" in finding.detail for finding in findings)
    assert archives(place.services, done) == archives(place.others, prepared(place.others, query).execute())
    place.build([*changed, ">last\nMKVLAAGIVGLCAKAYW\n"])
    assert prepared(place.services, query).plan().known_before == 0
    RefusedWays(place.services.database).allow("blastp")
    assert prepared(place.services, query).plan().known_before == QUERIES


def test_results_of_a_way_that_is_switched_off_are_forgotten_and_searched_whole(
    either_place: Place, subjects: list[str], query: str
) -> None:
    services = either_place.services
    either_place.rules(checked_share=0)
    prepared(services, query).execute()
    either_place.build(subjects)
    done = prepared(services, query).execute()
    ways = services.refused_ways
    assert (ways.results("blastp"), ways.results("blastn")) == (QUERIES, 0)
    with pytest.raises(ConflictError, match="not switched off"):
        ways.forget("blastp")
    ways.refuse("blastp", result_key=done.rows[0].result_key, job_id=done.job_id, reason="it differed")
    assert ways.forget("blastp") == QUERIES
    assert services.storage_upkeep.verify().results == [done.job_id]
    so_far = len(parts(services))
    again = prepared(services, query).execute()
    assert set(parts(services)[so_far:]) == {""}
    assert ways.results("blastp") == 0
    assert archives(services, again) == archives(either_place.others, prepared(either_place.others, query).execute())


def test_job_is_compared_with_what_others_found_before(place: Place, subjects: list[str], query: str) -> None:
    """The same sequences were searched in other company, before the database grew: all that is gained is new."""
    place.rules(checked_share=0)
    prepared(place.services, query).execute()
    place.build([*subjects[:BEFORE], *(f">new{n}\n{one.split(chr(10), 1)[1]}" for n, one in enumerate(subjects[5:8]))])
    job = prepared(place.services, query.replace(">q0", ">other\nMKVLAAGIVGLCAKAYW\n>q0")).execute()
    queries = place.services.queries
    assert queries.can_compare(job.job_id)
    found = queries.compare(place.services.accounts.requester(""), job.job_id)
    assert (found.sequences, found.not_comparable) == (QUERIES, 1)
    assert {change.subject for change in found.changes if change.change == "gained"} >= {"new0", "new1", "new2"}


def test_scanned_databases_are_compared_though_they_were_not_searched(place: Place, subjects: list[str]) -> None:
    assert place.services.keep_states() == 1
    place.build(subjects)
    place.services.targets.rescan()
    [database] = place.services.targets.databases()
    assert place.services.queries._engine.states.earlier([database])
