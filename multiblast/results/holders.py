"""Who holds a lease: a name from which it follows whether its process, on this machine, still lives."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from uuid import uuid4

from multiblast.ids import digest

PROCESS_RUN = "process-"
"""What ids of runs begin with that are processes."""

_ENDED = {"Z", "X"}  # zombie, dead


def new_holder() -> str:
    """Return a name of its own for a holder in this process."""
    return f"{_machine()}-{os.getpid()}-{_started(os.getpid())}-{uuid4().hex[:8]}"


def is_gone(holder: str) -> bool:
    """Whether a holder was a process of this machine that has ended; False where that cannot be known."""
    return _lives(holder) is False


def new_process_run() -> str:
    """Return an id for a run that is this process, rather than one of Prefect's."""
    return f"{PROCESS_RUN}{new_holder()}"


def process_lives(run_id: str) -> bool | None:
    """Whether the process lives that a run is: see `new_process_run`; None where that cannot be known."""
    return _lives(run_id.removeprefix(PROCESS_RUN))


def _lives(holder: str) -> bool | None:
    machine, _, rest = holder.partition("-")
    pid, _, rest = rest.partition("-")
    if not machine or machine != _machine() or not pid.isdigit():
        return None
    return _started(int(pid)) == rest.partition("-")[0]


@cache
def _machine() -> str:
    """This boot of this machine and its name space of process ids, in which a process id has one meaning."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return digest("machine/1", [boot, str(Path("/proc/self/ns/pid").readlink())])[:12]
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty if there is none, or it waits to be reaped."""
    # Not psutil's creation time: that is by the wall clock, so a clock that is set anew would change who holds a lease.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # from the state on
        return "" if fields[0] in _ENDED else fields[19]
    except (OSError, IndexError):
        return ""
