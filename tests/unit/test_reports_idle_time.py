"""How much of the time of this process' cores is left over."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import psutil
import pytest

from multiblast.reports.idle_time import IdleTime


class Times(NamedTuple):
    user: float
    nice: float
    idle: float
    iowait: float


def test_time_left_over_is_that_of_nice_programs_idle_and_waiting_on_the_cores_that_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = [Times(60, 10, 2500, 30), Times(40, 10, 1500, 20)]
    monkeypatch.setattr(psutil, "cpu_times", lambda *, percpu: times if percpu else None)
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1})
    assert IdleTime()._before == 10 + 1500 + 20
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert IdleTime()._before == 10 + 2500 + 30 + 10 + 1500 + 20


def test_idle_cores_are_counted_since_the_last_look() -> None:
    assert IdleTime().cores() >= 0
