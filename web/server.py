"""The service as a process: uvicorn, with limits on the time that clients take."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_HEAD_S = 20.0  # what a client may take to send the head of a request
_KEEP_ALIVE_S = 15
_LONGEST_HEAD = 80 << 10
_STOP_S = 10


class ImpatientProtocol(H11Protocol):
    """Closes connections on which the head of a request does not come in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base's
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # asyncio does so only for sockets that name their protocol. Else an answer's body, sent after its head, waits
        # for 40 ms until the client has acknowledged that.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting = self.loop.call_later(_HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Begin to wait again, for the next request."""
        super().data_received(data)
        if self._is_between() and self._waiting.cancelled():
            self._waiting = self.loop.call_later(_HEAD_S, self._give_up)
        elif not self._is_between():
            self._waiting.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def _is_between(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _give_up(self) -> None:
        if self._is_between():
            self.transport.close()


def make_server(application: ASGIApp) -> uvicorn.Server:
    """Return an application's server, to be run on a socket until it is asked to end."""
    config = uvicorn.Config(
        cast("Any", application),
        http=ImpatientProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,  # ours leaves out what may hold a token
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_S,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        backlog=2048,
    )
    return uvicorn.Server(config)
