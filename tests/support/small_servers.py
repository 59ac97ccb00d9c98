"""A small HTTP server in this process: for what a test has to receive, or to answer, itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["QuietHandler", "listening_with"]


class QuietHandler(BaseHTTPRequestHandler):
    """Answers with the ``do_GET`` and so on of its subclass, and prints nothing."""

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@contextmanager
def listening_with(
    handler: type[BaseHTTPRequestHandler], kind: type[ThreadingHTTPServer] = ThreadingHTTPServer
) -> Iterator[ThreadingHTTPServer]:
    """Give a server on a free port of the loopback, until the block ends."""
    with kind(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:  # else the thread keeps the process of a failed test alive
            server.shutdown()
            thread.join()
