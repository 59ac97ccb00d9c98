"""Cost against size: reads of 150 bases against a small database, from a hundred to a million.

``python tests/benchmarks/bench_scale.py [SIZE ...] [--no-report]``; a million take a quarter of an hour. Each size is
measured by a process of its own, with an installation of its own, so that its peak of memory is that of the size. Own
CPU is ours without that of BLAST+'s programs, which run as processes of their own; plain BLAST+ is measured beside it.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench_data import console, print_goal
from rich.table import Table
from sqlmodel import Session

from multiblast.accounts import Requester
from multiblast.database import Database, utc_now
from multiblast.installation import Installation
from multiblast.molecules import Molecule
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.search.searched_job import RowChoice
from multiblast.services import Services
from multiblast.settings import Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database

_SIZES = (100, 10_000, 100_000, 1_000_000)
_SMALL = 10_000  # reads, with whose cost that of the largest size is compared
_OWN = ("submit_ms", "search_ms", "report_ms")
_LOCKS = ("submit_lock_s", "search_lock_s", "expiry_lock_s", "unlink_lock_s")
_READ_BASES, _SUBJECTS, _SUBJECT_BASES = 150, 20, 10_000
_ERRORS = 0.02
_ME = Requester("bench")
_ROWS = {
    "plain_s": "plain, CPU s", "submit_ms": "submit, ms", "search_ms": "search, ms", "report_ms": "report, ms",
    "memory_mb": "searching, MB", "report_mb": "with report, MB", "database_bytes": "database, bytes",
    "plan_s": "known plan, CPU s", "submit_lock_s": "submit lock, CPU s", "search_lock_s": "search lock, CPU s",
    "expiry_lock_s": "expiry lock, CPU s", "unlink_lock_s": "unlink lock, CPU s", "expiry_ms": "expiry, ms",
    "peak_mb": "at most, MB", "status_s": "status, s", "page_s": "page, s",
}  # fmt: skip


class _TimedDatabase(Database):
    """A job database that knows how long its longest transaction was, in seconds of CPU: others may use the machine."""

    longest_s = 0.0

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a transaction, and time it from when it has its lock."""
        with super().write() as session:
            since = time.thread_time()
            yield session
        self.longest_s = max(self.longest_s, time.thread_time() - since)

    def lock_s(self) -> float:
        """Return how long the longest was since the last call."""
        longest, self.longest_s = self.longest_s, 0.0
        return longest


def _write_data(root: Path, size: int) -> Path:
    """Build the database below a targets root, and write reads with some errors; return their file."""
    generator = random.Random(size)
    subjects = ["".join(generator.choices("ACGT", k=_SUBJECT_BASES)) for _ in range(_SUBJECTS)]
    place = root / "demo" / "reads" / "blast"
    place.mkdir(parents=True)
    (root / "subjects.fasta").write_text("".join(f">NC_{n:06}.1 s\n{one}\n" for n, one in enumerate(subjects)))
    build_database(root / "subjects.fasta", place, "genome", molecule=Molecule.NUCLEOTIDE)
    reads = root / "reads.fasta"
    with reads.open("w") as file:
        for number in range(size):
            subject, start = generator.choice(subjects), generator.randrange(_SUBJECT_BASES - _READ_BASES)
            read = bytearray(subject[start : start + _READ_BASES], "ascii")
            for place_of_error in generator.sample(range(_READ_BASES), int(_ERRORS * _READ_BASES)):
                read[place_of_error] = generator.choice(b"ACGT")
            file.write(f">read_{number:07}\n{read.decode()}\n")
    return reads


