"""Answers of a remote registry that never come to their end are given up."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from multiblast.errors import StoreError
from multiblast.registry.remotes.connection import Connection, RetryPolicy

SLOW = {
    "no line": (b"", b"H"),
    "headers": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", b"x"),
    "redirects": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /x\r\nX: ", b"x"),
}


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """A server that answers with something and then, every 10 ms, a little more for as long as anybody listens."""

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(first)
                while not ended.wait(0.01):
                    self.request.sendall(drop)

    ended = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        ended.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("slow", "stream"), [*((slow, False) for slow in SLOW), ("body", True), ("chunks", True)])
def test_registry_answer_that_drips_is_given_up(slow: str, stream: bool) -> None:
    """Each byte comes well within the time-out."""
    with dripping(*SLOW[slow]) as url, closing(Connection(url, limits=RetryPolicy(0.1, attempts=3))) as connection:
        started = time.monotonic()
        with pytest.raises(StoreError, match=r"(answers|sends) too slowly: .*run the same again to go on"):
            downloaded(connection, url) if stream else connection.get("namespace/")
        assert time.monotonic() - started < 1 + 2  # ten times the time-out, and what else goes on here
    assert connection.requests == 1


def downloaded(connection: Connection, url: str) -> bytes:
    with connection.stream(url) as response:
        return b"".join(connection.download(response))


def test_registry_deadlines_are_those_of_proxies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping(*SLOW["headers"]) as url:
        monkeypatch.setenv("http_proxy", url)
        with (
            closing(Connection("http://data.example.org", limits=RetryPolicy(0.1))) as connection,
            pytest.raises(StoreError, match=r"data\.example\.org/namespace/ answers too slowly"),
        ):
            connection.get("namespace/")
