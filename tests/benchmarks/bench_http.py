"""The speed of the HTTP service: ``make bench``.

Reads with 50 clients beside a plain FastAPI "hello" in the same run; a submission of which everything is
known, from POST to the bytes of a report; one new sequence, and 20 people's at once, from POST to the page with the
hits, beside plain BLAST+; 1 000 clients that wait; and the command line, alone and beside `make up`. All in processes
of their own on this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx
import psutil

from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.http_service import config
from tests.support.servers import free_ports

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "data"
CLIENTS, SECONDS, WAITING, PEOPLE = 50, 5.0, 1000, 20
_HELLO = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
def hello():
    return {"hello": "world"}
uvicorn.run(app, port=int(sys.argv[1]), access_log=False)
"""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-http-") as name:
        home = Path(name)
        os.environ["MULTIBLAST_HOME"] = str(home)
        place = home / "targets" / "demo" / "examples" / "blast"
        build_database(EXAMPLES / "proteins.fasta.gz", place, "proteins", molecule="protein")
        services = Services.embedded()
        token = services.accounts.tokens.make("ann", "bench")
        ann = services.accounts.requester("ann")
        [*sequences] = islice(read_fasta(EXAMPLES / "proteins.fasta.gz"), 500)
        fasta = [sequence.canonical.decode() for sequence in sequences]
        known = services.queries.create(ann, config("".join(fasta), maxTargetSequences=5)).query_job_id
        services.queries.run(known).execute()
        single = services.queries.create(ann, config(fasta[0], maxTargetSequences=5)).query_job_id
        services.queries.begin(single)
        for number in range(100):  # for the list
            services.queries.create(ann, config(fasta[number], maxTargetSequences=5))
        hello_port, port = free_ports(2)
        serve = [sys.executable, "-m", "deployments", "web", "--port", str(port)]
        hello = [sys.executable, "-c", _HELLO, str(hello_port)]
        with (
            _running(hello, f"http://127.0.0.1:{hello_port}/"),
            _running(serve, f"http://127.0.0.1:{port}/query/targets") as process,
        ):
            children = services.queries.jobs.children(services.queries.jobs.query(known))
            _reads(hello_port, port, token, single, [child.job_id for child in children])
            _submissions(port, token, fasta)
            _people(port, token, place / "proteins")
            _waiting(port, token, process)
        (home / "one.fasta").write_text(fasta[0])
        _commands(home)


