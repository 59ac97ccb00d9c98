"""What the tasks of a search run on: threads of its process, or a cluster of Dask's or Ray's."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

__all__ = ["is_cluster", "task_runner"]

_SETTING = "MULTIBLAST_TASK_RUNNER"


def task_runner() -> TaskRunner[Any]:
    """Return the task runner that ``MULTIBLAST_TASK_RUNNER`` says, by default of threads.

    It is written ``MODULE.CLASS?ARGUMENT=VALUE``, such as ``prefect_dask.DaskTaskRunner?address=tcp://host:8786``.
    """
    name, _, arguments = os.environ.get(_SETTING, "").partition("?")
    if not name:
        return ThreadPoolTaskRunner()
    module, _, runner = name.rpartition(".")
    made: TaskRunner[Any] = getattr(import_module(module), runner)(**dict(parse_qsl(arguments)))
    return made


def is_cluster() -> bool:
    """Tell whether something else than this machine runs tasks, and knows how many at a time."""
    return bool(os.environ.get(_SETTING))
