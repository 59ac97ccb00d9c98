"""The gateway: a grant opens the files of one job, as long as that is to be, and nothing else."""

from __future__ import annotations

import json
import logging
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from multiblast.database import QueryJob, Ticket, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError, ObjectMissingError
from multiblast.gateway.tickets import ALIEN_FILES, MOST_REFUSALS
from multiblast.services import Services
from multiblast.stores.gateway_client import Grant, site_grants
from multiblast.stores.http import HttpStore
from tests.support.gateway import gateway, granted, stores_of
from tests.support.http_service import HereStarter, config, serving
from tests.support.people import ADMINISTRATOR
from tests.support.transfers import content_digest, piece_headers, rows, upload_headers

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
HOUR = timedelta(hours=1)


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    services.store.put("a/in", b"input of a")
    services.store.put("b/in", b"input of b")
    with gateway(services) as address:
        yield address


@pytest.fixture
def job(services: Services) -> str:
    job_id = services.queries.create(ADMINISTRATOR, config(FASTA)).query_job_id
    services.queries.jobs.start(services.queries.jobs.query(job_id))
    return job_id


@pytest.fixture
def store(url: str) -> Iterator[Callable[[str | Grant], HttpStore]]:
    """Makes the store of a grant."""
    with stores_of(url) as make:
        yield make


def test_gateway_is_off_unless_it_is_switched_on(services: Services) -> None:
    with serving(services, HereStarter(services)) as address:
        codes = {httpx.get(f"{address}/gateway/{path}").status_code for path in ("health", "objects/a", "uploads")}
    assert codes == {404}


def test_gateway_gives_what_a_grant_names_and_no_more(services: Services, store: Any) -> None:
    mine = store(granted(services, reads=["a/in"], writes=["a/out/"]))
    mine.put("a/out/1", b"output")
    assert [mine.read(key) for key in ("a/in", "a/out/1")] == [b"input of a", b"output"]
    assert sorted(found.key for found in mine.list("a")) == ["a/in", "a/out/1"]
    assert [found.key for found in mine.list()] == ["a/in", "a/out/1"]
    with pytest.raises(ObjectMissingError):
        mine.read("a/out/2")
    for act in (
        lambda: mine.read("b/in"),
        lambda: mine.read("nothing/there"),  # whether it exists is not said
        lambda: mine.put("a/out2", b"x"),
        lambda: mine.put("b/in", b"x"),
        lambda: mine.delete(["a/out/1"]),
        lambda: list(mine.list("b")),
    ):
        with pytest.raises(NotAllowedError, match=r"the grant (does not|names nothing)"):
            act()
    assert services.store.read("b/in") == b"input of b"


def test_site_key_and_ticket_give_a_grant_for_the_files_of_a_job(
    services: Services, url: str, job: str, store: Any
) -> None:
    key = services.gateway.sites.add("giessen")
    ticket = services.gateway.tickets.make(
        site="giessen", reads=["a/in"], writes=["a/out/"], max_bytes=100, lasts=HOUR, job_id=job
    )
    mine = store(site_grants(url, key, ticket.id))
    assert mine.read("a/in") == b"input of a"
    mine.put("a/out/x", b"x")
    recorded = [
        (row.verb, row.key, row.outcome, row.site, row.job_id) for row in services.gateway.tickets.transfers(job)
    ]
    assert ("grant", "", "done", "giessen", job) in recorded
    assert ("fetch", "a/in", "done", "giessen", job) in recorded
    assert ("push", "a/out/x", "done", "giessen", job) in recorded


