"""What a service does with several workers and S3, as ratios: ``python tests/benchmarks/bench_service.py [PART…]``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

sys.path.append(str(Path(__file__).resolve().parents[1] / "chaos"))

from bench import CORES, Bench, _ratio, _timed, console
from servers import BUCKET, S3

from multiblast.accounts import Requester
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.stores.base import CHUNK_BYTES
from tests.benchmarks.bench_data import proteins

_WORKER = """
import os, sys, time
from pathlib import Path
from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
home, targets, job, part, of = sys.argv[1:]
services = Services(Database(f"sqlite:///{home}/jobs.sqlite"), LocalStore(f"{home}/store"), Installation(cores=1),
                    Targets(Path(targets)), QueryLimits(sequences=0, query_bytes=0))
plan = services.queries.run(job).plan_part(int(part), int(of))
print("ready", flush=True)
sys.stdin.readline()
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(part) % len(os.sched_getaffinity(0))]})
for batch in plan.to_run:
    services.queries.run(batch.job_id).search(batch)
"""
_OBJECT_BYTES = 256 << 20
_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for.

    Attributes:
        repeats: Runs of each, of which the median counts.
        sequences: How many two workers and one search.
        limit_s: How long workers may take in one run.
    """

    repeats: int
    sequences: int
    limit_s: float


def workers(directory: Path, asked: Asked) -> None:
    """500 proteins, cold: by one worker with one core, and by two."""
    queries, database = proteins(directory)
    bench = Bench(directory, "blastp", database, queries[: asked.sequences])
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(asked.repeats):
        for count, seconds in times.items():
            seconds.append(_by_workers(bench, count, asked.limit_s))
    one, two = (statistics.median(seconds) for seconds in times.values())
    gain, count, load = one / two, len(bench.queries), os.getloadavg()[0]
    console.print(f"two workers to one, cold, {count} sequences: {gain:.2f} times as fast (goal: at least 1.8)")
    console.print(f"  {one:.0f} s and {two:.0f} s, on {CORES} cores with a load of {load:.1f} at the end")


def _by_workers(bench: Bench, count: int, limit_s: float) -> float:
    services = bench.services()
    job = _record(bench, services, bench.queries)
    run = services.queries.run(job)
    run.start(run.plan())
    home = bench.directory / f"run-{bench.runs}"
    command = [sys.executable, "-c", _WORKER, home, bench.database.parents[3], job]
    started = [
        subprocess.Popen(
            [*map(str, command), str(part), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for part in range(count)
    ]
    limit = Timer(limit_s, lambda: [process.kill() for process in started])
    limit.start()
    try:
        for process in started:
            if not process.stdout or process.stdout.readline() != "ready\n":
                sys.exit(f"a worker was not ready within {limit_s:.0f} s")
        seconds = _timed(lambda: _go(started))
    finally:
        limit.cancel()
        for process in started:
            process.kill()
            process.communicate()
    if any(process.returncode for process in started):
        sys.exit(f"{count} workers were not done within {limit_s:.0f} s: ask for fewer --sequences")
    assert services.queries.left_to_search(job) == (0, 0)
    return seconds


def _go(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.wait()


def throughput(directory: Path, asked: Asked) -> None:
    """One object of 256 MiB, there and back: our store, and rclone, on the same S3 server."""
    directory.chmod(0o755)
    server = S3(directory)
    server.start()
    source, back = directory / "object", directory / "back"
    with source.open("wb") as file:
        for _ in range(_OBJECT_BYTES // CHUNK_BYTES):
            file.write(os.urandom(CHUNK_BYTES))
    key, secret = server.keys
    remote = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": server.endpoint, "ACCESS_KEY_ID": key}
    remote |= {"SECRET_ACCESS_KEY": secret, "FORCE_PATH_STYLE": "true"}
    environment = os.environ | {f"RCLONE_CONFIG_IT_{name}": value for name, value in remote.items()}
    rclone = [str(Path(sys.executable).with_name("rclone")), "copyto", "--config", os.devnull, "--ignore-times"]
    rclone += ["--s3-chunk-size", "8M", "--s3-upload-concurrency", "4"]
    store = server.store()

    def theirs(start: Path | str, end: Path | str) -> Callable[[], object]:
        return lambda: subprocess.run([*rclone, str(start), str(end)], env=environment, check=True)

    def put() -> None:
        with source.open("rb") as stream:
            store.put("ours", stream)

    def get() -> None:
        with store.open("ours") as stream, back.open("wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                file.write(chunk)

    try:
        ways = {"up": (put, theirs(source, f"it:{BUCKET}/theirs")), "down": (get, theirs(f"it:{BUCKET}/theirs", back))}
        for way, (ours, other) in ways.items():
            seconds = [(_timed(ours), _timed(other)) for _ in range(asked.repeats)]
            mine, rclones = (statistics.median(column) for column in zip(*seconds, strict=True))
            speed = _OBJECT_BYTES / 1e6 / mine
            console.print(f"S3 {way}: {speed:.0f} MB/s, {rclones / mine:.2f} of rclone's speed (goal: at least 0.8)")
    finally:
        server.kill()


def submissions(directory: Path, asked: Asked) -> None:
    """One known sequence, submitted again and again: what our part of a submission takes, without Prefect's."""
    queries, database = proteins(directory)
    bench = Bench(directory, "blastp", database, queries[:1])
    services = bench.services()
    bench.ours(services)
    count = 20 * asked.repeats
    seconds = _timed(lambda: [_whole(bench, services, 0) for _ in range(count)])
    console.print(f"submissions of one known sequence: {60 * count / seconds:,.0f} a minute, one after the other")


def memory(directory: Path, asked: Asked) -> None:  # noqa: ARG001 - one long run
    """A process that works off a thousand jobs of one sequence, a tenth of which must be searched."""
    queries, database = proteins(directory)
    bench = Bench(directory, "blastp", database, queries[: _JOBS // 10])
    services, resident = bench.services(), []
    for number in range(_JOBS):
        _whole(bench, services, number % len(bench.queries))
        if (number + 1) % (_JOBS // 10) == 0:
            resident.append(_resident_bytes())
    _ratio(f"memory after {_JOBS} jobs, to after {2 * _JOBS // 10}", [resident[-1]], [resident[1]], 1.05)
    console.print("  MB after each tenth: " + ", ".join(f"{size / 1e6:.0f}" for size in resident))


def _whole(bench: Bench, services: Services, number: int) -> None:
    services.queries.run(_record(bench, services, [bench.queries[number]])).execute()


def _record(bench: Bench, services: Services, queries: list) -> str:  # type: ignore[type-arg]  # of sequences
    query = "".join(sequence.canonical.decode() for sequence in queries)
    target = "/".join(part.name for part in (bench.database.parents[2], bench.database.parents[1], bench.database))
    submission = read_submission(query=query, program="blastp", targets=[target])
    return services.queries.submit(Requester(administrator=True), submission).job_id


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


PARTS: dict[str, Callable[[Path, Asked], None]] = {
    "workers": workers,
    "throughput": throughput,
    "submissions": submissions,
    "memory": memory,
}


def main() -> None:
    """Run the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all if none")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument(
        "--sequences", type=int, default=500, help="of the part workers, at most 500; fewer than some 200 are one batch"
    )
    parser.add_argument("--limit", type=float, default=600, help="seconds that workers may take in one run")
    chosen = parser.parse_args()
    asked = Asked(chosen.repeats, chosen.sequences, chosen.limit)
    for name in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="multiblast-bench-") as directory:
            started = time.monotonic()
            PARTS[name](Path(directory), asked)
            console.print(f"  ({name} took {time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
