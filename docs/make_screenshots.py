"""Walk through the UI as a person does, and keep pictures of it: ``make screenshots``.

Fills in the form of submit-blastp by hand, follows the run, and opens what it shows; then one that fails.
Needs a server (``make up``) and Chromium.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright

from multiblast.accounts import Requester
from multiblast.database import Database, JobStatus
from multiblast.errors import FailureClass
from multiblast.installation import Installation
from multiblast.molecules import Molecule
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.http_service import HereStarter, config, serving
from tests.support.prefect_walk import Person

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "data"
PROTEIN = "MELRVGNRYRLGRKIGSGSFGDIYLGTDIAAGEEVAIKLECVKTKHPQLHIESKIYKMMQ"
PATIENCE_MS = 180_000
# Without these, Chromium looks for its maker's services at every start.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Pictures:
    """What a page shows, kept as pictures in a directory."""

    def __init__(self, page: Page, directory: Path) -> None:
        self.page, self.directory = page, directory

    def keep(self, name: str) -> None:
        """Take a picture of what is on the screen."""
        self.page.wait_for_timeout(1500)  # let animations end
        self.page.screenshot(path=self.directory / f"{name}.png")
        print("kept", self.directory / f"{name}.png")


class Walk(Pictures):
    """A person at Prefect's UI."""

    def __init__(self, page: Page, url: str, directory: Path) -> None:
        super().__init__(page, directory)
        self.person = Person(page, url)

    def deployments(self) -> None:
        """Look at what can be run."""
        self.person.find("submit-blastp")
        self.keep("deployments")

    def submit(self, query: str) -> None:
        """Fill in the form by hand and send it."""
        self._fill_in(query)
        self.keep("form")
        self._send()

    def fail(self) -> None:
        """Send what cannot be searched, and see what is wrong with it."""
        self._fill_in(">typed by hand\nMELRVGN!YRLGRK\n>pasted without its sequence\n")
        self._send()
        self.person.see("Failed")
        self.person.see_artifact("problems-")
        self.keep("run-failed")

    def follow(self) -> None:
        """Follow the run from its start to its end."""
        self.person.see("Running")
        self.person.see_artifact("progress-")
        self.keep("run-running")
        self.person.see("Completed")
        self.page.reload()  # what it shows of its artifacts is from before
        self.person.see_artifact("job-")
        self.keep("run-page")

    def results(self) -> None:
        """Open the table of sequences, then the job's page and from it the report form."""
        page = self.page
        run = page.url
        self.person.open_artifact("sequences-")
        self.person.see("best hit")
        self.keep("sequences")
        page.goto(run)
        self.person.open_artifact("job-")
        page.get_by_role("link", name="Make a report").click(timeout=PATIENCE_MS)
        expect(page.get_by_role("textbox", name=re.compile("^job"))).to_have_value(
            re.compile("[0-9a-f]{32}"), timeout=PATIENCE_MS
        )
        self.keep("report-form")

    def _fill_in(self, query: str) -> None:
        self.person.open_form("submit-blastp")
        self.person.type_query(query)
        self.person.choose("demo/examples/proteins")

    def _send(self) -> None:
        self.person.submit()
        self.person.open_run()


def keep_pages(opened: Browser, directory: Path) -> None:
    """Keep pictures of the pages where people search, of a service of their own."""
    with TemporaryDirectory() as name:
        place = Path(name) / "targets" / "demo" / "examples" / "blast"
        build_database(
            EXAMPLES / "proteins.fasta.gz", place, "proteins", molecule=Molecule.PROTEIN, title="Demo proteins"
        )
        database, store = Database(f"sqlite:///{name}/jobs.sqlite"), LocalStore(Path(name) / "store")
        services = Services(database, store, Installation(), Targets(Path(name) / "targets"), QueryLimits())
        with serving(services, HereStarter(services, away=True)) as url:
            walk = Pictures(opened.new_page(base_url=url, viewport={"width": 1000, "height": 760}), directory)
            page = walk.page
            page.goto("/")
            page.get_by_label("Paste FASTA").fill((EXAMPLES / "protein_query.fasta").read_text())
            page.get_by_role("checkbox", name="Demo proteins").check()
            expect(page.locator("#recognised")).to_contain_text("blastp", timeout=PATIENCE_MS)
            walk.keep("pages-search")
            page.get_by_role("button", name="BLAST", exact=True).click()
            expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible(timeout=PATIENCE_MS)
            job = page.url.rpartition("/")[2]
            page.goto("about:blank")  # the job's page goes on by itself
            services.queries.run(job).execute()
            page.goto(f"/jobs/{job}/sequences/1")
            expect(page.get_by_role("img", name="Map of where")).to_be_visible(timeout=PATIENCE_MS)
            walk.keep("pages-hits")
            keep_plugin(walk, services)
            keep_states(walk, services)


