"""What is installed on this machine: BLAST+ programs and how many of them may run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from multiblast.errors import FailureClass, ProgramError

__all__ = ["Installation"]

_VERSION = re.compile(r"^\S+: (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Installation:
    """The BLAST+ programs of one machine.

    Attributes:
        directory: Where the programs are; None looks on the path.
        cores: Processor cores that searches may use; 0 is all there are.
        time_limit_s: Wall-clock limit of one program's run in seconds; 0 is none.
    """

    directory: Path | None = None
    cores: int = 0
    time_limit_s: float = 0

    @property
    def workers(self) -> int:
        """How many cores searches may use, at least 1."""
        return self.cores or len(os.sched_getaffinity(0))

    def program(self, name: str) -> str:
        """Return the path of a program.

        Raises:
            ProgramError: it is not installed.
        """
        path = str(self.directory) if self.directory else None
        # Debian gives rpsblast another name, since a program of that name came before BLAST+.
        found = shutil.which(name, path=path) or shutil.which(f"{name}+", path=path)
        if found is None:
            where = f"in {self.directory}" if self.directory else "on the path"
            remedy = f"no {name} {where}: install BLAST+ (on Debian: apt-get install ncbi-blast+)"
            raise ProgramError([name], 127, remedy, FailureClass.MISSING_PROGRAM)
        return found

    def version(self, name: str) -> str:
        """Return a program's version, e.g. ``2.12.0+``."""
        path = self.program(name)
        return _version(path, Path(path).stat().st_mtime_ns)


@cache
def _version(path: str, _modified: int) -> str:
    text = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, timeout=60).stdout
    match = _VERSION.search(text)
    if match is None:
        raise ProgramError([path, "-version"], 1, f"no version in {text[:200]!r}", FailureClass.MISSING_PROGRAM)
    return match[1]
