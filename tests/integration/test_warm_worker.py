"""The worker whose runs are forked: what it does without its zygote, and what of Prefect's it relies on."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prefect
import pytest
from prefect import context
from prefect.logging import configuration
from prefect.runner import _starter_engine, _workspace_starter, _workspace_supervisor

from deployments import warm_worker

SUPERVISOR = [sys.executable, "-m", "prefect.runner._workspace_supervisor"]


def has_parameters(function: Callable[..., Any], *names: str) -> bool:
    found = inspect.signature(function).parameters
    return set(names) <= found.keys() or any(one.kind is one.VAR_KEYWORD for one in found.values())


def source_has(module: object, text: str) -> bool:
    return text in inspect.getsource(module)  # type: ignore[arg-type]  # a module, function or class


RUN = ("command", "stream_output", "task_status", "task_status_handler", "env", "cwd")
SEAMS = {
    "a run is started by _starter_engine.run_process": source_has(_starter_engine, "await run_process("),
    "run_process takes what we hand on": has_parameters(_starter_engine.run_process, *RUN),
    "the first Python of a run is the supervisor of its workspace": source_has(
        _workspace_starter, '"prefect.runner._workspace_supervisor"'
    ),
    "the supervisor starts its engine by _launch_engine": source_has(
        _workspace_supervisor, "return await _launch_engine("
    ),
    "_launch_engine takes what we replace it by": has_parameters(
        _workspace_supervisor._launch_engine, "command", "cwd", "environment"
    ),
    "that engine is prefect.engine": source_has(_workspace_supervisor, '"-m", "prefect.engine"]'),
    "main of the supervisor takes its arguments": has_parameters(_workspace_supervisor.main, "argv"),
    "what was read of the settings can be read anew": hasattr(context, "refresh_global_settings_context"),
    "what is known of the logging can be forgotten": isinstance(configuration.PROCESS_LOGGING_CONFIG, dict),
}


@pytest.mark.parametrize("seam", SEAMS)
def test_prefect_still_has_what_the_worker_replaces(seam: str) -> None:
    """The worker would start runs as Prefect does, or none at all; nothing else would say why."""
    where = "see deployments/warm_worker.py and deployments/zygote.py"
    assert SEAMS[seam], f"not so in Prefect {prefect.__version__}: {seam}; {where}"


# A zygote that ended is waited for when the next process is started.
@pytest.mark.filterwarnings("ignore:subprocess .* still running:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_run_is_an_ordinary_process_where_there_is_no_zygote(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The zygote ends at once, as on a machine that is out of memory; what a run prints is printed by Python itself."""
    monkeypatch.setattr(warm_worker, "_zygotes", warm_worker.Zygotes())
    monkeypatch.setattr(warm_worker.sys, "executable", "/bin/false")
    started: list[int] = []

    async def run() -> Any:
        given: dict[str, Any] = {"env": {}, "cwd": tmp_path, "stream_output": True}
        status: Any = SimpleNamespace(started=started.append)
        return await warm_worker.run_process(
            [*SUPERVISOR, "--help"], task_status=status, task_status_handler=lambda process: process.pid, **given
        )

    ended = asyncio.run(run())
    assert (ended.returncode, started) == (0, [ended.pid])
    assert not isinstance(ended, warm_worker.Forked)
    assert "usage:" in capfd.readouterr().out
