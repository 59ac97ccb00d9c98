"""Many submissions queued at once by many users: how fast they are taken, whether any is lost, what they cost.

``python tests/benchmarks/bench_queue.py --submissions 1000 --users 20`` starts a server on PostgreSQL, queues all
as the UI does, and then runs them in this process, in the order in which a worker would get them, for as long as
``--limit`` says. With ``--sqlite`` the server is the one of ``make up``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from deployments.own_servers import OwnServers
from deployments.processes import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--run", type=int, default=0, help="how many of them are then run; 0: all")
    parser.add_argument("--limit", type=float, default=900, help="for how many seconds they are run, at most")
    parser.add_argument("--sqlite", action="store_true", help="the server keeps its runs in SQLite")
    chosen = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="multiblast-queue-"))
    os.environ.update({"MULTIBLAST_HOME": str(home), "MULTIBLAST_CHECKOUT": str(ROOT), "HOME": str(home)})
    os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
    try:
        with server(sqlite=chosen.sqlite) as api_url:
            os.environ["PREFECT_API_URL"] = api_url
            subprocess.run([sys.executable, "-m", "deployments", "register"], cwd=ROOT, check=True)
            from multiblast.targets.makeblastdb import build_database

            place = home / "targets" / "demo" / "examples" / "blast"
            build_database(EXAMPLES / "proteins.fasta.gz", place, "proteins", molecule="protein")
            to_run = chosen.run or chosen.submissions
            asyncio.run(measure(chosen.submissions, chosen.users, to_run, chosen.limit))
            report(home, chosen.submissions)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def server(*, sqlite: bool) -> Iterator[str]:
    """Run a Prefect server on a PostgreSQL of its own, or on SQLite."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] % 20_000 + 20_000
    postgres = None
    if not sqlite:
        own = OwnServers("127.0.0.1", port)
        postgres = own.start_postgres()
        wait_until(own.has_databases, postgres)
        os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = own.database_url("+asyncpg", "prefect")
        os.environ["BENCH_DATABASE"] = own.database_url("", "prefect")
    with subprocess.Popen(
        [sys.executable, "-m", "deployments", "server", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}/api"
        finally:
            process.terminate()
            process.wait()
            if postgres:
                postgres.stop()


async def measure(submissions: int, users: int, to_run: int, limit_s: float) -> None:
    from prefect.client.orchestration import get_client

    from deployments import environment

    environment.apply()
    records = (EXAMPLES / "protein_query.fasta").read_text().split(">")[1:]
    chance = random.Random(5)
    before = size()
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("submit-query/submit-query")
        began, queued = time.monotonic(), dict[Any, str]()
        for number in range(submissions):  # each user's at once, one user after another
            user = f"user-{number * users // submissions:02}"
            query = "".join(f">{record}" for record in chance.sample(records, 3))
            parameters = {"query": query, "targets": ["demo/examples/proteins"], "user": user}
            run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters, tags=["bench"])
            queued[run.id] = user
        seconds = time.monotonic() - began
        grown = size()
        say(f"queued {submissions} in {seconds:.0f} s: {60 * submissions / seconds:,.0f} a minute")
        say(f"the server's database grew by {(grown - before) / submissions:,.0f} B each")
        waiting = await client.count_flow_runs(flow_run_filter=of_bench())
        say(f"{waiting} of them wait in the server")
        began = time.monotonic()
        ended = await run_first(client, queued, to_run, began + limit_s)
        seconds = time.monotonic() - began
        say(f"ran {dict(ended)} in {seconds:.0f} s: {60 * ended.total() / seconds:,.0f} a minute")
        await asyncio.sleep(3)  # task runs are recorded a moment later
        after = size()
        say(f"the server's database grew by {(after - grown) / ended.total():,.0f} B each")
        left = await client.count_flow_runs(flow_run_filter=of_bench())
        say(f"{left} still wait in the server, {submissions - ended.total() - left} are lost")


async def run_first(client: Any, queued: dict[Any, str], count: int, until: float) -> Counter[str]:
    """Run the first of what is queued, in the server's order and for so long, and count how they ended."""
    from prefect.flow_engine import run_flow_async
    from prefect.flows import load_flow_from_entrypoint
    from prefect.states import Pending

    flow = load_flow_from_entrypoint("flows/submit_query.py:submit_query", use_placeholder_flow=False)
    ended: Counter[str] = Counter()
    while True:
        due = await client.get_scheduled_flow_runs_for_work_pool("search", ["interactive"], scheduled_before=None)
        due = [found.flow_run for found in due if found.flow_run.id in queued]
        if not due:
            return ended
        for run in due:
            if ended.total() == count or time.monotonic() > until:
                return ended
            await client.set_flow_run_state(run.id, Pending())
            state = await run_flow_async(
                flow, flow_run=await client.read_flow_run(run.id), parameters=run.parameters, return_type="state"
            )
            ended[state.type.value] += 1


def of_bench() -> Any:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.filters import FlowRunFilterTags as Tags
    from prefect.client.schemas.objects import StateType

    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    return FlowRunFilter(tags=Tags(all_=["bench"]), state=state)


def report(home: Path, submissions: int) -> None:
    from sqlmodel import func, select

    from multiblast.database import BatchRun, Database, Lease, Link, QueryJob

    database = Database(f"sqlite:///{home / 'jobs.sqlite'}")
    with database.read() as session:
        jobs = dict(session.exec(select(QueryJob.status, func.count()).group_by(QueryJob.status)).all())
        links = session.exec(select(func.count(func.distinct(Link.owner)))).one()
        searched = session.exec(select(func.coalesce(func.sum(BatchRun.sequences), 0))).one()
        leases = session.exec(select(func.count()).select_from(Lease)).one()
    database.close()
    say(f"jobs by status: {jobs}; users with a job: {links}; sequences searched: {searched}; leases left: {leases}")
    say(f"of {submissions} submissions of 3 sequences each")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def size() -> int:
    """Return the bytes of the server's database."""
    if "BENCH_DATABASE" not in os.environ:
        return sum(
            file.stat().st_size for file in (Path(os.environ["MULTIBLAST_HOME"]) / "prefect").glob("prefect.db*")
        )
    with psycopg.connect(os.environ["BENCH_DATABASE"]) as connection:
        row = connection.execute("SELECT pg_database_size('prefect')").fetchone()
    assert row
    return int(row[0])


if __name__ == "__main__":
    main()