def _cpu_s(work: Callable[[], Any], who: int = resource.RUSAGE_SELF) -> tuple[float, Any]:
    before = resource.getrusage(who)
    done = work()
    after = resource.getrusage(who)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def _wall_s(work: Callable[[], Any]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure(size: int, *, reports: bool) -> dict[str, float]:
    """Measure one size in this process."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        home = Path(name)
        reads = _write_data(home / "targets", size)
        database = _TimedDatabase(f"sqlite:///{home / 'jobs.sqlite'}")
        limits = QueryLimits(sequences=0, query_bytes=0, results=0)
        places = (LocalStore(home / "store"), Installation(cores=1), Targets(home / "targets"))
        services = Services(database, *places, limits, Policy())
        empty = _database_bytes(database)
        found: dict[str, float] = {}
        submission = read_submission(query_file=reads, program="blastn", targets=["demo/reads/genome"], user=_ME.owner)
        submit, recorded = _cpu_s(lambda: services.queries.submit(_ME, submission))
        run = services.queries.run(recorded.job_id)
        run.listed = 1
        found["submit_lock_s"] = database.lock_s()
        search, _ = _cpu_s(run.execute)
        found |= {"submit_ms": 1000 * submit / size, "search_ms": 1000 * search / size, "memory_mb": _memory_mb()}
        found |= {"search_lock_s": database.lock_s(), "database_bytes": (_database_bytes(database) - empty) / size}
        found["plan_s"], _ = _cpu_s(services.queries.run(recorded.job_id).plan)
        found["status_s"] = _wall_s(lambda: services.queries.statuses(_ME, [recorded.job_id]))
        found["page_s"] = _wall_s(lambda: services.queries.rows(_ME, recorded.job_id, RowChoice()))
        if reports:
            report_id = services.reports.submit(_ME, recorded.job_id, Formatting.read("6"))
            report, _ = _cpu_s(services.reports.run(report_id).execute)
            found |= {"report_ms": 1000 * report / size, "report_mb": _memory_mb()}
        database.lock_s()
        services.queries.unlink(_ME, recorded.job_id)
        found["unlink_lock_s"] = database.lock_s()
        expiry, expired = _cpu_s(lambda: services.expiry.run(utc_now() + timedelta(days=100)))
        found |= {"expiry_lock_s": database.lock_s(), "expiry_ms": 1000 * expiry / size, "peak_mb": _memory_mb()}
        if expired.results == 0 or expired.errors:
            raise SystemExit(f"nothing expired: {expired.errors}")
        plain = ["blastn", "-query", str(reads), "-db", str(home / "targets/demo/reads/blast/genome"), "-outfmt", "6"]
        command = [*plain, "-out", str(home / "plain.tsv")]
        found["plain_s"], _ = _cpu_s(lambda: subprocess.run(command, check=True), resource.RUSAGE_CHILDREN)
        database.close()
        return found


def _database_bytes(database: Database) -> int:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        # Free pages, such as those of leases that were given back, are used again.
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size


def main() -> None:
    """Measure the sizes given, and print a table; all costs of CPU and space are those of one sequence."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(_measure(int(sys.argv[2]), reports="--no-report" not in sys.argv)))  # noqa: T201 - to a pipe
        return
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    sizes = [int(argument) for argument in sys.argv[1:] if not argument.startswith("-")] or list(_SIZES)
    measured: dict[int, dict[str, float]] = {}
    for size in sizes:
        command = [sys.executable, __file__, "--measure", str(size), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        measured[size] = found = json.loads(done.stdout.splitlines()[-1])
        console.print(f"{size:,}: {found}")
    table = Table("", *(f"{size:,}" for size in measured), title="Cost of a sequence against the size of its job")
    for name, title in _ROWS.items():
        table.add_row(title, *(f"{found[name]:.3g}" if name in found else "" for found in measured.values()))
    console.print(table)
    _print_goals(measured)


def _print_goals(measured: dict[int, dict[str, float]]) -> None:
    """Print whether the largest size costs what it may."""
    size = max(measured)
    found = measured[size]
    print_goal(f"{size:,} reads, memory at most", found["peak_mb"], 300, "MB")
    print_goal("  job database, of each read", found["database_bytes"], 300, "bytes")
    print_goal("  plan of what is known", found["plan_s"], 60, "s of CPU")
    print_goal("  longest transaction", max(found[name] for name in _LOCKS), 0.2, "s of CPU")
    if size > _SMALL and _SMALL in measured:
        whole, small = ([one[name] for name in _OWN if name in one] for one in (found, measured[_SMALL]))
        print_goal(f"  own cost of a read, to that among {_SMALL:,}", sum(whole) / sum(small), 1.3)


if __name__ == "__main__":
    main()
