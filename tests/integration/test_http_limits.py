"""Limits of the HTTP service: bodies, time, submissions; and many who wait, none of them in a thread."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from multiblast.database import JobStatus
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy, UserLimits
from tests.support.http_service import HereStarter, config
from tests.support.processes import wait_for
from web import bodies, guard, memory, server

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
WAITING = 60


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    policy = Policy(
        trust_unnamed=False, users=UserLimits(sequences_per_day=3), http=HttpRules(body_bytes=100_000, guests=False)
    )
    return services_under(policy)


@pytest.fixture(scope="module")
def starter(services: Services) -> HereStarter:
    return HereStarter(services, away=True)


def bearer(services: Services, user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {services.accounts.tokens.make(user, 'tests')}"}


def talk(url: str, *pieces: bytes, pause_s: float = 0.0) -> tuple[bytes, float]:
    """Send pieces with pauses, and read until the server hangs up; return what it sent and how long that took."""
    started = time.monotonic()
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=20) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    return received, time.monotonic() - started


def test_http_too_many_submissions_are_refused_until_a_time(url: str, services: Services) -> None:
    headers = bearer(services, "greedy")
    queries = [FASTA.replace("First", f"s{number}") for number in range(4)]
    answers = [httpx.post(f"{url}/query/jobs", json=config(query), headers=headers) for query in queries]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[3].headers["retry-after"]) > 60
    assert answers[3].json()["retryAt"].endswith("Z")
    assert httpx.get(f"{url}/query/jobs", headers=headers).status_code == 200
    form = {"CMD": "Put", "PROGRAM": "blastp", "DATABASE": "proteins", "QUERY": "MKVLAAGIV"}
    page = httpx.post(f"{url}/Blast.cgi", data=form, headers=headers)
    assert (page.status_code, "Message ID#24" in page.text) == (429, True)


def test_http_guests_are_not_made_where_the_policy_has_none(url: str) -> None:
    assert httpx.post(f"{url}/guests").status_code == 403


def test_http_body_without_length_is_stopped_at_the_limit(url: str, services: Services) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 50_000

    headers = {**bearer(services, "ann"), "Content-Type": "application/json"}
    assert httpx.post(f"{url}/query/jobs", content=endless(), headers=headers).status_code == 413


def test_http_nothing_is_read_of_a_search_of_nobody(url: str) -> None:
    head = b"POST /query/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_http_long_sequences_come_as_a_file(url: str, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """All else is held in memory."""
    monkeypatch.setattr(bodies, "HELD_BYTES", 10_000)
    headers, long = bearer(services, "long"), f">q\n{'MKVLAAGIVG' * 2000}\n"
    given = {"config": (None, json.dumps(config()))}
    several = [(f"x{number}", long[:6000]) for number in range(2)]
    answers = [
        httpx.post(f"{url}/query/jobs", json=config(long), headers=headers),
        httpx.post(f"{url}/query/jobs", files={"config": ("c.json", json.dumps(config(long)))}, headers=headers),
        httpx.post(f"{url}/query/jobs", files={**given, "query": (None, long)}, headers=headers),
        httpx.post(f"{url}/query/jobs", files=[(name, (None, text)) for name, text in several], headers=headers),
        httpx.post(f"{url}/Blast.cgi", data={"CMD": "Put", "QUERY": long}, headers=headers),
        httpx.post(f"{url}/Blast.cgi", data={"CMD": "Put", **dict(several)}, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [413] * 6
    assert all("send sequences as a file" in answer.json()["message"] for answer in answers)
    files = {**given, "query": ("q.fasta", long)}
    assert httpx.post(f"{url}/query/jobs", files=files, headers=headers).status_code == 200


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "0x10", "१"])
def test_http_length_that_is_none_is_refused(url: str, length: str) -> None:
    request = f"POST /query/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    answer, _ = talk(url, request.encode())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


def test_http_slow_upload_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_UPLOAD_S", 1.0)
    head = b"POST /query/statuses HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n"
    answer, seconds = talk(url, head, *[b"["] * 4, pause_s=0.3)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "timeout"
    assert seconds < 5


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_http_client_that_leaves_within_its_request_is_no_failure_of_the_service(
    url: str, services: Services, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was logged as one, with a request id to give to the administrator."""
    caplog.set_level(logging.INFO)
    path = "/query/jobs" if kind.endswith("json") else "/Blast.cgi"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n"
    token = bearer(services, f"who-leaves-{path[1:6]}")["Authorization"]
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=20) as connection:
        connection.sendall(f"{head}Authorization: {token}\r\n\r\nhalf".encode())
    logged = f"POST {path} 400"
    wait_for(lambda: any(logged in record.getMessage() for record in caplog.records), 20)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_http_slow_head_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 1.0)
    answer, seconds = talk(url, b"GET /health HTTP/1.1\r\n", b"Host: ")
    assert (answer, seconds < 5) == (b"", True)
    first = b"GET /query/targets HTTP/1.1\r\nHost: x\r\n\r\n"
    answer, seconds = talk(url, first, b"GET /query/targets HTTP/1.1\r\n", pause_s=0.5)
    assert (answer.count(b"HTTP/1.1 200 OK"), seconds < 8) == (1, True)


def test_http_reader_that_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The piece that it does not take ends the answer."""
    monkeypatch.setattr(guard, "_SEND_S", 0.2)
    sent: list[str] = []

    async def app(scope: object, receive: object, send: guard.Send) -> None:
        assert scope
        assert receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def receive() -> guard.Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: guard.Message) -> None:
        sent.append(message["type"])
        if len(sent) > 1:
            await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(guard.Guard(app, HttpRules(), guard.HttpMetrics())(scope, receive, send))
    assert sent == ["http.response.start", "http.response.body"]


def test_http_many_wait_without_a_thread_each(url: str, services: Services, starter: HereStarter) -> None:
    headers = bearer(services, "patient")
    job = httpx.post(f"{url}/query/jobs", json=config(FASTA), headers=headers).json()["queryJobID"]
    before = threading.active_count()
    most = 0

    async def wait() -> list[str]:
        nonlocal most
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as client:
            asked = [client.get(f"/query/jobs/{job}", headers={"Prefer": "wait=30"}) for _ in range(WAITING)]
            waiting = asyncio.gather(*asked)
            for _ in range(20):
                await asyncio.sleep(0.1)
                most = max(most, threading.active_count() - before)
            await asyncio.to_thread(services.queries.jobs.move_query, [job], JobStatus.CANCELLED, "over")
            return [answer.json()["status"] for answer in await waiting]

    started = time.monotonic()
    assert asyncio.run(wait()) == ["cancelled"] * WAITING
    assert time.monotonic() - started < 100
    assert most < 45
    assert starter.away


def test_http_answers_that_are_remembered_take_no_more_memory_than_they_may(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked is remembered, too, and may be megabytes of ids that nobody knows, from people with no account."""
    monkeypatch.setattr(memory, "_MOST_BYTES", 100_000)
    kept, made = memory.Memory(services.database), []

    def ask(*key: object) -> None:
        kept.answer(key, lambda: made.append(key) or memory.Remembered(b"{}"))  # type: ignore[func-returns-value]  # always None

    for _ in range(2):
        ask("statuses", tuple(f"{number:0100}" for number in range(3000)))
    assert len(made) == 2
    for number in (*range(300), 299, 0):
        ask("jobs", f"{number}")
    assert [one for one in made[2:] if made.count(one) > 1] == [("jobs", "0"), ("jobs", "0")]
    assert kept._bytes <= 100_000
