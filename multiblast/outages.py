"""Servers that are away for a while: what fails then is tried again, and is nobody's fault."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import InterfaceError, OperationalError

from multiblast.errors import StoreAwayError


def is_outage(error: BaseException) -> bool:
    """Whether the server of the job database, of the storage or of Prefect was away, or in trouble."""
    if isinstance(error, OperationalError | InterfaceError):  # SQLite has no server: only others' writing passes
        return not isinstance(error.orig, sqlite3.Error) or "locked" in str(error.orig)
    import httpx  # here: most commands never come to it, and it takes as long as half of ours

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, StoreAwayError | httpx.TransportError)
