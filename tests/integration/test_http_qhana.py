"""Our plugins in QHAna's own form: a client that knows its documents alone finds, runs and follows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import JobStatus, Notice, Webhook, utc_now
from multiblast.services import Services
from multiblast.settings import HttpRules, PluginRules, Policy
from tests.support.http_service import HereStarter, serving
from tests.support.plugin_tables import ASKING, ASKS
from tests.support.plugins import SORT, write_plugin
from tests.support.webhooks import listening

SECRET = "known to both"  # noqa: S105 - of a test
NASTY = SORT.replace('"Sort lines"', "'''<script>alert(\"1\")</script>'''").replace("sort-lines", "nasty")


@pytest.fixture
def services(services_under: Callable[..., Services], tmp_path: Path) -> Services:
    for table in (SORT, SORT.replace("1.0.0", "1.10.0"), SORT.replace("1.0.0", "1.9.0"), NASTY):
        write_plugin(tmp_path / table[20:60].encode().hex() / str(len(list(tmp_path.iterdir()))), table)
    write_plugin(tmp_path / "asking", ASKING, work=ASKS)
    folders = tuple(str(path) for path in (*tmp_path.glob("*/[0-9]*"), tmp_path / "asking"))
    plugins, http = PluginRules(folders=folders, qhana=True), HttpRules(origins=("https://qhana.example.org",))
    return services_under(Policy(trust_unnamed=False, plugins=plugins, http=http))


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    with serving(services, HereStarter(services)) as address:
        yield address


@pytest.fixture
def member(services: Services) -> dict[str, str]:
    return {"Authorization": f"Bearer {services.accounts.tokens.make('ann', 'tests')}"}


def ended(task: str) -> dict[str, Any]:
    """Poll a task, as somebody who has its address and no account, until it has ended or asks."""
    for _ in range(200):
        found: dict[str, Any] = httpx.get(task).raise_for_status().json()
        if found["status"] != "PENDING" or any(not step["cleared"] for step in found.get("steps", ())):
            return found
        time.sleep(0.05)
    raise AssertionError("the task does not end")


def test_client_of_qhanas_documents_runs_a_plugin(url: str, member: dict[str, str]) -> None:
    """It lists plugins, follows the plain name to the newest, starts it, polls its task and downloads its output."""
    listed = httpx.get(f"{url}/qhana/plugins/").json()["plugins"]
    assert {"sort-lines@1-0-0", "sort-lines@1-10-0", "asking@1-0-0"} <= {one["identifier"] for one in listed}
    newest = httpx.get(f"{url}/qhana/plugins/sort-lines/")
    assert newest.status_code == 307
    root = httpx.get(newest.headers["location"]).json()
    assert (root["name"], root["version"], root["type"]) == ("sort-lines", "1.10.0", "processing")
    entry = root["entryPoint"]
    assert entry["dataInput"] == [
        {"parameter": "text", "dataType": "*", "contentType": ["text/plain"], "required": True}
    ]
    assert entry["dataOutput"] == [
        {"name": "sorted", "dataType": "lines", "contentType": ["text/plain"], "required": True}
    ]
    form = {"text": "data:text/plain,b%0Aa%0A", "order": "down"}
    assert httpx.post(entry["href"], data=form).status_code == 401
    started = httpx.post(entry["href"], data=form, headers=member)
    assert started.status_code == 303
    task = ended(started.headers["location"])
    assert task["status"] == "SUCCESS"
    [output] = task["outputs"]
    assert (output["name"], output["dataType"], output["contentType"]) == ("sorted.txt", "lines", "text/plain")
    got = httpx.get(output["href"])
    assert (got.text, got.headers["x-data-type"]) == ("b\na\n", "lines")
    # What one made, another takes in, by the address alone.
    again = httpx.post(entry["href"], data={"text": output["href"], "order": "up"}, headers=member)
    second = ended(again.headers["location"])
    assert httpx.get(second["outputs"][0]["href"]).text == "a\nb\n"


def test_addresses_are_not_to_be_guessed(url: str, member: dict[str, str]) -> None:
    started = httpx.post(
        f"{url}/qhana/plugins/sort-lines/process/", data={"text": "data:text/plain,b"}, headers=member
    ).headers["location"]
    output = ended(started)["outputs"][0]["href"]
    sealed = parse_qs(urlsplit(output).query)["file-id"][0]
    later = f"{int(sealed.partition('-')[0]) + 3600}-{sealed.partition('-')[2]}"
    for wrong in (output.partition("?")[0], output[:-1], output.replace(sealed, later), output.replace("-1/", "-2/")):
        assert httpx.get(wrong).status_code == 404
    assert httpx.get(started.partition("?")[0]).status_code == 401
    assert httpx.get(started[:-1]).status_code == 401
    access = parse_qs(urlsplit(started).query)["access"][0]
    assert httpx.get(output, params={"file-id": access}).status_code == 404  # it is for the task


def test_steps_are_answered_by_their_forms(url: str, member: dict[str, str]) -> None:
    started = httpx.post(f"{url}/qhana/plugins/asking@1-0-0/process/", data={}, headers={**member, **FORM})
    task = started.headers["location"]
    for word in ("a", "b"):
        step = ended(task)["steps"][-1]
        assert not step["cleared"]
        assert 'name="word"' in httpx.get(step["uiHref"]).text
        assert httpx.post(step["href"], data={"word": word, "times": "x"}).status_code == 422
        assert httpx.post(step["href"], data={"word": word, "times": "1"}).status_code == 303
    found = ended(task)
    assert [(one["stepId"], one["cleared"]) for one in found["steps"]] == [("first", True), ("second", True)]
    assert httpx.get(found["outputs"][0]["href"]).text == "a b 1,2,3,"


def test_who_may_only_read_a_task_gets_no_address_to_answer_it(
    url: str, services: Services, member: dict[str, str]
) -> None:
    started = httpx.post(f"{url}/qhana/plugins/asking@1-0-0/process/", data={}, headers={**member, **FORM})
    address = started.headers["location"]
    assert ended(address)["steps"][0]["href"]
    plain, job_id = address.partition("?")[0], urlsplit(address).path.split("/")[3]
    reader = {"Share-Token": services.plugin_jobs.share(Requester("ann"), job_id)}
    read = httpx.get(plain, headers=reader)
    assert read.status_code == 200
    assert read.json()["steps"] == [{"stepId": "first", "cleared": False}]
    assert "access=" not in read.text
    assert httpx.get(f"{plain}steps/first/ui/", headers=reader).status_code == 403
    subscribe = {"command": "subscribe", "webhookHref": "https://example.org/"}
    assert httpx.post(plain, json=subscribe, headers=reader).status_code == 403
    assert httpx.get(plain, headers=member).json()["steps"][0]["href"].startswith(f"{plain}steps/first/?access=")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_form_is_escaped_and_may_be_shown_by_known_sites(url: str) -> None:
    page = httpx.get(f"{url}/qhana/plugins/nasty/ui/", params={"text": '"><img src=x>', "order": "down"})
    assert "<script>" not in page.text
    assert "<img" not in page.text
    assert '<option value="down" selected>' in page.text
    assert 'data-input-type="data"' in page.text
    assert "frame-ancestors 'self' https://qhana.example.org" in page.headers["content-security-policy"]
    allowed = httpx.get(f"{url}/qhana/plugins/", headers={"Origin": "https://qhana.example.org"})
    assert allowed.headers["access-control-allow-origin"] == "https://qhana.example.org"


def test_it_is_off_by_default(services_under: Callable[..., Services]) -> None:
    services = services_under(Policy())
    with serving(services, HereStarter(services)) as address:
        assert httpx.get(f"{address}/qhana/plugins/").status_code == 404


@pytest.fixture
def heard() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a webhook, and what it heard."""
    with listening(lambda: SECRET) as found:
        yield found


