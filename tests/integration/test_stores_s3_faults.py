"""A real S3 server behind a proxy that does to requests and answers what bad days do."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from multiblast.accounts import Requester
from multiblast.errors import StoreAwayError, StoreError
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.stores import S3Store
from tests.support.small_servers import QuietHandler, listening_with

_HOP_BY_HOP = {"transfer-encoding", "connection", "content-length", "date", "server"}


@dataclass
class Fault:
    """What happens to the next requests that fit.

    Attributes:
        times: How many; then all is well again.
        fits: Which, by method and path.
        status, code: Answer this instead of asking the server.
        delay_s: Wait before answering.
        cut_after: Close the connection after so many bytes of the answer's body.
        flip: Change a byte of the ``"request"``'s or the ``"answer"``'s body.
    """

    times: int = 1_000
    fits: Callable[[str, str], bool] = lambda _method, _path: True
    status: int = 0
    code: str = ""
    delay_s: float = 0.0
    cut_after: int | None = None
    flip: str = ""
    seen: int = 0


@dataclass
class Proxy:
    """The proxy's address, and what it shall do next."""

    port: int
    fault: Fault = field(default_factory=Fault)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    upstream: str

    def do_GET(self) -> None:
        fault = self.proxy.fault
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hit = fault.seen < fault.times and fault.fits(self.command, self.path)
        fault.seen += hit
        if not hit:
            return self._forward(body, Fault())
        time.sleep(fault.delay_s)
        if fault.status:
            return self._refuse(fault)
        return self._forward(_flipped(body) if fault.flip == "request" else body, fault)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def _refuse(self, fault: Fault) -> None:
        text = f"<Error><Code>{fault.code}</Code><Message>said the server</Message></Error>".encode()
        self._answer(fault.status, {"Content-Type": "application/xml"}, text, None)

    def _forward(self, body: bytes, fault: Fault) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        headers.pop("Expect", None)
        with closing(HTTPConnection(self.upstream, timeout=30)) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        if self.command == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
        self._answer(answer.status, kept, _flipped(data) if fault.flip == "answer" else data, fault.cut_after)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut_after: int | None) -> None:
        with suppress(OSError):  # the client has given up
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body[:cut_after])
            self.close_connection = cut_after is not None


class _Listening(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_request: object) -> None:
        """Say nothing: clients that give up are what these tests are about."""


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


@pytest.fixture
def proxy(server: Any) -> Iterator[Proxy]:
    class Handler(_Handler):
        pass

    Handler.upstream = urlsplit(server.endpoint).netloc
    with listening_with(Handler, _Listening) as listening:
        Handler.proxy = Proxy(listening.server_port, Fault(times=0))
        yield Handler.proxy


