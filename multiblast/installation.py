"""What is installed on this machine: programs to search with, and how many of them may run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from multiblast.errors import FailureClass, ProgramError

_VERSION = re.compile(r"^\S+: (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Installation:
    """The BLAST+ programs of one machine, and how much of it they may use."""

    directory: Annotated[Path | None, BeforeValidator(lambda path: path or None)] = Field(
        default=None, description="Directory of the BLAST+ programs. Empty: they are looked up on the path."
    )
    cores: int = Field(default=0, ge=0, description="Processor cores that searches may use. 0: all of them.")
    time_limit_s: float = Field(default=0, ge=0, description="Time limit of one BLAST+ process, in seconds. 0: none.")

    @property
    def workers(self) -> int:
        """How many cores searches may use, at least 1."""
        return self.cores or len(os.sched_getaffinity(0))

    def program(self, name: str) -> str:
        """Return the path of a program; `ProgramError` if it is not installed."""
        from multiblast.options import added_program  # here: most commands look for no program

        if added := added_program(name):
            return added.find()
        path = str(self.directory or os.environ.get("PATH", os.defpath))
        for directory in path.split(os.pathsep):
            # Debian gives rpsblast another name, since a program of that name came before BLAST+, and can be there too.
            if found := shutil.which(f"{name}+", path=directory) or shutil.which(name, path=directory):
                return found
        where = f"in {self.directory}" if self.directory else "on the path"
        remedy = f"no {name} {where}: install BLAST+ (on Debian: apt-get install ncbi-blast+)"
        raise ProgramError([name], 127, remedy, FailureClass.MISSING_PROGRAM)

    def version(self, name: str) -> str:
        """Return a program's version, e.g. ``2.12.0+``."""
        from multiblast.options import added_program

        if added := added_program(name):
            return added.version()
        path = self.program(name)
        return _version(path, Path(path).stat().st_mtime_ns)


@cache
def _version(path: str, _modified: int) -> str:  # by the file's time too, so that an upgrade in place is noticed
    text = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, timeout=60).stdout
    match = _VERSION.search(text)
    if match is None:
        raise ProgramError([path, "-version"], 1, f"no version in {text[:200]!r}", FailureClass.MISSING_PROGRAM)
    return match[1]
