"""Wall and CPU time that benchmarks measure."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


class Seconds(float):
    """Wall time, with the CPU time of this process and its children, which other work on the machine leaves alone."""

    cpu: float


def timed(run: Callable[[], object]) -> Seconds:
    """Run something; return how long it took."""
    started, cpu = time.perf_counter(), spent_s()
    run()
    seconds = Seconds(time.perf_counter() - started)
    seconds.cpu = spent_s() - cpu
    return seconds


def cpu_s(seconds: float) -> float:
    """Return the CPU time of what was timed."""
    return seconds.cpu if isinstance(seconds, Seconds) else seconds


def spent_s(*which: int) -> float:
    """Return the CPU time spent so far, by default by this process and its children."""
    usage = [resource.getrusage(who) for who in which or (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)
