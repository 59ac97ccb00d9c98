"""How much of the time of this process' cores is left over."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

_STATISTICS = Path("/proc/stat")
_LEFT_OVER = (1, 3, 4)  # columns after the name of a core: of nice programs, idle, waiting for a disk


class IdleTime:
    """Counts, from one look to the next, the cores that no other thread of ordinary priority used.

    Those that only nice programs used, or the thread that looks, count as idle: whoever wants them gets them.
    """

    def __init__(self) -> None:
        self._before, self._at = self._left_over_s(), time.monotonic()

    def cores(self) -> float:
        """Return how many cores were idle since the last look, on average; all where the kernel does not say."""
        left_over_s, at = self._left_over_s(), time.monotonic()
        found = (left_over_s - self._before) / max(at - self._at, 1e-3)
        self._before, self._at = left_over_s, at
        return found

    @staticmethod
    def _left_over_s() -> float:
        cores = os.sched_getaffinity(0)
        try:
            return left_over_s(_STATISTICS.read_text(), cores) + time.thread_time()
        except OSError:
            return time.monotonic() * len(cores)


def left_over_s(statistics: str, cores: Collection[int]) -> float:
    """Return the seconds so far that some cores were left over, by the text of ``/proc/stat``."""
    wanted, ticks = {f"cpu{core}" for core in cores}, 0
    for line in statistics.splitlines():
        name, *columns = line.split()
        if name in wanted:
            ticks += sum(int(columns[column]) for column in _LEFT_OVER)
    return ticks / os.sysconf("SC_CLK_TCK")
