"""Sessions of browsers: links by which a job is shared, and what is left when somebody signs out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import pytest

from multiblast.accounts import Requester
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.http_service import HereStarter, config, serving

PROTEIN = "MSTEVIKKLMDKFGADIHVLSNNLARYGWPQ"


@pytest.fixture
def services(services_under: Callable[..., Services]) -> Services:
    return services_under(Policy(trust_unnamed=False))


@pytest.fixture
def browser(services: Services) -> Iterator[httpx.Client]:
    with (
        serving(services, HereStarter(services)) as address,
        httpx.Client(base_url=address, headers={"Accept": "text/html"}) as client,
    ):
        yield client


def sent(browser: httpx.Client, address: str, **fields: tuple[str | None, str]) -> httpx.Response:
    """Send a form of ours: names of files, or None for a field, and what is in them."""
    found = re.search(r'name="form_token" value="(\w+)"', browser.get("/").text)
    assert found
    return browser.post(address, files={**fields, "form_token": (None, found[1])})


def test_shared_job_is_read_until_its_reader_signs_out(services: Services, browser: httpx.Client) -> None:
    ann = Requester("ann")
    job = services.queries.create(ann, config(f">q\n{PROTEIN}\n")).query_job_id
    share = services.queries.share(ann, job)
    assert browser.get(f"/jobs/{job}").status_code == 403
    assert browser.get(f"/shared/{job}/{share}", follow_redirects=True).status_code == 200
    assert sent(browser, "/sign-in", token=(None, services.accounts.tokens.make("bob", "browser"))).status_code == 303
    assert browser.get(f"/jobs/{job}").status_code == 200
    assert sent(browser, "/sign-out").status_code == 303
    assert browser.get(f"/jobs/{job}").status_code == 403


@pytest.mark.parametrize("end", ["", "/", "/more", "\n"])
def test_token_in_the_link_of_a_shared_job_is_in_no_log(
    services: Services, browser: httpx.Client, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    caplog.set_level("DEBUG", "multiblast")
    ann = Requester("ann")
    job = services.queries.create(ann, config(f">q\n{PROTEIN}\n")).query_job_id
    share = services.queries.share(ann, job)
    browser.get(f"/shared/{job}/{share}{quote(end)}")
    browser.get("/sign-in")  # by its answer the line before is written
    served = [record.getMessage() for record in caplog.records if record.name.startswith("multiblast")]
    assert any(f"GET /shared/{job}/" in line for line in served)
    assert not [line for line in served if share in line]


def test_guest_who_signs_out_is_shown_how_to_come_back(browser: httpx.Client) -> None:
    one = {"query": (None, PROTEIN), "database": (None, "protein:demo/examples/proteins")}
    job = sent(browser, "/", **one).headers["location"]
    asked = sent(browser, "/sign-out")
    token = re.search(r'aria-label="Your token" readonly value="([^"]+)"', asked.text)
    assert token
    assert browser.get(job).status_code == 200
    assert sent(browser, "/sign-out", sure=(None, "yes")).status_code == 303
    assert browser.get(job).status_code == 403
    assert sent(browser, "/sign-in", token=(None, token[1])).status_code == 303
    assert browser.get(job).status_code == 200


@pytest.mark.parametrize(("trusted", "title"), [(False, "My jobs"), (True, "All jobs")])
def test_list_of_somebody_without_a_name_is_of_all_jobs_only_if_they_may_see_all(
    services_under: Callable[..., Services], trusted: bool, title: str
) -> None:
    services = services_under(Policy(trust_unnamed=trusted))
    services.queries.create(Requester("ann"), config(f">of-ann\n{PROTEIN}\n"))
    with serving(services, HereStarter(services)) as address:
        page = httpx.get(f"{address}/jobs").text
    assert f"<h1>{title}</h1>" in page
    assert ("of-ann" in page) == trusted


def test_text_and_file_at_once_are_refused(services: Services, browser: httpx.Client) -> None:
    """One of them would not be searched."""
    two = {"query": (None, PROTEIN), "file": ("q.fasta", f">q\n{PROTEIN}\n")}
    answer = sent(browser, "/", **two, database=(None, "protein:demo/examples/proteins"))
    assert answer.status_code == 422
    assert "in the field and in a file" in answer.text
    assert services.queries.list_jobs(Requester(administrator=True)) == []


@pytest.mark.parametrize("token", ["unknown", "%E2%82%AC", "%0D%0ASet-Cookie:%20a=b", "x" * 5000])
def test_link_that_shares_nothing_says_so_and_leaves_nothing(browser: httpx.Client, token: str) -> None:
    answer = browser.get(f"/shared/{'0' * 32}/{token}")
    assert answer.status_code == 403
    assert "ask for a new one" in answer.text
    assert "multiblast_shares" not in answer.headers.get("set-cookie", "")
