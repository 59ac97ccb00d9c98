"""Walk through pull, run and push in the UI as a data steward does, and keep pictures: ``make screenshots``.

Makes a registry of its own for a colleague, with a query in it, and pulls from there, searches, and pushes back.
Needs a server (``make up``) in the same home, with the demo databases, and Chromium.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from make_screenshots import EXAMPLES, PATIENCE_MS, Walk, browser
from playwright.sync_api import TimeoutError as NotSeenError
from playwright.sync_api import expect

CONFIG = """\
run_metadata:
  description: Which proteins are like these kinases?
read:
- {data_product: queries/kinases, use: {namespace: group}}
write:
- {data_product: results/table, file_type: tsv, description: the hits as a table}
search:
  query: queries/kinases
  targets: [demo/examples/proteins]
  options: {evalue: 1e-5}
  reports:
    results/table: {outfmt: 6}
"""


class RegistryWalk(Walk):
    """A data steward at the UI."""

    def form(self, name: str, picture: str, **fields: str) -> None:
        """Fill in the form of a deployment by hand, keep a picture of it, and send it."""
        page = self.page
        self.open("deployments")
        page.get_by_placeholder("Search deployments").fill(name)
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_text("Custom run").first.click()
        page.get_by_text("Parameters", exact=True).first.wait_for(timeout=PATIENCE_MS)
        for field, value in fields.items():
            named = page.locator(".schema-form-property__label", has_text=re.compile(rf"^{field}\b"))
            page.locator(".p-label").filter(has=named).last.locator("textarea").fill(value)
        self.keep(picture)
        for _ in range(5):  # a busy server on SQLite may refuse; a person then clicks again
            page.get_by_role("button", name="Submit", exact=True).press("Enter")  # what it refused may cover it
            with suppress(NotSeenError):
                page.wait_for_url("**tab=Runs", timeout=30_000)
                page.wait_for_timeout(2000)
                return
        raise SystemExit("the form was not accepted")

    def follow_to_end(self, name: str, picture: str, *artifacts: str) -> None:
        """Wait for the end of a deployment's newest run, and keep pictures of its page and of what it shows."""
        page = self.page
        run = f"runs/flow-run/{self.newest_run(name)}"
        self.open(run)
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=PATIENCE_MS)
        self.artifacts()
        expect(page.get_by_text(artifacts[0], exact=True).first).to_be_visible(timeout=PATIENCE_MS)
        self.keep(picture)
        for artifact in artifacts:
            self.open(run)
            self.artifacts()
            page.get_by_text(artifact, exact=True).first.click()
            page.wait_for_load_state("networkidle")
            self.keep(f"{picture}-{artifact}")

    def newest_run(self, name: str) -> str:
        """Return the id of the newest run of a flow, once it has ended well."""
        wanted = {"flows": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 1}
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < deadline:
            found = self.page.request.post(f"{self.url}/api/flow_runs/filter", data=wanted).json()
            if found and found[0]["state_type"] == "COMPLETED":
                return str(found[0]["id"])
            if found and found[0]["state_type"] in {"FAILED", "CRASHED", "CANCELLED"}:
                raise SystemExit(found[0]["state"]["message"])
            time.sleep(0.5)
        raise SystemExit(f"{name} did not end")


def command(*words: object) -> str:
    """Type a command of the registry."""
    program = Path(sys.executable).with_name("multiblast")
    typed = [str(program), "registry", *map(str, words)]
    return subprocess.run(typed, check=True, capture_output=True, text=True).stdout


def offer_query(directory: Path) -> None:
    """Let a colleague, with a registry of their own, offer a query in a remote that both can reach."""
    from multiblast.registry.bindings import open_remote
    from multiblast.registry.commands import push
    from multiblast.registry.local import Registry, open_database
    from multiblast.registry.recording import ProductName, record_product
    from multiblast.registry.status import commit
    from multiblast.stores import LocalStore

    place = directory / "colleague"
    registry = Registry(open_database(f"sqlite:///{place / 'registry.sqlite'}"), LocalStore(place / "store"), place)
    remote = open_remote(f"sqlite:///{directory / 'group.sqlite'}", store=LocalStore(directory / "group"))
    name = ProductName("group", "queries/kinases", "1.0.0")
    record_product(registry, name, EXAMPLES / "protein_query.fasta", file_type="fasta", description="Twelve proteins")
    commit(registry, [str(name)])
    push(registry, remote)
    for one in (registry, remote):
        one.close()


def main() -> None:
    """Walk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:4200", help="where the UI is")
    parser.add_argument("directory", nargs="?", type=Path, default=Path(__file__).parent / "images")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="steward-") as name, browser() as opened:
        directory = Path(name)
        offer_query(directory)
        command("config", "steward", "--data-store", directory / "data", "--remote", "group")
        command("remote", "group", f"sqlite:///{directory / 'group.sqlite'}", "--files", directory / "group")
        config = directory / "config.yaml"
        config.write_text(CONFIG)
        page = opened.new_page(viewport={"width": 1280, "height": 900})
        walk = RegistryWalk(page, arguments.url, arguments.directory)
        walk.form("pull-registry", "registry-pull-form", config=str(config))
        walk.follow_to_end("pull-registry", "registry-pull", "pull")
        walk.form("run-registered", "registry-run-form", config=str(config))
        walk.follow_to_end("run-registered", "registry-run", "provenance")
        items = json.loads(command("status", "--local", "--json"))["items"]
        command("commit", next(one["item"] for one in items if "results/table" in one["item"]))
        walk.form("push-registry", "registry-push-form")
        walk.follow_to_end("push-registry", "registry-push", "push")


if __name__ == "__main__":
    main()