@pytest.mark.parametrize("end", ["job ended", "job cancelled", "site removed", "ticket revoked", "ticket expired"])
def test_grant_ends_with_what_it_is_for(services: Services, url: str, job: str, end: str, store: Any) -> None:
    key = services.gateway.sites.add("giessen")
    ticket = services.gateway.tickets.make(site="giessen", reads=["a/in"], max_bytes=0, lasts=HOUR, job_id=job)
    mine = store(site_grants(url, key, ticket.id))
    assert mine.read("a/in")
    with services.database.write() as session:
        if end == "job ended":
            session.exec(update(QueryJob).where(col(QueryJob.id) == job).values(status="failed"))
        elif end == "job cancelled":
            session.exec(update(QueryJob).where(col(QueryJob.id) == job).values(cancel_requested=True))
        elif end == "ticket expired":
            session.exec(update(Ticket).values(expires_at=utc_now()))
    if end == "site removed":
        services.gateway.sites.remove("giessen")
    elif end == "ticket revoked":
        services.gateway.tickets.revoke(ticket.id, "it was enough")
    services.gateway.tickets._seen.clear()  # else it is good for two seconds more
    with pytest.raises(NotAllowedError):
        mine.read("a/in")


def test_ticket_is_worth_nothing_without_the_key_of_its_site(services: Services, url: str, job: str) -> None:
    giessen, ulm = services.gateway.sites.add("giessen"), services.gateway.sites.add("ulm")
    ticket = services.gateway.tickets.make(site="giessen", reads=["a/in"], max_bytes=0, lasts=HOUR, job_id=job)
    by_hand = services.gateway.tickets.make(site="", reads=["a/in"], max_bytes=0, lasts=HOUR)
    asked = [(ulm, ticket.id), (giessen, by_hand.id), (giessen, "0" * 32), ("x", ticket.id), ("mbs_x", ticket.id)]
    codes = [
        httpx.post(f"{url}/grants", json={"ticket": one}, headers={"Authorization": f"Bearer {key}"}).status_code
        for key, one in asked
    ]
    assert codes == [403, 403, 403, 401, 401]
    services.gateway.sites.remove("giessen")
    with pytest.raises(InvalidInputError, match="there is a site 'ulm'"):
        services.gateway.sites.add("ulm")
    assert services.gateway.sites.add("giessen") != giessen


def test_ticket_dies_of_twenty_refusals(services: Services, store: Any) -> None:
    token = granted(services, reads=["a/in"])
    mine = store(token)
    for number in range(MOST_REFUSALS):
        with pytest.raises(NotAllowedError, match="does not name"):
            mine.stat(f"b/{number}") if number else mine.read("b/in")
    services.gateway.tickets._seen.clear()
    with pytest.raises(NotAllowedError, match="not good, or no more"):
        mine.read("a/in")
    with services.database.read() as session:
        assert session.exec(select(Ticket)).one().why == ALIEN_FILES
    assert sum(row.outcome == "refused" for row in rows(services)) >= MOST_REFUSALS


def test_keys_of_grants_rotate(services: Services, store: Any) -> None:
    token = granted(services, reads=["a/in"])
    services.gateway.keys.rotate()
    assert store(token).read("a/in")
    assert store(granted(services, reads=["a/in"])).read("a/in")
    services.gateway.keys.rotate()
    with pytest.raises(NotAllowedError, match="not good, or no more"):
        store(token).read("a/in")


