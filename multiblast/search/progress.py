"""How far the searches of this process are, to be shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one job is, in distinct sequences.

    Attributes:
        to_search: Sequences without a result when the job was planned.
        reused: Sequences that had a result.
        letters, letters_searched: Of the sequences to search.
        since: When searching began, by the monotonic clock.
        doing: What is done before it goes on, if that takes long; empty while sequences are searched.
    """

    to_search: int = 0
    searched: int = 0
    reused: int = 0
    letters: int = 0
    letters_searched: int = 0
    since: float = field(default_factory=time.monotonic)
    doing: str = ""

    @property
    def fraction(self) -> float:
        """How much is done, by letters, 0 to 1."""
        return self.letters_searched / self.letters if self.letters else 1.0

    @property
    def letters_per_second(self) -> float:
        """Query letters searched a second so far."""
        return self.letters_searched / max(time.monotonic() - self.since, 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """Estimated time to the end; None before anything is done."""
        speed = self.letters_per_second
        return (self.letters - self.letters_searched) / speed if speed else None


class Board:
    """The progress of several jobs, written by searches and read by displays, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Progress] = {}

    def begin(self, job_id: str, *, to_search: int, reused: int, letters: int) -> None:
        """Note that a job's search begins."""
        with self._lock:
            self._jobs[job_id] = Progress(to_search=to_search, reused=reused, letters=letters)

    def advance(self, job_id: str, sequences: int, letters: int) -> None:
        """Note that some sequences are done."""
        with self._lock:
            now = self._jobs.get(job_id, Progress())
            self._jobs[job_id] = replace(
                now, searched=now.searched + sequences, letters_searched=now.letters_searched + letters
            )

    def catch_up(self, job_id: str, sequences_left: int, letters_left: int) -> None:
        """Note what is left of a job, as others may have searched for it too."""
        with self._lock:
            if (now := self._jobs.get(job_id)) is not None:
                searched = max(now.searched, now.to_search - sequences_left)
                letters = max(now.letters_searched, now.letters - letters_left)
                self._jobs[job_id] = replace(now, searched=searched, letters_searched=letters)

    @contextmanager
    def doing(self, job_id: str, what: str) -> Iterator[None]:
        """Note what is done for a job while the block runs."""
        self._note(job_id, what)
        try:
            yield
        finally:
            self._note(job_id, "")

    def _note(self, job_id: str, what: str) -> None:
        with self._lock:
            if (now := self._jobs.get(job_id)) is not None:
                self._jobs[job_id] = replace(now, doing=what)

    def get(self, job_id: str) -> Progress:
        """Return how far a job is; nothing done if it is not known here."""
        with self._lock:
            return self._jobs.get(job_id, Progress())

    def end(self, job_id: str) -> None:
        """Forget a job."""
        with self._lock:
            self._jobs.pop(job_id, None)

    @property
    def jobs(self) -> list[str]:
        """The jobs being searched."""
        with self._lock:
            return list(self._jobs)


board = Board()
