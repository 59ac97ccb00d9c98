"""What may go wrong while files travel: nothing is lost, nothing half-visible, and the error says what is wrong."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from multiblast.database import Transfer
from multiblast.errors import ConflictError, NotAllowedError, StoreAwayError
from multiblast.gateway import grant_of
from multiblast.gateway import tickets as tickets_module
from multiblast.services import Services
from multiblast.stores.gateway_client import site_grants
from tests.support.gateway import MIB, PIECE, SlowFile, Wire, gateway, granted, visible
from tests.support.http_service import config
from tests.support.people import ADMINISTRATOR
from tests.support.places import ROOT
from tests.support.processes import wait_for
from web.gateway import uploads as routes

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
HOUR = timedelta(hours=1)

_TRANSFER = """
import hashlib, sys, time
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
url, key, ticket, now = sys.argv[1:]
assert abs(abs(time.time() - float(now)) - 300) < 30, "the clock is right"
store = HttpStore(url, site_grants(url, key, ticket))
data = store.read("a/in")
store.put("a/out/small", data)
store.put("a/out/large", data * 200_000)
assert store.read("a/out/small") == data
"""


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    services.store.put("a/in", b"input of a")
    with gateway(services) as address:
        yield address


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with closing(Wire(int(url.rpartition(":")[2].partition("/")[0]))) as wire:
        yield wire


@pytest.fixture
def job(services: Services) -> str:
    job_id = services.queries.create(ADMINISTRATOR, config(FASTA)).query_job_id
    services.queries.jobs.start(services.queries.jobs.query(job_id))
    return job_id


def file_of(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(size))
    return path


def grants_asked(services: Services) -> int:
    with services.database.read() as session:
        asked = select(Transfer).where(Transfer.verb == "grant", Transfer.outcome == "done")
        return len(session.exec(asked.order_by(col(Transfer.number))).all())


@pytest.mark.parametrize(
    ("away_s", "patience_s"), [(6, 20), pytest.param(60, 300, marks=pytest.mark.long)], ids=["6 s", "60 s"]
)
@pytest.mark.parametrize("verb", ["push", "fetch"])
def test_transfer_survives_a_gateway_that_is_away(  # noqa: PLR0913, PLR0917 - what it needs, and for how long
    services: Services, wire: Wire, opened: Any, tmp_path: Path, verb: str, away_s: float, patience_s: float
) -> None:
    source = file_of(tmp_path, 3 * PIECE)
    store = opened(wire.url, granted(services, writes=["a/"]), patience_s=patience_s)
    data = source.read_bytes()

    def push() -> bytes:
        with source.open("rb") as file:
            store.put("a/out/x", file)
        return services.store.read("a/out/x")

    def fetch() -> bytes:
        with store.open("a/there") as stream:
            return b"".join(iter(lambda: stream.read(MIB), b""))

    services.store.put("a/there", data)
    with ThreadPoolExecutor(1) as pool:
        transfer = pool.submit(push if verb == "push" else fetch)
        wait_for(lambda: wire.sent + wire.received > PIECE)
        wire.cut()
        time.sleep(away_s)
        assert not transfer.done()
        assert visible(services) == set()
        wire.is_cut = False
        assert transfer.result(60) == data
    assert wire.sent + wire.received < 4 * PIECE + 100_000


def test_patience_ends_with_a_plain_error(services: Services, wire: Wire, opened: Any) -> None:
    store = opened(wire.url, granted(services, writes=["a/"]), patience_s=0.5)
    wire.cut()
    for act in (
        lambda: store.put("a/out/x", bytes(2 * MIB)),
        lambda: store.put("a/out/x", b"x"),
        lambda: store.read("a/in"),
    ):
        began = time.monotonic()
        with pytest.raises(StoreAwayError, match=r"the gateway at http.* is away"):
            act()
        assert time.monotonic() - began < 5


def test_sender_that_went_without_a_word_keeps_nobody_waiting(
    services: Services, url: str, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a network is gone: its connection stays open, and nothing comes."""
    monkeypatch.setattr(routes, "SILENT_S", 1.0)
    data, token = os.urandom(2 * MIB), granted(services, writes=["a/"])
    ticket = services.gateway.keys.read(token)[0].ticket
    upload, _ = services.gateway.uploads.begin(ticket, "a/out/x", len(data), hashlib.sha256(data).hexdigest())
    port = int(url.rpartition(":")[2].partition("/")[0])
    head = f"PATCH /gateway/uploads/{upload.id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {len(data)}\r\n\r\n"
    with create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(head.encode() + data[:MIB])
        place = services.gateway.spool / upload.id / "data"
        wait_for(lambda: place.stat().st_size > 0)
        opened(url, token, patience_s=10).put("a/out/x", data)
        assert services.store.read("a/out/x") == data
        assert silent.recv(100).startswith(b"HTTP/1.1 408")


def test_upload_whose_last_answer_was_lost_is_kept_without_sending_more(
    services: Services, wire: Wire, opened: Any
) -> None:
    """The gateway was killed when it had all, and had not yet put it into the store."""
    data, token = os.urandom(2 * MIB), granted(services, writes=["a/"])
    grant = services.gateway.keys.read(token)[0]
    upload, _ = services.gateway.uploads.begin(grant.ticket, "a/out/x", len(data), hashlib.sha256(data).hexdigest())
    with services.gateway.uploads.piece(upload, 0) as piece:
        piece.write(data)
        piece.keep()
    opened(wire.url, token).put("a/out/x", data)
    assert services.store.read("a/out/x") == data
    assert wire.sent < 10_000
    assert not any(services.gateway.spool.iterdir())


