"""A server that is away: what is only shown is left out, and the work goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from httpx import HTTPError
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from multiblast.outages import is_outage

__all__ = ["unless_away"]


@asynccontextmanager
async def unless_away(shown: str = "shown on its page") -> AsyncIterator[None]:
    """Do what is in the block, or in the function it decorates; if a server is away, only the log says so.

    Args:
        shown: What the run is not in that case.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, HTTPError | PrefectException) or is_outage(error)):
            raise
        get_run_logger().warning("Something of the run was not %s: %s", shown, error)
