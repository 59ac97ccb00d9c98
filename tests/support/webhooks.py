"""A server that webhooks are sent to, in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from multiblast.upkeep.notice_delivery import signature
from tests.support.small_servers import QuietHandler, listening_with

__all__ = ["listening"]


@contextmanager
def listening(secret: Callable[[], str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the address of a webhook, and what it hears: the query, the body, and whether that is signed by a secret."""
    taken: list[dict[str, Any]] = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signed = self.headers["Multiblast-Signature"]
            is_ours = signature(secret(), body, int(re.findall(r"t=(\d+)", signed)[0])) == signed
            taken.append({**parse_qs(urlsplit(self.path).query), "body": json.loads(body), "is_ours": is_ours})
            self.send_response(204)
            self.end_headers()

    with listening_with(Handler) as server:
        yield f"http://127.0.0.1:{server.server_port}/hear?by=us", taken