def test_webhook_hears_status_steps_and_details(
    url: str, services: Services, member: dict[str, str], heard: tuple[str, list[dict[str, Any]]]
) -> None:
    """Each change once, signed, as ``POST URL?source=TASK&event=E``; who wants one event hears of that one."""
    address, taken = heard
    started = httpx.post(f"{url}/qhana/plugins/asking@1-0-0/process/", data={}, headers={**member, **FORM})
    task = ended(started.headers["location"])
    [link] = [one["href"] for one in task["links"] if one["type"] == "subscribe"]
    for event in (None, "status"):
        command = {"command": "subscribe", "event": event, "webhookHref": address}
        assert httpx.post(link, json=command).status_code == 200
        assert httpx.post(link, json=command).status_code == 200
    assert services.webhooks.send(lambda: SECRET) == 0  # nothing has changed since

    assert httpx.post(task["steps"][0]["href"], data={"word": "a"}).status_code == 303
    ended(link)
    assert services.webhooks.send(lambda: SECRET) > 0
    assert {one["event"][0] for one in taken} >= {"steps", "details"}
    assert all(one["is_ours"] and one["by"] == ["us"] for one in taken)
    assert httpx.get(taken[0]["source"][0]).json()["status"] == "PENDING"
    sent = len(taken)
    assert services.webhooks.send(lambda: SECRET) == 0

    httpx.post(link, json={"command": "unsubscribe", "event": None, "webhookHref": address})
    httpx.post(ended(link)["steps"][1]["href"], data={"word": "b"})
    assert ended(link)["status"] == "SUCCESS"
    services.webhooks.send(lambda: SECRET)
    assert [(one["event"], one["body"]["status"]) for one in taken[sent:]] == [(["status"], JobStatus.COMPLETE)]
    assert httpx.post(link, json={"command": "subscribe", "webhookHref": "http://10.0.0.1/"}).status_code == 422


