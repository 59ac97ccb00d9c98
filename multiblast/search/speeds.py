"""How fast this machine searched before, by which the next search is planned."""

from __future__ import annotations

import platform
from typing import Any

from sqlmodel import col

from multiblast.database import Database, Speed, upsert, utc_now
from multiblast.ids import digest

_SMOOTHING = 0.5
_MEASURED = {name: col(getattr(Speed, name)) for name in ("letters_per_second", "bytes_per_letter")}


class Speeds:
    """The speeds of searches on this machine, one per program, options and databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, search_key: str) -> Speed | None:
        """Return the speed of earlier searches of this kind, if there were any."""
        with self._database.read() as session:
            return session.get(Speed, _key(search_key))

    def record(self, search_key: str, letters_per_second: float, bytes_per_letter: float) -> None:
        """Blend a measured speed into the remembered one, in one statement, as batches may end at the same time."""
        measured = {"letters_per_second": letters_per_second, "bytes_per_letter": bytes_per_letter}
        with self._database.write() as session:
            upsert(session, Speed, [{"key": _key(search_key), "updated_at": utc_now(), **measured}], _blended)


def _blended(new: Any) -> dict[str, Any]:
    blended = {name: old + _SMOOTHING * (new[name] - old) for name, old in _MEASURED.items()}
    return {**blended, "updated_at": new.updated_at}


def _key(search_key: str) -> str:
    return digest("speed/1", [search_key, platform.node()])