@pytest.fixture(params=["rclone", "weed"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_s3")


@pytest.fixture
def store(server: Any, proxy: Proxy) -> S3Store:
    """A store behind the proxy, whose client tries twice and waits a second at most."""
    direct = server.store()
    client = server.client(proxy.endpoint, retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=1)
    return S3Store(client, direct.bucket, direct.prefix)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.stores.s3_reader._WAIT_S", 0.01)


def _puts(method: str, _path: str) -> bool:
    return method == "PUT"


def _gets(method: str, _path: str) -> bool:
    return method == "GET"


_ANSWERS = {
    "overloaded": (503, "SlowDown", "said the server (SlowDown); the server is overloaded: try again later"),
    "in trouble": (500, "InternalError", "(InternalError); the server is in trouble: look into its log"),
    "token expired": (400, "ExpiredToken", "(ExpiredToken); the credentials have expired: renew them in the bucket's"),
    "token unknown": (403, "InvalidToken", "(InvalidToken); the credentials have expired"),
    "clock off": (403, "RequestTimeTooSkewed", "the clocks of this machine and the server differ: set them"),
    "not allowed": (403, "AccessDenied", "(AccessDenied); check what these credentials may do with this bucket"),
    "disk full": (507, "InsufficientStorage", "the server has no space left: free some, or enlarge it"),
}


@pytest.mark.parametrize(("status", "code", "said"), _ANSWERS.values(), ids=_ANSWERS)
def test_refusal_is_explained(store: S3Store, proxy: Proxy, status: int, code: str, said: str) -> None:
    store.put("there", b"x")
    proxy.fault = Fault(status=status, code=code)
    acts: list[Callable[[], object]] = [
        lambda: store.put("some", b"x"),
        lambda: store.read("there"),
        lambda: list(store.list()),
        lambda: store.delete(["there"]),
    ]
    for act in acts:
        with pytest.raises(StoreError) as raised:
            act()
        assert said in str(raised.value)
        assert f"in bucket '{store.bucket}' at {proxy.endpoint}: " in str(raised.value)
        assert isinstance(raised.value, StoreAwayError) == (code in {"SlowDown", "InternalError"})
    proxy.fault = Fault(times=0)
    assert [found.key for found in store.list()] == ["there"]


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
def test_passing_trouble_is_sat_out(store: S3Store, proxy: Proxy, status: int, code: str) -> None:
    proxy.fault = Fault(times=1, status=status, code=code)
    store.put("some", b"x")
    assert store.read("some") == b"x"


def test_token_that_expires_between_parts_leaves_nothing(store: S3Store, proxy: Proxy) -> None:
    def parts() -> Iterator[bytes]:
        for number in range(5):
            yield bytes(8 << 20)
            if number == 2:
                proxy.fault = Fault(status=400, code="ExpiredToken", fits=_puts)

    with pytest.raises(StoreError, match="the credentials have expired"):
        store.put("some", parts())
    assert list(store.list()) == []


def test_token_that_expires_in_mid_run_fails_the_job_plainly(
    store: S3Store, proxy: Proxy, make_services: Callable[..., Services]
) -> None:
    """Nothing that is wrong is kept, and with a new token the same job completes."""
    services = replace(make_services(), store=store)
    submission = read_submission(query=">one\nMKVLAAGIVGLCAKAYWQ\n", targets=["demo/examples/proteins"])
    run = services.queries.run(services.queries.submit(Requester(administrator=True), submission).job_id)

    proxy.fault = Fault(status=400, code="ExpiredToken", fits=_puts)
    with pytest.raises(StoreError):
        run.execute()
    job = services.queries.searched_job(run.job_id)
    assert "the credentials have expired: renew them in the bucket's block" in job.reason
    proxy.fault = Fault(times=0)
    assert run.execute().status == "complete"


def test_clock_that_is_an_hour_off_is_told(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own answer, not one of ours."""
    store = S3Store(server.client(retries={"total_max_attempts": 1}), server.store().bucket)
    off = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: off.replace(tzinfo=None))
    with pytest.raises(StoreError, match="the clocks of this machine and the server differ: set them by a time server"):
        store.put("some", b"x")


def test_silent_server_is_given_up(store: S3Store, proxy: Proxy) -> None:
    proxy.fault = Fault(delay_s=3)
    with pytest.raises(StoreError, match=r"cannot write 'some' .*: the server did not answer in time; "):
        store.put("some", b"x")


def test_slow_answer_is_waited_for(store: S3Store, proxy: Proxy) -> None:
    proxy.fault = Fault(delay_s=0.5)
    store.put("some", b"x")
    assert store.read("some") == b"x"


def test_server_that_is_away_is_named(server: Any) -> None:
    with socket.socket() as silent:  # bound, but nobody listens
        silent.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = S3Store(server.client(endpoint, retries={"total_max_attempts": 1}), "some-bucket")
        with pytest.raises(
            StoreAwayError, match=f"at {endpoint}: no server answers; check that it runs, and the endpoint"
        ):
            store.put("some", b"x")


def test_cut_connection_is_resumed_where_it_broke(store: S3Store, proxy: Proxy) -> None:
    data = os.urandom(3_000_000)
    store.put("big", data)
    proxy.fault = Fault(times=3, cut_after=500_000, fits=_gets)
    assert store.read("big") == data
    proxy.fault = Fault(times=3, cut_after=500_000, fits=_gets)
    assert store.read("big", 100, 2_000_000) == data[100:2_000_100]


def test_connection_that_is_always_cut_is_given_up(store: S3Store, proxy: Proxy) -> None:
    store.put("big", bytes(100_000))
    proxy.fault = Fault(cut_after=0, fits=_gets)
    with pytest.raises(StoreError, match=r"cannot read 'big' .*: the connection was cut; the server is in trouble"):
        store.read("big")


def test_object_replaced_between_cut_and_resumption_is_not_mixed(store: S3Store, proxy: Proxy) -> None:
    store.put("big", b"a" * 1_000_000)
    proxy.fault = Fault(times=1, cut_after=100_000, fits=_gets)
    stream = store.open("big")
    store.put("big", b"b" * 1_000_000)
    with pytest.raises(StoreError, match="was replaced while it was read: read it again"):
        stream.read()
    stream.close()


@pytest.mark.parametrize("size", [1000, 9 << 20], ids=["whole", "parts"])
def test_wrong_bytes_on_the_way_there_are_refused(store: S3Store, proxy: Proxy, size: int) -> None:
    proxy.fault = Fault(flip="request", fits=_puts)
    with pytest.raises(StoreError, match="the data arrived damaged: try again"):
        store.put("some", bytes(size))
    proxy.fault = Fault(times=0)
    assert list(store.list()) == []


def test_wrong_bytes_on_the_way_back_are_noticed(store: S3Store, proxy: Proxy) -> None:
    store.put("some", bytes(1000))
    proxy.fault = Fault(flip="answer", fits=_gets)
    with pytest.raises(StoreError, match="wrong checksum; the data arrived damaged"):
        store.read("some")
