"""No orphans: a child process that is killed when its parent dies, however it dies."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1

# Looked up before any fork: the child may call it, but must not import or allocate much.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """In the child: get a signal when the parent dies. A ``preexec_fn``: one async-signal-safe system call.

    To the kernel the parent is the thread that started the child, so that thread must stay.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
