"""Serving the local registry on loopback: for good, or for as long as a run lasts and only if it calls."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from multiblast.errors import InvalidInputError
from multiblast.registry.api.addresses import HOST, PORT, api_address
from multiblast.registry.api.local_api import LocalApi

if TYPE_CHECKING:
    import uvicorn


def listen(port: int = 0) -> socket.socket:
    """Return a socket of loopback that listens: at a port, or without one at the usual, or wherever it is possible.

    Raises:
        InvalidInputError: the port is taken.
    """
    for wanted in (port,) if port else (PORT, 0):
        try:
            return socket.create_server((HOST, wanted), backlog=128)
        except OSError as error:
            reason = error.strerror or str(error)
    raise InvalidInputError(f"{HOST}:{port or PORT} cannot be listened at: {reason}; choose another port")


def registry_server(api: LocalApi, key: str = "") -> uvicorn.Server:
    """Return the server of a registry, to be run on a socket; what it needs is imported here, which takes a moment."""
    from web.registry.application import make_registry_application
    from web.server import make_server

    return make_server(make_registry_application(api, key))


@contextmanager
def serving(api: LocalApi, key: str = "") -> Iterator[str]:
    """Serve a registry during the block; give the address of its API. Nothing is started until somebody calls.

    Args:
        api: What does all the work.
        key: What opens the pages; without one there are none.
    """
    with closing(listen()) as listener:
        background = _Background(api, key, listener)
        background.start()
        try:
            yield api_address(listener.getsockname()[1])
        finally:
            background.stop()


class _Background(threading.Thread):
    """Waits for the first call, and serves from then on."""

    def __init__(self, api: LocalApi, key: str, listener: socket.socket) -> None:
        super().__init__(name="registry-api", daemon=True)
        self._api, self._key, self._listener = api, key, listener
        self._server: uvicorn.Server | None = None
        self._woken, self._waker = os.pipe()
        self._lock = threading.Lock()
        self._ended = False

    def run(self) -> None:
        """Serve, once there is somebody to serve."""
        select.select([self._listener.fileno(), self._woken], [], [])
        with self._lock:
            if self._ended:
                return
            self._server = registry_server(self._api, self._key)
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """End."""
        with self._lock:
            self._ended = True  # before it is woken, which may take the lock first
            if self._server is not None:
                self._server.should_exit = True
        os.write(self._waker, b"x")
        self.join()
        os.close(self._waker)
        os.close(self._woken)
