"""The requester: who wants to read or change something, and what a user can be called."""

from __future__ import annotations

from dataclasses import dataclass

from multiblast.errors import InvalidInputError, Problem

_LONGEST_NAME = 255

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


def check_name(name: str, key: str = "user") -> None:
    """Make sure that a user, or a token, can have this name.

    Raises:
        InvalidInputError: they cannot; ``key`` is the field at fault.
    """
    problem = ""
    if not name.strip() or name != name.strip() or not name.isprintable():
        problem = "a name is visible text without blanks around it"
    elif len(name) > _LONGEST_NAME:
        problem = f"a name has at most {_LONGEST_NAME} characters"
    elif name.startswith(GUEST):
        problem = "names of guests cannot be given: use the guest's token"
    if problem:
        raise InvalidInputError(Problem(f"{name[:60]!r} is no name: {problem}", key))