def keep_plugin(walk: Pictures, services: Services) -> None:
    """Keep a picture of the page of a plugin job that made one: of a tree."""
    names = ["KC1D_MOUSE", "KC1D_HUMAN", "CSNK1E_RAT", "KC1A_BOVIN", "KC1G1_MOUSE", "HRR25_YEAST", "PSKH1_HUMAN"]
    tree = "(((({}:.02,{}:.03):.12,{}:.2):.1,{}:.41):.08,({}:.5,{}:.72):.1,{}:1.3);".format(*names)
    services.environments.prepare(services.catalogue.get("tree-picture"))
    who, jobs = Requester(administrator=True), services.plugin_jobs
    job = jobs.submit(who, "tree-picture", {"tree": [f"data:text/x-newick,{tree}"]}, {"highlight": names[0]})
    jobs.begin(job)
    jobs.execute(job)
    walk.page.goto(f"/plugins/jobs/{job}")
    expect(walk.page.get_by_role("img", name="Picture: picture.svg")).to_be_visible(timeout=PATIENCE_MS)
    walk.page.evaluate("document.getElementById('outputs-heading').scrollIntoView()")
    walk.keep("pages-plugin")


def keep_states(walk: Pictures, services: Services) -> None:
    """Keep one picture of what the pages of jobs say in eight states; jobs are brought there, not searched."""
    page, jobs, results = walk.page, services.queries.jobs, services.queries.results
    page.set_viewport_size({"width": 620, "height": 760})
    pictures: list[str] = []

    def job(status: JobStatus, sequences: int, failures: Sequence[FailureClass] = (), found: int = 0) -> str:
        texts = [f">protein_{number}\n{PROTEIN}{'WA' * number}\n" for number in range(1, sequences + 1)]
        evalue = len(pictures) + 1.0  # so that no two share sequences
        for some in filter(None, (found, sequences)):
            sent = config("".join(texts[:some]), eValue=evalue)
            job_id = services.queries.create(Requester(administrator=True), sent).query_job_id
            if some == found:
                services.queries.run(job_id).execute()
        keys = [child.result_key for child in jobs.children(jobs.query(job_id))]
        for key, failure in zip(keys, failures, strict=False):
            results.fail(key, failure, failure, "nobody")
        before = [JobStatus.IN_PROGRESS, *([JobStatus.COMPLETE] if status == JobStatus.EXPIRED else [])]
        for one in [*before, status] if status != JobStatus.QUEUED else []:
            jobs.move_query([job_id], one)
        return job_id

    def keep(address: str) -> None:
        page.goto(address)
        pictures.append(b64encode(page.locator("#main .card").first.screenshot()).decode())

    job(JobStatus.QUEUED, 2)  # the others wait behind it
    for status, sequences, failures, found in (
        (JobStatus.QUEUED, 400, [], 0),
        (JobStatus.IN_PROGRESS, 12, [], 5),
        (JobStatus.COMPLETE, 3, [FailureClass.ENGINE], 0),
        (JobStatus.EXPIRED, 1, [], 0),
        (JobStatus.FAILED, 3, [FailureClass.OUT_OF_MEMORY] * 3, 0),
        (JobStatus.FAILED, 1, [FailureClass.DATABASE], 0),
        (JobStatus.CANCELLED, 2, [], 0),
    ):
        keep(f"/jobs/{job(status, sequences, failures, found)}")
    keep(f"/jobs/{'0' * 32}")
    images = [f"<img style='display: block; margin: 6px' src='data:image/png;base64,{one}'>" for one in pictures]
    columns = "".join(f"<div>{''.join(images[first::2])}</div>" for first in (0, 1))
    page.set_viewport_size({"width": 1160, "height": 300})
    page.goto("about:blank")  # with no policy of ours about styles
    page.set_content(f"<body style='margin: 0; display: flex; background: #fff'>{columns}")
    page.screenshot(path=walk.directory / "pages-states.png", full_page=True)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the system's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        sys.exit("there is no chromium; on Debian: apt-get install chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=QUIET) as opened:
        yield opened


def main() -> None:
    """Walk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:4200", help="where the UI is")
    parser.add_argument("directory", nargs="?", type=Path, default=Path(__file__).parent / "images")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        walk = Walk(opened.new_page(viewport={"width": 1280, "height": 1040}), arguments.url, arguments.directory)
        keep_pages(opened, arguments.directory)
        walk.deployments()
        walk.submit(some_proteins(150 * (os.cpu_count() or 1)))
        walk.follow()
        walk.results()
        walk.fail()


def some_proteins(count: int) -> str:
    """Return a query that takes some seconds: sequences of the demo database, with ends that nobody searched yet."""
    with gzip.open(EXAMPLES / "proteins.fasta.gz", "rt") as file:
        records = cycle([record for record in file.read().split(">") if record])
    ends = ("".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=8)) for _ in range(count))
    return "".join(f">{record}{end}\n" for end, record in zip(ends, records, strict=False))


if __name__ == "__main__":
    main()