def test_grant_that_expires_in_mid_upload_is_renewed(  # noqa: PLR0913, PLR0917 - what it needs
    services: Services, wire: Wire, opened: Any, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets_module, "grant_of", lambda ticket: grant_of(ticket, 2))
    key, source = services.gateway.sites.add("giessen"), file_of(tmp_path, 5 * PIECE)
    ticket = services.gateway.tickets.make(site="giessen", writes=["a/out/"], max_bytes=1 << 30, lasts=HOUR, job_id=job)
    store = opened(wire.url, site_grants(wire.url, key, ticket.id))
    with SlowFile(source, lambda _at: time.sleep(1)) as file:
        store._upload("a/out/x", file, 5 * PIECE, hashlib.sha256(source.read_bytes()).hexdigest())
    renewed = grants_asked(services) - 1
    assert services.store.read("a/out/x") == source.read_bytes()
    assert renewed >= 2
    assert wire.sent < (5 + renewed) * PIECE + 100_000


@pytest.mark.parametrize("end", ["job cancelled", "site removed", "job ended"])
def test_upload_ends_with_what_it_is_for_and_leaves_nothing(  # noqa: PLR0913, PLR0917 - what it needs
    services: Services, url: str, opened: Any, job: str, tmp_path: Path, end: str
) -> None:
    key, source = services.gateway.sites.add("giessen"), file_of(tmp_path, 3 * PIECE)
    ticket = services.gateway.tickets.make(site="giessen", writes=["a/out/"], max_bytes=1 << 30, lasts=HOUR, job_id=job)

    def before(at: int) -> None:
        if at == PIECE:
            if end == "site removed":
                services.gateway.sites.remove("giessen")
            elif end == "job cancelled":
                services.queries.cancel(ADMINISTRATOR, job)
            else:
                services.gateway.tickets.revoke(ticket.id, "its order was done")
            time.sleep(2.2)  # so long a ticket that was looked at is thought to be good

    store = opened(url, site_grants(url, key, ticket.id))
    began = time.monotonic()
    with (
        SlowFile(source, before) as file,
        pytest.raises(NotAllowedError, match=r"ticket is no longer valid|key of no site|no good"),
    ):
        store._upload("a/out/x", file, 3 * PIECE, hashlib.sha256(source.read_bytes()).hexdigest())
    assert time.monotonic() - began < 8, "it was tried again and again"
    assert visible(services) == set()
    refused = [row.reason for row in services.gateway.tickets.transfers(job) if row.outcome == "refused"]
    assert any("no longer valid" in reason for reason in refused)
    old = time.time() - 2 * 24 * 3600
    for place in services.gateway.spool.iterdir():
        os.utime(place / "data", (old, old))
    services.clean_up()
    assert not any(services.gateway.spool.iterdir())


@pytest.fixture(scope="module")
def faketime(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library of Debian's package, which makes a process's clock wrong."""
    place = tmp_path_factory.mktemp("faketime")
    text = "apt-get download libfaketime && dpkg --extract libfaketime*.deb ."
    done = subprocess.run(["sh", "-c", text], cwd=place, capture_output=True, text=True, check=False)
    found = [str(path) for path in place.rglob("libfaketime.so.1")]
    if done.returncode or not found:
        pytest.skip(f"libfaketime is needed to make a clock wrong: {done.stderr.strip()}")
    return found[0]


@pytest.mark.parametrize("off", ["-5m", "+5m"])
def test_machine_whose_clock_is_off_fetches_and_pushes(
    services: Services, url: str, job: str, faketime: str, off: str
) -> None:
    """Times are those of the gateway."""
    key = services.gateway.sites.add("giessen")
    ticket = services.gateway.tickets.make(
        site="giessen", reads=["a/in"], writes=["a/out/"], max_bytes=1 << 30, lasts=timedelta(minutes=2), job_id=job
    )
    done = subprocess.run(
        [sys.executable, "-c", _TRANSFER, url, key, ticket.id, str(time.time())],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": faketime, "FAKETIME": off, "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert services.store.stat("a/out/large").size_bytes == 2_000_000


@pytest.mark.parametrize("size", [5, 2 * MIB], ids=["small", "large"])
def test_key_that_clashes_with_a_file_or_directory_is_a_conflict(
    services: Services, wire: Wire, opened: Any, size: int
) -> None:
    services.store.put("a/out/there", b"file")
    services.store.put("a/out/directory/x", b"file")
    store = opened(wire.url, granted(services, writes=["a/out/"]))
    for key, why in (
        ("a/out/there/x", "lies below 'a/out/there', which is a file already"),
        ("a/out/there/x/y", "lies below 'a/out/there'"),
        ("a/out/directory", "is a directory already: choose another key"),
    ):
        began = time.monotonic()
        with pytest.raises(ConflictError, match=why):
            store.put(key, BytesIO(bytes(size)))
        assert time.monotonic() - began < 3, "it was tried again"
    assert wire.sent < 20_000
    assert visible(services) == {"a/out/there", "a/out/directory/x"}


def test_digest_of_what_was_replaced_since_is_not_given(services: Services, url: str, opened: Any) -> None:
    """Who replaced it may have been killed before the digest was noted; then it is read."""
    token = granted(services, writes=["a/"], replaces=True)
    store = opened(url, token)
    store.put("a/out/x", b"first")
    assert store.sha256("a/out/x") == hashlib.sha256(b"first").hexdigest()
    time.sleep(0.02)
    services.store.put("a/out/x", b"second")
    headers = httpx.head(f"{url}/objects/a/out/x", headers={"Authorization": f"Bearer {token}"}).headers
    assert "repr-digest" not in headers
    assert store.sha256("a/out/x") == hashlib.sha256(b"second").hexdigest()
    assert store.read("a/out/x") == b"second"
