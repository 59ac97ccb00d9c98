"""What came of a transfer, item by item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class ItemResult(StrEnum):
    """What became of an item."""

    DONE = "done"
    KNOWN = "known"
    PLANNED = "planned"
    RESTORED = "restored"
    PRIVATE = "private"
    CONFLICT = "conflict"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item and what became of it; with the reason if it did not go well, and its file's size if that is copied."""

    item: str
    result: ItemResult
    reason: str = ""
    size_bytes: int = 0


@dataclass(slots=True)
class TransferSummary:
    """What came of a command.

    Attributes:
        outcomes: One per item.
        notes: What should be known beside.
        requests: How many were sent to the remote registry.
        answer: Of a plan: the digest of what the registries answered.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0
    answer: str = ""

    @property
    def exit_code(self) -> int:
        """1 if there was a conflict or a failure."""
        return int(any(outcome.result in (ItemResult.CONFLICT, ItemResult.FAILED) for outcome in self.outcomes))

    @property
    def has_work(self) -> bool:
        """Of a plan: whether there is anything to do."""
        return self.count(ItemResult.PLANNED) > 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(outcome.size_bytes for outcome in self.outcomes)

    def count(self, *results: ItemResult) -> int:
        """Return how many items came to one of these results."""
        return sum(outcome.result in results for outcome in self.outcomes)

    def plain(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            "items": [asdict(outcome) for outcome in self.outcomes],
            "notes": self.notes,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
        }


Progress = Callable[[Outcome], None]


def no_progress(_outcome: Outcome) -> None:
    """Ignore an outcome."""