def _reads(hello_port: int, port: int, token: str, single: str, ids: list[str]) -> None:
    thousand = json.dumps((ids * 2)[:1000]).encode()
    plain = _load(hello_port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    authorization = f"Authorization: Bearer {token}\r\n"
    for name, first, body in (
        ("job details", f"GET /query/jobs/{single}", b""),
        ("list of 100", "GET /query/jobs?count=100", b""),
        ("1 000 statuses", "POST /query/statuses", thousand),
    ):
        head = f"{first} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: {len(body)}\r\n\r\n"
        rate, p99 = _load(port, head.encode() + body)
        _say(f"{name}: {rate:,.0f} a second, p99 {p99 * 1000:.0f} ms; {rate / plain[0]:.2f} of hello")
    _say(f"plain FastAPI hello: {plain[0]:,.0f} a second, p99 {plain[1] * 1000:.0f} ms")


def _load(port: int, request: bytes) -> tuple[float, float]:
    """Return requests a second of all clients together, and the time that 99 in 100 take at most."""
    times: list[float] = []

    async def client(end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            started = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            times.append(time.monotonic() - started)
        writer.close()

    async def clients() -> None:
        end = time.monotonic() + SECONDS
        await asyncio.gather(*(client(end) for _ in range(CLIENTS)))

    asyncio.run(clients())
    times.sort()
    return len(times) / SECONDS, times[int(len(times) * 0.99)]


def _submissions(port: int, token: str, fasta: list[str]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}) as client:
        for count, goal in ((1, 0.15), (500, 2.0)):
            best = min(_submission(client, fasta[:count], f"{count}-{number}") for number in range(3))
            _say(f"known submission of {count}: {best:.2f} s from POST to the bytes of a report (goal {goal} s)")


def _submission(client: httpx.Client, fasta: list[str], title: str) -> float:
    """Submit known sequences under new titles, so that the job is new."""
    query = "".join(text.replace(">", f">{title} ", 1) for text in fasta)
    started = time.monotonic()
    job = client.post("/query/jobs", json=config(query, maxTargetSequences=5), timeout=60).json()["queryJobID"]
    request = {"queryJobID": job, "blastConfig": {"formatType": 6}}
    report = client.post("/report/jobs", json=request).json()["reportJobID"]
    client.get(f"/report/jobs/{report}", headers={"Prefer": "wait=30"}, timeout=60)
    client.get(f"/report/jobs/{report}/files/report.tsv").raise_for_status()
    return time.monotonic() - started


def _people(port: int, token: str, database: Path) -> None:
    """Say how long people wait for the page with the hits of one new or known sequence, alone and at once."""
    new = [f">{number}\n{''.join(random.choices('ACDEFGHIKLMNPQRSTVWY', k=300))}\n" for number in range(PEOPLE + 4)]
    blast = min(_timed(lambda text=text: _plain(text, database)) for text in new[:3])  # type: ignore[misc]  # bound here
    alone = min(_timed(lambda text=text: _page(port, token, text)) for text in new[:3])  # type: ignore[misc]  # as above
    known = min(_timed(lambda: _page(port, token, new[0])) for _ in range(3))
    with ThreadPoolExecutor(PEOPLE) as people:
        last = _timed(lambda: list(people.map(lambda text: _page(port, token, text), new[4:])))
    command = [str(Path(sys.executable).with_name("multiblast")), "--help"]
    help_s = min(_timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(3))
    load = os.getloadavg()[0]
    _say(f"one new sequence: {alone:.2f} s from POST to the page with its hits (goal 2.0 s + {blast:.2f} s of blastp)")
    _say(f"the same again: {known:.2f} s (goal 0.5 s); multiblast --help: {help_s:.2f} s (goal 0.4 s)")
    _say(f"{PEOPLE} people at once: {last:.1f} s until the last has the page (goal 15 s); load {load:.1f}")


def _commands(home: Path) -> None:
    """Say what a known sequence and its report take at the command line; ``make up`` runs for it."""
    report = ["report", "", "--format", "6", "--out", str(home / "out")]
    search = ["search", str(home / "one.fasta"), "--target", "demo/examples/proteins", *report[2:]]
    up, [port] = [sys.executable, "-m", "deployments"], free_ports(1)
    subprocess.run([*up, "up", "--port", str(port)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    try:
        first = _command([*search, "--json"])
        report[1] = json.loads(first[0])["job"]["job_id"]
        best = min((_command(search)[1:] for _ in range(3)), key=lambda took: took[1])
    finally:
        subprocess.run([*up, "down"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    _say(f"multiblast search of it with its report: {best[0]:.2f} s, {best[1]:.2f} of a core (goal 1.5 s)")
    other = [*report[:-1], str(home / "titles"), "--fields", "std stitle"]
    new, again = _command(other)[1:], _command(report)[1:]
    _say(f"multiblast report without a server: new {new[0]:.2f} s, {new[1]:.2f} of a core; again {again[1]:.2f}")


def _command(words: list[str]) -> tuple[str, float, float]:
    """Run a command; return what it prints, and the seconds and the seconds of a core that it took."""
    started, before = time.monotonic(), os.times()
    command = [str(Path(sys.executable).with_name("multiblast")), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return done.stdout, time.monotonic() - started, cpu


def _plain(query: str, database: Path) -> None:
    command = ["blastp", "-db", str(database), "-outfmt", "11"]
    subprocess.run(command, input=query.encode(), stdout=subprocess.DEVNULL, check=True)


def _page(port: int, token: str, query: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
        job = client.post("/query/jobs", json=config(query)).raise_for_status().json()["queryJobID"]
        page = client.get(f"/jobs/{job}", headers={"Prefer": "wait=100"}).raise_for_status()
        assert 'id="query-1-data"' in page.text


def _timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _waiting(port: int, token: str, process: psutil.Process) -> None:
    base, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}
    new = config(">new\n" + "MKVLAAGIVGKVLLLPWQRTYDEN" * 5)
    job = httpx.post(f"{base}/query/jobs", json=new, headers=headers).json()["queryJobID"]
    head = f"GET /query/jobs/{job} HTTP/1.1\r\nHost: localhost\r\n"
    request = f"{head}Authorization: Bearer {token}\r\nPrefer: wait=15\r\n\r\n"
    before, threads = process.memory_info().rss, process.num_threads()

    async def wait() -> None:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(WAITING)]
        for _, writer in connections:
            writer.write(request.encode())
        await asyncio.sleep(6)
        spent, at = sum(process.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(4)
        cpu = (sum(process.cpu_times()[:2]) - spent) / (time.monotonic() - at)
        grown, more = process.memory_info().rss - before, process.num_threads() - threads
        _say(f"{WAITING:,} clients that wait: {grown >> 20} MiB more, {more} threads more, {cpu:.0%} of a core")
        heads = await asyncio.gather(*(reader.readuntil(b"\r\n") for reader, _ in connections))
        assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
        for _, writer in connections:
            writer.close()

    asyncio.run(wait())


@contextmanager
def _running(command: list[str], url: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                httpx.get(url).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
