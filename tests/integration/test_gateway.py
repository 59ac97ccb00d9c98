"""The gateway: a grant opens the files of one job, in pieces that go on where they broke off, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from multiblast.database import QueryJob, Ticket, Transfer, utc_now
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, ObjectMissingError, StoreError
from multiblast.gateway.tickets import ALIEN_FILES, MOST_REFUSALS
from multiblast.services import Services
from multiblast.stores.gateway_client import Grant, site_grants
from multiblast.stores.http import HttpStore
from tests.support.gateway import gateway, granted
from tests.support.http_service import HereStarter, config, serving
from tests.support.people import ADMINISTRATOR

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
HOUR = timedelta(hours=1)
PIECE = 16 << 20
TUS = {"Tus-Resumable": "1.0.0"}


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
    with ExitStack() as opened:

        def make(grant: str | Grant) -> HttpStore:
            return opened.enter_context(
                closing(HttpStore(url, (lambda _afresh: grant) if isinstance(grant, str) else grant))
            )

        yield make


def rows(services: Services) -> list[Transfer]:
    with services.database.read() as session:
        return list(session.exec(select(Transfer).order_by(col(Transfer.number))))


def content_digest(data: bytes) -> dict[str, str]:
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}


def upload_headers(key: str, data: bytes) -> dict[str, str]:
    said = {"key": key, "sha256": hashlib.sha256(data).hexdigest()}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
    return {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}


def piece_headers(offset: int, data: bytes) -> dict[str, str]:
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    kind = {"Content-Type": "application/offset+octet-stream"}
    return {**TUS, **kind, "Upload-Offset": str(offset), "Upload-Checksum": f"sha256 {checksum}"}


def client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


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


def test_gateway_sends_ranges_and_says_what_it_sends(services: Services, url: str, store: Any) -> None:
    token = granted(services, writes=["a/"])
    store(token).put("a/x", b"0123456789")
    with client(url, token) as asking:
        whole = asking.get("/objects/a/x")
        sha256 = hashlib.sha256(b"0123456789").hexdigest()
        assert (whole.content, whole.headers["etag"]) == (b"0123456789", f'"{sha256}"')
        assert whole.headers["repr-digest"] == content_digest(b"0123456789")["Content-Digest"]
        part = asking.get("/objects/a/x", headers={"Range": "bytes=3-5"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
        beyond = asking.get("/objects/a/x", headers={"Range": "bytes=10-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */10")
        other = asking.get("/objects/a/x", headers={"Range": "bytes=3-5", "If-Range": '"another"'})
        assert (other.status_code, other.content) == (200, b"0123456789")
        several = asking.get("/objects/a/x", headers={"Range": "bytes=0-1,4-5"})
        assert (several.status_code, several.content) == (200, b"0123456789")
        assert "repr-digest" not in asking.get("/objects/a/in").headers  # nobody said what it is


def test_fetch_that_goes_on_takes_nothing_of_another_object(services: Services, store: Any) -> None:
    services.store.put("a/big", bytes(8 << 20))
    mine = store(granted(services, reads=["a/big"]))
    for is_same in (True, False):
        with mine.open("a/big") as stream:
            assert len(stream.read(1 << 20)) == 1 << 20
            stream.raw._let_go()  # the connection breaks
            if is_same:
                assert len(stream.read()) == 7 << 20
            else:
                services.store.put("a/big", b"1" * (8 << 20))
                with pytest.raises(StoreError, match="was replaced while it was fetched"):
                    stream.read()


def test_push_of_the_same_sends_nothing_and_of_other_bytes_is_a_conflict(
    services: Services, url: str, store: Any
) -> None:
    data = os.urandom(3 << 20)
    token = granted(services, reads=["a/in"], writes=["a/out/"])
    mine = store(token)
    for content in (b"", b"small", data):
        mine.put("a/out/x", content)
        sent = sum(row.size for row in rows(services))
        mine.put("a/out/x", content)
        with client(url, token) as asking:
            again = asking.post("/uploads", headers=upload_headers("a/out/x", content))
            assert again.headers["upload-offset"] == str(len(content))
        assert sum(row.size for row in rows(services)) == sent
        with pytest.raises(ConflictError, match="other bytes at 'a/out/x' already"):
            mine.put("a/out/x", content + b"!")
        assert services.store.read("a/out/x") == content
        services.store.delete(["a/out/x"])
    mine.put("a/in", b"input of a")  # some tools send their inputs back
    with pytest.raises(ConflictError):
        mine.put("a/in", b"changed")


def test_upload_goes_on_where_it_broke_off(services: Services, url: str, store: Any) -> None:
    data = os.urandom(2 * PIECE + 12345)
    token = granted(services, writes=["a/"])
    with client(url, token) as asking:
        begun = asking.post("/uploads", headers=upload_headers("a/big", data))
        place = begun.headers["location"]
        assert asking.patch(place, headers=piece_headers(0, data[:PIECE]), content=data[:PIECE]).status_code == 204

        def broken() -> Iterator[bytes]:
            yield data[PIECE : PIECE + 500_000]
            raise ConnectionError

        with pytest.raises(ConnectionError):
            asking.patch(place, headers=piece_headers(PIECE, data[PIECE : 2 * PIECE]), content=broken())
        assert not services.store.exists("a/big")
    store(token).put("a/big", BytesIO(data))  # the program that was to send it has been started again
    assert services.store.read("a/big") == data
    pushed = [row.size for row in rows(services) if row.verb == "push"]
    assert sum(pushed) == len(data)
    assert not any((services.gateway.spool).iterdir())


def test_piece_that_was_changed_on_its_way_is_refused_and_never_seen(services: Services, url: str) -> None:
    data = os.urandom(3 << 20)
    changed = data[:1_000_000] + bytes([data[1_000_000] ^ 1]) + data[1_000_001:]
    with client(url, granted(services, writes=["a/"])) as asking:
        small = asking.put("/objects/a/small", content=b"hellO", headers=content_digest(b"hello"))
        assert (small.status_code, small.json()["status"]) == (460, "checksum-mismatch")
        place = asking.post("/uploads", headers=upload_headers("a/big", data)).headers["location"]
        piece = asking.patch(place, headers=piece_headers(0, data), content=changed)
        assert (piece.status_code, asking.head(place).headers["upload-offset"]) == (460, "0")
        # Without a checksum of the piece, that of the whole finds it.
        unchecked = {name: value for name, value in piece_headers(0, data).items() if name != "Upload-Checksum"}
        assert asking.patch(place, headers=unchecked, content=changed).status_code == 460
        assert asking.head(place).status_code == 404
    assert not any(services.store.exists(key) for key in ("a/small", "a/big"))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("PUT", "/objects/a/x", {}), 400),
        (("PUT", "/objects/a/x", {"Content-Digest": "md5=:AAAA:"}), 400),
        (("POST", "/uploads", {"Upload-Length": "5"}), 400),
        (("POST", "/uploads", {"Upload-Length": "five", "Upload-Metadata": "key YQ=="}), 400),
        (("POST", "/uploads", {"Upload-Length": "-1", "Upload-Metadata": "key YS94,sha256 " + "YQ==" * 64}), 400),
        (("PATCH", "/uploads/00000000000000000000000000000000", {"Upload-Offset": "0"}), 415),
        (("HEAD", "/uploads/..%2f..", {}), 404),
        (("HEAD", "/uploads/00000000000000000000000000000000", {}), 404),
    ],
)
def test_bad_request_for_a_transfer_says_what_is_wrong(
    services: Services, url: str, asked: tuple[str, str, dict[str, str]], code: int
) -> None:
    method, path, headers = asked
    with client(url, granted(services, writes=["a/"])) as asking:
        answer = asking.request(method, path, headers=headers, content=b"hello")
    assert answer.status_code == code
    assert method == "HEAD" or answer.json()["message"]


def test_upload_is_refused_before_its_first_byte_where_there_is_no_room(services: Services, url: str) -> None:
    with client(url, granted(services, writes=["a/"], max_bytes=1 << 60)) as asking:
        headers = {**upload_headers("a/x", b""), "Upload-Length": str(1 << 49)}
        full = asking.post("/uploads", headers=headers)
        assert (full.status_code, full.json()["status"]) == (507, "insufficient-storage")
    with client(url, granted(services, writes=["a/"], max_bytes=100)) as asking:
        assert asking.post("/uploads", headers=upload_headers("a/x", bytes(60))).status_code == 201
        assert asking.post("/uploads", headers=upload_headers("a/x", bytes(60))).status_code == 201  # the same one
        more = asking.post("/uploads", headers=upload_headers("a/y", bytes(60)))
        assert (more.status_code, "more than the 100 bytes" in more.json()["message"]) == (409, True)
    assert len(list(services.gateway.spool.iterdir())) == 1


def test_pieces_of_one_upload_do_not_mix(services: Services, url: str) -> None:
    data = os.urandom(2 << 20)
    with client(url, granted(services, writes=["a/"])) as asking:
        place = asking.post("/uploads", headers=upload_headers("a/x", data)).headers["location"]
        with services.database.read() as session:
            ticket = session.exec(select(Ticket.id)).one()
        upload = services.gateway.uploads.get(place.rpartition("/")[2], ticket)
        upload = services.gateway.uploads.get(place.rpartition("/")[2], ticket)
        with services.gateway.uploads.piece(upload, 0):
            second = asking.patch(place, headers=piece_headers(0, data), content=data)
            assert (second.status_code, second.json()["status"]) == (423, "locked")
        wrong = asking.patch(place, headers=piece_headers(5, data[5:]), content=data[5:])
        assert (wrong.status_code, "0 bytes are here" in wrong.json()["message"]) == (409, True)
        long = asking.patch(place, headers=piece_headers(0, data + b"!"), content=data + b"!")
        assert long.status_code == 409


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
            if answer.status_code == 401 and "worthless" in answer.text:
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


def test_links_of_a_bucket_or_a_proxy_send_the_bytes_where_that_is_set(services: Services) -> None:
    services.store.put("a/in", b"input of a")
    forged = {"X-Forwarded-For": "127.0.0.1", "X-Accel-Redirect": "/stored/b/in"}
    with gateway(services) as url, client(url, granted(services, reads=["a/in"])) as asking:
        plain = asking.get("/objects/a/in", headers=forged)
    assert (plain.content, "x-accel-redirect" in plain.headers) == (b"input of a", False)
    with gateway(services, accelerated="/stored") as url, client(url, granted(services, reads=["a/in"])) as asking:
        sent = asking.get("/objects/a/in")
        assert (sent.headers["x-accel-redirect"], sent.content) == ("/stored/a/in", b"")
        assert asking.head("/objects/a/in").headers["content-length"] == "10"
        assert asking.get("/objects/b/in").status_code == 403


def test_transfers_are_counted(services: Services, url: str, store: Any) -> None:
    mine = store(granted(services, reads=["a/in"]))
    mine.read("a/in")
    with pytest.raises(NotAllowedError):
        mine.read("b/in")
    told = ('gateway_bytes_total{outcome="done",verb="fetch"} 10.0', 'gateway_refused_total{verb="fetch"} 1.0')
    for _ in range(50):  # it is counted once all of it has been sent
        metrics = httpx.get(url.replace("/gateway", "/metrics")).text
        if all(one in metrics for one in told):
            break
        time.sleep(0.1)
    assert [one for one in told if one not in metrics] == []
