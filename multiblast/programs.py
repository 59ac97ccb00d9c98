"""Running a program: argument list, own session, time limit, cancellation, killed with its parent."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Protocol, Self, cast

from multiblast.errors import FailureClass, ProgramError
from multiblast.files import PieceReader
from multiblast.orphans import start_with_parent

_STDERR_KEPT_BYTES = 65536
_LEAST_FREE_BYTES = 65536
_WATCH_PERIOD_S = 0.25
_FOLLOW_PERIOD_S = 0.05
_CRASHES = {-number for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)}
EXIT_CODES = {
    1: FailureClass.BAD_QUERY_OR_OPTIONS,
    127: FailureClass.MISSING_PROGRAM,
    128 + signal.SIGKILL: FailureClass.OUT_OF_MEMORY,
    **{128 - crash: FailureClass.CRASHED for crash in _CRASHES},
}
"""What exit codes mean of programs that have no table of them; those beyond 128 are a shell's or a sandbox's."""

_BLAST_EXIT_CODES = {
    1: FailureClass.BAD_QUERY_OR_OPTIONS,
    2: FailureClass.DATABASE,
    3: FailureClass.ENGINE,
    4: FailureClass.OUT_OF_MEMORY,
    5: FailureClass.NETWORK,
    6: FailureClass.OUTPUT,
}


BLAST_ENVIRONMENT: dict[str, str | None] = {
    "BLAST_USAGE_REPORT": "false",
    # With these set, it would answer otherwise than its options say.
    **dict.fromkeys(("ADAPTIVE_CBS", "BATCH_SIZE", "OLD_FSC")),
}
"""What programs of BLAST+ are started with."""
ONE_BY_ONE = BLAST_ENVIRONMENT | {"BATCH_SIZE": "1"}
"""With it, they treat each query as if it were their only one."""
FORMATTER_ENVIRONMENT = BLAST_ENVIRONMENT | {
    # Titles outside ASCII as they are; by default each of their bytes becomes "#".
    "NCBI_CONFIG__SERIAL__WRONG_CHARS_READ": "ALLOW",
}
"""Variables that ``blast_formatter`` needs to print as the programs do."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended well; ``stderr`` is the last 64 KiB of it, ``seconds`` wall time, ``host`` empty if here."""

    command: tuple[str, ...]
    stderr: str
    seconds: float
    host: str = ""


