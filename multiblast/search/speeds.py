"""How fast this machine searched before, and how long a search will take by that."""

from __future__ import annotations

import platform
from typing import Any

from sqlalchemy import case
from sqlmodel import col

from multiblast.database import Database, Speed, upsert, utc_now
from multiblast.ids import digest
from multiblast.search.plugins import search_plugin

BATCH_S = 20.0  # of one process, where its speed is known: short enough to lose little, long enough to cost nothing
LEAST_BATCH_S = 3.0  # a shorter one gains less than the start of its process costs
_BATCH_LETTERS = {"blastn": 5_000_000, "blastx": 60_000, "rpstblastn": 60_000, "tblastx": 60_000}
_BATCH_LETTERS_ELSE = 40_000  # where the speed is not known yet
_SMOOTHING = 0.5
_MEASURED = {name: col(getattr(Speed, name)) for name in ("letters_per_second", "bytes_per_letter")}


class Speeds:
    """How fast this machine searched before, per program, options and databases: by that the next search is planned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, search_key: str) -> Speed | None:
        """Return the speed of earlier searches of this kind, if there were any."""
        with self._database.read() as session:
            return session.get(Speed, _speed_key(search_key))

    def record(  # noqa: PLR0913, PLR0917 - a measurement
        self, program: str, search_key: str, letters: int, seconds: float, size_bytes: int, threads: int = 1
    ) -> None:
        """Blend the speed of one thread into the remembered one, in one statement, as batches may end at the same time.

        A short search is mostly the start of its process, whatever its letters: it says how fast a search is at least.
        """
        short = seconds < LEAST_BATCH_S
        speed = letters / max(seconds, 1e-3) / threads
        measured = {
            "letters_per_second": max(speed, letters / core_seconds(program, letters, None)) if short else speed,
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


def core_seconds(program: str, letters: int, letters_per_second: float | None) -> float:
    """Return how long one core searches some letters; where the speed is not known, as long as is usual."""
    if letters_per_second:
        return letters / letters_per_second
    if plugin := search_plugin(program):
        return letters / (plugin.table.batch_letters / BATCH_S)
    return letters / (_BATCH_LETTERS.get(program, _BATCH_LETTERS_ELSE) / BATCH_S)


def estimated_seconds(letters: int, workers: int, batches: int, letters_per_second: float | None) -> float | None:
    """Return the wall time of searching some letters, or None if the speed is not known."""
    if not letters:
        return 0.0
    if letters_per_second is None:
        return None
    return letters / letters_per_second / max(1, min(workers, batches))
