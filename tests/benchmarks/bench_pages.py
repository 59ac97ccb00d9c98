"""The page of a large job in a browser: ``python tests/benchmarks/bench_pages.py [QUERIES [HITS]]``.

One sequence is searched in a database of its relatives, and its result is kept for all sequences of the job in the way
in which results of searches are kept. Times are from the request to the page that is painted, or from a click to
what is painted then.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
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
                _overview(page)
                for what, address in (
                    ("last rows", f"first={queries - 49}"),
                    ("sorted by E-value", "sort=evalue"),
                    ("filtered by a name", "find=q77"),
                    ("filtered by a best hit", "find=mutant7"),
                    ("those without hits", "only=none"),
                ):
                    _open(page, process, what, f"/jobs/{job}?{address}")
                _open(page, process, "hits of one sequence", f"/jobs/{job}/sequences/77", "#query tr.row")
                _hits(page, hits)
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
            named = [part.summary._replace(best_hit=f"mutant{child.position % 89}") for child in some]
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


def _changed(page: Page, what: str, action: str, awaited: str) -> None:
    """Say how long it takes from an action in the page until its outcome is painted."""
    milliseconds = page.evaluate(
        f"""async () => {{
            const all = (selector) => [...document.querySelectorAll(selector)];
            const type = (field, value) => {{
                field.value = value; field.dispatchEvent(new Event("input", {{ bubbles: true }}));
            }};
            const started = performance.now(), frame = () => new Promise(requestAnimationFrame);
            {action};
            while (!({awaited}) && performance.now() - started < 20000) await frame();
            await frame(); await frame();
            return performance.now() - started;
        }}"""
    )
    _say(f"  {what}: {milliseconds:,.0f} ms")


def _overview(page: Page) -> None:
    """Filter and sort the sequences of the job."""
    first = "all('#overview tbody a.name')[0]?.textContent"
    _changed(page, "found as it is typed", "type(all('#find')[0], 'q77')", f"{first} === 'q77'")
    _changed(page, "all again", "type(all('#find')[0], '')", f"{first} === 'q0'")
    _changed(page, "sorted by hits", "all('#overview thead a')[3].click()", "all('th[aria-sort=descending]').length")


def _hits(page: Page, hits: int) -> None:
    """Sort, filter and scroll the hits of one sequence, the first hundred of them with their alignments."""
    rows, find = "all('#query tr.row').length", "all('#query input[type=search]')[0]"
    _changed(page, "sorted by title", "all('#query thead button')[2].click()", "true")
    _changed(page, "filtered", f"type({find}, 'mutant7')", f"{rows} < {min(hits, 100)}")
    _changed(page, "all again", f"type({find}, '')", f"{rows} >= {min(hits, 100)}")
    for _ in range(0, hits, 100):
        page.evaluate("document.querySelectorAll('.more:not([hidden]) button').forEach((more) => more.click())")
    unfold = "all('#query .button').find((one) => one.textContent.match('Open all')).click()"
    _changed(page, "all alignments", unfold, "!all('#query .toggle[aria-expanded=false]').length")
    page.evaluate(
        """() => {
            window.frames_ = []; window.tasks_ = [0]; let last = performance.now();
            const frame = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(frame); };
            requestAnimationFrame(frame);
            new PerformanceObserver((list) => tasks_.push(...list.getEntries().map((one) => one.duration)))
                .observe({ entryTypes: ["longtask"] });
        }"""
    )
    page.mouse.move(640, 450)
    while not page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 2"):
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(20)
    frames, task = page.evaluate("[frames_.slice(1).sort((a, b) => a - b), Math.max(...tasks_)]")
    middle, worst = frames[len(frames) // 2], frames[-1]
    _say(f"  scrolled to the end: a frame takes {middle:.0f} ms, at most {worst:.0f}; longest task {task:.0f} ms")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
