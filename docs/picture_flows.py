"""Take a picture of every flow's form, and of a run of it, and write the page that shows them: ``make screenshots``.

Needs a server (``make up``) with the demo databases, and Chromium.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from make_screenshots import PATIENCE_MS, browser
from playwright.sync_api import Page, expect
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse

from blocks.storage import ResultStorage
from multiblast.services import Services
from multiblast.settings import home

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples" / "data"
WIDTH, HEIGHT = 1100, 1250
TALLEST = 2400
QUALITY = 55  # of 100; text stays sharp
ANN = "ann"
HEAD = """# Flows

Every flow as one meets it in Prefect's browser interface: what it is for, its form, and the page of a run of it.
What each does is told in [actions](actions.md). This page is made by `make screenshots`.
"""


class Runs:
    """Runs flows with parameters that make sense together."""

    def __init__(self, client: SyncPrefectClient, deployments: dict[str, DeploymentResponse]) -> None:
        self._client, self._deployments = client, deployments

    @property
    def job(self) -> str:
        """The newest query job with a result."""
        return str(answer("jobs", "list", "--status", "complete")[0]["queryJobID"])

    @property
    def cancelled(self) -> str:
        """The newest query job that was cancelled."""
        return str(answer("jobs", "list", "--status", "cancelled")[0]["queryJobID"])

    @property
    def report(self) -> str:
        """The newest report."""
        return str(answer("reports", "list")[0]["reportJobID"])

    @property
    def code_run(self) -> str:
        """The newest job as the registry knows it."""
        return str(answer("registry", "record", self.job)["code_run"])

    def run(self, name: str, parameters: dict[str, Any]) -> str:
        """Run a deployment to its end; return the flow run's id."""
        run = self._client.create_flow_run_from_deployment(self._deployments[name].id, parameters=parameters)
        while not (state := self._client.read_flow_run(run.id).state) or not state.is_final():
            time.sleep(0.5)
        print(f"{name}: {state.name}", flush=True)
        return str(run.id)

    def change_a_database(self) -> str:
        """Search a database, add to it, and search it again; return the job."""
        for records in (6, 12):
            self.run("make-target", my_target(records))
            if records == 6:  # noqa: PLR2004 - the first time
                self.run("submit-blastp", {"query": query(PROTEINS), "targets": [MINE], "user": ANN})
        self.run("restart-job", {"job": self.job, "user": ANN})
        return self.job


