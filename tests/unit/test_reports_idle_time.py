"""How much of the time of this process' cores is left over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multiblast.reports import idle_time
from multiblast.reports.idle_time import IdleTime, left_over_s

STATISTICS = """\
cpu  100 20 30 4000 50 6 7 8 9 10
cpu0 60 10 15 2500 30 3 3 4 5 5
cpu1 40 10 15 1500 20 3 4 4 4 5
cpu10 1 2 3 4 5 6 7 8 9 10
intr 1234
"""


def test_time_left_over_is_that_of_nice_programs_idle_and_waiting_on_the_cores_that_count() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    assert left_over_s(STATISTICS, {1}) == (10 + 1500 + 20) / ticks
    assert left_over_s(STATISTICS, {0, 1}) == (10 + 2500 + 30 + 10 + 1500 + 20) / ticks


@pytest.mark.parametrize("path", ["/proc/stat", "/proc/nothing"])
def test_idle_cores_are_told_whether_or_not_the_kernel_does(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_time, "_STATISTICS", Path(path))
    assert IdleTime().cores() >= 0