@pytest.mark.parametrize("keys", [["../a"], ["/a"], ["a//"], [""], ["a\n"], [".hidden/"], []])
def test_ticket_names_keys_of_the_store_only(services: Services, keys: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        services.gateway.tickets.make(site="", reads=keys, max_bytes=0, lasts=HOUR)


def hostile_requests(
    chance: random.Random, token: str, expired: str, forged: str
) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Yield requests for what job A's grant does not name: method, address, headers, body."""
    keys = (
        *("b/in", "b/", "a", "a/in2", "a/inn", "a/in/x", "a/out", "a/outside", "secret", "a/out/../../b/in"),
        *(
            "a/out/%2e%2e/%2e%2e/b/in",
            "a/out/..%2f..%2fb/in",
            "a/out/..\\b",
            "../b/in",
            "/b/in",
            "//etc/passwd",
            "a/link/in",
        ),
        *("a/out/.hidden", "a/out/", "A/in", "a/in%00", "a/in%0a", "%61/out%2f..%2f..%2fb%2fin", "a/out/" + "x" * 300),
        *("a/out/ä", "b/in?key=a/in", "a/in/../../b/in", "queries/x", "packs/00/x", "a/in%20", "a/in.", "a /in"),
    )
    tokens = (token, token, token, expired, forged, token[:-2] + "AA", token.replace("mbg1", "mbg2"), "", "mbs_x")
    while True:
        shown, key, method = (
            chance.choice(tokens),
            chance.choice(keys),
            chance.choice(["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "LIST"]),
        )
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        if chance.random() < 0.2:
            headers |= {"X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/gateway/objects/b/in", "Range": "bytes=0-"}
        if method == "LIST":
            yield "GET", f"/objects?prefix={quote(chance.choice(['b', 'b/', 'a/i', '', '..', 'A', '/']))}", headers, b""
        elif method == "POST":
            yield "POST", "/uploads", {**headers, **upload_headers(chance.choice(keys), b"evil")}, b""
        elif method == "PATCH":
            place = f"/uploads/{chance.choice(['0' * 32, '..%2f..', 'whole', 'x'])}"
            yield "PATCH", place, {**headers, **piece_headers(0, b"evil")}, b"evil"
        else:
            body = b"evil" if method == "PUT" else b""
            yield method, f"/objects/{key}", {**headers, **(content_digest(body) if body else {})}, body


@pytest.mark.parametrize("count", [600, pytest.param(5_000, marks=pytest.mark.long)])
def test_nothing_outside_a_grant_is_reached(
    services: Services, url: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multiblast.gateway")
    services.store.put("secret", b"input of b, too")
    root: Any = services.store
    (root.root / "a" / "link").symlink_to(root.root / "b")
    before = {found.key: services.store.read(found.key) for found in services.store.list()}
    chance = random.Random(16)
    expired = granted(services, reads=["a/in"], lasts_s=-1)
    forged = granted(services, reads=["b/in"])[:-8] + "AAAAAAA="

    def fresh() -> str:
        return granted(services, reads=["a/in"], writes=["a/out/"])

    token, asked, reached = fresh(), 0, []
    requests = hostile_requests(chance, token, expired, forged)
    with httpx.Client(base_url=url, timeout=60) as asking:
        while asked < count:
            method, path, headers, body = next(requests)
            answer = asking.request(method, path, headers=headers, content=body)
            asked += 1
            if b"input of b" in answer.content or answer.status_code >= 500:
                reached.append((method, path, answer.status_code))
            if answer.status_code == 401 and "no longer valid" in answer.text:
                token = fresh()
                requests = hostile_requests(chance, token, expired, forged)
    after = {
        found.key: services.store.read(found.key)
        for found in services.store.list()
        if not found.key.startswith("a/out/")
    }
    assert (reached, after) == ([], before)
    recorded = rows(services)
    logged = [record for record in caplog.records if record.name == "multiblast.gateway.gateway"]
    assert len(logged) >= len(recorded) > count / 10
    assert {row.outcome for row in recorded if row.key.startswith("b")} <= {"refused", "failed"}


def test_no_secret_is_kept_or_logged(
    services: Services, url: str, job: str, caplog: pytest.LogCaptureFixture, store: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    key = services.gateway.sites.add("giessen")
    ticket = services.gateway.tickets.make(site="giessen", reads=["a/in"], max_bytes=0, lasts=HOUR, job_id=job)
    grants = site_grants(url, key, ticket.id)
    assert store(grants).read("a/in")
    with pytest.raises(NotAllowedError) as refused:
        store(grants).read("b/in")
    with closing(sqlite3.connect(services.database.engine.url.database or "")) as database:
        kept = "\n".join(database.iterdump())
    told = "\n".join(
        (kept, caplog.text, str(refused.value), json.dumps([site.facts() for site in services.gateway.sites.list()]))
    )
    signature = grants(False).rpartition(".")[2]
    assert ticket.id in told
    assert not [secret for secret in (key, signature) if secret in told]
