"""A person walks through Prefect's pages in a real browser, by clicks alone: form, run, results, what is wrong."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.plugins import SORT, write_plugin
from tests.support.prefect_walk import Person

pytestmark = [pytest.mark.long, pytest.mark.browser]

DATABASE = "demo/examples/proteins"


@pytest.fixture
def person(browser: Browser, live: dict[str, str]) -> Iterator[Person]:
    """Somebody with a browser of their own."""
    with browser.new_context() as context:
        yield Person(context.new_page(), live["UI_URL"])


def sequence() -> str:
    """Return a protein that nobody has searched yet."""
    return "".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=60))


def test_walk_through_the_ui_sees_form_progress_table_and_report_form(live: dict[str, str], tmp_path: Path) -> None:
    """The walk itself checks what it sees; a picture of each page is what is left of it."""
    script = Path(__file__).resolve().parents[2] / "docs" / "make_screenshots.py"
    command = [sys.executable, script, live["UI_URL"], tmp_path]
    done = subprocess.run(command, env=live, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {path.stem for path in tmp_path.glob("*.png")}
    of_prefect = {"deployments", "form", "run-running", "run-page", "run-failed", "sequences", "report-form"}
    assert kept == of_prefect | {"pages-search", "pages-hits", "pages-plugin", "pages-states"}


def test_form_says_what_is_missing_or_too_large_before_a_run_starts(person: Person) -> None:
    person.open_form("submit-blastp")
    person.choose(DATABASE)
    person.type_query(">long\n" + "MKVLAAGIVG" * 60_000)
    person.submit()
    person.see("Put a large query into a file and name it in query_file, or send it to the HTTP service.")
    person.open_form("submit-blastp")
    person.see("Everybody who may open Prefect can read what is typed here")
    person.submit()
    person.see("should be non-empty")
    person.see("'targets' is a required property")
    assert "/runs/" not in person.page.url


def test_run_that_fails_says_why_first(person: Person) -> None:
    person.open_form("submit-blastp")
    person.choose(DATABASE)
    person.type_query(">one\nMKV?LA\n>two\n\n")
    person.submit()
    person.open_run()
    person.see_state("Failed")
    person.see_details("record 1")
    person.open_artifact("problems-")
    person.see("Nothing was done")
    person.see(re.compile("record 1"))


def test_results_open_from_the_page_of_a_run(person: Person, live: dict[str, str]) -> None:
    """Each link leads to the HTTP service; nothing that was opened asked another host for anything."""
    person.open_form("submit-blastp")
    person.choose(DATABASE)
    person.type_query(f">mine\n{sequence()}\n")
    person.submit()
    person.open_run()
    person.see_state("Completed")
    person.open_artifact("job-")
    server = urlsplit(live["UI_URL"])
    assert person.hosts == {server.netloc}
    for link in ("Query", "result", "hits", "details"):
        found = person.page.get_by_role("link", name=link, exact=True)
        address = urlsplit(str(found.get_attribute("href")))
        assert (address.hostname, address.port) == (server.hostname, (server.port or 0) + 1)
    person.page.get_by_role("link", name="details", exact=True).click()
    expect(person.page.get_by_text("complete").first).to_be_visible()


@pytest.mark.usefixtures("large")
def test_run_that_waits_is_called_queued_until_it_goes_on(
    person: Person, prefect_api: httpx.Client, pause: Callable[[bool], Any]
) -> None:
    """No green tick for what only waits; and it is the same page on which the search goes on."""
    person.open_form("submit-blastp")
    person.choose(DATABASE)
    person.type_query("".join(f">{number}\n{sequence()}\n" for number in range(400)))
    person.submit()
    run = person.open_run()
    person.see_state("Queued")
    person.see_details("waits behind other jobs; this run searches it when its turn comes")
    assert person.page.locator("main").get_by_text("Completed", exact=True).count() == 0
    pause(False)
    person.see_state("Completed")
    assert prefect_api.get(f"/flow_runs/{run}").json()["run_count"] == 2


def test_person_fills_in_the_form_of_a_plugin(person: Person, multiblast: Any, tmp_path: Path) -> None:
    """It is there as soon as the plugin was added, and shows title, help, choices, and what is needed."""
    table = SORT.replace('["text/plain"] }', '["text/plain"], label = "Lines", help = "To be sorted." }', 1)
    write_plugin(tmp_path / "plugins", table)
    done = multiblast("plugins", "add", tmp_path / "plugins")
    assert "forms that are new: sort-lines" in " ".join(done.stderr.split()), done.stderr
    person.open_form("sort-lines", "Lines")
    person.see("To be sorted. It takes *, as text/plain: job:ID")
    person.submit()
    person.see(re.compile("should be non-empty|is a required property"))
    person.open_form("sort-lines", "Lines")  # what was refused is sent again at a second click only
    person.page.locator("button").filter(has_text=re.compile("^up$")).click()
    person.page.get_by_role("option", name="down").click()
    person.page.get_by_role("heading", name="Parameters").click()  # elsewhere, which closes the list
    person.fill("Lines", "data:text/plain,apple%0Apear%0A")
    person.submit()
    person.open_run()
    person.see_state("Completed")
    person.open_artifact("plugin-")
    person.see(re.compile("sort-lines@1.0.0"))
    assert multiblast("plugins", "remove", tmp_path / "plugins").returncode == 0
