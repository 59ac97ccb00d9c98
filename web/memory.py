"""Answers that are given again as long as nothing at all was written: most requests ask what was just asked."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

from multiblast.database import Database

_MOST_BYTES = 32 << 20
_LONGEST_BYTES = 256 << 10
_ENTRY_BYTES = 1 << 10  # what the smallest takes
_TEXT_BYTES = 64  # what a text takes beside its letters
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
    """Remembers answers, each for one requester and one request.

    Args:
        database: Where all of them come from.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: OrderedDict[Hashable, tuple[str, float, Remembered]] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def answer(self, key: Hashable, make: Callable[[], Remembered]) -> Remembered:
        """Return an answer as it would be made now.

        Args:
            key: The requester and the request, whole.
            make: Makes it.
        """
        version, now = self._database.version(), time.monotonic()
        with self._lock:
            kept = self._answers.get(key)
        if kept is not None and kept[0] == version and now - kept[1] < _LASTS_S:
            return kept[2]
        made = make()
        if (size := _size(key, made)) <= _LONGEST_BYTES:
            with self._lock:
                self._forget(key)
                self._answers[key] = version, now, made
                self._bytes += size
                while self._bytes > _MOST_BYTES:
                    self._forget(next(iter(self._answers)))
        return made

    def _forget(self, key: Hashable) -> None:
        if (kept := self._answers.pop(key, None)) is not None:
            self._bytes -= _size(key, kept[2])


def _size(key: Hashable, made: Remembered) -> int:
    """Return what an answer takes, with what was asked, which a client may make as long as it likes."""
    return _ENTRY_BYTES + len(made.body) + _letters(key)


def _letters(asked: Hashable) -> int:
    if isinstance(asked, tuple):
        return sum(map(_letters, asked))
    return _TEXT_BYTES + len(asked) if isinstance(asked, str) else _TEXT_BYTES
