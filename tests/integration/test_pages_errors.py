"""Addresses that lead nowhere, and requests that fail: a browser gets a page that leads back, a program gets JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.http_service import HereStarter, serving

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NO_JOB = "0" * 32


@pytest.fixture(scope="module")
def client(services_under: Callable[..., Services]) -> Iterator[httpx.Client]:
    services = services_under(Policy(trust_unnamed=False))
    with serving(services, HereStarter(services)) as url, httpx.Client(base_url=url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("address", "code", "text"),
    [
        ("/nothing", 404, "There is no page at this address"),
        ("/nothing/at/all/", 404, "There is no page at this address"),
        ("/jobs/nothing/there/", 404, "There is no page at this address"),
        (f"/jobs/{NO_JOB}/sequences/abc", 404, "There is no page at this address"),
        (f"/jobs/{NO_JOB}/sequences/{'9' * 5000}", 404, "There is no page at this address"),
        (f"/jobs/{NO_JOB}", 404, f"no query job &#39;{NO_JOB}&#39;"),
        (f"/jobs/{NO_JOB}/sequences/1", 404, f"no query job &#39;{NO_JOB}&#39;"),
        ("/jobs/abc", 404, "an id has 32 hexadecimal digits"),
        (f"/jobs/{NO_JOB}/report", 405, "this is where a form is sent to"),
        ("/jobs?first=abc", 422, "first: "),
    ],
)
def test_browser_gets_a_page_where_an_address_leads_nowhere(
    client: httpx.Client, address: str, code: int, text: str
) -> None:
    answer = client.get(address, headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (code, "text/html; charset=utf-8")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert text in answer.text
    assert '<nav aria-label="Pages">' in answer.text
    assert '<a href="/">Search something</a>' in answer.text
    assert ("allow" in answer.headers) == (code == httpx.codes.METHOD_NOT_ALLOWED)


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
@pytest.mark.parametrize(
    ("address", "code", "status"),
    [
        ("/nothing", 404, "not-found"),
        (f"/jobs/{NO_JOB}/sequences/abc", 422, "invalid-input"),
        (f"/jobs/{NO_JOB}/report", 405, "method-not-allowed"),
    ],
)
def test_program_gets_json_where_an_address_leads_nowhere(
    client: httpx.Client, address: str, code: int, status: str, accept: str
) -> None:
    answer = client.get(address, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["status"]) == (code, status)


@pytest.mark.parametrize(
    ("address", "code", "status"),
    [
        ("/query/nothing", 404, "not-found"),
        ("/query/statuses", 405, "method-not-allowed"),
        ("/report/jobs?first=abc", 422, "invalid-input"),
        ("/multi-blast/nothing", 404, "not-found"),
    ],
)
def test_api_answers_with_json_whoever_asks(client: httpx.Client, address: str, code: int, status: str) -> None:
    """Some libraries for programs say that they take HTML unless they are told otherwise, as Java's does."""
    answer = client.get(address, headers=BROWSER)
    assert (answer.status_code, answer.json()["status"]) == (code, status)


def test_wrong_token_in_a_header_gets_json_where_an_address_leads_nowhere(client: httpx.Client) -> None:
    answer = client.get("/nothing", headers={**BROWSER, "Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()["status"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("address", "code", "text"),
    [
        ("/%00", 400, "the address has a NUL character"),
        ("/jobs?find=%00", 400, "the address has a NUL character"),
    ],
)
def test_browser_gets_a_page_where_an_address_is_refused_at_once(
    client: httpx.Client, address: str, code: int, text: str
) -> None:
    answer = client.get(address, headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (code, "text/html; charset=utf-8")
    assert text in answer.text
    assert '<nav aria-label="Pages">' in answer.text
    assert client.get(address, headers={"Accept": "application/json"}).json()["status"] == "bad-request"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PoolTimeoutError("all are busy"), 503, "a server behind this one is away: try again in a moment"),
        (RuntimeError("a path"), 500, "something went wrong here: give the administrator this requestId"),
    ],
)
def test_browser_gets_a_page_where_the_service_is_busy_or_fails(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, text: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(Services, "job_door", fail)
    answer = client.get(f"/jobs/{NO_JOB}", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (code, "text/html; charset=utf-8")
    assert text in answer.text
    assert f"requestId: {answer.headers['x-request-id']}" in answer.text
    assert ("retry-after" in answer.headers) == (code == httpx.codes.SERVICE_UNAVAILABLE)
    assert client.get(f"/jobs/{NO_JOB}").json()["requestId"]
