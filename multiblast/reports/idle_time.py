"""How much of the time of this process' cores is left over."""

from __future__ import annotations

import os
import time

import psutil


class IdleTime:
    """Counts, from one look to the next, the cores that no other thread of ordinary priority used.

    Those that only nice programs used, or the thread that looks, count as idle: a search that wants them gets them.
    """

    def __init__(self) -> None:
        self._before, self._at = self._left_over_s(), time.monotonic()

    def cores(self) -> float:
        """Return how many cores were idle since the last look, on average."""
        left_over_s, at = self._left_over_s(), time.monotonic()
        found = (left_over_s - self._before) / max(at - self._at, 1e-3)
        self._before, self._at = left_over_s, at
        return found

    @staticmethod
    def _left_over_s() -> float:
        ours, times = os.sched_getaffinity(0), enumerate(psutil.cpu_times(percpu=True))
        left_over_s = sum(one.nice + one.idle + one.iowait for core, one in times if core in ours)
        return float(left_over_s) + time.thread_time()
