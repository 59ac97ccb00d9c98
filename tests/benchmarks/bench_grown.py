"""``make bench``: a database grew, and what it takes to search known sequences again, to a search of the whole.

Times are of processors, user and system, of this process and of the programs it starts.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import resource
import shutil
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import BatchRun, Database
from multiblast.installation import Installation
from multiblast.search import Plan, read_submission
from multiblast.sequences import Sequence, read_fasta
from multiblast.services import Services
from multiblast.settings import GrownRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.digests import sequence_digests
from multiblast.targets.makeblastdb import build_database
from multiblast.targets.volume import read_volume
from tests.benchmarks.bench_data import proteins

CORES = len(os.sched_getaffinity(0))
GOALS = {1: 0.15, 10: 0.35}
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--queries", type=int, default=500)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="multiblast-grown-") as name:
        directory = Path(name)
        queries, database = proteins(directory)
        subjects = list(read_fasta(gzip.decompress(_source().read_bytes())))
        random.Random(20).shuffle(subjects)
        _measure_digests(database)
        for growth, goal in GOALS.items():
            measured = [
                _measure_growth(directory / f"{growth}-{turn}", queries[: chosen.queries], subjects, growth)
                for turn in range(chosen.repeats)
            ]
            ratio = statistics.median(part / whole for part, whole, _ in measured)
            verdict = "" if ratio <= goal else " [red](missed)[/red]"
            parts = statistics.median(part for part, _, _ in measured)
            console.print(
                f"blastp {chosen.queries} x {len(subjects):,} after {growth} % growth: {parts:.1f} s of CPU, "
                f"{ratio:.3f} of a whole search; goal {goal:.2f}{verdict}; {measured[-1][2]}"
            )


def _source() -> Path:
    from multiblast.settings import home

    return home() / "benchmark-data/usr/share/doc/mmseqs2/example-data/DB.fasta.gz"


def _measure_digests(path: Path) -> None:
    volume = read_volume(path, "p")
    seconds = statistics.median(_cpu(lambda: sum(map(len, sequence_digests(volume)))) for _ in range(5))
    each = seconds / volume.sequences
    console.print(
        f"digests of {volume.sequences:,} sequences: {1000 * seconds:.0f} ms of CPU, {1e6 * each:.1f} µs each; "
        f"600 million would take {600e6 * each / 60:.0f} minutes of one core and {600e6 * 16 / 1e9:.1f} GB"
    )


def _measure_growth(
    directory: Path, queries: list[Sequence], subjects: list[Sequence], growth: int
) -> tuple[float, float, str]:
    """Return the CPU of a search after growth, that of a whole search, and what was searched in part."""
    root = directory / "root"
    root.mkdir(parents=True)
    earlier = subjects[: round(len(subjects) / (1 + growth / 100))]
    knowing, other = _services(directory / "knowing", root), _services(directory / "other", root)
    try:
        _build(root, earlier)
        _search(knowing, queries, directory)
        _build(root, subjects)
        plans: list[Plan] = []
        part = _cpu(lambda: plans.append(_search(knowing, queries, directory)))
        whole = _cpu(lambda: _search(other, queries, directory))
        with knowing.database.read() as session:
            runs = session.exec(select(BatchRun).where(BatchRun.part != "")).all()
            found = f"{sum(run.sequences for run in runs)} sequences in what is new; plan: {plans[0].before}"
        return part, whole, found
    finally:
        knowing.database.close()
        other.database.close()
        shutil.rmtree(directory)


def _services(home: Path, root: Path) -> Services:
    database = Database(f"sqlite:///{home / 'jobs.sqlite'}")
    return Services(
        database, LocalStore(home / "store"), Installation(), Targets(root), QueryLimits(), Policy(grown=GrownRules())
    )


def _build(root: Path, subjects: list[Sequence]) -> None:
    fasta = root / "in.fasta"
    fasta.write_bytes(b"".join(one.canonical for one in subjects))
    build_database(fasta, root / "bench" / "grown" / "blast", "db", molecule="protein")


def _search(services: Services, queries: list[Sequence], directory: Path) -> Plan:
    query = directory / "query.fasta"
    query.write_bytes(b"".join(one.canonical for one in queries))
    submission = read_submission(query_file=query, program="blastp", targets=["bench/grown/db"], options={})
    run = services.queries.run(services.queries.submit(Requester(administrator=True), submission).job_id)
    with ThreadPoolExecutor(CORES) as pool:
        plan = run.plan()
        run.start(plan)
        list(pool.map(run.search, plan.to_run))
        run.finish()
    return plan


def _cpu(work: Callable[[], object]) -> float:
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


if __name__ == "__main__":
    main()
