"""The tutorial on registries, as it stands: its commands in one shell, then its clicks in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from playwright.sync_api import Browser, expect

from tests.support.places import ROOT
from tests.support.prefect_walk import Person

pytestmark = [pytest.mark.long, pytest.mark.browser]

MULTIBLAST = [str(Path(sys.executable).with_name("multiblast"))]
PAGE = ROOT / "docs" / "tutorials" / "registry.md"
BLOCK = re.compile(r"^ *```(console|yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def commands() -> str:
    """Return what the tutorial lets one type, as a script that prints each command before its output."""
    lines = ["set -eo pipefail"]
    for kind, block in BLOCK.findall(PAGE.read_text("utf-8")):
        text = dedent(block)
        if kind == "yaml":
            lines.append(f"cat > config.yaml <<'END'\n{text}END")
        elif "data.example.org" not in text:  # the other kind of remote, for who has one
            lines += [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    return "\n".join(f"echo '> {line.splitlines()[0]}'\n{line}" if ">" not in line else line for line in lines[1:])


@dataclass(frozen=True)
class Steward:
    """Somebody who has typed all of the tutorial's commands."""

    environment: dict[str, str]
    directory: Path
    output: str

    def type(self, *words: str) -> str:
        command = [*MULTIBLAST, "registry", *words]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def said(self, command: str) -> list[str]:
        """Return what was printed for a command, each time that it was given."""
        return [part.partition("\n")[2] for part in self.output.split("> ") if part.startswith(f"{command}\n")]


@pytest.fixture(scope="module")
def steward(live: dict[str, str]) -> Steward:
    path = f"{Path(sys.executable).parent}{os.pathsep}{live['PATH']}"
    environment = {**live, "PATH": path}
    # `unset` at the end is for who had no home before; it is of the shell alone.
    done = subprocess.run(
        ["bash", "-e", "-c", commands().replace(". .venv/bin/activate", "true")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return Steward(environment, Path(live["HOME"], "steward"), done.stdout)


def test_registry_tutorial_commands_print_what_it_says(steward: Steward) -> None:
    (pulled,) = steward.said("multiblast registry pull config.yaml")
    assert re.search(r"rich:queries/twelve@1\.0\.0 +done +6,850", pulled)
    assert "1 item, 0 requests" in pulled
    (ran,) = steward.said("multiblast registry run config.yaml")
    assert re.match(r"code run [0-9a-f-]{36}, [0-9.]+ s: rich:results/table@0\.0\.1$", ran.strip())
    (table,) = steward.said("head -3 data/rich/results/table/0.0.1.tsv")
    assert [len(line.split("\t")) for line in table.splitlines()] == [12] * 3
    assert (steward.directory / "table.svg").read_text().startswith("<svg")
    (status,) = steward.said("multiblast registry status")
    assert len(re.findall("synced", status)) == 4
    (fetched,) = steward.said("multiblast registry pull read.yaml")
    assert len(re.findall(" done ", fetched)) == 2
    (verified,) = steward.said("multiblast registry verify")
    assert len(re.findall(" done ", verified)) == 2


@pytest.fixture
def served(steward: Steward) -> Iterator[str]:
    """The address that `multiblast registry serve` prints."""
    command = [*MULTIBLAST, "registry", "serve"]
    with subprocess.Popen(command, env=steward.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("pages: ").strip()
        process.terminate()


def test_registry_tutorial_pages_show_what_was_made(served: str, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(served)
        page.get_by_role("row", name=re.compile("results.table")).get_by_role("link", name="0.0.1").click()
        expect(page.get_by_role("heading", name="rich:results/table@0.0.1")).to_be_visible()
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download the file").click()
        assert saved.value.suggested_filename == "results-table-0.0.1.tsv"
        page.get_by_role("link", name=re.compile("^Which proteins")).click()
        expect(page.get_by_role("link", name="rich:queries/twelve@1.0.0")).to_be_visible()
        picture = page.get_by_role("img").last
        assert picture.evaluate("image => image.naturalWidth") > 100


def test_registry_tutorial_clicks_pull_run_and_push(steward: Steward, live: dict[str, str], browser: Browser) -> None:
    config = str(steward.directory / "config.yaml")

    def submit(name: str, *, dry: bool = False, first: str = "config") -> None:
        person.open_form(name, first)
        if first == "config":
            person.fill("config", config)
        if dry:
            person.turn_on("dry_run")
        person.submit()
        person.open_run()
        person.see_state("Completed")

    with browser.new_context() as context:
        person = Person(context.new_page(), live["UI_URL"])
        submit("pull-registry", dry=True)
        person.see_artifact("pull-plan")
        person.see("This flow run did not generate any task")
        submit("pull-registry")
        person.see_artifact("pull$")
        submit("pull-registry")
        person.page.get_by_role("tab", name="Task Runs").click()
        person.see("Cached")
        submit("run-registered")
        person.open_artifact("provenance")
        assert "done" in steward.type("commit", "rich:results/table@0.0.2")
        submit("push-registry", first="remote (Optional)")
        person.open_artifact("push$")
        person.see("rich:results/table@0.0.2")
    assert len(re.findall("committed, synced", steward.type("status"))) == 2
