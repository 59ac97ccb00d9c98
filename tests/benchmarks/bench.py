"""``make bench``: multiblast against plain BLAST+, in the same run, as ratios.

Every line is the median of interleaved runs of both (``--repeats``), with our own CPU
time by phase below it and, where a goal is missed, what took most of that. Say which
parts to run by name: ``make bench ARGS="blastp split"``.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from deployments.garbage import collect_rarely
from multiblast.accounts import Requester
from multiblast.archive import DatabaseSize, merge, split
from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.benchmarks import bench_data
from tests.benchmarks.bench_data import back_translated, changed, cut, mark, nucleotides, proteins, shuffled
from tests.benchmarks.cpu_times import Seconds, cpu_s, spent_s, timed

_LARGE_BYTES = 1_000_000_000
_SHOWN = 8  # modules in a profile
CORES = len(os.sched_getaffinity(0))
console = Console(highlight=False, soft_wrap=True)


class Bench:
    """One benchmark's data, and both ways of searching it."""

    def __init__(
        self, directory: Path, program: str, database: Path, queries: list[Sequence], **options: object
    ) -> None:
        self.directory, self.program, self.database = directory, program, database
        self.queries, self.options = queries, options
        self.targets = Targets(database.parents[3])
        self.runs = 0
        self.phases: dict[str, list[float]] = {}

    def plain(self, threads: int = CORES, mode: int = 0) -> float:
        """Run the plain program on the whole file; return seconds."""
        query = self._write(self.queries, "plain.fasta")
        arguments = [word for name, value in self.options.items() for word in (f"-{name}", str(value))]
        arguments += ["-num_threads", str(threads)] + (["-mt_mode", str(mode)] if mode else [])
        command = [self.program, "-query", query, "-db", self.database, "-outfmt", "6", *arguments]
        return timed(lambda: subprocess.run([*map(str, command), "-out", os.devnull], check=True))

    def services(self) -> Services:
        """Return services that know nothing yet."""
        self.runs += 1
        place = self.directory / f"run-{self.runs}"
        database = Database(f"sqlite:///{place / 'jobs.sqlite'}")
        with database.read():  # makes its tables, once for an installation
            pass
        limits = QueryLimits(sequences=0, query_bytes=0)
        return Services(database, LocalStore(place / "store"), Installation(), self.targets, limits)

    def ours(self, services: Services, queries: list[Sequence] | None = None) -> float:
        """Submit a query and make its tabular report; return seconds."""
        query = self._write(queries or self.queries, "ours.fasta")
        return timed(lambda: self._submit(services, query))

    def submit_once(self) -> None:
        """Submit the query to services that know nothing yet."""
        self.ours(self.services())

    def ours_without_report(self, services: Services, queries: list[Sequence]) -> float:
        """Submit a query; return seconds."""
        query = self._write(queries, "ours.fasta")
        return timed(lambda: self._search(services, query))

    def profile(self) -> str:
        """Submit the query once more, in one thread; return which modules took most CPU time of it."""
        profile = cProfile.Profile(time.thread_time, builtins=False)  # waiting for a program takes none
        services, query = self.services(), self._write(self.queries, "ours.fasta")
        profile.runcall(self._submit, services, query, cores=0)
        spent = Counter[str]()
        for (path, *_), (_, _, own, *_) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # untyped
            parts = Path(path).with_suffix("").parts
            place = parts.index("site-packages") + 1 if "site-packages" in parts else len(parts) - 2
            spent["/".join(parts[max(place, 0) :][:2])] += own
        return ", ".join(f"{name} {own / spent.total():.0%}" for name, own in spent.most_common(_SHOWN))

    def own_ms(self, phases: dict[str, list[float]]) -> str:
        """Return our own CPU time of each phase of some runs, in milliseconds a sequence."""
        medians = {name: 1000 * statistics.median(seconds) / len(self.queries) for name, seconds in phases.items()}
        whole = sum(medians.values())
        return f"{whole:.3f} ms = " + " + ".join(f"{name} {ms:.3f}" for name, ms in medians.items())

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        before = spent_s(resource.RUSAGE_SELF)
        yield
        self.phases.setdefault(name, []).append(spent_s(resource.RUSAGE_SELF) - before)

    def _submit(self, services: Services, query: Path, cores: int = CORES) -> None:
        job_id = self._search(services, query, cores)
        with self._phase("report"):
            report_id = services.reports.submit(Requester(administrator=True), job_id, Formatting.read(6))
            services.reports.run(report_id).execute()

    def with_reports(self, outfmts: Iterable[str], cores: int, *, early: bool) -> tuple[Seconds, Seconds]:
        """Search, formatting parts of reports if it is ``early``; return seconds, and those of reports after that."""
        services = self.services()
        job_id = self._record(services, self._write(self.queries, "ours.fasta"))
        services.wanted_reports.record(Requester(administrator=True), job_id, map(Formatting.read_outfmt, outfmts))
        with services.wanted_reports.early_parts(job_id) as parts:
            if early:
                parts.start()
            searched = timed(lambda: self._run(services, job_id, cores))

            def report() -> None:
                parts.stop()
                for one in services.wanted_reports.of(job_id):
                    services.reports.run(one.id, early=parts).execute()

            return searched, timed(report)

    def _search(self, services: Services, query: Path, cores: int = CORES) -> str:
        job_id = self._record(services, query)
        self._run(services, job_id, cores)
        return job_id

    def _record(self, services: Services, query: Path) -> str:
        target = f"{self.database.parents[2].name}/{self.database.parents[1].name}/{self.database.name}"
        with self._phase("submit"):
            submission = read_submission(query_file=query, program=self.program, targets=[target], options=self.options)
            return services.queries.submit(Requester(administrator=True), submission).job_id

    def _run(self, services: Services, job_id: str, cores: int) -> None:
        run = services.queries.run(job_id)
        with self._phase("plan"):
            plan = run.plan()
            run.start(plan)
        with self._phase("search"), ThreadPoolExecutor(cores or 1) as pool:
            list(pool.map(run.search, plan.to_run) if cores else map(run.search, plan.to_run))
        with self._phase("finish"):
            run.finish()

    def each_alone(self, count: int) -> float:
        """Run one process a sequence for some of them; return the seconds all would take."""

        def one(sequence: Sequence) -> None:
            command = [self.program, "-db", str(self.database), "-outfmt", "6", "-out", os.devnull]
            subprocess.run(command, input=sequence.canonical, check=True)

        with ThreadPoolExecutor(CORES) as pool:
            seconds = timed(lambda: list(pool.map(one, self.queries[:count])))
        return seconds * len(self.queries) / count

    def _write(self, queries: list[Sequence], name: str) -> Path:
        path = self.directory / name
        path.write_bytes(b"".join(sequence.canonical for sequence in queries))
        return path


