"""Plugins of Qiita as steps: followed in the log, cancelled with their run, their outputs shown as references."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled

from blocks.services import services
from multiblast.environment import HTTP_URL
from multiblast.errors import InvalidInputError, Problem
from multiblast.gateway.qiita import Output, QiitaPluginError, named_plugin, read_work, run_plugin
from multiblast.programs import throttled
from tasks.page import PluginProgress, show_table
from tasks.runs import leave_as

_ASK_S = 3.0
_LONGEST_STEP = 500
_OF = re.compile(r"(?i)\bstep (\d{1,4}) of (\d{1,4})\b")


@task(cache_policy=NO_CACHE, task_run_name="{plugin}: {command}")
def run_qiita_plugin(  # noqa: PLR0913, PLR0917 - what the form says
    plugin: str,
    command: str,
    parameters: dict[str, Any],
    inputs: dict[str, Any],
    preparations: dict[str, Any],
    most_gb: float,
    timeout_h: float,
) -> list[Output]:
    """Run a plugin that the policy names on this machine; see the flow of this name.

    Raises:
        InvalidInputError: it is not named, or what it shall do cannot be done; nothing was begun.
        QiitaPluginError: it failed, or was cancelled with its run.
    """
    rules = services().policy.gateway
    named = named_plugin(rules, plugin)
    work = read_work(rules, command, parameters, inputs, preparations)
    # A run that is tried again pushes other bytes, perhaps, which may not replace those of before.
    prefix = f"uploads/qiita/{flow_run.id}/{flow_run.run_count}"
    context = copy_context()  # asked and told in a thread that knows neither the run nor its server
    cancelled = throttled(lambda: context.run(is_cancelled), _ASK_S)
    steps = _Steps()
    return run_plugin(
        services().gateway,
        _address(),
        named,
        work,
        prefix,
        max_bytes=round(most_gb * 1e9),
        timeout_s=timeout_h * 3600,
        cancelled=cancelled,
        note=lambda step: context.run(steps.show, step),
    )


@asynccontextmanager
async def stopped_with_its_run() -> AsyncIterator[None]:
    """Let a run be cancelled, and not have failed, whose plugin was stopped since it was.

    Raises:
        Pause: it was cancelled.
    """
    try:
        yield
    except QiitaPluginError as error:
        if is_cancelled():
            await leave_as(Cancelled(message=f"The plugin {error.plugin} was stopped."))
        raise


def is_cancelled() -> bool:
    """Return whether this run was cancelled, or is to be."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(flow_run.id)).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


async def show_outputs(outputs: list[Output]) -> list[dict[str, Any]]:
    """Show what a plugin made as a table of references; return its rows."""
    rows = [
        {
            "output": output.name,
            "type": output.type,
            "file type": kind,
            "reference": reference.url,
            "bytes": reference.size_bytes if reference.size_bytes >= 0 else None,
            "sha256": reference.sha256,
            "directory": reference.is_directory,
        }
        for output in outputs
        for reference, kind in output.files
    ]
    await show_table(f"outputs-{flow_run.id:.8}", rows, "What the plugin made: `multiblast fetch REFERENCE PATH`")
    return rows


class _Steps:
    """What a plugin says it is at: a line of the log each, and a progress of those that are counted."""

    def __init__(self) -> None:
        self._progress = PluginProgress(f"plugin-{flow_run.id:.8}")

    def show(self, step: str) -> None:
        """Show a step; if the server is away, the log alone does."""
        text = " ".join(step.split())[:_LONGEST_STEP]  # whatever a plugin says is one line
        get_run_logger().info("plugin: %s", text)
        counted = _OF.search(text)
        if counted is not None and 0 < (number := int(counted[1])) <= (total := int(counted[2])):
            self._progress.show(100 * (number - 1) / total, text)  # a plugin says it when it begins


def _address() -> str:
    service = os.environ.get(HTTP_URL, "").rstrip("/")
    if not service:
        raise InvalidInputError(Problem("plugins need to know where the HTTP service is", HTTP_URL))
    return f"{service}/qiita"
