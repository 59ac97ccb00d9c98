"""The requester: who wants to read or change something."""

from __future__ import annotations

from dataclasses import dataclass

GUEST = "guest:"
"""What the owner names of guests start with, and no user's name does."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who wants something, as `Accounts.requester` found out; it holds no token.

    Attributes:
        owner: What their links are under; empty for nobody in particular.
        administrator: Whether they may do everything.
        shares: Ids of jobs that were shared with them.
    """

    owner: str = ""
    administrator: bool = False
    shares: frozenset[str] = frozenset()

    @property
    def is_guest(self) -> bool:
        """Whether they are a guest."""
        return self.owner.startswith(GUEST)

    def __str__(self) -> str:
        """Return how messages call them."""
        return "a guest" if self.is_guest else repr(self.owner) if self.owner else "somebody without a name"
