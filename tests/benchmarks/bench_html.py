"""How long an HTML report of 100 queries with 500 hits each takes to write, and to open in a browser.

``python tests/benchmarks/bench_html.py [--queries 100] [--hits 500] [--keep report.html]`` prints the numbers.
The database is made of real proteins, each with mutants of its own, so that alignments have mismatches and gaps.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from multiblast.archive import merge, split
from multiblast.reports.blast_report import write_blast_report
from multiblast.reports.hits import read_hits, write_hits
from multiblast.reports.html import write_html
from multiblast.reports.report_options import Formatting
from multiblast.sequences import Sequence, read_fasta
from multiblast.targets.makeblastdb import build_database

_PROTEINS = Path(__file__).parents[2] / "examples" / "data" / "proteins.fasta.gz"
_RESIDUES = b"ACDEFGHIKLMNPQRSTVWY"
_BROWSER_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_BROWSER_ARGUMENTS += ["--disable-component-update", "--disable-sync"]


def main() -> None:
    """Make the archive, write both formats of it, and open the report."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--hits", type=int, default=500)
    arguments.add_argument("--keep", type=Path)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-html-") as name:
        directory = Path(name)
        archive = _search(directory, asked.queries, asked.hits)
        report, table = directory / "report.html", directory / "hits.parquet"
        _print("archive", f"{archive.stat().st_size / 1e6:.1f} MB")
        started = time.perf_counter()
        rows = write_hits(archive, table)
        seconds, size = time.perf_counter() - started, table.stat().st_size
        _print("hits written", f"{seconds:.1f} s, {rows} rows, {size / 1e6:.1f} MB")
        started = time.perf_counter()
        page = read_hits(table, evalue_max=1e-20, sort="bitscore")
        _print("page of hits", f"{1000 * (time.perf_counter() - started):.0f} ms, of {page.total}")
        started = time.perf_counter()
        formatting = Formatting(format="15")
        (printed,) = write_blast_report(
            archive, formatting, program="blastp", queries=asked.queries, directory=directory
        )
        write_html(printed, report, title="Benchmark", facts={"Queries": str(asked.queries)})
        _print("report written", f"{time.perf_counter() - started:.1f} s, {report.stat().st_size / 1e6:.1f} MB")
        _print("memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
        _open(report, asked.hits)
        if asked.keep:
            shutil.copyfile(report, asked.keep)


def _search(directory: Path, queries: int, hits: int) -> Path:
    rng = random.Random(20)
    sequences = list(islice((s for s in read_fasta(_PROTEINS) if 250 < s.length < 700), 0, None, 5))[:queries]
    fasta = directory / "mutants.fasta"
    with fasta.open("wb") as output:
        for sequence in sequences:
            output.writelines(_mutants(sequence, hits, rng))
    database = build_database(fasta, directory, "mutants", molecule="protein")
    queries_fasta, searched = directory / "query.fasta", directory / "searched.asn1"
    queries_fasta.write_bytes(b"".join(sequence.canonical for sequence in sequences))
    command = ["blastp", "-query", str(queries_fasta), "-db", str(database), "-evalue", "1e-5", "-outfmt", "11"]
    command += ["-max_target_seqs", str(hits), "-num_threads", "2", "-threshold", "15", "-out", str(searched)]
    subprocess.run(command, check=True, env=os.environ | {"BATCH_SIZE": "1"})
    archive = directory / "archive.asn1"
    with searched.open("rb") as stream, archive.open("wb") as output:
        parts = zip(sequences, split(stream), strict=True)
        merge(((query.defline, part.archive) for query, part in parts), output, str(database))
    return archive


def _mutants(sequence: Sequence, count: int, rng: random.Random) -> Iterator[bytes]:
    """Yield records of what might be relatives: 20 to 60 % of the residues are others, a few are lost."""
    for number in range(count):
        share = rng.uniform(0.2, 0.6)
        residues = bytearray(rng.choice(_RESIDUES) if rng.random() < share else old for old in sequence.residues)
        for _ in range(rng.randrange(4)):
            place = rng.randrange(len(residues) - 20)
            del residues[place : place + rng.randrange(1, 12)]
        yield b">%b_mutant%d of %b\n%b\n" % (sequence.name.encode(), number, sequence.defline, bytes(residues))


def _open(report: Path, hits: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_BROWSER_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(report.as_uri())
        page.wait_for_selector("#overview-table tbody tr")
        _print("opened", f"{time.perf_counter() - started:.2f} s until the overview is there")
        _timed(page, "query", "document.querySelector('#overview-table a').click()", ".map .hit")
        _timed(page, "sorted", "document.querySelector('#query thead th:nth-child(4) button').click()", "#query tr.row")
        _timed(page, "alignment", "document.querySelector('#query .toggle').click()", "#query pre")
        unfold = "[...document.querySelectorAll('#query .button')].find((b) => /Open all/.test(b.textContent)).click()"
        _timed(page, "100 alignments", unfold, f"#query tr.alignments:nth-of-type({2 * min(hits, 100) - 2}) pre")
        _timed(page, "back", "location.hash = 'overview'", "#overview:not([hidden])")
        page.reload()
        memory = page.evaluate("performance.memory.usedJSHeapSize")
        _print("heap", f"{memory / 1e6:.0f} MB")
        browser.close()


def _timed(page: Page, name: str, action: str, awaited: str) -> None:
    """Print how long it takes from an action in the page until its outcome is painted."""
    script = """async ([action, awaited]) => {
        const started = performance.now();
        (0, eval)(action);
        const frame = () => new Promise(requestAnimationFrame);
        while (!document.querySelector(awaited)) await frame();
        await frame(); await frame();
        return performance.now() - started;
    }"""
    _print(name, f"{page.evaluate(script, [action, awaited]):.0f} ms")


def _print(name: str, value: str) -> None:
    print(f"{name:<16}{value}")  # noqa: T201 - the benchmark's result


if __name__ == "__main__":
    main()
