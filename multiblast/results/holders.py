"""Who holds a lease: a name from which it follows whether its process, on this machine, still lives."""

from __future__ import annotations

import os
from enum import Enum, auto
from functools import cache
from pathlib import Path
from uuid import uuid4

from multiblast.ids import digest

PROCESS_RUN = "process-"
"""What ids of runs begin with that are processes."""

_STOPPED = {"T", "t"}  # also by a debugger
_ENDED = {"Z", "X"}  # zombie, dead


class _State(Enum):
    """What a process of this machine does."""

    AT_WORK = auto()
    STOPPED = auto()
    GONE = auto()


def new_holder() -> str:
    """Return a name of its own for a holder in this process."""
    return f"{_machine()}-{os.getpid()}-{_stat(os.getpid())[1]}-{uuid4().hex[:8]}"


def is_gone(holder: str) -> bool:
    """Whether a holder was a process of this machine that has ended; False where that cannot be known."""
    return _state(holder) is _State.GONE


def is_at_work(holder: str) -> bool:
    """Whether a holder is a process of this machine that lives and is not stopped; False where that cannot be known.

    A lease of it that has run out is late only, as after the machine was suspended, or its clock set forward.
    """
    return _state(holder) is _State.AT_WORK


def new_process_run() -> str:
    """Return an id for a run that is this process, rather than one of Prefect's."""
    return f"{PROCESS_RUN}{new_holder()}"


def process_lives(run_id: str) -> bool | None:
    """Whether the process lives that a run is: see `new_process_run`; None where that cannot be known."""
    state = _state(run_id.removeprefix(PROCESS_RUN))
    return None if state is None else state is not _State.GONE


def _state(holder: str) -> _State | None:
    """Return what a holder does; None where that cannot be known: on another machine, or where users are hidden."""
    machine, _, rest = holder.partition("-")
    pid, _, rest = rest.partition("-")
    if not machine or machine != _machine() or not pid.isdigit():
        return None
    state, started = _stat(int(pid))
    if not state:
        return None if _exists(int(pid)) else _State.GONE
    if state in _ENDED or started != rest.partition("-")[0]:
        return _State.GONE
    return _State.STOPPED if state in _STOPPED else _State.AT_WORK


@cache
def _machine() -> str:
    """This boot of this machine and its name space of process ids, in which a process id has one meaning."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return digest("machine/1", [boot, str(Path("/proc/self/ns/pid").readlink())])[:12]
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """Return the state of a process, and when it started, in clock ticks since boot; nothing if that is not shown."""
    # Not psutil's creation time: that is by the wall clock, so a clock that is set anew would change who holds a lease.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # from the state on
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""


def _exists(pid: int) -> bool:
    """Whether there is a process: with the option hidepid, /proc does not show those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