def blastp(directory: Path, repeats: int) -> None:
    """500 real proteins against 20 000."""
    queries, database = proteins(directory)
    bench = Bench(directory, "blastp", database, queries)
    best = _ratios(bench, repeats, "blastp 500 x 20 000", 0.95)
    console.print(f"  one process a sequence, to plain: {bench.each_alone(40) / statistics.median(best):.2f}")


def blastx(directory: Path, repeats: int) -> None:
    """100 coding sequences against 20 000 proteins."""
    queries, database = proteins(directory)
    coding = [Sequence(sequence.defline, back_translated(sequence.residues)) for sequence in queries[:100]]
    _ratios(Bench(directory, "blastx", database, coding), repeats, "blastx 100 x 20 000", 1.0)


def blastn(directory: Path, repeats: int) -> None:
    """10 000 sequences of 500 bp against 30 Mb."""
    queries, database = nucleotides(directory, 30_000_000, 10_000)
    bench = Bench(directory, "blastn", database, queries, task="blastn")
    _ratios(bench, repeats, "blastn 10 000 x 30 Mb", 1.10)


def peptides(directory: Path, repeats: int) -> None:
    """10 000 short proteins against 20 000, all known."""
    whole, database = proteins(directory)
    bench = Bench(directory, "blastp", database, cut(whole, 10_000, 40))
    services = bench.services()
    bench.ours(services)
    known = [bench.ours_without_report(services, shuffled(bench.queries, number)) for number in range(repeats)]
    each = 1000 * statistics.median(known) / len(bench.queries)
    console.print(f"10 000 short proteins, known: {each:.2f} ms a sequence beside formatting (goal: at most 1 ms)")
    formatted = [bench.ours(services, shuffled(bench.queries, -number)) for number in range(1, repeats + 1)]
    console.print(f"  and with it: {1000 * statistics.median(formatted) / len(bench.queries):.2f} ms")


