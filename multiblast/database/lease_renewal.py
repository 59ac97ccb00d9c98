"""Leases: rights that end by themselves unless their holder keeps saying that it lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from multiblast.errors import MultiblastError

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
HEARTBEAT_S = 15.0


@contextmanager
def heartbeat(renew: Callable[[], None], give_back: Callable[[], None]) -> Iterator[None]:
    """Renew a lease every 15 s while the block runs, and give it back afterwards, however the block ends.

    A database that is away or full ends nothing: it may be back before the lease ends. A lease that cannot be given
    back is later, since nobody on this machine takes it over as long as this process lives.
    """
    stop = Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_S):
            _try("renew", renew)

    def insist() -> None:
        while not _try("give back", give_back):
            time.sleep(HEARTBEAT_S)

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if not _try("give back", give_back):
            Thread(target=insist, name="give-back", daemon=True).start()


def _try(what: str, action: Callable[[], None]) -> bool:
    """Do something to a lease; return whether that went well."""
    try:
        action()
    except (SQLAlchemyError, MultiblastError, OSError) as error:
        _log.warning("cannot %s a lease: %s", what, error)
        return False
    return True
