"""Who asks, from what a form says; tokens stay in Prefect's Secret blocks."""

from __future__ import annotations

from prefect.blocks.system import Secret

from blocks.services import services
from multiblast.accounts import Requester
from multiblast.errors import InvalidInputError, Problem

__all__ = ["requester"]

_SECRET = "secret:"  # noqa: S105 - not one, but what stands before the name of one


def requester(user: str, share: str = "") -> Requester:
    """Return who asks.

    Args:
        user: A user's name; ``secret:NAME`` for the guest whose token the Secret block NAME holds; or empty.
        share: The name of the Secret block that holds the token of a shared job; or empty.

    Raises:
        InvalidInputError: there is no such block, or no such name.
        NotAllowedError: the token is unknown, or has expired.
    """
    shares = [_token(share.removeprefix(_SECRET), "share")] if share else []
    if user.startswith(_SECRET):
        token = _token(user.removeprefix(_SECRET), "user")
        return services().accounts.requester(guest_token=token, share_tokens=shares)
    return services().accounts.requester(user, share_tokens=shares)


def _token(name: str, key: str) -> str:
    """Return the token in a Secret block.

    Raises:
        InvalidInputError: there is no such block.
    """
    try:
        return str(Secret.load(name, _sync=True).get())  # type: ignore[call-arg, union-attr]  # added by Prefect's decorator
    except ValueError as error:
        raise InvalidInputError(Problem(f"there is no Secret block {name!r}: save the token in one", key)) from error
