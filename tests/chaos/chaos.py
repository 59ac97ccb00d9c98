"""Chaos: while jobs are submitted, servers and workers are killed and started again; then everything must be there.

``chaos.py --jobs 50 --seed 1`` does it with all there is: Prefect's server and worker, PostgreSQL, S3.
``chaos.py --plain`` does it with workers of our own instead of Prefect, in about half a minute.
"""

from __future__ import annotations

import argparse
import gzip
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
from engines import Engine, PlainEngine, PrefectEngine
from rich.console import Console
from servers import S3, PostgreSQL, Process
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import func, select

from multiblast.accounts import Requester
from multiblast.database import BatchRun, Database, JobStatus, Lease, QueryJob, Result, utc_now
from multiblast.errors import MultiblastError
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.results.holders import is_gone
from multiblast.search import Submission, read_submission
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore, Store
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "data"
_ENDED = {JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED}
_RESTARTS = 3
console = Console(highlight=False)


@dataclass
class Toll:
    """What was killed when, and which sequences were being searched then.

    Attributes:
        met: How many kills met a running search.
        in_flight: How many sequences were being searched when something was killed, of all kills together.
    """

    killed: dict[str, int] = field(default_factory=dict)
    met: int = 0
    in_flight: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    restarted: int = 0
    sent_again: int = 0

    def note(self, what: dict[str, int], name: str) -> None:
        what[name] = what.get(name, 0) + 1


