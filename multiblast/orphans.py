"""No orphans: a program that is killed when its parent dies, however it dies."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

_PR_SET_PDEATHSIG = 1

# Looked up before any fork: the child may call it, but must not import or allocate much.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def start_with_parent(
    command: Sequence[str], *, with_signal: signal.Signals = signal.SIGKILL, **settings: Any
) -> subprocess.Popen[bytes]:
    """Start a program that gets a signal when its parent dies; the settings are those of `subprocess.Popen`.

    To the kernel the parent is the thread that starts it, so that thread must stay.

    Raises:
        FileNotFoundError: there is no such program.
        PermissionError: it may not be executed.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return subprocess.Popen(command, preexec_fn=partial(_die_with_parent, with_signal), **settings)  # noqa: PLW1509 - one async-signal-safe system call
    # With a `preexec_fn` Python forks, and a large process then pays for each page that it touches: 13 ms of CPU with
    # 130 MiB. Without one it does not, and `setpriv`, of Debian's util-linux, makes the system call in 1 ms.
    if shutil.which(command[0], path=(settings.get("env") or os.environ).get("PATH")) is None:
        code = errno.EACCES if os.path.exists(command[0]) else errno.ENOENT  # noqa: PTH110 - a name or a path
        raise OSError(code, os.strerror(code), command[0])
    tied = [setpriv, "--pdeathsig", with_signal.name.removeprefix("SIG"), "--", *command]
    return subprocess.Popen(tied, **settings)


def _die_with_parent(with_signal: int) -> None:
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
