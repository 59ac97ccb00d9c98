"""``make bench``: a database grew, and what it takes to search known sequences again, to a search of the whole.

Times are of processors, user and system, of this process and of the programs it starts.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import BatchRun, Database, Result
from multiblast.installation import Installation
from multiblast.programs import Program
from multiblast.search import Plan, read_submission
from multiblast.sequences import Sequence, read_fasta
from multiblast.services import Services
from multiblast.settings import GrownRules, Policy, QueryLimits, home
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.digests import sequence_digests
from multiblast.targets.makeblastdb import build_database
from multiblast.targets.volume import read_volume
from tests.benchmarks.bench_data import many_proteins, proteins
from tests.benchmarks.cpu_times import spent_s, timed

UPDATES = ("first", "second")
GOALS = {1: 0.15, 10: 0.35}
DECOYS, MANY_QUERIES = 10, 60  # of the larger database, about 100 million letters
console = Console(highlight=False)

Phases = dict[str, float]
"""Seconds of CPU by what they were used for."""


@dataclass(frozen=True)
class Measured:
    """What searches after a growth took.

    Attributes:
        part, whole: Seconds of CPU of the search by what is known, and of one that knows nothing. The latter is
            measured after the last growth, and taken to be in proportion to the letters before that.
        phases: Of the former.
        in_part: How many queries did not need a search of the whole; ``queries`` are all.
    """

    part: float
    whole: float
    phases: Phases
    in_part: int
    queries: int
    plan: str

    @property
    def ratio(self) -> float:
        return self.part / self.whole

    @property
    def passing(self) -> float:
        """What a query that passes the checks takes, to one of the whole search."""
        used = self.phases[PART] + self.phases[SAMPLE]
        return used / max(1, self.in_part) / (self.whole / self.queries)


SAMPLE, PART, WHOLE, OTHER, PYTHON = (
    "samples",
    "parts",
    "whole searches of what fails a check or is compared",
    "other programs",
    "our own",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--queries", type=int, default=500, help="0: none")
    parser.add_argument("--many", type=int, default=MANY_QUERIES, help="queries in the larger database; 0: none")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="multiblast-grown-") as name:
        directory = Path(name)
        queries, database = proteins(directory)
        _measure_digests(database)
        if chosen.queries:
            _measure(directory, queries[: chosen.queries], _subjects(_source()), chosen.repeats)
        if chosen.many:
            _, larger = many_proteins(directory, DECOYS)
            fasta = directory / f"{larger.name}.fasta"
            every = max(1, len(queries) // chosen.many)
            _measure(directory, queries[::every][: chosen.many], _subjects(fasta), 1)


def _measure(directory: Path, queries: list[Sequence], subjects: list[Sequence], repeats: int) -> None:
    random.Random(20).shuffle(subjects)
    letters = sum(len(one.residues) for one in subjects)
    size = f"{len(queries)} x {len(subjects):,} ({letters / 1e6:.0f} million letters)"
    for growth, goal in GOALS.items():
        turns = [_measure_growth(directory / f"{growth}-{turn}", queries, subjects, growth) for turn in range(repeats)]
        for update, measured in zip(UPDATES, zip(*turns, strict=True), strict=True):
            middle = sorted(measured, key=lambda one: one.ratio)[repeats // 2]
            _print(f"blastp {size}, {update} growth by {growth} %", middle, goal)


def _print(name: str, measured: Measured, goal: float) -> None:
    most = max(measured.phases, key=lambda name: measured.phases[name])
    missed = f" [red](missed: most took {most})[/red]" if measured.ratio > goal else ""
    console.print(
        f"{name}: {measured.part:.1f} s of CPU, {measured.ratio:.3f} of a whole search; goal {goal:.2f}{missed}; "
        f"{measured.in_part} in what is new, each {measured.passing:.3f} of a whole search; plan: {measured.plan}"
    )
    for phase, seconds in measured.phases.items():
        console.print(f"  {phase}: {seconds:.1f} s, {seconds / measured.whole:.3f}")


def _subjects(path: Path) -> list[Sequence]:
    content = path.read_bytes()
    return list(read_fasta(gzip.decompress(content) if path.suffix == ".gz" else content))


def _source() -> Path:
    return home() / "benchmark-data/usr/share/doc/mmseqs2/example-data/DB.fasta.gz"


def _measure_digests(path: Path) -> None:
    volume = read_volume(path, "p")
    seconds = statistics.median(timed(lambda: sum(map(len, sequence_digests(volume)))).cpu for _ in range(5))
    each = seconds / volume.sequences
    console.print(
        f"digests of {volume.sequences:,} sequences: {1000 * seconds:.0f} ms of CPU, {1e6 * each:.1f} µs each; "
        f"600 million would take {600e6 * each / 60:.0f} minutes of one core and {600e6 * 16 / 1e9:.1f} GB"
    )


def _measure_growth(directory: Path, queries: list[Sequence], subjects: list[Sequence], growth: int) -> list[Measured]:
    """Let a database grow several times; return what each growth took."""
    root = directory / "root"
    root.mkdir(parents=True)
    sizes = [round(len(subjects) / (1 + growth / 100) ** left) for left in range(len(UPDATES), -1, -1)]
    letters = [sum(len(one.residues) for one in subjects[:size]) for size in sizes]
    knowing, other = _services(directory / "knowing", root), _services(directory / "other", root)
    try:
        _build(root, subjects[: sizes[0]])
        _search(knowing, queries, directory)
        updates = []
        for size in sizes[1:]:
            _build(root, subjects[:size])
            updates.append(_update(knowing, queries, directory))
        whole = timed(lambda: _search(other, queries, directory)).cpu
        if _digests(other) - _digests(knowing):
            raise RuntimeError("results that were found in part are not those of the whole")
        return [
            replace(update, whole=whole * some / letters[-1]) for update, some in zip(updates, letters[1:], strict=True)
        ]
    finally:
        knowing.database.close()
        other.database.close()
        shutil.rmtree(directory)


def _update(services: Services, queries: list[Sequence], directory: Path) -> Measured:
    """Search by what is known; what a whole search takes is left open."""
    so_far, plans = _in_part(services), list[Plan]()
    with _phases() as phases:
        part = timed(lambda: plans.append(_search(services, queries, directory))).cpu
    phases[PYTHON] = part - sum(phases.values())
    return Measured(part, 0, phases, _in_part(services) - so_far, len(queries), plans[0].before)


def _digests(services: Services) -> set[tuple[str, str]]:
    """Return the keys of all results, each with the digest of what was found."""
    with services.database.read() as session:
        return {(key, found) for key, found in session.exec(select(Result.key, Result.digest))}


def _in_part(services: Services) -> int:
    with services.database.read() as session:
        return sum(session.exec(select(BatchRun.sequences).where(BatchRun.part != "")))


@contextmanager
def _phases() -> Iterator[Phases]:
    """Add up what programs use, by what they are started for; only one may run at a time."""
    found: Phases = dict.fromkeys((SAMPLE, PART, WHOLE, OTHER), 0.0)
    leave, before = Program.__exit__, spent_s(resource.RUSAGE_CHILDREN)

    def counted(program: Program, *error: Any) -> None:
        nonlocal before
        leave(program, *error)
        now = spent_s(resource.RUSAGE_CHILDREN)
        found[_phase_of(program.command)] += now - before
        before = now

    with patch.object(Program, "__exit__", counted):
        yield found


def _phase_of(command: tuple[str, ...]) -> str:
    if Path(command[0]).name != "blastp":
        return OTHER
    database = Path(command[command.index("-db") + 1]).name
    return next(
        (phase for start, phase in {"sample": SAMPLE, "part": PART}.items() if database.startswith(start)), WHOLE
    )


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
    plan = run.plan()
    run.start(plan)
    for batch in plan.to_run:  # one after the other: see `_phases`
        run.search(batch)
    run.finish()
    return plan


if __name__ == "__main__":
    main()
