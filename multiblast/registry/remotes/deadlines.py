"""The time that an answer may take as a whole: a time-out alone starts anew with every byte that comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import httpx

from multiblast.errors import StoreError


class SlowAnswerError(StoreError):
    """An answer was not whole in the time that it may take."""


class Deadlines(threading.local):
    """Until when each thread waits for what it reads or writes over a client's connections."""

    ends_at = inf

    @contextmanager
    def until(self, ends_at: float) -> Iterator[None]:
        """Let this thread wait no longer than to a moment of `time.monotonic` during the block.

        Raises:
            SlowAnswerError: it did.
        """
        before, self.ends_at = self.ends_at, min(ends_at, self.ends_at)
        try:
            yield
        finally:
            self.ends_at = before

    @staticmethod
    def check(ends_at: float) -> None:
        """Raise `SlowAnswerError` after a moment."""
        if time.monotonic() > ends_at:
            raise SlowAnswerError("it is too slow")

    def left(self, timeout_s: float | None) -> float | None:
        """Return how long to wait for the next bytes: the time-out, or what is left."""
        self.check(self.ends_at)
        left_s = max(0.001, self.ends_at - time.monotonic())
        return timeout_s if left_s == inf else min(left_s, inf if timeout_s is None else timeout_s)


def bound(client: httpx.Client) -> Deadlines:
    """Let a client's connections keep to deadlines, those through proxies too."""
    deadlines = Deadlines()
    # httpx has no option for what opens connections, only a whole transport, with which it would ignore proxies.
    for transport in {client._transport, *client._mounts.values()}:  # noqa: SLF001 - as above
        if isinstance(transport, httpx.HTTPTransport):
            pool: Any = transport._pool  # noqa: SLF001 - as above
            pool._network_backend = _Backend(pool._network_backend, deadlines)  # noqa: SLF001 - as above
    return deadlines


class _Backend:
    """What opens connections, as httpcore wants it."""

    def __init__(self, backend: Any, deadlines: Deadlines) -> None:
        self._backend, self._deadlines = backend, deadlines

    def connect_tcp(self, *place: Any, **how: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(*place, **how), self._deadlines)

    def connect_unix_socket(self, *place: Any, **how: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(*place, **how), self._deadlines)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream:
    """A connection, as httpcore wants it."""

    def __init__(self, stream: Any, deadlines: Deadlines) -> None:
        self._stream, self._deadlines = stream, deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._in_time(self._stream.read, max_bytes, timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._in_time(self._stream.write, buffer, timeout)

    def _in_time(self, move: Any, what: Any, timeout: float | None) -> Any:
        wait_s = self._deadlines.left(timeout)
        try:
            return move(what, wait_s)
        except Exception:
            if wait_s != timeout:  # not the time-out has passed, but the deadline
                self._deadlines.left(timeout)
            raise

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *context: Any, **how: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*context, **how), self._deadlines)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