class Running(Protocol):
    """A program that runs, here or elsewhere."""

    command: tuple[str, ...]

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running."""

    def follow(self, path: Path) -> BinaryIO:
        """Open what it writes to standard output, which may not be whole yet."""

    def finish(self) -> Completed:
        """Wait for the end; a `ProgramError` if it is a bad one."""


class Program:
    """A running program.

    Use as a context manager, or `run` it to its end: leaving it kills whatever is still running. The thread
    that starts it must stay until then: to the kernel the thread is the parent.

    Args:
        command: The argument list; the first word is looked up on the path.
        stdout: A file to write standard output to; None throws it away. `follow` reads it meanwhile.
        stdin: A file to read standard input from; none by default.
        environment: Variables to add to this process' own, or with None to leave out.
        timeout_s: Wall-clock limit in seconds; 0 is none.
        cancelled: Asked several times a second; the program is killed once it returns True.
        exit_codes: What each means, by default what it does to BLAST+.
        shown: What errors call the command, if what it is run by stands before it.
        niceness: How much it lets others have the cores first, as for ``nice``.

    Raises:
        ProgramError: at once if the program is not installed, and from `finish`.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of one process
        self,
        command: Sequence[str],
        *,
        stdout: Path | None = None,
        stdin: Path | None = None,
        environment: Mapping[str, str | None] | None = None,
        timeout_s: float = 0,
        cancelled: Callable[[], bool] | None = None,
        exit_codes: Mapping[int, FailureClass] | None = None,
        shown: Sequence[str] = (),
        niceness: int = 0,
    ) -> None:
        self.command = tuple(shown or command)
        self._words = tuple(command)
        self._exit_codes = _BLAST_EXIT_CODES if exit_codes is None else exit_codes
        self._timeout_s = timeout_s
        self._cancelled = cancelled
        self._stdout = stdout
        self._killed_for: FailureClass | None = None
        self._started = time.monotonic()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        try:
            given = {**os.environ, **(environment or {})}
            seen = {name: value for name, value in given.items() if value is not None}
            self._process = self._start(stdout, stdin, seen)
        except BaseException:
            self._stderr.close()
            raise
        if niceness:
            _give_way(self._process.pid, niceness)
        self._watcher = threading.Thread(target=self._watch, name="program-watch", daemon=True)
        self._watcher.start()

    def _start(self, stdout: Path | None, stdin: Path | None, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        source = stdin.open("rb") if stdin else subprocess.DEVNULL
        target = stdout.open("wb") if stdout else subprocess.DEVNULL
        try:
            return start_with_parent(
                self._words,
                stdin=source,
                stdout=target,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,  # its own group, so that nothing it starts outlives it
            )
        except (FileNotFoundError, PermissionError) as error:
            reason = f"{self.command[0]}: {error.strerror}; install it or set its directory"
            raise ProgramError(self.command, 127, reason, FailureClass.MISSING_PROGRAM) from error
        finally:
            for file in (source, target):
                if not isinstance(file, int):
                    file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
        self._watcher.join()
        self._stderr.close()

    def follow(self, path: Path) -> BinaryIO:
        """Open a file that the program is writing; reading at its end waits for more until the program has ended."""
        file = path.open("rb", buffering=0)  # unbuffered: what is there is read at once
        return cast("BinaryIO", _Followed(file, self._process))

    def kill(self, why: FailureClass = FailureClass.KILLED) -> None:
        """End the program and all it started, now; harmless if it has ended."""
        if self._process.poll() is None:
            self._killed_for = self._killed_for or why
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self) -> Completed:
        """Wait for the end.

        Raises:
            ProgramError: a non-zero exit code, a signal, the time limit, or a cancellation.
        """
        code = self._process.wait()
        self._watcher.join()
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _STDERR_KEPT_BYTES))
        stderr = printed_text(self._stderr.read())
        if code and not self._killed_for and self._is_disk_full():
            reason = f"no space left for {self._stdout}: free some, or set TMPDIR to a larger disk\n"
            raise ProgramError(self.command, code, stderr + reason, FailureClass.OUTPUT)
        if code or self._killed_for:
            raise ProgramError(self.command, code, stderr, self._classify(code, stderr))
        return Completed(self.command, stderr, time.monotonic() - self._started)

    def run(self) -> Completed:
        """Wait for the end, and leave nothing behind: see `finish`."""
        with self:
            return self.finish()

    def _classify(self, code: int, stderr: str) -> FailureClass:
        """Return what an exit code means; a SIGKILL nobody here sent is the kernel's, for memory."""
        if self._killed_for:
            return self._killed_for
        if code == -signal.SIGKILL or "bad_alloc" in stderr or "out of memory" in stderr.lower():
            return FailureClass.OUT_OF_MEMORY
        if code < 0:
            return FailureClass.CRASHED if code in _CRASHES else FailureClass.KILLED
        return self._exit_codes.get(code, FailureClass.UNKNOWN)

    def _is_disk_full(self) -> bool:
        """Return whether nothing more could be written; BLAST+ then aborts without a word."""
        return self._stdout is not None and shutil.disk_usage(self._stdout.parent).free < _LEAST_FREE_BYTES

    def _watch(self) -> None:
        deadline = self._started + self._timeout_s if self._timeout_s else float("inf")
        while not ended_within(self._process, min(_WATCH_PERIOD_S, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                self.kill(FailureClass.TIME_LIMIT)
            elif self._is_cancelled():
                self.kill(FailureClass.CANCELLED)

    def _is_cancelled(self) -> bool:
        try:
            return self._cancelled is not None and self._cancelled()
        except Exception:  # noqa: BLE001 - such as a database that is away: ask again, and keep the time limit
            return False


def _give_way(pid: int, niceness: int) -> None:
    """Let others have the cores first; on Linux sessions share them, and it is the session that must be nice."""
    with suppress(OSError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    with suppress(OSError):  # no such file, or not to be written: then the first suffices, or little can be done
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def printed_text(printed: bytes) -> str:
    """Return what a program printed as a text that every database keeps: PostgreSQL keeps no NUL."""
    return printed.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait at most so long for the end of a process; return whether it has ended."""
    if process.returncode is not None:
        return True
    # A pidfd wakes at the very end of the process; Popen.wait(timeout) polls and may be 50 ms late.
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        time.sleep(min(seconds, 0.02))
        return process.poll() is not None
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


class _Followed(PieceReader):
    """A growing file, whose end is where its writer stopped.

    What a read finds is what was written in the last 50 ms: a writer's many small portions would cost more to read
    one by one than they cost to write.
    """

    def __init__(self, file: FileIO, writer: subprocess.Popen[bytes]) -> None:
        self._file = file
        self._writer = writer
        self._at_end = True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def next_piece(self, size: int) -> bytes:
        if not self._at_end:  # as for each of the results in a portion: whether the writer has ended does not matter
            piece = self._file.read(size)
            self._at_end = len(piece) < size
            if piece:
                return piece
        while True:
            # Asked first: what the writer wrote before its end is read below.
            ended = ended_within(self._writer, _FOLLOW_PERIOD_S)
            piece = self._file.read(size)
            self._at_end = len(piece) < size
            if piece or ended:
                return piece

    def close(self) -> None:
        self._file.close()
        super().close()


def throttled(question: Callable[[], bool], period_s: float = 0.5) -> Callable[[], bool]:
    """Return a function that asks ``question`` at most once per period, however often it is called.

    In between it returns the last answer; after a yes it asks no more.
    """
    asked, answer = time.monotonic(), False

    def ask() -> bool:
        nonlocal asked, answer
        if not answer and time.monotonic() - asked > period_s:
            asked, answer = time.monotonic(), question()
        return answer

    return ask


def clean_command(
    command: Sequence[str], variables: Mapping[str, str] | None = None, directory: Path | None = None
) -> list[str]:
    """Return a command that sees these variables and the path, and no others of ours, of which some may be secrets.

    Args:
        command: The argument list; its first word must not have ``=`` in it.
        variables: What it sees; its ``PATH``, if there is one, takes the place of ours.
        directory: Where it runs.
    """
    seen = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **(variables or {})}
    place = [f"--chdir={directory}"] if directory else []
    return ["env", *place, "-i", *(f"{name}={value}" for name, value in seen.items()), *command]
