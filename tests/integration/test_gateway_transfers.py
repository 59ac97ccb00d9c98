"""Files travel through the gateway whole: in pieces that go on where they broke off, each checked."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from sqlmodel import select

from multiblast.database import Ticket
from multiblast.errors import ConflictError, NotAllowedError, StoreError
from multiblast.services import Services
from multiblast.stores.gateway_client import Grant
from multiblast.stores.http import HttpStore
from tests.support.gateway import gateway, granted, stores_of
from tests.support.transfers import client, content_digest, piece_headers, rows, upload_headers

PIECE = 16 << 20


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    services.store.put("a/in", b"input of a")
    services.store.put("b/in", b"input of b")
    with gateway(services) as address:
        yield address


@pytest.fixture
def store(url: str) -> Iterator[Callable[[str | Grant], HttpStore]]:
    """Makes the store of a grant."""
    with stores_of(url) as make:
        yield make


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
        with services.gateway.uploads.piece(upload, 0):
            second = asking.patch(place, headers=piece_headers(0, data), content=data)
            assert (second.status_code, second.json()["status"]) == (423, "locked")
        wrong = asking.patch(place, headers=piece_headers(5, data[5:]), content=data[5:])
        assert (wrong.status_code, "0 bytes are here" in wrong.json()["message"]) == (409, True)
        long = asking.patch(place, headers=piece_headers(0, data + b"!"), content=data + b"!")
        assert long.status_code == 409


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
