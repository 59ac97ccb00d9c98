"""A server that is away for a while: work waits for it, and what is only shown is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from httpx import HTTPError
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.tasks import Task

from multiblast.outages import is_outage
from multiblast.search import transient

__all__ = ["SITTING_OUT", "unless_away"]


def _is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False, _sync=True)  # type: ignore[call-overload]  # added by Prefect's decorator
    return isinstance(error, BaseException) and transient(error)


SITTING_OUT: Any = {"retries": 3, "retry_delay_seconds": [2, 10, 30], "retry_condition_fn": _is_transient}
"""How a task is declared that may simply be done again: it waits for a server that is away for less than a minute."""


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
