"""The program ``blast_formatter``, and what limits its runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from multiblast.programs import FORMATTER_ENVIRONMENT, Program, Running

_TAKEN_AHEAD = 2  # archives for each process, so that none waits for its next one

Complete = Callable[[Path, Path], None]
"""Changes what was printed of an archive: the archive, and the print."""


@dataclass(frozen=True, slots=True)
class BlastFormatter:
    """The program, and what limits its runs.

    Attributes:
        program: By path or name.
        processes: How many may run at the same time.
        timeout_s: Wall-clock limit of each in seconds; 0 is none.
        cancelled: Called several times a second; the program is killed once it returns True.
        niceness: How much it lets others have the cores first, as for ``nice``.
    """

    program: str = "blast_formatter"
    processes: int = 1
    timeout_s: float = 0
    cancelled: Callable[[], bool] | None = None
    niceness: int = 0

    def start(self, archive: Path, arguments: Sequence[str], stdout: Path | None = None) -> Running:
        """Start formatting an archive."""
        return Program(
            [self.program, *arguments, "-archive", str(archive)],
            stdout=stdout,
            environment=FORMATTER_ENVIRONMENT,
            timeout_s=self.timeout_s,
            cancelled=self.cancelled,
            niceness=self.niceness,
        )

    def run(self, archive: Path, arguments: Sequence[str], stdout: Path | None = None) -> None:
        """Format an archive."""
        with self.start(archive, arguments, stdout) as running:
            running.finish()

    def print(self, archive: Path, arguments: Sequence[str], complete: Complete | None = None) -> Path:
        """Format an archive into the file beside it, unless that is there already.

        ``complete`` changes what was printed.
        """
        output = archive.with_suffix(".part")
        if not output.exists():
            self.run(archive, arguments, output)
            if complete:
                complete(archive, output)
        return output

    def print_each(
        self, archives: Iterable[Path], arguments: Sequence[str], complete: Complete | None = None
    ) -> Iterator[Path]:
        """Format several archives at the same time, each as soon as it is there; yield what is printed, in order.

        Few archives are taken ahead of those that are printed. See `print`.
        """

        def run(archive: Path) -> Path:
            return self.print(archive, arguments, complete)

        waiting = deque[Future[Path]]()
        with ThreadPoolExecutor(self.processes) as pool:
            for archive in archives:
                waiting.append(pool.submit(run, archive))
                if len(waiting) > _TAKEN_AHEAD * self.processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


@dataclass(frozen=True, slots=True)
class FormatterElsewhere(BlastFormatter):
    """The program on another machine; what writes more than one file is formatted here.

    Attributes:
        order: Orders the report of an archive: with which arguments, and where its output goes.
    """

    order: Callable[[Path, Sequence[str], Path], Running] | None = None

    def start(self, archive: Path, arguments: Sequence[str], stdout: Path | None = None) -> Running:
        """Have an archive formatted there."""
        if self.order is None or stdout is None:
            return BlastFormatter.start(self, archive, arguments, stdout)
        return self.order(archive, arguments, stdout)
