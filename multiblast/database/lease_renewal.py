"""Leases: rights that end by themselves unless their holder keeps saying that it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
HEARTBEAT_S = 15.0


@contextmanager
def heartbeat(renew: Callable[[], None], give_back: Callable[[], None]) -> Iterator[None]:
    """Renew a lease every 15 s while the block runs, and give it back afterwards, however the block ends.

    A database that is away ends nothing: it may be back before the lease ends, and a lease
    that cannot be given back ends by itself.
    """
    stop = Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_S):
            _try("renew", renew)

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _try("give back", give_back)


def _try(what: str, action: Callable[[], None]) -> None:
    try:
        action()
    except SQLAlchemyError as error:
        _log.warning("cannot %s a lease: %s", what, error)
