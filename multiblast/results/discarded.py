"""Objects that nothing refers to any more: noted at once, removed when nobody can still be reading them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from multiblast.database import Discarded, insert_missing


def discard(session: Session, keys: Sequence[str]) -> None:
    """Note that objects are to be removed."""
    insert_missing(session, Discarded, [Discarded(key=key).model_dump() for key in keys])
