"""What search plugins search in: made from registered databases, once for each content, and kept on this machine."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from multiblast.errors import ConflictError, FailureClass, ProgramError
from multiblast.ids import Canonical, digest, is_id
from multiblast.installation import Installation
from multiblast.plugins.commands import Words
from multiblast.plugins.search_process import confined
from multiblast.plugins.search_programs import SearchPlugin
from multiblast.programs import EXIT_CODES, Program
from multiblast.settings import home
from multiblast.targets import BlastDatabase, database_argument

_log = logging.getLogger(__name__)

_DATABASE, _FASTA, _MADE, _MAKING = "database", "sequences.fasta", "made.json", ".making"
_LOOK_S = 0.25
_NOT_THE_DATABASE = {FailureClass.CANCELLED, FailureClass.KILLED, FailureClass.MISSING_PROGRAM, FailureClass.OUTPUT}


def databases_directory() -> Path:
    """Return where they are kept."""
    return home() / "plugins" / "databases"


@dataclass(frozen=True)
class SearchDatabase:
    """What a plugin searches in, for some registered databases as they are now; it may not have been made yet."""

    plugin: SearchPlugin
    version: str
    sources: tuple[BlastDatabase, ...]
    fingerprints: tuple[str, ...]

    @property
    def directory(self) -> Path:
        """Where its files are: another program version or content, another directory."""
        make = self.plugin.table.database.make
        facts: dict[str, Canonical] = {
            "make": list(make),
            "version": self.version,
            "databases": list(self.fingerprints),
        }
        if self.plugin.runs_own_files(make):
            facts["files"] = self.plugin.digest
        return databases_directory() / digest("search-database/1", facts)

    @property
    def path(self) -> Path:
        """What the program knows it by."""
        return self.directory / _DATABASE

    @property
    def is_made(self) -> bool:
        """Whether it is there."""
        return (self.directory / _MADE).exists()

    def make(self, installation: Installation, cancelled: Callable[[], bool]) -> None:
        """Make it, unless it is there; who comes while another makes it waits for that.

        Raises:
            ProgramError: a program failed, or is not installed; or it was cancelled.
            ConflictError: a registered database was rebuilt meanwhile.
        """
        if not self._note_use():
            with _locked(self.directory, cancelled):
                if not self._note_use():
                    self._make(installation, cancelled)

    def _note_use(self) -> bool:
        """Note that it is used, so that it is not swept; return whether it is there."""
        try:
            os.utime(self.directory / _MADE)
        except FileNotFoundError:
            return False
        except OSError:  # of another user, say
            return (self.directory / _MADE).exists()
        return True

    def _make(self, installation: Installation, cancelled: Callable[[], bool]) -> None:
        names = ", ".join(database.display for database in self.sources)
        sequences = sum(database.sequences for database in self.sources)
        _log.info("making the %s database of %s, %s sequences", self.plugin.name, names, f"{sequences:,}")
        began = time.monotonic()
        making = _beside(self.directory, _MAKING)
        shutil.rmtree(making, ignore_errors=True)  # of a process that was killed
        work = making / "work"
        work.mkdir(parents=True)
        try:
            self._run(installation, making, work, cancelled)
            if tuple(database.fingerprint for database in self.sources) != self.fingerprints:
                raise ConflictError(f"{names} was rebuilt meanwhile: restart the job")
            for left in making.iterdir():  # of what it worked with
                if not left.name.startswith(_DATABASE):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            facts = {"plugin": self.plugin.identifier, "version": self.version, "databases": names}
            (making / _MADE).write_text(json.dumps({**facts, "fingerprints": self.fingerprints}))
            shutil.rmtree(self.directory, ignore_errors=True)  # what a sweep that was killed has left of an earlier one
            making.rename(self.directory)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _log.info("made the %s database of %s in %.1f s", self.plugin.name, names, time.monotonic() - began)

    def _run(self, installation: Installation, making: Path, work: Path, cancelled: Callable[[], bool]) -> None:
        kind = "nucl" if self.sources[0].molecule.letter == "n" else "prot"
        source = [installation.program("blastdbcmd"), "-db", database_argument(self.sources), "-dbtype", kind]
        more = {"fasta": [str(making / _FASTA)], "database": [str(making / _DATABASE)]}
        threads, own = installation.workers, self.plugin.directory
        words = Words(self.plugin.description, {}, {}, threads, work, own, more)
        made = words.filled(self.plugin.table.database.make)
        try:
            Program([*source, "-entry", "all"], stdout=making / _FASTA, cancelled=cancelled).run()
            command = confined(self.plugin, made, making, (), threads)
            Program(command, shown=made, cancelled=cancelled, exit_codes=EXIT_CODES).run()
        except ProgramError as error:
            if error.failure_class in _NOT_THE_DATABASE:
                raise
            raise ProgramError(error.command, error.exit_code, error.stderr, FailureClass.DATABASE) from error


def sweep_databases(unused_since: datetime, *, dry_run: bool = False) -> list[Path]:
    """Remove what was not used since a time, and what processes that were killed left; return what it was."""
    directory, gone = databases_directory(), []
    for found in sorted((*directory.glob("*"), *directory.glob(f".*{_MAKING}"))):
        whole = found.with_name(found.name.removeprefix(".").removesuffix(_MAKING))
        mark = found / _MADE if (found / _MADE).exists() else found
        if not is_id(whole.name) or not found.is_dir() or mark.stat().st_mtime >= unused_since.timestamp():
            continue
        gone.append(found)
        if not dry_run:
            with suppress(BlockingIOError), _locked(whole):
                (found / _MADE).unlink(missing_ok=True)  # first: without it, nobody takes what is left for a database
                shutil.rmtree(found)
    return gone


@contextmanager
def _locked(directory: Path, cancelled: Callable[[], bool] | None = None) -> Iterator[None]:
    """Hold the lock of a directory, which goes with the process, while the block runs.

    Raises:
        BlockingIOError: another process holds it, and it is not to be waited for until somebody cancels that.
        ProgramError: it was cancelled.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    place = os.open(_beside(directory, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancelled is None:
                    raise
            if cancelled():
                reason = "cancelled while another process made its database"
                raise ProgramError(["flock"], -1, reason, FailureClass.CANCELLED)
            time.sleep(_LOOK_S)
        yield
    finally:
        os.close(place)


def _beside(directory: Path, suffix: str) -> Path:
    return directory.with_name(f".{directory.name}{suffix}")
