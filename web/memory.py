"""Answers that are given again as long as nothing at all was written: most requests ask what was just asked."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

from multiblast.database import Database

_MOST = 2000
_LONGEST_BYTES = 256 << 10
_LASTS_S = 5.0  # a token may expire, and nothing is written then


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer.

    Attributes:
        body: As it is sent.
        active: Whether it will be another one soon.
    """

    body: bytes
    active: bool = False


class Memory:
    """Remembers answers, each for who asked and what they asked.

    Args:
        database: Where all of them come from.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: OrderedDict[Hashable, tuple[str, float, Remembered]] = OrderedDict()
        self._lock = Lock()

    def answer(self, key: Hashable, make: Callable[[], Remembered]) -> Remembered:
        """Return an answer as it would be made now.

        Args:
            key: Who asks and what, whole.
            make: Makes it.
        """
        version, now = self._database.version(), time.monotonic()
        with self._lock:
            kept = self._answers.get(key)
        if kept is not None and kept[0] == version and now - kept[1] < _LASTS_S:
            return kept[2]
        made = make()
        if len(made.body) <= _LONGEST_BYTES:
            with self._lock:
                self._answers[key] = version, now, made
                self._answers.move_to_end(key)
                if len(self._answers) > _MOST:
                    self._answers.popitem(last=False)
        return made
