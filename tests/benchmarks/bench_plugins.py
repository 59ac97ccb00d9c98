"""``make bench``: searches by DIAMOND and MMseqs2 against the plain programs, in the same run, as ratios."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from multiblast.search.plugins import find_plugins_by
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import PluginRules
from tests.benchmarks.bench import CORES, Bench, _ratio
from tests.benchmarks.bench_data import back_translated, many_proteins, proteins, shuffled
from tests.benchmarks.cpu_times import timed
from tests.support.search_plugins import PlainProgram

console = Console(highlight=False)
_COLD, _KNOWN = 1.15, 0.05


class _PluginBench(Bench):
    """Searches by plugins; without a sandbox, in which nobody counts the CPU time of a process."""

    def services(self) -> Services:
        """Return services that know nothing yet."""
        made = super().services()
        find_plugins_by(PluginRules(sandbox="none"))
        return made


def _bench(directory: Path, program: str, queries: list[Sequence], database: Path, repeats: int) -> None:
    bench = _PluginBench(directory, program, database, queries)
    target = next(one for one in bench.targets.databases() if one.path == database)
    os.environ["MULTIBLAST_HOME"] = str(directory / "home")
    plain = PlainProgram(program, target, directory / f"plain-{program}")
    first = bench.ours(bench.services(), queries[:1])  # makes the database, once for all
    console.print(f"{program}: a search of one sequence, with the making of its database: {first:.2f} s")
    times: dict[str, list[float]] = {"plain": [], "cold": [], "known": []}
    for number in range(repeats):
        times["plain"].append(timed(lambda: plain.rows(queries, threads=CORES)))
        services = bench.services()
        times["cold"].append(bench.ours(services))
        times["known"].append(bench.ours(services, shuffled(queries, number)))
    seconds = statistics.median(times["plain"])
    console.print(f"  plain, {len(queries):,} sequences: {seconds:.2f} s")
    _ratio(f"{program} {len(queries)} x {target.sequences:,}, cold, to plain", times["cold"], times["plain"], _COLD)
    _ratio("  fully known, shuffled and renamed, to cold", times["known"], times["cold"], _KNOWN)


def diamond(directory: Path, repeats: int) -> None:
    """500 proteins, and as many coding sequences, against 200 000: of fewer, a search is over before it begins."""
    queries, database = many_proteins(directory, 9)
    _bench(directory, "diamond-blastp", queries, database, repeats)
    coding = [Sequence(one.defline, back_translated(one.residues)) for one in queries]
    _bench(directory, "diamond-blastx", coding, database, repeats)


def mmseqs(directory: Path, repeats: int) -> None:
    """500 proteins against 20 000."""
    queries, database = proteins(directory)
    _bench(directory, "mmseqs-search", queries, database, repeats)


PARTS: dict[str, Callable[[Path, int], None]] = {"diamond": diamond, "mmseqs": mmseqs}


def main() -> None:
    """Run the parts named on the command line, of those whose programs are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which: {', '.join(PARTS)}; all if none")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, of which the median counts")
    arguments = parser.parse_args()
    for name in arguments.parts or PARTS:
        if name not in PARTS:
            sys.exit(f"there is no benchmark {name!r}; choose from {', '.join(PARTS)}")
        if not shutil.which(name):
            console.print(f"{name} is not installed: it was not measured")
            continue
        directory = Path(tempfile.mkdtemp(prefix="multiblast-bench-"))
        place = os.environ.get("MULTIBLAST_HOME")
        try:
            PARTS[name](directory, arguments.repeats)
        finally:
            shutil.rmtree(directory)
            os.environ.pop("MULTIBLAST_HOME", None)
            if place is not None:
                os.environ["MULTIBLAST_HOME"] = place


if __name__ == "__main__":
    main()