def megablast(directory: Path, repeats: int) -> None:
    """200 sequences of 500 bp against 100 Mb."""
    queries, database = nucleotides(directory, 100_000_000, 200)
    best, cold, *_ = _interleaved(Bench(directory, "blastn", database, queries), repeats)
    extra = statistics.median(cold) - statistics.median(best)
    console.print(f"megablast 200 x 100 Mb, cold: plain + {extra:.2f} s (goal: at most 1 s)")


def large(directory: Path, repeats: int) -> None:
    """2 000 reads of 500 bp against 10 thousand million letters, one search after the other, all of other reads."""
    reads, database = bench_data.large_nucleotides(directory, 20, 2_000)
    bench = Bench(directory, "blastn", database, reads)
    services, plain, ours = bench.services(), list[float](), list[list[float]]()
    for number in range(max(repeats, 3)):  # each is planned by the speed of those before it
        plain.append(bench.plain())
        ours.append([bench.ours(services, bench_data.rotated(reads, 20 * number))])
    for number, seconds in enumerate(ours, start=1):
        _ratio(f"megablast 2 000 x 10 000 Mb, search {number}", seconds, plain, 1.10)


def split_speed(directory: Path, repeats: int) -> None:
    """The archive of 100 proteins, split."""
    archive, size = _archive(directory)

    def run() -> None:
        with archive.open("rb") as stream:
            for _ in split(stream, size):
                pass

    seconds = statistics.median(cpu_s(timed(run)) for _ in range(repeats))
    megabytes = archive.stat().st_size / 1e6
    console.print(f"split: {megabytes / seconds:.0f} MB/s of CPU time, of {megabytes:.0f} MB (goal: at least 100)")


def _archive(directory: Path) -> tuple[Path, DatabaseSize]:
    """Return an archive of 100 real proteins, and the size of its database."""
    queries, database = proteins(directory)
    bench = Bench(directory, "blastp", database, queries[:100])
    archive, query = directory / "archive.asn1", bench._write(bench.queries, "split.fasta")
    command = ["blastp", "-query", query, "-db", database, "-outfmt", "11", "-out", archive, "-num_threads", CORES]
    subprocess.run(list(map(str, command)), check=True)
    (found,) = bench.targets.databases()
    return archive, DatabaseSize(letters=found.letters, sequences=found.sequences)


def memory(directory: Path, _: int) -> None:
    """Peak memory of a Python process: submitting, searching and reporting many sequences, and with a large archive."""
    few, large = directory / "few", directory / "large"
    few.mkdir()
    large.mkdir()
    queries, database = nucleotides(few, 1_000_000, 10_000)
    for count in (100, 1_000, 10_000):
        bench = Bench(few, "blastn", database, queries[:count])
        peak = _peak_mb(bench.submit_once)
        console.print(f"memory of {count:,} sequences: {peak:.0f} MB at most (goal: at most 300, and flat)")
    one, size = _archive(large)
    many = large / "many.asn1"
    with many.open("wb") as output:
        while output.tell() < _LARGE_BYTES:
            output.write(one.read_bytes())
    peak = _peak_mb(partial(_split_and_merge, many, size))
    console.print(f"memory of an archive of 1 GB, split and merged: {peak:.0f} MB at most (goal: at most 300)")


def early(directory: Path, repeats: int) -> None:
    """Reports of 10 000 sequences of 500 bp, parts of them formatted while others are searched in 30 Mb."""
    queries, database = nucleotides(directory, 30_000_000, 10_000)
    bench = Bench(directory, "blastn", database, queries, task="blastn")
    for cores in (CORES, max(CORES - 1, 1)):
        runs: dict[bool, list[tuple[Seconds, Seconds]]] = {False: [], True: []}
        for _ in range(repeats):
            for is_early, found in runs.items():
                found.append(bench.with_reports(("15", "0"), cores, early=is_early))
        (plain, after), (meanwhile, left) = (map(list, zip(*found, strict=True)) for found in runs.values())
        _ratio(f"search on {cores} of {CORES} cores, formatting meanwhile, to without", meanwhile, plain, 1.02)
        console.print(f"  reports after it: {statistics.median(left):.1f} s, without {statistics.median(after):.1f} s")


