"""A plugin's process: run to its end under limits, with nothing left of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from multiblast.errors import FailureClass
from multiblast.orphans import start_with_parent
from multiblast.plugins import supervisor
from multiblast.plugins.failure import PluginError
from multiblast.plugins.run_table import Run
from multiblast.programs import ended_within, printed_text

_KEPT_BYTES = 65536
_PERIOD_S = 0.1
_SHARE = 20  # looking takes at most this part of the time
_PATIENCE_S = 10.0
_FREE_BYTES = 64 << 20
_SPARE_BYTES = 1 << 16
_CRASHES = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use; all are watched, ten times a second.

    Memory is what is resident of all its processes together. Not the kernel's limit on addresses: that is of each
    process alone, and large databases, Java and Go reserve addresses that they never use. Processes are counted, as
    the kernel's own limit counts those of a user, and none of root's.

    Attributes:
        output_bytes: All that it has written to its directory, or printed.
    """

    timeout_s: float
    memory_bytes: int
    output_bytes: int
    processes: int

    @classmethod
    def of(cls, run: Run) -> Limits:
        """Return what a table says."""
        return cls(run.timeout_s, int(run.memory_gb * 1e9), int(run.output_gb * 1e9), run.processes)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, 128 and more for a signal, and the last 64 KiB that it printed."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    def check(self, plugin: str) -> None:
        """Raise a `PluginError` if this is no good end."""
        if not self.code:
            return
        kind, reason = FailureClass.UNKNOWN, f"it ended with code {self.code}"
        if self.code < 0:
            kind, reason = FailureClass.KILLED, "the process that watches over it was killed"
        if self.code > 128:  # noqa: PLR2004 - how shells, too, say that it was a signal
            with suppress(ValueError):
                number = signal.Signals(self.code - 128)
                kind = FailureClass.CRASHED if number in _CRASHES else FailureClass.KILLED
                reason = f"it was ended by {number.name}"
                if number is signal.SIGKILL:  # not by us: so by the kernel
                    kind, reason = FailureClass.OUT_OF_MEMORY, "it was killed, as the machine is out of memory"
        raise PluginError(plugin, reason, self.stderr, kind)


