"""The page of a large job in a browser: ``python tests/benchmarks/bench_pages.py [QUERIES [HITS]]``.

One sequence is searched in a database of its relatives, and its result is kept for all sequences of the job in the way
in which results of searches are kept. Times are from the request to the page that is painted.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
from bench_html import _BROWSER_ARGUMENTS, _mutants
from bench_http import EXAMPLES, _running
from playwright.sync_api import Page, sync_playwright

from multiblast.archive import split
from multiblast.database import in_portions
from multiblast.results.holders import new_holder
from multiblast.results.packs import PackWriter
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.http_service import config
from tests.support.servers import free_ports

_LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def main() -> None:
    given = [int(word) for word in sys.argv[1:3]]
    queries, hits = given + [10_000, 500][len(given) :]
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as name:
        home = Path(name)
        os.environ["MULTIBLAST_HOME"] = str(home)
        started = time.monotonic()
        job = _job(home, queries, hits)
        _say(f"{queries:,} sequences of {hits} hits each, recorded in {time.monotonic() - started:.0f} s")
        [port] = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        serve = [sys.executable, "-m", "deployments", "web", "--port", str(port)]
        with _running(serve, f"{url}/query/targets") as process:
            httpx.get(f"{url}/jobs/{job}", timeout=60).raise_for_status()  # so that its templates are compiled
            before = process.memory_info().rss
            _say(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_BROWSER_ARGUMENTS)
                page = browser.new_page(base_url=url, viewport={"width": 1280, "height": 900})
                _open(page, process, "first view", f"/jobs/{job}")
                for what, address in (
                    ("last rows", f"first={queries - 49}"),
                    ("sorted by E-value", "sort=evalue"),
                    ("filtered by a name", "find=q77"),
                    ("filtered by a best hit", "find=mutant7"),
                    ("those without hits", "only=none"),
                ):
                    _open(page, process, what, f"/jobs/{job}?{address}")
                _open(page, process, "hits of one sequence", f"/jobs/{job}/sequences/77", "#query tr.row")
                page.mouse.wheel(0, 5000)
                pages = range(1, queries, max(50, queries // 50))
                for first in pages:
                    page.request.get(f"/jobs/{job}?first={first}&find=q")
                browser.close()
            grown = process.memory_info().rss - before
            _say(f"server: {grown >> 20} MiB more after {len(pages)} further pages, of {before >> 20} MiB")


def _job(home: Path, queries: int, hits: int) -> str:
    rng = random.Random(20)
    sequence = next(s for s in read_fasta(EXAMPLES / "proteins.fasta.gz") if 250 < s.length < 400)
    fasta, archive = home / "mutants.fasta", home / "archive.asn1"
    fasta.write_bytes(b"".join(_mutants(sequence, hits, rng)))
    place = home / "targets" / "demo" / "examples" / "blast"
    database = build_database(fasta, place, "proteins", molecule="protein")
    (home / "query.fasta").write_bytes(sequence.canonical)
    command = ["blastp", "-query", str(home / "query.fasta"), "-db", str(database), "-outfmt", "11"]
    subprocess.run([*command, "-max_target_seqs", str(hits), "-out", str(archive)], check=True)
    with archive.open("rb") as stream:
        [part] = split(stream)
    services = Services.embedded()
    core = sequence.canonical.decode().partition("\n")[2].replace("\n", "")
    texts = (f">q{number} made up\n{core}{''.join(rng.choices(_LETTERS, k=12))}\n" for number in range(queries))
    who = services.accounts.requester("")
    job_id = services.queries.create(who, config("".join(texts), maxTargetSequences=hits)).query_job_id
    job, holder = services.queries.jobs.query(job_id), new_holder()
    children = list(services.queries.jobs.children(job))
    for some in in_portions(children, 500):
        services.queries.results.claim([child.result_key for child in some], holder)
        with PackWriter(services.store) as pack:
            for child in some:
                pack.add(child.result_key, part.archive)
            named = [replace(part.summary, best_hit=f"mutant{child.position % 89}") for child in some]
            services.queries.results.add(pack, named, holder)
    services.queries.run(job_id).execute()
    services.database.close()
    return job_id


def _open(page: Page, server: psutil.Process, what: str, address: str, awaited: str = "tbody tr, .status") -> None:
    started, cpu = time.monotonic(), sum(server.cpu_times()[:2])
    page.goto(address)
    page.wait_for_selector(awaited)
    seconds, computing = time.monotonic() - started, sum(server.cpu_times()[:2]) - cpu
    _say(f"{what}: {1000 * seconds:,.0f} ms, of which the server computed {1000 * computing:,.0f} ms")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
