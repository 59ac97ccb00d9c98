"""What a user can be called."""

from __future__ import annotations

from multiblast.accounts.requester import GUEST
from multiblast.errors import InvalidInputError, Problem

_LONGEST_NAME = 255


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
