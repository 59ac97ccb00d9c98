"""The parent of a plugin's process: a program that ends with it, and with which everything ends that it started.

``python -I -S supervisor.py FILE_BYTES PROGRAM [WORD …]``. Processes that leave their session, as daemons do, become
children of this one in place of the system's first, so that none escapes: neither when the plugin ends, nor at a
SIGTERM, nor when our own process dies, which is a SIGTERM too. It is a file of its own that imports little: it starts
in some 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_PR_SET_CHILD_SUBREAPER = 36
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # which programs do not expect


def main() -> int:
    """Run a program; return its exit code, or 128 and the number of the signal that ended it."""
    file_bytes, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, _stop)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hardest = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    largest = int(file_bytes) if hardest == resource.RLIM_INFINITY else min(int(file_bytes), hardest)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        program = os.posix_spawnp(command[0], command, os.environ, setsid=True, setsigdef=_IGNORED_BY_PYTHON)
        while True:
            ended, status = os.wait()
            if ended == program:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_children()


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _end_children() -> None:
    """Kill the children, and theirs as they become ours, until there are none."""
    while True:
        for child in _children():
            with suppress(OSError):
                os.killpg(child, signal.SIGKILL)  # a group dies at once, however fast it grows
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _children() -> list[int]:
    own, found = str(os.getpid()), []
    for name in os.listdir("/proc"):  # noqa: PTH208 - thousands of names
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                # The name of a program, in brackets, may have anything in it.
                if file.read().rpartition(")")[2].split()[1] == own:
                    found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main())