def submissions(count: int, chance: random.Random, *, slow: bool) -> list[Submission]:
    """Return jobs of both kinds and several sizes, many of whose sequences are in other jobs too.

    Args:
        count: How many.
        chance: Decides which.
        slow: Whether the search of a protein is to take three times as long, so that more kills meet one.
    """
    made = []
    for number in range(count):
        name, program = ("nucleotides", "blastn") if number % 4 == 3 else ("proteins", "blastp")
        with gzip.open(EXAMPLES / f"{name}.fasta.gz") as stream:
            sequences = list(read_fasta(stream.read()))
        first = chance.randrange(min(200, len(sequences) // 2))
        some = sequences[first : first + chance.choice([1, 5, 20, 60])]
        query = b"".join(sequence.canonical for sequence in some).decode()
        target = f"demo/examples/{name}"
        options = {"threshold": 8} if slow and program == "blastp" else {}
        made.append(read_submission(query=query, program=program, targets=[target], user="chaos", options=options))
    return made


def services_over(database: str, store: Store, targets: Path) -> Services:
    return Services(Database(database), store, Installation(), Targets(targets), QueryLimits())


def report(services: Services, job_id: str) -> bytes:
    """Return a job's report, made now."""
    reports, requester = services.reports, Requester(administrator=True)
    made = reports.run(reports.submit(requester, job_id, Formatting.read("6"))).execute()
    with reports.file(requester, made.report_id, "report.tsv") as stream:
        return stream.read()


def undisturbed(directory: Path, targets: Path, jobs: list[Submission]) -> dict[str, bytes]:
    """Run the jobs where nothing happens; return their reports by their ids."""
    twin = services_over(f"sqlite:///{directory}/twin.sqlite", LocalStore(directory / "twin"), targets)
    reports = {}
    for submission in jobs:
        job_id = twin.queries.submit(Requester(submission.owner), submission).job_id
        twin.queries.run(job_id).execute()
        reports[job_id] = report(twin, job_id)
    return reports


class Chaos:
    """One go: jobs are submitted while things are killed, then looked at.

    Args:
        engine: What runs jobs.
        services: Of the same database and store, to look with.
        chance: Decides what is killed when.
    """

    def __init__(self, engine: Engine, services: Services, chance: random.Random) -> None:
        self._engine, self._services, self._chance, self.toll = engine, services, chance, Toll()

    def rage(self, jobs: list[Submission], seconds: float) -> None:
        """Submit all jobs within a time, and kill something every now and then: once something is being searched."""
        started = time.monotonic()
        patience_s = max(seconds / 15, 20)  # on a busy machine workers take as long to come to a search
        moments = sorted(self._chance.uniform(0.1, 1) * seconds for _ in range(self._engine.kills(seconds)))
        due = [number * 0.8 * seconds / len(jobs) for number in range(len(jobs))]
        victims: list[Process] = []
        left = list(jobs)
        while left or moments:
            now = time.monotonic() - started
            if left and now >= due[len(jobs) - len(left)] and self._submitted(left[0]):
                left.pop(0)
            if moments and now >= moments[0] and (now >= moments[0] + patience_s or self._in_flight()):
                moments.pop(0)
                victims = victims or self._chance.sample(self._engine.victims, len(self._engine.victims))
                self._kill(victims.pop())
            time.sleep(0.1)

    def settle(self, jobs: dict[str, Submission], limit_s: float) -> None:
        """Wait until all jobs have ended; what failed is run again, and sent again if it was not even recorded."""
        deadline, job_ids = time.monotonic() + limit_s, list(jobs)
        restarts = dict.fromkeys(job_ids, 0)
        while True:
            self._engine.reconcile(self._services)
            rows = self._rows(job_ids)
            ended = [row for row in rows if row.status in _ENDED]
            if len(ended) == len(job_ids) and all(row.status == JobStatus.COMPLETE for row in rows):
                return
            for row in [] if self._engine.is_restarting() else ended:
                if row.status != JobStatus.COMPLETE and restarts[row.id] < _RESTARTS:
                    assert row.reason, f"job {row.id} {row.status} without a reason"
                    self.toll.note(self.toll.failures, row.reason[:70])
                    restarts[row.id] += 1
                    self.toll.restarted += 1
                    self._engine.restart(self._services, row.id)
            there = {row.id for row in rows}
            failed = [job for job_id, job in jobs.items() if job_id not in there and self._engine.has_failed(job)]
            self.toll.sent_again += sum(map(self._submitted, failed))
            if time.monotonic() > deadline:
                states = {row.id[:8]: (str(row.status), row.reason) for row in rows if row.status != JobStatus.COMPLETE}
                sys.exit(f"not ended after {limit_s:.0f} s: {states}, of {len(job_ids)} jobs {len(rows)} recorded")
            time.sleep(1)

    def check(self, reports: dict[str, bytes]) -> None:
        """See that nothing is lost, done twice or left behind."""
        services = self._services
        for job_id, undisturbed_report in reports.items():
            assert report(services, job_id) == undisturbed_report, f"the report of {job_id} differs"
        with services.database.read() as session:
            searched = session.exec(select(func.sum(BatchRun.sequences)).where(BatchRun.exit_code == 0)).one() or 0
            results = session.exec(select(func.count()).select_from(Result)).one()
            leases = len(session.exec(select(Lease)).all())
        twice = searched - results
        assert twice <= self.toll.in_flight, f"{twice} sequences searched again, {self.toll.in_flight} were in flight"
        assert leases == 0, f"{leases} leases left"
        assert self.toll.met, "no kill met a running search"
        swept = services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
        assert services.storage_upkeep.verify().is_nothing
        unknown = swept.unknown + swept.discarded
        assert services.storage_upkeep.sweep(utc_now() + timedelta(days=4)).unknown == 0
        console.print(f"  {results} sequences, {searched} searched, {twice} of them twice")
        console.print(
            f"  killed: {self.toll.killed}, {self.toll.met} of them while something was searched; "
            f"sequences in flight then: {self.toll.in_flight}; objects swept: {unknown}"
        )
        console.print(f"  failures told: {self.toll.failures}, jobs run again for them: {self.toll.restarted}")
        console.print(f"  submissions whose run failed before it recorded them, sent again: {self.toll.sent_again}")

    def _submitted(self, submission: Submission) -> bool:
        with suppress(MultiblastError, SQLAlchemyError, OSError):
            return self._engine.submit(self._services, submission)
        return False

    def _kill(self, victim: Process) -> None:
        in_flight = self._in_flight()
        self.toll.met += in_flight > 0
        self.toll.in_flight += in_flight
        self.toll.note(self.toll.killed, victim.name)
        victim.kill()
        time.sleep(self._chance.uniform(0.1, 2))
        victim.start()

    def _in_flight(self) -> int:
        with suppress(SQLAlchemyError), self._services.database.read() as session:
            return sum(not is_gone(holder) for holder in session.exec(select(Lease.holder)))
        return 0

    def _rows(self, job_ids: list[str]) -> list[QueryJob]:
        with self._services.database.read() as session:
            return [row for job_id in job_ids if (row := session.get(QueryJob, job_id))]


def distinct(jobs: list[Submission]) -> list[Submission]:
    """Return the jobs that differ, in order."""
    return [job for number, job in enumerate(jobs) if job not in jobs[:number]]


def orphans(mark: Path) -> list[str]:
    """Return the processes that work on anything below a directory."""
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [command for command in commands if str(mark) in command and "chaos.py" not in command]


@contextmanager
def world(directory: Path) -> Iterator[tuple[PostgreSQL, S3, Path]]:
    """Start PostgreSQL and S3, with databases to search; kill them at the end."""
    targets = directory / "home" / "targets"
    for name, molecule in (("proteins", "protein"), ("nucleotides", "nucleotide")):
        place = targets / "demo" / "examples" / "blast"
        build_database(EXAMPLES / f"{name}.fasta.gz", place, name, molecule=molecule)  # type: ignore[arg-type]  # one of both
    postgres, s3 = PostgreSQL(directory), S3(directory)
    try:
        postgres.start()
        s3.start()
        postgres.create("jobs")
        yield postgres, s3, targets
    finally:
        s3.kill()
        postgres.kill()


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help="without Prefect")
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300, help="how long jobs are submitted and things killed")
    parser.add_argument("--limit", type=float, default=1200, help="how many seconds all may take to end afterwards")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    directory = Path(tempfile.mkdtemp(prefix="multiblast-chaos-"))
    directory.chmod(0o755)
    try:
        with world(directory) as (postgres, s3, targets):
            jobs = submissions(chosen.jobs, chance, slow=not chosen.plain)
            reports = undisturbed(directory, targets, jobs)
            services = services_over(postgres.url("jobs", "psycopg"), s3.store(), targets)
            kind = PlainEngine if chosen.plain else PrefectEngine
            engine = kind(directory, postgres, s3, targets)
            try:
                engine.start()
                started = time.monotonic()
                chaos = Chaos(engine, services, chance)
                chaos.rage(jobs, chosen.seconds)
                chaos.settle(dict(zip(reports, distinct(jobs), strict=True)), chosen.limit)
                console.print(f"seed {chosen.seed}: {len(jobs)} jobs ended in {time.monotonic() - started:.0f} s")
                chaos.check(reports)
                engine.stop()
            finally:
                engine.kill()
                services.database.close()
        time.sleep(1)
        assert orphans(directory) == []
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
