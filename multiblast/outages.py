"""Servers that are away for a while: what fails then is tried again, and is nobody's fault."""

from __future__ import annotations

import httpx
from sqlalchemy.exc import InterfaceError, OperationalError

from multiblast.errors import StoreAwayError

__all__ = ["is_outage"]


def is_outage(error: BaseException) -> bool:
    """Tell whether the server of the job database, of the storage or of Prefect was away, or in trouble."""
    return isinstance(error, StoreAwayError | OperationalError | InterfaceError | httpx.TransportError)