@dataclass(frozen=True, slots=True)
class Supervised:
    """A process to be run.

    Attributes:
        plugin: What its errors call it.
        command: Its words, with those of the sandbox.
        environment: All its variables.
        directory: Where it works; what is in it counts as its output.
        stdout: The file for what it prints; None keeps the end only.
        look: Called several times a second, and once after the end.
        cancelled: Asked as often whether to end it.
        of_sandbox: How many of its processes are the sandbox's.
    """

    plugin: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    limits: Limits
    stdout: Path | None = None
    look: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] | None = None
    of_sandbox: int = 0

    def run(self) -> Ended:
        """Run it to its end; then nothing of it is left running.

        Raises:
            PluginError: it went beyond a limit, or was cancelled.
        """
        started = time.monotonic()
        with self._started() as (process, printed, complaints):
            try:
                wrong = self._watch(process, started + self.limits.timeout_s, printed, complaints)
            finally:
                _end(process)
                self._end_strays(process)
        seconds = time.monotonic() - started
        self.look()
        if wrong := wrong or self._beyond_output(printed, complaints):
            kind, reason = wrong
            raise PluginError(self.plugin, reason, complaints.text(), kind)
        return Ended(process.returncode, printed.text(), complaints.text(), seconds)

    @contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], _Tail, _Tail]]:
        largest = self.limits.output_bytes + _SPARE_BYTES
        under = [sys.executable, "-I", "-S", str(Path(supervisor.__file__).resolve()), str(largest), *self.command]
        target = self.stdout.open("xb") if self.stdout else subprocess.PIPE
        try:
            process = start_with_parent(
                under,
                with_signal=signal.SIGTERM,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.PIPE,
                env=dict(self.environment),
                cwd=self.directory,
                start_new_session=True,
            )
        finally:
            if not isinstance(target, int):
                target.close()
        printed, complaints = _Tail(process.stdout), _Tail(process.stderr)
        try:
            yield process, printed, complaints
        finally:
            _end(process)
            for tail in (printed, complaints):
                tail.close()

    def _watch(
        self, process: subprocess.Popen[bytes], deadline: float, printed: _Tail, complaints: _Tail
    ) -> tuple[FailureClass, str] | None:
        """Wait for the end; return why that is before its time."""
        period = _PERIOD_S
        while not ended_within(process, max(0.0, min(period, deadline - time.monotonic()))):
            began = time.monotonic()
            if began >= deadline:
                limit = f"it took longer than {self.limits.timeout_s:g} seconds (run.timeout_s)"
                return FailureClass.TIME_LIMIT, limit
            if self._is_cancelled():
                return FailureClass.CANCELLED, "it was cancelled"
            self.look()
            if wrong := self._beyond_output(printed, complaints) or self._beyond_processes(process.pid):
                return wrong
            period = max(_PERIOD_S, _SHARE * (time.monotonic() - began))
        return None

    def _end_strays(self, process: subprocess.Popen[bytes]) -> None:
        """End what a plugin that is not confined left running by killing the process above it."""
        if process.returncode >= 0:
            return
        ours = set(self.environment.items())
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if ours <= set(one.environ().items()):
                    one.kill()

    def _is_cancelled(self) -> bool:
        try:
            return self.cancelled is not None and self.cancelled()
        except Exception:  # noqa: BLE001 - such as a database that is away: ask again, and keep the limits
            return False

    def _beyond_output(self, *tails: _Tail) -> tuple[FailureClass, str] | None:
        if size_of(self.directory) + sum(tail.come for tail in tails) > self.limits.output_bytes:
            limit = f"it wrote more than {self.limits.output_bytes / 1e9:g} GB (run.output_gb)"
            return FailureClass.OUTPUT, limit
        if shutil.disk_usage(self.directory).free < _FREE_BYTES:
            return FailureClass.OUTPUT, f"no space is left in {self.directory}: free some, or set TMPDIR elsewhere"
        return None

    def _beyond_processes(self, pid: int) -> tuple[FailureClass, str] | None:
        try:
            below = psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return None
        if len(below) - self.of_sandbox > self.limits.processes:
            return FailureClass.KILLED, f"it ran more than {self.limits.processes} processes (run.processes)"
        if _memory(below, "rss") > self.limits.memory_bytes and _memory(below, "pss") > self.limits.memory_bytes:
            limit = f"it used more than {self.limits.memory_bytes / 1e9:g} GB of memory (run.memory_gb)"
            return FailureClass.OUT_OF_MEMORY, limit
        return None


class _Tail(threading.Thread):
    """Reads what a process prints, so that it need not wait, and keeps the end."""

    def __init__(self, source: IO[bytes] | None) -> None:
        super().__init__(name="plugin-output", daemon=True)
        self.come = 0
        self._kept = b""
        self._source = source
        if source is not None:
            self.start()

    def run(self) -> None:
        """Read to the end."""
        assert self._source is not None  # noqa: S101 - not started without
        with suppress(OSError, ValueError):
            while piece := os.read(self._source.fileno(), _KEPT_BYTES):
                self.come += len(piece)
                self._kept = (self._kept + piece)[-_KEPT_BYTES:]

    def close(self) -> None:
        """Wait for the end, which comes at once when all writers have gone."""
        if self._source is not None:
            self.join(_PATIENCE_S)
            self._source.close()

    def text(self) -> str:
        """Return what was kept."""
        return printed_text(self._kept)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, which first ends all that are below it."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:  # one of them hangs in the kernel
        process.kill()
        process.wait()


def _memory(processes: Sequence[psutil.Process], kind: str) -> int:
    """Return how much is resident; ``pss`` counts what processes share once, but takes longer to find out."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            info = process.memory_info()
            if kind == "pss":
                with suppress(psutil.AccessDenied):
                    info = process.memory_full_info()
            total += getattr(info, kind, info.rss)
    return total


def size_of(directory: Path) -> int:
    """Return what is in a directory on the disk, in bytes; links and holes take none."""
    total, left = 0, [str(directory)]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:  # it may be gone by now
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    return total