def test_webhook_of_an_ended_job_is_not_looked_at_until_it_goes_on(
    url: str, services: Services, member: dict[str, str], heard: tuple[str, list[dict[str, Any]]]
) -> None:
    address, taken = heard
    form = {"text": "data:text/plain,b"}
    task = httpx.post(f"{url}/qhana/plugins/sort-lines/process/", data=form, headers=member).headers["location"]
    ended(task)
    job_id = urlsplit(task).path.split("/")[3]
    services.webhooks.subscribe(job_id, address, "", task)

    def send() -> list[tuple[str, str]]:
        taken.clear()
        services.webhooks.send(lambda: SECRET)
        return [(one["event"][0], one["body"]["status"]) for one in taken]

    services.plugin_jobs.jobs.note_plugin(job_id, log="late")
    assert send() == [("details", "complete")]  # it has ended just now: the clock of the machine may be another
    services.plugin_jobs.jobs.note_plugin(job_id, finished_at=utc_now() - timedelta(hours=1))
    assert send() == []
    services.plugin_jobs.jobs.note_plugin(job_id, log="later")
    assert send() == []  # nobody looks
    services.plugin_jobs.jobs.move_plugin(job_id, JobStatus.QUEUED, "again")
    assert send() == [("status", "queued"), ("details", "queued")]
    services.plugin_jobs.jobs.move_plugin(job_id, JobStatus.IN_PROGRESS)
    services.plugin_jobs.jobs.move_plugin(job_id, JobStatus.COMPLETE)
    assert ("status", "complete") in send()


def test_expired_job_is_the_last_that_a_webhook_hears_of(
    url: str, services: Services, member: dict[str, str], heard: tuple[str, list[dict[str, Any]]]
) -> None:
    address, taken = heard
    form = {"text": "data:text/plain,b"}
    task = httpx.post(f"{url}/qhana/plugins/sort-lines/process/", data=form, headers=member).headers["location"]
    ended(task)
    job_id = urlsplit(task).path.split("/")[3]
    services.webhooks.subscribe(job_id, address, "status", task)
    services.notices.subscribe(job_id, address)
    services.plugin_jobs.jobs.note_plugin(job_id, used_at=utc_now() - timedelta(days=10_000))
    services.clean_up()
    assert services.webhooks.send(lambda: SECRET) == 1
    assert [one["body"]["status"] for one in taken] == ["expired"]
    assert services.webhooks.send(lambda: SECRET) == 0
    with services.database.read() as session:
        assert session.exec(select(Webhook)).all() == []
        assert session.exec(select(Notice)).all() == []
