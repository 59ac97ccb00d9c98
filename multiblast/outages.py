"""Servers that are away for a while: what fails then is tried again, and is nobody's fault."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from multiblast.errors import FailureClass, ProgramError, StoreAwayError

ResultT = TypeVar("ResultT")

PAUSES_S = (2, 10, 30)
"""How long to wait each time before something is tried again: a server may be away for less than a minute."""


def is_outage(error: BaseException) -> bool:
    """Whether the server of the job database, of the storage or of Prefect was away, or in trouble."""
    if isinstance(error, OperationalError | InterfaceError):  # SQLite has no server: only others' writing passes
        return not isinstance(error.orig, sqlite3.Error) or "locked" in str(error.orig)
    import httpx  # here: most commands never come to it, and it takes as long as half of ours

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, StoreAwayError | httpx.TransportError)


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: a server was away, or a program was killed from outside."""
    killed = isinstance(error, ProgramError) and error.failure_class in {FailureClass.KILLED, FailureClass.NETWORK}
    return killed or is_outage(error)


def patiently(work: Callable[[], ResultT], wait: Callable[[float], object] = time.sleep) -> ResultT:
    """Do something, and again where that may help, up to three times; ``wait`` returns True to give up."""
    for pause_s in PAUSES_S:
        try:
            return work()
        except Exception as error:
            if not is_transient(error) or wait(pause_s):
                raise
    return work()