def answer(*arguments: str) -> Any:
    """Return what a command answers."""
    command = [str(Path(sys.executable).with_name("multiblast")), *arguments, "--user", ANN, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def query(file: str, records: int = 3) -> str:
    """Return the first sequences of one of the demo queries."""
    return "".join(f">{record}" for record in (EXAMPLES / file).read_text().split(">")[1 : records + 1])


def my_target(records: int) -> dict[str, Any]:
    """Return the parameters of making a database of so many sequences, which are put where uploads are."""
    uploads = home() / "uploads"
    uploads.mkdir(exist_ok=True)
    (uploads / "kinases.fasta").write_text(query(PROTEINS, records))
    return {"name": MINE, "fasta": "kinases.fasta", "replace": True}


def search(file: str, target: str, **more: Any) -> Callable[[Runs], dict[str, Any]]:
    """Return the parameters of a search of the demo databases."""
    return lambda _: {"query": query(file), "site": "demo", "targets": [f"demo/examples/{target}"], **more}


def waiting(_: Runs) -> dict[str, Any]:
    """Return the parameters of what is done with a job that waits; it is made for this."""
    services = Services.embedded()
    target = [{"targetDisplayName": "examples", "targetFile": "proteins"}]
    job = {"site": "demo", "targets": target, "query": query(PROTEINS, random.randint(4, 12))}
    config = {"jobConfig": job, "blastConfig": {"tool": "blastp", "threshold": random.randint(12, 99)}}
    created = services.query_service.create(services.accounts.requester(ANN), config)
    return {"job": created.query_job_id, "user": ANN}


def second_storage(_: Runs) -> dict[str, Any]:
    """Return the parameters of copying everything to another directory."""
    ResultStorage(directory=str(home() / "second-store")).save("second", overwrite=True, _sync=True)  # type: ignore[call-arg]  # added by Prefect's decorator
    return {"source": "default", "target": "second"}


def of_job(**more: Any) -> Callable[[Runs], dict[str, Any]]:
    """Return the parameters of what is done with a job."""
    return lambda runs: {"job": runs.job, **more}


def of_report(**more: Any) -> Callable[[Runs], dict[str, Any]]:
    """Return the parameters of what is done with a report."""
    return lambda runs: {"job": runs.report, **more}


def nothing(_: Runs) -> dict[str, Any]:
    """Return no parameters."""
    return {}


PROTEINS, NUCLEOTIDES = "protein_query.fasta", "nucleotide_query.fasta"
MINE = "demo/mine/kinases"
PARAMETERS: dict[str, Callable[[Runs], dict[str, Any]]] = {
    "submit-query": search(PROTEINS, "proteins", program="blastp", options={"evalue": "1e-5"}, user=ANN),
    "submit-blastn": search(NUCLEOTIDES, "nucleotides"),
    "submit-blastp": search(PROTEINS, "proteins", summary="Kinases, first look", user=ANN),
    "submit-blastx": search(NUCLEOTIDES, "proteins"),
    "submit-tblastn": search(PROTEINS, "nucleotides"),
    "submit-tblastx": search(NUCLEOTIDES, "nucleotides"),
    "submit-psiblast": search(PROTEINS, "proteins"),
    "submit-rpsblast": search(PROTEINS, "domains"),
    "submit-rpstblastn": search(NUCLEOTIDES, "domains"),
    "plan-query": search(PROTEINS, "proteins", program="blastp"),
    "make-report": of_job(format="6 tabular", fields="std stitle", user=ANN),
    "list-jobs": lambda _: {"user": ANN},
    "list-reports": lambda _: {"user": ANN},
    "show-job": of_job(user=ANN),
    "check-status": lambda runs: {"jobs": [runs.job, runs.report]},
    "get-query": of_job(),
    "get-result": of_job(),
    "get-errors": of_job(),
    "list-report-files": of_report(),
    "get-report-file": of_report(name="report.tsv", line_range="1-10"),
    "list-targets": nothing,
    "pin-job": of_job(user=ANN),
    "update-job": of_job(summary="Kinases, second look", user=ANN),
    "share-job": lambda runs: {"job": runs.job, "secret": "kinases-for-bob", "days": 7, "user": ANN},
    "cancel-job": waiting,
    "restart-job": lambda runs: {"job": runs.cancelled, "user": ANN},
    "run-job": lambda runs: {"job": waiting(runs)["job"]},
    "search-shard": of_job(),
    "unlink-job": of_report(user=ANN),
    "new-guest": lambda _: {"secret": "a-guest"},
    "link-guest": lambda _: {"guest": "a-guest", "user": ANN},
    "make-target": lambda _: my_target(6),
    "compare-databases": lambda runs: {"job": runs.change_a_database()},
    "publish-target": lambda _: {"name": "demo/examples/proteins"},
    "sync-targets": nothing,
    "rescan-targets": nothing,
    "reconcile-jobs": nothing,
    "expire-results": lambda _: {"dry_run": True},
    "verify-storage": nothing,
    "copy-results": second_storage,
    "record-provenance": of_job(user=ANN),
    "show-provenance": lambda runs: {"item": runs.code_run},
    "export-provenance": lambda runs: {"item": runs.code_run},
    "registry-info": lambda runs: {"item": runs.code_run},
    "config-registry": lambda _: {"user": "steward", "data_store": str(home() / "data"), "full_name": "Ann Steward"},
    "commit-registry": lambda runs: {"items": [runs.code_run]},
    "registry-status": lambda _: {"compare": False},
    "verify-registry": nothing,
    "delete-registered": lambda runs: {"item": runs.code_run},
    "collect-registry": nothing,
}
"""Example runs; a flow that is not here needs what the demo does not have, and only its form is shown."""


class Album:
    """Pictures of pages.

    Args:
        page: The browser's page.
        url: Where the UI is.
        directory: Where the pictures go.
    """

    def __init__(self, page: Page, url: str, directory: Path) -> None:
        self._page, self._url, self._directory = page, url, directory

    def form(self, name: str, deployment: DeploymentResponse) -> None:
        """Take a picture of a form, as much of it as fits in a tall window."""
        self._page.set_viewport_size({"width": WIDTH, "height": TALLEST})
        self._page.goto(f"{self._url}/deployments/deployment/{deployment.id}/run")
        expect(self._page.get_by_role("button", name="Submit", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        self._keep(f"{name}-form")

    def run(self, name: str, run: str) -> None:
        """Take a picture of what a run shows."""
        self.page(f"{name}-run", f"runs/flow-run/{run}", "Artifacts")

    def page(self, name: str, path: str, tab: str = "") -> None:
        """Take a picture of a page, turned to one of its tabs."""
        self._page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        self._page.goto(f"{self._url}/{path}")
        if tab:
            self._page.get_by_role("tab", name=tab).or_(self._page.get_by_text(tab)).first.click()
        self._keep(name)

    def _keep(self, name: str) -> None:
        self._page.wait_for_load_state("networkidle")
        self._page.wait_for_timeout(800)  # let animations end
        bottom = self._page.evaluate(
            "Math.max(...[...document.querySelectorAll('main *, .p-layout-default *')]"
            ".map((element) => element.getBoundingClientRect().bottom).filter((bottom) => bottom < innerHeight))"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(bottom + 24, TALLEST), "scale": 1}
        session = self._page.context.new_cdp_session(self._page)
        options = {"format": "webp", "quality": QUALITY, "clip": clip}
        picture = base64.b64decode(session.send("Page.captureScreenshot", options)["data"])
        (self._directory / f"{name}.webp").write_bytes(picture)
        session.detach()


def make_domains() -> None:
    """Make a database of domains from the demo's proteins, for the programs that search one."""
    place = home() / "targets" / "demo" / "examples" / "blast"
    with TemporaryDirectory() as directory:
        profiles = []
        for number, record in enumerate((EXAMPLES / PROTEINS).read_text().split(">")[1:6]):
            query, profile = Path(directory) / "query.fasta", Path(directory) / f"{number}.smp"
            query.write_text(f">{record}")
            command = [
                "psiblast",
                "-query",
                str(query),
                "-db",
                str(place / "proteins"),
                "-num_iterations",
                "2",
                "-parse_deflines",
            ]
            command += ["-out_pssm", str(profile), "-save_pssm_after_last_round", "-out", "/dev/null"]
            subprocess.run(command, check=True, capture_output=True)
            profiles.append(profile)
        (Path(directory) / "list").write_text("\n".join(map(str, profiles)) + "\n")
        command = ["makeprofiledb", "-in", f"{directory}/list", "-out", str(place / "domains"), "-dbtype", "rps"]
        subprocess.run([*command, "-title", "Domains"], check=True, capture_output=True)


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:4200", help="where the UI is")
    parser.add_argument("--only", nargs="+", default=[], metavar="FLOW", help="leave the other pictures as they are")
    arguments = parser.parse_args()
    images = DOCS / "images" / "flows"
    images.mkdir(parents=True, exist_ok=True)
    make_domains()
    with browser() as opened, get_client(sync_client=True) as client:
        deployments = {deployment.name: deployment for deployment in client.read_deployments(limit=200)}
        runs, album = Runs(client, deployments), Album(opened.new_page(), arguments.url, images)
        text = [HEAD]
        for name in sorted(deployments, key=lambda name: ([*PARAMETERS, name].index(name), name)):
            description = (deployments[name].description or "").split("\n\n")[0]
            if not arguments.only or name in arguments.only:
                album.form(name, deployments[name])
                if name in PARAMETERS:
                    album.run(name, runs.run(name, PARAMETERS[name](runs)))
            pictures = "\n\n".join(
                f"![{kind} of {name}](../images/flows/{name}-{kind}.webp)"
                for kind in ("form", "run")
                if (images / f"{name}-{kind}.webp").exists()
            )
            text.append(f"## {name}\n\n{description}\n\n{pictures}\n")
    (DOCS / "reference" / "flows.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
