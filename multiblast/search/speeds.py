"""How fast this machine searched before, and how long a search will take by that."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case
from sqlmodel import col

from multiblast.database import Database, Speed, upsert, utc_now
from multiblast.ids import digest
from multiblast.options import Options, needs_one_thread
from multiblast.search.plugins import search_plugin

BATCH_S = 20.0  # of one process, where its speed is known: short enough to lose little, long enough to cost nothing
LEAST_BATCH_S = 1.0  # a shorter one gains less than the start of its process costs
_SHORT_S = 3.0  # a shorter search says little of its speed

# Letters per second where no speed is known yet, in databases of up to so many letters; more take longer accordingly.
_USUAL = {
    "blastn": (250_000, 1_000_000_000),
    "blastp": (2_000, 10_000_000),
    "blastx": (3_000, 10_000_000),
    "tblastn": (2_000, 50_000_000),
    "tblastx": (3_000, math.inf),
    "rpstblastn": (3_000, math.inf),
}
_USUAL_ELSE = (2_000, math.inf)
# Letters of which a process's way through the databases, once for all of them, is about a tenth of its time, by task:
# measured with 1 to 2,000 sequences (docs/explanation/batches.md). Programs that take a way for each query have none.
_TOGETHER = {
    "megablast": 1_000_000,
    "dc-megablast": 250_000,
    "blastn": 10_000,
    "blastn-short": 10_000,
    "rmblastn": 10_000,
    "blastp": 2_000,
    "blastp-fast": 10_000,
    "blastp-short": 2_000,
    "blastx": 5_000,
    "blastx-fast": 20_000,
    "tblastn": 8_000,
    "tblastn-fast": 20_000,
}
_WAY = 0.1  # of the time of a process with so many letters
_SMOOTHING = 0.5
_MEASURED = {name: col(getattr(Speed, name)) for name in ("letters_per_second", "bytes_per_letter")}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one thread searches.

    Attributes:
        letters_per_second: Of the query, where a process searches as many as ``together``.
        together: Letters that one process should have, as BLAST+ goes through the databases once for all of them;
            0 if it goes through them for each sequence.
        is_known: Whether the speed was measured; else it is what is usual.
        one_thread: Whether a process may have no more than one.
    """

    letters_per_second: float
    together: int = 0
    is_known: bool = False
    one_thread: bool = False

    def core_seconds(self, letters: int) -> float:
        """Return how long one core searches some letters; few take as long as the way through the databases."""
        return self.as_together(letters) / self.letters_per_second

    def estimated_seconds(self, letters: int, cores: int) -> float | None:
        """Return the wall time of searching some letters with some cores, or None if the speed is not known."""
        if not letters:
            return 0.0
        return self.core_seconds(letters) / max(1, cores) if self.is_known else None

    def as_together(self, letters: int) -> float:
        """Return the letters that would have taken as long as some few if there had been more of them."""
        return max(letters, _WAY * self.together + (1 - _WAY) * letters)


def usual_pace(options: Options, subject_letters: int = 0) -> Pace:
    """Return how fast a search with some options usually is, in databases of some letters (0 if that is not known)."""
    program = options.program
    if plugin := search_plugin(program):
        return Pace(plugin.table.batch_letters / BATCH_S)
    speed, up_to = _USUAL.get(program, _USUAL_ELSE)
    together = _TOGETHER.get(options.chosen_task or options.task_names()[0], 0)
    return Pace(speed * min(1, up_to / max(1, subject_letters)), together, one_thread=needs_one_thread(options))


class Speeds:
    """How fast this machine searched before, per program, options and databases: by that the next search is planned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, search_key: str) -> Speed | None:
        """Return the speed of earlier searches of this kind, if there were any."""
        with self._database.read() as session:
            return session.get(Speed, _speed_key(search_key))

    def record(  # noqa: PLR0913, PLR0917 - a measurement
        self, usual: Pace, search_key: str, letters: int, seconds: float, size_bytes: int, threads: int = 1
    ) -> None:
        """Blend the speed of one thread into the remembered one, in one statement, as batches may end at the same time.

        A short search is mostly the start of its process, whatever its letters: it says how fast a search is at least.
        One of few letters is mostly the way through the databases: it counts as one of more. A process that may have no
        more than one thread had one, however many there were for it.
        """
        short = seconds < _SHORT_S
        speed = usual.as_together(letters) / max(seconds, 1e-3) / (1 if usual.one_thread else threads)
        measured = {
            "letters_per_second": max(speed, usual.letters_per_second) if short else speed,
            "bytes_per_letter": size_bytes / max(letters, 1),
        }
        with self._database.write() as session:
            row = {"key": _speed_key(search_key), "updated_at": utc_now(), **measured}
            upsert(session, Speed, [row], _raised if short else _blended)


def _blended(new: Any) -> dict[str, Any]:
    blended = {name: old + _SMOOTHING * (new[name] - old) for name, old in _MEASURED.items()}
    return {**blended, "updated_at": new.updated_at}


def _raised(new: Any) -> dict[str, Any]:
    speed, old = new.letters_per_second, col(Speed.letters_per_second)
    return {**_blended(new), "letters_per_second": case((speed > old, speed), else_=old)}


def _speed_key(search_key: str) -> str:
    return digest("speed/1", [search_key, platform.node()])
