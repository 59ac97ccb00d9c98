"""The computing time of commands, and of many databases: ``make bench``. Medians of five, after a first run of each."""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from multiblast.targets.makeblastdb import build_database

ROOT = Path(__file__).resolve().parents[2]
PROTEINS, NUCLEOTIDES = (ROOT / "examples" / "data" / f"{name}_query.fasta" for name in ("protein", "nucleotide"))
LARGE_LETTERS = 1_000_000  # of a query that is no small search, but of which BLAST+ takes a tenth of a second
REPEATS, DATABASES = 5, 2000
SCAN = """
import sys
from pathlib import Path
from multiblast.targets import Targets
Targets(Path(sys.argv[1])).databases()
"""
FLOW = {"MULTIBLAST_TASK_RUNNER": "prefect.task_runners.ThreadPoolTaskRunner"}  # with one, each search is a run


def cpu_s(command: list[str], environment: Mapping[str, str], directory: Path) -> float:
    """Run a command; return its computing time, with that of its children, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, cwd=directory, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def many(directory: Path) -> Path:
    """Make a root with thousands of databases, all the same."""
    build_database(PROTEINS, directory / "one", "db", molecule="protein", title="Twelve proteins")
    for number in range(DATABASES):
        place = directory / f"many/S{number % 5}/t{number:04}/blast"
        place.mkdir(parents=True)
        for file in (directory / "one").iterdir():
            os.link(file, place / file.name)
    return directory / "many"


def main() -> None:
    """Print the computing time of each command beside its goal."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        home, root = directory / "home", many(directory)
        build_database(PROTEINS, home / "targets/A/t/blast", "db", molecule="protein", title="Twelve proteins")
        build_database(NUCLEOTIDES, home / "targets/A/n/blast", "db", molecule="nucleotide", title="Twelve nucleotides")
        (directory / "one.fasta").write_bytes(b">" + PROTEINS.read_bytes().split(b">")[1])
        letters = "".join(random.Random(1).choices("ACGT", k=LARGE_LETTERS))
        (directory / "large.fasta").write_text(f">large\n{letters}\n")
        own = {key: text for key, text in os.environ.items() if not key.startswith(("PREFECT_", "MULTIBLAST_"))}
        environment = {**own, "MULTIBLAST_HOME": str(home)}
        command = [str(Path(sys.executable).with_name("multiblast"))]
        search = [*command, "search", "one.fasta", "--target", "A/t/db"]
        large = [*command, "search", "large.fasta", "--target", "A/n/db", "--program", "blastn"]
        measured: list[tuple[str, list[str], float, Mapping[str, str]]] = [
            ("multiblast --help", [*command, "--help"], 0.4, {}),
            ("multiblast targets", [*command, "targets"], 0.4, {}),
            ("multiblast jobs list", [*command, "jobs", "list"], 0.4, {}),
            ("multiblast jobs --help", [*command, "jobs", "--help"], 0.4, {}),
            (f"scan of {DATABASES:,} databases", [sys.executable, "-c", SCAN, str(root)], 1, {}),
            (f"targets, {DATABASES:,} databases", [*command, "targets", "--targets-root", str(root)], 0.5, {}),
            ("search of one sequence, no server", search, 4, {}),
            ("search that is not small, no server", large, 4, {}),
            ("search as a run of Prefect's", search, 4, FLOW),
        ]
        for name, words, goal_s, more in measured:
            times = []
            for number in range(REPEATS + 1):
                # Another option each time, so that nothing is known.
                varied = [*words, "--option", f"evalue=0.{len(name)}{number + 1}"] if "search" in words else words
                times.append(cpu_s(varied, {**environment, **more}, directory))
            first, median = times[0], statistics.median(times[1:])
            sys.stdout.write(f"{name}: {median:.2f} CPU-s (goal: at most {goal_s:g}; the first time {first:.2f})\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
