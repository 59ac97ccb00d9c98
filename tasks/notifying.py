"""Telling whoever asked how jobs ended, after their runs did."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

from prefect import task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from blocks.services import services
from multiblast.upkeep import Told
from tasks.reconciling import cancel_jobs

__all__ = ["HOOKS", "SECRET", "send_notices", "signing_secret", "tell"]

SECRET = "multiblast-notices"  # noqa: S105 - the name of the block that holds it


@task(cache_policy=NO_CACHE, task_run_name="tell how jobs ended")
def send_notices() -> Told:
    """Tell what could not be told before, or was ended by no run."""
    return services().notices.send(signing_secret)


def tell(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Tell how jobs ended: a hook, so that the run itself has ended before."""
    services().notices.send(signing_secret)


HOOKS: dict[str, Any] = {"on_completion": [tell], "on_failure": [tell], "on_cancellation": [cancel_jobs, tell]}


def signing_secret() -> str:
    """Return what notices are signed with, from the Secret block `SECRET`, which is made when first needed."""
    with suppress(ValueError):
        return _load()
    with suppress(ValueError):  # somebody else made it just now
        Secret(value=secrets.token_urlsafe(32)).save(SECRET, _sync=True)  # type: ignore[call-arg]  # added by Prefect's decorator
    return _load()


def _load() -> str:
    return str(Secret.load(SECRET, _sync=True).get())  # type: ignore[call-arg, union-attr]  # as above