def _split_and_merge(archive: Path, size: DatabaseSize) -> None:
    with archive.open("rb") as stream, Path(os.devnull).open("wb") as output:
        merge(((b"", part.archive) for part in split(stream, size)), output, "database")


def _peak_mb(run: Callable[[], object]) -> float:
    """Run something in a process of its own; return how much memory that took at most."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        return another.submit(_with_peak, run).result()


def _with_peak(run: Callable[[], object]) -> float:
    run()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    return int(peak[1]) / 1000


def _ratios(bench: Bench, repeats: int, name: str, goal: float) -> list[float]:
    """Print how long a search takes to plain, and known ones to it; return the times of plain."""
    plain, cold, known, mostly, own = _interleaved(bench, repeats)
    met = _ratio(f"{name}, cold", cold, plain, goal)
    met &= _ratio("  fully known, shuffled and renamed, to cold", known, cold, 0.025)
    met &= _ratio("  90 % known, to cold", mostly, cold, 0.12)
    console.print(f"  our own CPU time a sequence, cold: {own[0]}")
    console.print(f"  and fully known: {own[1]}")
    if not met:
        console.print(f"  most of it: {bench.profile()}")
    return plain


def _interleaved(
    bench: Bench, repeats: int
) -> tuple[list[float], list[float], list[float], list[float], tuple[str, str]]:
    """Return the times of the better mode of plain; of ours cold, known and 90 % known; and our own by phase."""
    plain: dict[int, list[float]] = {0: [], 1: []}
    cold, known, mostly = list[float](), list[float](), list[float]()
    phases: tuple[dict[str, list[float]], dict[str, list[float]]] = {}, {}
    for number in range(repeats):
        for mode, seconds in plain.items():
            seconds.append(bench.plain(mode=mode))
        services = bench.services()
        bench.phases = phases[0]
        cold.append(bench.ours(services))
        bench.phases = phases[1]
        known.append(bench.ours(services, shuffled(bench.queries, number)))
        bench.phases = {}
        mostly.append(bench.ours(services, shuffled(changed(bench.queries, 10), number)))
    own = bench.own_ms(phases[0]), bench.own_ms(phases[1])
    return min(plain.values(), key=statistics.median), cold, known, mostly, own


def _ratio(name: str, ours: list[float], other: list[float], goal: float) -> bool:
    """Print a ratio of medians, and whether it is at most its goal; return that."""
    ratio = statistics.median(ours) / statistics.median(other)
    cpu = statistics.median(map(cpu_s, ours)) / statistics.median(map(cpu_s, other))
    console.print(f"{name}: {ratio:.3f} (goal: at most {goal}, {mark(is_met=ratio <= goal)}); by CPU time {cpu:.3f}")
    return ratio <= goal


PARTS: dict[str, Callable[[Path, int], None]] = {
    "split": split_speed,
    "blastp": blastp,
    "blastx": blastx,
    "blastn": blastn,
    "peptides": peptides,
    "megablast": megablast,
    "large": large,
    "memory": memory,
    "early": early,
}


def parts(names: list[str]) -> Iterator[Callable[[Path, int], None]]:
    """Yield the parts asked for, all if none are."""
    for name in names or PARTS:
        if name not in PARTS:
            sys.exit(f"there is no benchmark {name!r}; choose from {', '.join(PARTS)}")
        yield PARTS[name]


def main() -> None:
    """Run the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which: {', '.join(PARTS)}; all if none")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, of which the median counts")
    arguments = parser.parse_args()
    collect_rarely()  # as each process of ours
    for part in parts(arguments.parts):
        directory = Path(tempfile.mkdtemp(prefix="multiblast-bench-"))
        try:
            part(directory, arguments.repeats)
        finally:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
